"""The tables of an evaluation: one metric each, classes down, subjects across."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bgdefect_core.copies import BETWEEN_SEEDS, FROM_EXEMPLAR

from ..detectors.arms.real import REAL
from ..detectors.metrics import METRICS
from ..measures.features import NAME
from ..rows import Row, place
from .statistics import minus
from .summary import grouped
from .tables import POINTS, Cells, Table, pivot

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
