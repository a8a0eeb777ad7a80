"""Means with 95 % intervals, and paired differences: the error bars of every table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
LEAST_GAP = 0.03
"""A gap between few and all real defects that is no wider cannot be closed in shares."""


@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % interval."""

    mean: float
    low: float | None
    high: float | None
    """None where there are fewer than two values: nothing can be said."""
    n: int


def interval(values: Sequence[float]) -> Interval:
    """Student's t interval of the mean; NaN values (a metric that is not defined there) are left out.

    Args:
        values: one a run (seed and fold), or one a picture.
    """
    kept = np.array([value for value in values if math.isfinite(value)], np.float64)
    if kept.size == 0:
        return Interval(math.nan, None, None, 0)
    mean = float(kept.mean())
    if kept.size == 1:
        return Interval(mean, None, None, 1)
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, kept.size - 1) * kept.std(ddof=1) / math.sqrt(kept.size))
    return Interval(mean, mean - reach, mean + reach, int(kept.size))


def minus(values: dict[tuple[int, int], float], reference: dict[tuple[int, int], float]) -> dict[tuple[int, int], float]:
    """``values - reference`` for the runs (fold, seed) that both have."""
    return {run: values[run] - reference[run] for run in sorted(values.keys() & reference.keys())}


def paired(values: dict[tuple[int, int], float], reference: dict[tuple[int, int], float]) -> Interval:
    """The interval of the differences ``values - reference`` over the runs (fold, seed) that both have.

    Pairs share their fold and seed, so that what folds differ in falls out.
    """
    return interval(list(minus(values, reference).values()))


def closed_gap(arm: float, real: float, ceiling: float, least: float = LEAST_GAP) -> float | None:
    """Which share of the gap between few and all real defects an arm closes; None where the gap is ``least`` or smaller.

    Args:
        arm, real, ceiling: means of one metric, 0..1.
    """
    gap = ceiling - real
    return (arm - real) / gap if gap > least else None
