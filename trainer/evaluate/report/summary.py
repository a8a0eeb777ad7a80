"""The runs of each figure, and their means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import NamedTuple

from ..detectors.arms.real import CEILING, REAL
from ..detectors.metrics import METRICS
from ..rows import Row
from .statistics import Runs, closed_gap, interval, of_runs, paired


class Key(NamedTuple):
    """What a mean is taken of: everything that identifies a row but fold, draw and seed."""

    part: str
    object: str
    defect: str
    k: int
    subject: str
    metric: str


def grouped(rows: Sequence[Row]) -> dict[Key, Runs]:
    """The runs of each figure, in the order of the rows; undefined values are left out."""
    groups: dict[Key, Runs] = {}
    for row in rows:
        key = Key(row.part, row.object, row.defect, row.k, row.subject, row.metric)
        runs = groups.setdefault(key, {})
        if row.value is not None:
            runs[row.fold, row.draw, row.seed or 0] = row.value
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
    """Share of the gap to all real defects that is closed. None with one seed, or where that gap is
    3 points or smaller."""


def summarise(rows: Sequence[Row]) -> list[SummaryRow]:
    """Means over folds and seeds, in the order of the rows."""
    groups = grouped(rows)
    summary = []
    for key, runs in groups.items():
        mean = of_runs(runs)
        real = groups.get(key._replace(subject=REAL.name), {})
        ceiling = groups.get(key._replace(subject=CEILING.name), {})
        difference = closed = None
        if key.part == "detection" and key.subject != REAL.name and real:
            difference = paired(runs, real)
            if ceiling and key.subject != CEILING.name and key.metric in METRICS:
                shares = closed_gap(runs, real, ceiling)
                closed = _finite(interval(list(shares.values())).mean)
        row = SummaryRow(
            *key,
            mean=_finite(mean.mean),
            low=mean.low,
            high=mean.high,
            runs=mean.n,
            difference=_finite(difference.mean) if difference else None,
            difference_low=difference.low if difference else None,
            difference_high=difference.high if difference else None,
            closed=closed,
        )
        summary.append(row)
    return summary


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
