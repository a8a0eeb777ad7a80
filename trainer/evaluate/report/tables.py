"""The form of tables: figures with intervals, in lines and columns. Markdown, the page and the
terminal show the same tables."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .statistics import Interval, Runs, of_runs

RUNS_NOTE = (
    "Mean ± half of the 95 % interval (hierarchical bootstrap over folds, draws of the known "
    "defects and seeds; Student's where there are fewer than four draws); of two runs both values "
    "in brackets."
)
POINTS = 100.0
MOST_SHOTS = 10
"""The goals are about 1 to this many real defects; other numbers are shown."""
_NUMBER = re.compile(r"[+-]?\d")
Cells = dict[tuple[str, str], Runs]
"""(line, column) -> runs."""


@dataclass(frozen=True)
class Table:
    """A table as it is shown."""

    title: str
    note: str
    columns: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]


def markdown(table: Table) -> str:
    """The table in Markdown, its title as a heading of the fourth level."""
    rules = []
    for cells in zip(*table.lines, strict=True):
        numeric = all(map(_NUMBER.match, filter(None, cells)))
        rules.append("---:" if numeric else "---")
    lines = []
    for line in (table.columns, rules, *table.lines):
        texts = [cell.replace("|", "/") for cell in line]
        lines.append(f"| {' | '.join(texts)} |")
    blocks = (f"#### {table.title}", table.note, "\n".join(lines))
    return "\n\n".join(filter(None, blocks))


def figure(runs: Runs, decimals: int, scale: float = 1.0, sign: bool = False) -> str:
    """Mean of runs: with half of the 95 % interval from three runs on; of two runs both values in
    brackets, since their interval is too wide to be useful."""
    scaled = {run: value * scale for run, value in sorted(runs.items())}
    mean = of_runs(scaled)
    if not mean.n:
        return ""
    form = f"{'+' if sign else ''}.{decimals}f"

    def text(value: float) -> str:
        return format(round(value, decimals) + 0.0, form)  # no "-0.0"

    if mean.n == 2:
        return f"{text(mean.mean)} ({', '.join(map(text, scaled.values()))})"
    if mean.half is None:
        return text(mean.mean)
    return f"{text(mean.mean)} ± {mean.half:.{decimals}f}"


def in_points(mean: Interval) -> str:
    """A mean difference in points, with the half-width of its interval and the number of cells."""
    text = f"{mean.mean * POINTS:+.1f}"
    if mean.half is not None:
        text += f" ± {mean.half * POINTS:.1f}"
    return f"{text} points over {mean.n}"


def pivot(
    title: str,
    cells: Cells,
    scale: float = 1.0,
    sign: bool = False,
    note: str = "",
    decimals: int | Mapping[str, int] | None = None,
    head: str = "class",
) -> Table | None:
    """A table of means; None where no cell has a value.

    The note gives the number of runs; a cell with another number gives its own. A column without
    any value is left out.

    Args:
        scale: factor of all values. sign: also of positive values. decimals: of all lines, or of
            each (:func:`decimals_by_line`); None: they follow from the largest value. head: of the
            first column.
    """
    sizes = Counter(map(len, filter(None, cells.values())))
    if not sizes:
        return None
    usual = sizes.most_common(1)[0][0]
    columns = list(dict.fromkeys(column for (_, column), runs in cells.items() if runs))
    if decimals is None:
        decimals = _decimals(cells.values(), scale)
    lines = []
    for line in lines_of(cells):
        places = decimals if isinstance(decimals, int) else decimals[line]
        texts = [line]
        for column in columns:
            runs = cells.get((line, column), {})
            text = figure(runs, places, scale, sign)
            if runs and len(runs) != usual:
                text += f" (n = {len(runs)})"
            texts.append(text)
        lines.append(tuple(texts))
    noun = "run" if usual == 1 else "runs"
    exception = "" if len(sizes) == 1 else " unless it says another"
    count = f"n = {usual} {noun} a cell{exception}."
    return Table(title, f"{note} {count}".strip(), (head, *columns), tuple(lines))


def decimals_by_line(cells: Cells) -> dict[str, int]:
    """The decimals of each line by its own largest value, for lines that are metrics."""
    lines: dict[str, list[Runs]] = {}
    for (line, _), runs in cells.items():
        lines.setdefault(line, []).append(runs)
    return {line: _decimals(members) for line, members in lines.items()}


def lines_of(cells: Cells) -> list[str]:
    """The lines of the cells, each once."""
    return list(dict.fromkeys(line for line, _ in cells))


def _decimals(members: Iterable[Runs], scale: float = 1.0) -> int:
    """Three digits of the largest value; no decimals where all values are whole."""
    scaled: list[float] = []
    for runs in members:
        scaled += [value * scale for value in runs.values()]
    largest = max(map(abs, scaled), default=0.0)
    if all(map(float.is_integer, scaled)) or largest == 0:
        return 0
    return min(5, max(0, 2 - math.floor(math.log10(largest))))
