"""Figures as tables: classes down, subjects across; one form for Markdown, the page and the
terminal."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..detectors.metrics import METRICS
from ..measures.features import NAME
from ..rows import REAL, Row, place
from .rows import Key, grouped
from .statistics import Runs, interval, minus

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
    "off-mask PSNR, mean (dB)",
    "off-mask PSNR before stitching, median (dB)",
    "off-mask largest change (of 255)",
    "off-mask LPIPS (alex), mean",
)
"""Shown where they were measured; ``results.csv`` holds the others too."""
DIFFERENCES = ("pixel_ap", "image_auroc")
"""Metrics whose paired differences against real only are a table of their own."""
RUNS_NOTE = "Mean ± half of the 95 % interval; of two runs both values in brackets."
POINTS = 100.0
_NUMBER = re.compile(r"[+-]?\d")
METRIC = "metric"
"""Head of the first column where the lines are metrics, each of its own magnitude."""


@dataclass(frozen=True)
class Table:
    """A table as it is shown."""

    title: str
    note: str
    columns: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]


def markdown(table: Table) -> str:
    """The table in Markdown, its title as a heading of the fourth level."""
    columns = zip(*table.lines, strict=True)
    rules = [
        "---:" if all(_NUMBER.match(cell) for cell in cells if cell) else "---" for cells in columns
    ]
    rows = [table.columns, rules, *table.lines]
    body = "\n".join(
        "| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in rows
    )
    return "\n\n".join(filter(None, (f"#### {table.title}", table.note, body)))


def figure(values: Sequence[float], decimals: int, scale: float = 1.0, sign: bool = False) -> str:
    """Mean of some runs: with half of the 95 % interval from three on; two runs in brackets (their
    interval says nothing)."""
    found = interval([value * scale for value in values])
    if not found.n:
        return ""
    form = f"{'+' if sign else ''}.{decimals}f"

    def shown(value: float) -> str:
        return format(round(value, decimals) + 0.0, form)  # no "-0.0"

    text = shown(found.mean)
    if found.n == 2:
        return f"{text} ({', '.join(shown(value * scale) for value in values)})"
    return text if found.low is None else f"{text} ± {found.mean - found.low:.{decimals}f}"


def pivot(
    title: str,
    cells: dict[tuple[str, str], Runs],
    scale: float = 1.0,
    sign: bool = False,
    note: str = "",
    decimals: int | None = None,
    head: str = "class",
) -> Table | None:
    """A table of means; cells are (line, column) -> runs. None where nothing is defined.

    The number of runs stands in the note; a cell with another number names its own. Decimals follow
    from the largest value where they are not given, line by line where the lines are metrics; a
    column without any value is left out.
    """
    sizes = Counter(len(runs) for runs in cells.values() if runs)
    if not sizes:
        return None
    usual = sizes.most_common(1)[0][0]
    every = [value * scale for runs in cells.values() for value in runs.values()]
    columns = list(dict.fromkeys(column for (_, column), runs in cells.items() if runs))
    lines = []
    for name in dict.fromkeys(line for line, _ in cells):
        own_values = [
            value * scale
            for (line, _), runs in cells.items()
            if line == name
            for value in runs.values()
        ]
        places = (
            _decimals(own_values if head == METRIC else every) if decimals is None else decimals
        )
        shown = [name]
        for column in columns:
            runs = cells.get((name, column), {})
            own = f" (n = {len(runs)})" if runs and len(runs) != usual else ""
            shown.append(figure([runs[run] for run in sorted(runs)], places, scale, sign) + own)
        lines.append(tuple(shown))
    count = f"n = {usual} run{'s' * (usual != 1)} a cell{'' if len(sizes) == 1 else ' unless it says another'}."
    return Table(title, f"{note} {count}".strip(), (head, *columns), tuple(lines))


def _decimals(values: Sequence[float]) -> int:
    """Three digits of the largest value; none behind the point where all are whole."""
    largest = max((abs(value) for value in values), default=0.0)
    if all(value == round(value) for value in values) or largest == 0:
        return 0
    return min(5, max(0, 2 - math.floor(math.log10(largest))))


def metric_table(
    rows: Sequence[Row], part: str, metric: str, title: str = "", scale: float = 1.0, note: str = ""
) -> Table | None:
    """One metric of one part: classes down, subjects across."""
    cells = _cells(grouped(rows), part, metric)
    return pivot(title or metric, cells, scale, note=note)


def difference_table(rows: Sequence[Row], metric: str) -> Table | None:
    """Paired differences of every arm against real only, in points."""
    groups = grouped(rows)
    cells = {}
    for key, runs in groups.items():
        real = groups.get(key._replace(subject=REAL), {})
        if key.part == "detection" and key.metric == metric and key.subject != REAL:
            cells[place(key.object, key.defect, key.k), key.subject] = minus(runs, real)
    return pivot(
        f"{metric}: difference against real only, paired", cells, POINTS, sign=True, note="Points."
    )


def by_number(rows: Sequence[Row]) -> list[Row]:
    """Rows of detection that can be compared along k: of classes with several numbers of real
    defects, in the folds, seeds and arms that each number has; sorted by class and number."""
    found: list[Row] = []
    for name in dict.fromkeys((row.object, row.defect) for row in rows if row.part == "detection"):
        own = [
            row
            for row in rows
            if (row.part, row.object, row.defect) == ("detection", *name) and row.k
        ]
        runs = [
            {(row.fold, row.seed, row.subject) for row in own if row.k == k}
            for k in sorted({row.k for row in own})
        ]
        if len(runs) > 1:
            shared = set.intersection(*runs)
            kept = [row for row in own if (row.fold, row.seed, row.subject) in shared]
            found += sorted(kept, key=lambda row: row.k)
    return found


def _number_tables(rows: Sequence[Row], metric: str) -> list[Table | None]:
    """One metric along k, and its paired differences."""
    along = by_number(rows)
    folds = ", ".join(str(fold) for fold in sorted({row.fold for row in along}))
    tables = (
        metric_table(along, "detection", metric, scale=POINTS, note="Points."),
        difference_table(along, metric),
    )
    return [
        table
        and replace(table, title=f"{table.title}, against the number of real defects, fold {folds}")
        for table in tables
    ]


def sections(rows: Sequence[Row]) -> dict[str, list[Table]]:
    """Heading -> tables, of all that was measured."""
    every: dict[str, list[Table | None]] = {
        "Realism": [
            _samples_table(rows),
            *(metric_table(rows, "realism", metric) for metric in REALISM_SHOWN),
        ],
        "Masks": [
            *(
                metric_table(
                    rows,
                    "masks on real defects",
                    metric,
                    f"Real held-out defects, {metric}, against the human mask",
                )
                for metric in ("iou", "iou minus requested")
            ),
            metric_table(
                rows,
                "masks on generated samples",
                "iou",
                "Generated samples, iou, against the changed pixels (a check of the files)",
            ),
        ],
        "Detection": [
            *(
                metric_table(rows, "detection", metric, scale=POINTS, note="Points.")
                for metric in METRICS
            ),
            *(difference_table(rows, metric) for metric in DIFFERENCES),
            *(table for metric in DIFFERENCES for table in _number_tables(rows, metric)),
        ],
        "Loss landscape": [
            metric_table(rows, "landscape", metric)
            for metric in ("top Hessian eigenvalue", "loss at the minimum")
        ],
    }
    found = {
        heading: [table for table in tables if table is not None]
        for heading, tables in every.items()
    }
    return {heading: tables for heading, tables in found.items() if tables}


def _cells(groups: dict[Key, Runs], part: str, metric: str) -> dict[tuple[str, str], Runs]:
    found = {}
    for key, runs in groups.items():
        name = (
            key.subject.split(": ")[1]
            if part == "masks on real defects" and key.subject.endswith(": requested")
            else key.subject
        )
        if (key.part, key.metric) == (
            part,
            metric,
        ):  # the requested mask of a real defect is the same for every generator
            found[place(key.object, key.defect, key.k), name] = runs
    return found


def _samples_table(rows: Sequence[Row]) -> Table | None:
    """Pictures behind the realism figures: distances of unequal numbers must not be compared
    blindly."""
    cells: dict[tuple[str, str], Runs] = {}
    for row in rows:
        if row.part == "realism":
            cells.setdefault((place(row.object, row.defect, row.k), row.subject), {})[
                row.fold, row.seed or 0
            ] = float(row.n)
    return pivot("Pictures measured", cells)
