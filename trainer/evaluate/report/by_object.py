"""Tables of data sets with several objects, in the paper's layout: one line an object, arms across,
a mean line (Tables 1 to 3).

The paper does not state its own intervals; here each cell has one. Where every class has its own
detector, and in realism, an object's figure is the mean over its classes, run by run; the mean line
is the mean over the objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bgdefect_core.files import atomic_write

from ..rows import Row
from .rows import Key, grouped
from .statistics import Runs
from .tables import POINTS, REALISM_SHOWN, RUNS_NOTE, Table, markdown, pivot

DETECTION_SHOWN = ("image_auroc", "image_ap", "pixel_auroc", "pixel_ap", "pixel_f1max", "aupro")
MEAN = "mean"
_MEANS = "An object's figure is the mean over its classes, of those that were measured: where some were not, their number is named."
Cell = tuple[str, str]
"""(line, column)."""


def object_tables(rows: Sequence[Row]) -> list[Table]:
    """Detection (the paper's Tables 1 and 3) and realism (Table 2) by object; none where there is
    one object alone."""
    if len({row.object for row in rows}) < 2:
        return []
    groups = grouped(rows)
    found: list[Table | None] = []
    for k in dict.fromkeys(row.k for row in rows):
        shots = f"k = {k or 'all'}"
        detection = {
            metric: _by_object(groups, "detection", metric, k) for metric in DETECTION_SHOWN
        }
        means: dict[Cell, Runs] = {}
        lacking: dict[Cell, str] = {}
        for metric, (cells, marks) in detection.items():
            means |= {
                (subject, metric): runs for (line, subject), runs in cells.items() if line == MEAN
            }
            lacking |= {
                (subject, metric): mark for (line, subject), mark in marks.items() if line == MEAN
            }
        overall = pivot(
            f"Detection, mean over all objects, {shots}",
            means,
            POINTS,
            note=f"Points. {_MEANS}",
            decimals=1,
            head="arm",
        )
        found.append(_marked(overall, lacking))
        for metric, (cells, marks) in detection.items():
            table = pivot(
                f"Detection by object: {metric}, {shots}",
                cells,
                POINTS,
                note="Points.",
                decimals=1,
                head="object",
            )
            found.append(_marked(table, marks))
        for metric in REALISM_SHOWN:
            cells, marks = _by_object(groups, "realism", metric, k)
            found.append(
                _marked(pivot(f"Realism by object: {metric}, {shots}", cells, head="object"), marks)
            )
    return [table for table in found if table is not None]


def write_object_tables(path: Path, rows: Sequence[Row]) -> list[Table]:
    """Write them as Markdown; no file where there are none.

    Raises:
        OutputError: the place cannot be written to.
    """
    tables = object_tables(rows)
    if tables:
        with atomic_write(path, "w") as file:
            file.write("\n\n".join([RUNS_NOTE, *(markdown(table) for table in tables)]) + "\n")
    return tables


def _marked(table: Table | None, marks: dict[Cell, str]) -> Table | None:
    """The table with what some cells lack."""
    if table is None:
        return None
    columns = table.columns[1:]

    def text(line: str, column: str, cell: str) -> str:
        return cell + marks.get((line, column), "") if cell else ""

    lines = [
        (line, *(text(line, column, cell) for column, cell in zip(columns, cells, strict=True)))
        for line, *cells in table.lines
    ]
    return replace(table, lines=tuple(lines))


def _by_object(
    groups: dict[Key, Runs], part: str, metric: str, k: int
) -> tuple[dict[Cell, Runs], dict[Cell, str]]:
    """(object, subject) -> runs, and the mean line; and how many classes stand behind those that
    lack some."""
    here = {
        key: runs
        for key, runs in groups.items()
        if (key.part, key.metric, key.k) == (part, metric, k)
    }
    subjects = list(dict.fromkeys(key.subject for key in here))
    classes: dict[str, list[str]] = {}
    for key in here:
        if key.defect not in classes.setdefault(key.object, []):
            classes[key.object].append(key.defect)
    cells: dict[Cell, Runs] = {}
    marks: dict[Cell, str] = {}
    everything = sum(len(defects) for defects in classes.values())
    for subject in subjects:
        measured = 0
        for object, defects in classes.items():
            every = [
                here.get(Key(part, object, defect, k, subject, metric), {}) for defect in defects
            ]
            cells[object, subject] = _mean(every)
            whole = _whole(every)
            measured += whole
            marks[object, subject] = _mark(whole, len(defects))
        cells[MEAN, subject] = _mean([cells[object, subject] for object in classes])
        marks[MEAN, subject] = _mark(measured, everything)
    return cells, marks


def _mean(every: Sequence[Runs]) -> Runs:
    """The mean of each run, over those that have it."""
    runs = sorted(set().union(*every))
    values = {run: [one[run] for one in every if run in one] for run in runs}
    return {run: sum(some) / len(some) for run, some in values.items()}


def _whole(every: Sequence[Runs]) -> int:
    """How many have every run that any of them has."""
    runs = set().union(*every)
    return sum(bool(one) and set(one) == runs for one in every)


def _mark(measured: int, of: int) -> str:
    return "" if measured == of else f" ({measured} of {of} classes)"
