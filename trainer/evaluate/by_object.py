"""Tables of data sets with several objects, in the paper's layout: one line an object, arms across, a mean line (Tables 1 to 3).

The paper does not state its own intervals; here each cell has one. Every class has its own detector: an object's figure is the
mean over its classes, run by run, and the mean line is the mean over the objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bgdefect_core.pictures import atomic_write

from .rows import Key, Row, Runs, grouped
from .tables import POINTS, REALISM_SHOWN, RUNS_NOTE, Table, markdown, pivot

DETECTION_SHOWN = ("image_auroc", "image_ap", "pixel_auroc", "pixel_ap", "pixel_f1max", "aupro")
MEAN = "mean"
_MEANS = "An object's figure is the mean over its classes; an empty cell lacks a run in one of them."


def object_tables(rows: Sequence[Row]) -> list[Table]:
    """Detection (the paper's Tables 1 and 3) and realism (Table 2) by object; none where there is one object alone."""
    if len({row.object for row in rows}) < 2:
        return []
    groups = grouped(rows)
    found: list[Table | None] = []
    for k in dict.fromkeys(row.k for row in rows):
        shots = f"k = {k or 'all'}"
        detection = {metric: _by_object(groups, "detection", metric, k) for metric in DETECTION_SHOWN}
        means = {(subject, metric): runs for metric, cells in detection.items() for (line, subject), runs in cells.items() if line == MEAN}
        found.append(pivot(f"Detection, mean over all objects, {shots}", means, POINTS, note=f"Points. {_MEANS}", decimals=1, head="arm"))
        for metric, cells in detection.items():
            found.append(pivot(f"Detection by object: {metric}, {shots}", cells, POINTS, note="Points.", decimals=1, head="object"))
        for metric in REALISM_SHOWN:
            found.append(pivot(f"Realism by object: {metric}, {shots}", _by_object(groups, "realism", metric, k), head="object"))
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


def _by_object(groups: dict[Key, Runs], part: str, metric: str, k: int) -> dict[tuple[str, str], Runs]:
    """(object, subject) -> runs, and the mean line."""
    here = {key: runs for key, runs in groups.items() if (key.part, key.metric, key.k) == (part, metric, k)}
    subjects = list(dict.fromkeys(key.subject for key in here))
    classes: dict[str, list[str]] = {}
    for key in here:
        if key.defect not in classes.setdefault(key.object, []):
            classes[key.object].append(key.defect)
    cells: dict[tuple[str, str], Runs] = {}
    for object, defects in classes.items():
        for subject in subjects:
            cells[object, subject] = _mean([here.get(Key(part, object, defect, k, subject, metric), {}) for defect in defects])
    for subject in subjects if cells else ():
        cells[MEAN, subject] = _mean([cells[object, subject] for object in classes])
    return cells


def _mean(every: Sequence[Runs]) -> Runs:
    """The mean of each run that all have."""
    common = set.intersection(*(set(runs) for runs in every))
    return {run: sum(runs[run] for runs in every) / len(every) for run in sorted(common)}
