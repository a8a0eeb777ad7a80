"""Runs of each figure, and their summary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import NamedTuple

from ..rows import CEILING, REAL, Row
from .statistics import Runs, closed_gap, interval, paired

_PICTURES = {
    "image_auroc",
    "image_ap",
    "image_f1max",
    "pixel_auroc",
    "pixel_ap",
    "pixel_f1max",
    "aupro",
}


class Key(NamedTuple):
    """What a mean is taken of: all that a row says but its fold and seed."""

    part: str
    object: str
    defect: str
    k: int
    subject: str
    metric: str


def grouped(rows: Sequence[Row]) -> dict[Key, Runs]:
    """The runs of each figure, in the order of the rows; what is not defined is left out of its
    runs."""
    groups: dict[Key, Runs] = {}
    for row in rows:
        runs = groups.setdefault(
            Key(row.part, row.object, row.defect, row.k, row.subject, row.metric), {}
        )
        if row.value is not None:
            runs[row.fold, row.seed or 0] = row.value
    return groups


@dataclass(frozen=True)
class SummaryRow:
    """Mean and 95 % interval of one metric over the runs of one class and number of shots."""

    part: str
    object: str
    defect: str
    k: int
    subject: str
    metric: str
    mean: float | None
    low: float | None
    high: float | None
    runs: int
    difference: float | None
    """Paired difference against real only (detection); None elsewhere."""
    difference_low: float | None
    difference_high: float | None
    closed: float | None
    """Share of the gap to all real defects that is closed; None with one seed, or where that gap is
    3 points or smaller."""


def summarise(rows: Sequence[Row]) -> list[SummaryRow]:
    """Over folds and seeds, in the order of the rows; the ceiling's runs stand beside every number
    of shots."""
    groups = grouped(rows)
    found = []
    for key, runs in groups.items():
        mean = interval(list(runs.values()))
        real = groups.get(key._replace(subject=REAL), {})
        ceiling = groups.get(key._replace(subject=CEILING), {})
        compared = (
            paired(runs, real) if key.part == "detection" and key.subject != REAL and real else None
        )
        closed = None
        if compared and ceiling and key.subject != CEILING and key.metric in _PICTURES:
            closed = _finite(interval(list(closed_gap(runs, real, ceiling).values())).mean)
        found.append(
            SummaryRow(
                *key,
                _finite(mean.mean),
                mean.low,
                mean.high,
                mean.n,
                _finite(compared.mean) if compared else None,
                compared.low if compared else None,
                compared.high if compared else None,
                closed,
            )
        )
    return found


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
