"""Figures as tables: classes down, subjects across. Markdown, the page and the terminal show the
same tables."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bgdefect_core.copies import BETWEEN_SEEDS, FROM_EXEMPLAR

from ..detectors.arms.real import REAL
from ..detectors.metrics import METRICS
from ..measures.features import NAME
from ..rows import Row, place
from .statistics import Interval, Runs, minus, of_runs
from .summary import grouped

REALISM_SHOWN = (
    f"kernel distance ({NAME}, defect)",
    f"frechet distance ({NAME}, defect)",
    f"kernel distance ({NAME}, whole)",
    f"ic diversity ({NAME}, defect)",
    "FID",
    "KID",
    "IC-LPIPS (alex)",
    "share of first attempts that show the defect",
    "share of attempts accepted",
    BETWEEN_SEEDS,
    f"{FROM_EXEMPLAR}, median",
    "off-mask PSNR, mean (dB)",
    "off-mask PSNR before stitching, median (dB)",
    "off-mask largest change (of 255)",
    "off-mask LPIPS (alex), mean",
)
"""Shown where they were measured; ``results.csv`` has all metrics."""
DIFFERENCES = ("pixel_ap", "image_auroc")
"""Metrics whose paired differences against real only are a table of their own."""
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


def metric_table(
    rows: Sequence[Row], part: str, metric: str, title: str = "", scale: float = 1.0, note: str = ""
) -> Table | None:
    """One metric of one part: classes down, subjects across."""
    cells: Cells = {}
    for key, runs in grouped(rows).items():
        if (key.part, key.metric) != (part, metric):
            continue
        subject = key.subject
        if part == "masks on real defects" and subject.endswith(": requested"):
            subject = subject.split(": ")[1]  # it is the same for every method
        cells[place(key.object, key.defect, key.k), subject] = runs
    return pivot(title or metric, cells, scale, note=note)


def difference_table(rows: Sequence[Row], metric: str) -> Table | None:
    """Paired differences of every arm against real only, in points."""
    groups = grouped(rows)
    cells: Cells = {}
    for key, runs in groups.items():
        if (key.part, key.metric) == ("detection", metric) and key.subject != REAL.name:
            real = groups.get(key._replace(subject=REAL.name), {})
            cells[place(key.object, key.defect, key.k), key.subject] = minus(runs, real)
    title = f"{metric}: difference against real only, paired"
    return pivot(title, cells, POINTS, sign=True, note="Points.")


def by_number(rows: Sequence[Row]) -> list[Row]:
    """The rows of detection that can be compared along k, sorted by class and k.

    They are of classes with several numbers of real defects, in the folds, seeds and arms that
    every number has.
    """
    classes: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.part == "detection":
            class_rows = classes.setdefault((row.object, row.defect), [])
            if row.k:
                class_rows.append(row)
    comparable: list[Row] = []
    for class_rows in classes.values():
        runs: dict[int, set[tuple[int, int, int | None, str]]] = {}
        for row in class_rows:
            runs.setdefault(row.k, set()).add(_run_of(row))
        if len(runs) > 1:
            shared = set.intersection(*runs.values())
            matching = [row for row in class_rows if _run_of(row) in shared]
            comparable += sorted(matching, key=lambda row: row.k)
    return comparable


def _run_of(row: Row) -> tuple[int, int, int | None, str]:
    return row.fold, row.draw, row.seed, row.subject


def _number_tables(rows: Sequence[Row], metric: str) -> list[Table]:
    """One metric along k, and its paired differences."""
    along = by_number(rows)
    numbers = {row.fold for row in along}
    folds = ", ".join(map(str, sorted(numbers)))
    tables = []
    for table in (
        metric_table(along, "detection", metric, scale=POINTS, note="Points."),
        difference_table(along, metric),
    ):
        if table is not None:
            title = f"{table.title}, against the number of real defects, fold {folds}"
            tables.append(replace(table, title=title))
    return tables


def sections(rows: Sequence[Row]) -> dict[str, list[Table]]:
    """Heading -> tables, of everything that was measured."""
    realism = [_samples_table(rows)]
    for metric in REALISM_SHOWN:
        realism.append(metric_table(rows, "realism", metric))

    masks = []
    for metric in ("iou", "iou minus requested"):
        title = f"Real held-out defects, {metric}, against the human mask"
        masks.append(metric_table(rows, "masks on real defects", metric, title))
    title = "Generated samples, iou, against the changed pixels (a check of the files)"
    masks.append(metric_table(rows, "masks on generated samples", "iou", title))
    title = "Share that adds or removes connected areas as nearly all real defects do"
    masks.append(metric_table(rows, "effect", "share with the real effect", title))

    detection = []
    for metric in METRICS:
        detection.append(metric_table(rows, "detection", metric, scale=POINTS, note="Points."))
    for metric in DIFFERENCES:
        detection.append(difference_table(rows, metric))
    for metric in DIFFERENCES:
        detection += _number_tables(rows, metric)

    landscape = []
    for metric in ("top Hessian eigenvalue", "loss at the minimum"):
        landscape.append(metric_table(rows, "landscape", metric))

    headings = {
        "Realism": realism,
        "Masks": masks,
        "Detection": detection,
        "Loss landscape": landscape,
    }
    measured = {}
    for heading, tables in headings.items():
        present = list(filter(None, tables))
        if present:
            measured[heading] = present
    return measured


def _samples_table(rows: Sequence[Row]) -> Table | None:
    """Number of pictures behind the realism figures; distances of unequal numbers cannot be
    compared."""
    cells: Cells = {}
    for row in rows:
        if row.part == "realism":
            runs = cells.setdefault((place(row.object, row.defect, row.k), row.subject), {})
            runs[row.fold, row.draw, row.seed or 0] = float(row.n)
    return pivot("Pictures measured", cells)
