"""Means with 95 % intervals, and paired differences: the error bars of every table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
Runs = dict[tuple[int, int], float]
"""(fold, seed) -> value."""
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
    """Student's t interval of the mean; NaN values (a metric that is not defined there) are left
    out.

    Args:
        values: one a run (seed and fold), or one a picture.
    """
    kept = np.array([value for value in values if math.isfinite(value)], np.float64)
    if kept.size == 0:
        return Interval(math.nan, None, None, 0)
    mean = float(kept.mean())
    if kept.size == 1:
        return Interval(mean, None, None, 1)
    reach = float(
        stats.t.ppf((1 + CONFIDENCE) / 2, kept.size - 1) * kept.std(ddof=1) / math.sqrt(kept.size)
    )
    return Interval(mean, mean - reach, mean + reach, int(kept.size))


def minus(values: Runs, reference: Runs) -> Runs:
    """``values - reference`` for the runs (fold, seed) that both have."""
    return {run: values[run] - reference[run] for run in sorted(values.keys() & reference.keys())}


def paired(values: Runs, reference: Runs) -> Interval:
    """The interval of the differences ``values - reference`` over the runs (fold, seed) that both
    have.

    Pairs share their fold and seed, so that what folds differ in falls out.
    """
    return interval(list(minus(values, reference).values()))


def other_gaps(real: Runs, ceiling: Runs, least: float = LEAST_GAP) -> Runs:
    """For each run the mean gap ``ceiling - real`` of the runs of all other seeds, where that is
    wider than ``least``.

    A run's own gap would share its noise with its gain: unlucky runs of real only would be chosen,
    and then gained upon. Chosen among noisy ones these gaps are rather too wide, and shares of them
    rather too small.
    """
    gaps = minus(ceiling, real)
    others = {
        run: interval([gap for (_, seed), gap in gaps.items() if seed != run[1]]) for run in gaps
    }
    return {run: found.mean for run, found in others.items() if found.n and found.mean > least}


def shares(gains: Sequence[float], gaps: Sequence[float]) -> list[float]:
    """``sum(gains) / sum(gaps)`` as the mean of one value a pair, whose interval is that of the
    ratio (linearised).

    Args:
        gains, gaps: as many of each; gaps above 0.
    """
    ratio, gap = sum(gains) / sum(gaps), sum(gaps) / len(gaps)
    return [ratio + (own - ratio * wide) / gap for own, wide in zip(gains, gaps, strict=True)]


def closed_gap(arm: Runs, real: Runs, ceiling: Runs) -> Runs:
    """Which share of the gap between few and all real defects an arm closes, as :func:`shares` of
    its runs.

    Args:
        arm, real, ceiling: values 0..1 of one metric; the gaps are those of the other seeds.

    Returns:
        Empty with a single seed, or where these gaps are ``LEAST_GAP`` or smaller.
    """
    gaps, gains = other_gaps(real, ceiling), minus(arm, real)
    runs = sorted(gaps.keys() & gains.keys())
    return (
        dict(
            zip(
                runs, shares([gains[run] for run in runs], [gaps[run] for run in runs]), strict=True
            )
        )
        if runs
        else {}
    )
