"""Tables of data sets with several objects, in the paper's layout (Tables 1 to 3): one line an
object, arms across, a line of means.

The paper does not give intervals; here each cell has one. Where every class has its own detector,
and in realism, the figure of an object is the mean over its classes, run by run. The mean line is
the mean over the objects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bgdefect_core.files import atomic_write

from ..rows import Row
from .metric_tables import REALISM_SHOWN
from .statistics import Run, Runs
from .summary import Key, grouped
from .tables import POINTS, RUNS_NOTE, Cells, Table, markdown, pivot

DETECTION_SHOWN = ("image_auroc", "image_ap", "pixel_auroc", "pixel_ap", "pixel_f1max", "aupro")
MEAN = "mean"
_MEANS = (
    "An object's figure is the mean over its classes, of those that were measured: where some were "
    "not, their number is named."
)


@dataclass
class _Grid:
    """The cells of a table, and which of them lack classes."""

    cells: Cells = field(default_factory=dict)
    marks: dict[tuple[str, str], str] = field(default_factory=dict)
    """Cell -> number of classes behind it, where some are missing; else empty."""

    def table(self, title: str, head: str, points: bool, note: str = "") -> Table | None:
        """The table; figures in points have one decimal."""
        scale, decimals = (POINTS, 1) if points else (1.0, None)
        table = pivot(title, self.cells, scale, note=note, decimals=decimals, head=head)
        if table is None:
            return None
        lines = []
        for line, *texts in table.lines:
            marked = [line]
            for column, text in zip(table.columns[1:], texts, strict=True):
                marked.append(text + self.marks.get((line, column), "") if text else "")
            lines.append(tuple(marked))
        return replace(table, lines=tuple(lines))


def object_tables(rows: Sequence[Row]) -> list[Table]:
    """Detection (the paper's Tables 1 and 3) and realism (Table 2) by object; empty where there is
    only one object."""
    if len({row.object for row in rows}) < 2:
        return []
    groups = grouped(rows)
    tables: list[Table | None] = []
    for k in dict.fromkeys(row.k for row in rows):
        shots = f"k = {k or 'all'}"
        grids: dict[str, _Grid] = {}
        for metric in DETECTION_SHOWN:
            grids[metric] = _by_object(groups, "detection", metric, k)
        title = f"Detection, mean over all objects, {shots}"
        means = _means_of(grids)
        tables.append(means.table(title, "arm", points=True, note=f"Points. {_MEANS}"))
        for metric, grid in grids.items():
            title = f"Detection by object: {metric}, {shots}"
            tables.append(grid.table(title, "object", points=True, note="Points."))
        for metric in REALISM_SHOWN:
            grid = _by_object(groups, "realism", metric, k)
            title = f"Realism by object: {metric}, {shots}"
            tables.append(grid.table(title, "object", points=False))
    return list(filter(None, tables))


def _means_of(grids: Mapping[str, _Grid]) -> _Grid:
    """The mean lines of several metrics: subjects down, metrics across."""
    means = _Grid()
    for metric, grid in grids.items():
        for (line, subject), runs in grid.cells.items():
            if line == MEAN:
                means.cells[subject, metric] = runs
                means.marks[subject, metric] = grid.marks[line, subject]
    return means


def write_object_tables(path: Path, rows: Sequence[Row]) -> list[Table]:
    """Write the tables as Markdown; no file where there are none.

    Raises:
        OutputError: the file cannot be written.
    """
    tables = object_tables(rows)
    if tables:
        blocks = [RUNS_NOTE, *map(markdown, tables)]
        with atomic_write(path, "w") as file:
            file.write("\n\n".join(blocks) + "\n")
    return tables


def _by_object(groups: dict[Key, Runs], part: str, metric: str, k: int) -> _Grid:
    """One metric: objects and their mean down, subjects across."""
    figures: dict[Key, Runs] = {}
    classes: dict[str, list[str]] = {}
    for key, runs in groups.items():
        if (key.part, key.metric, key.k) == (part, metric, k):
            figures[key] = runs
            defects = classes.setdefault(key.object, [])
            if key.defect not in defects:
                defects.append(key.defect)
    total = sum(map(len, classes.values()))
    grid = _Grid()
    for subject in dict.fromkeys(key.subject for key in figures):
        measured = 0
        object_means = []
        for object, defects in classes.items():
            class_runs = []
            for defect in defects:
                key = Key(part, object, defect, k, subject, metric)
                class_runs.append(figures.get(key, {}))
            complete = _complete(class_runs)
            measured += complete
            object_means.append(_mean(class_runs))
            grid.cells[object, subject] = object_means[-1]
            grid.marks[object, subject] = _mark(complete, len(defects))
        grid.cells[MEAN, subject] = _mean(object_means)
        grid.marks[MEAN, subject] = _mark(measured, total)
    return grid


def _mean(members: Sequence[Runs]) -> Runs:
    """The mean of each run, over the members that have it."""
    values: dict[Run, list[float]] = {}
    for runs in members:
        for run, value in runs.items():
            values.setdefault(run, []).append(value)
    return {run: sum(values[run]) / len(values[run]) for run in sorted(values)}


def _complete(members: Sequence[Runs]) -> int:
    """Number of members that have every run of any member."""
    every_run = set().union(*members)
    complete = 0
    for runs in members:
        complete += bool(runs) and set(runs) == every_run
    return complete


def _mark(measured: int, total: int) -> str:
    return "" if measured == total else f" ({measured} of {total} classes)"
