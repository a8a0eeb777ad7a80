"""Means with 95 % intervals, and paired differences: the error bars of every table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
Run = tuple[int, int]
"""(fold, seed)."""
Runs = dict[Run, float]
"""Run -> value."""
LEAST_GAP = 0.03
"""No share is taken of a gap between few and all real defects that is this small or smaller."""


@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % interval."""

    mean: float
    low: float | None
    high: float | None
    """None where there are fewer than two values."""
    n: int

    @property
    def half(self) -> float | None:
        """Half of the interval's width."""
        return None if self.low is None else self.mean - self.low


def interval(values: Sequence[float]) -> Interval:
    """Student's t interval of the mean. NaN values (an undefined metric) are left out.

    Args:
        values: one a run (seed and fold), or one a picture.
    """
    finite = np.array(values, np.float64)
    finite = finite[np.isfinite(finite)]
    if finite.size == 0:
        return Interval(math.nan, None, None, 0)
    mean = float(finite.mean())
    if finite.size == 1:
        return Interval(mean, None, None, 1)
    quantile = stats.t.ppf((1 + CONFIDENCE) / 2, finite.size - 1)
    half = float(quantile * finite.std(ddof=1) / math.sqrt(finite.size))
    return Interval(mean, mean - half, mean + half, int(finite.size))


def minus(values: Runs, reference: Runs) -> Runs:
    """``values - reference`` for the runs that both have."""
    return {run: values[run] - reference[run] for run in sorted(values.keys() & reference.keys())}


def paired(values: Runs, reference: Runs) -> Interval:
    """The interval of the differences ``values - reference`` over the runs that both have.

    The two values of a pair share fold and seed, so that differences between folds cancel.
    """
    return interval(list(minus(values, reference).values()))


def other_gaps(real: Runs, ceiling: Runs, least: float = LEAST_GAP) -> Runs:
    """For each run the mean gap ``ceiling - real`` of the runs of all other seeds, where it exceeds
    ``least``.

    The gap of the run itself would share its noise with the gain: unlucky runs of real only would
    be selected, and any arm gains upon those. Selected among noisy gaps these are rather too wide,
    and shares of them rather too small.
    """
    gaps = minus(ceiling, real)
    wide: Runs = {}
    for run in gaps:
        gaps_of_others = [gap for (_, seed), gap in gaps.items() if seed != run[1]]
        others = interval(gaps_of_others)
        if others.n and others.mean > least:
            wide[run] = others.mean
    return wide


def shares(gains: Sequence[float], gaps: Sequence[float]) -> list[float]:
    """One value a pair. Their mean is ``sum(gains) / sum(gaps)``; their interval is that of the
    ratio (linearised).

    Args:
        gains, gaps: as many of each; gaps above 0.
    """
    ratio, mean_gap = sum(gains) / sum(gaps), sum(gaps) / len(gaps)
    pairs = zip(gains, gaps, strict=True)
    return [ratio + (gain - ratio * gap) / mean_gap for gain, gap in pairs]


def closed_gap(arm: Runs, real: Runs, ceiling: Runs) -> Runs:
    """Share of the gap between few and all real defects that an arm closes: :func:`shares` of its
    runs.

    Args:
        arm, real, ceiling: values 0..1 of one metric; the gaps are those of the other seeds.

    Returns:
        Empty with a single seed, or where these gaps are ``LEAST_GAP`` or smaller.
    """
    gaps, gains = other_gaps(real, ceiling), minus(arm, real)
    runs = sorted(gaps.keys() & gains.keys())
    if not runs:
        return {}
    values = shares(list(map(gains.__getitem__, runs)), list(map(gaps.__getitem__, runs)))
    return dict(zip(runs, values, strict=True))
