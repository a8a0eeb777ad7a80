"""Intervals of means that rest on few draws of the known defects and few held-out defects.

Every draw is tested on the same held-out defects, so that two things vary: the draws, and the
held-out defects themselves. Both count here, as crossed random effects: the variance of a fold's
mean is taken as ``s_draws^2 / draws + s_defects^2 / defects``, with the sample variances of the
draws' and the defects' means. What both share is counted twice, which makes intervals rather too
wide. Degrees of freedom are Satterthwaite's (1946). Folds are not resampled: they are the two
halves of one data set, and differ in draws and held-out defects.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from scipy import stats

from ..report.statistics import CONFIDENCE, Interval
from .runs import Values

LEAST = 2
"""Fewest draws, and held-out defects, of a fold that give an interval."""


def crossed_interval(values: Values, confidence: float = CONFIDENCE) -> Interval:
    """The mean over folds and its interval.

    Args:
        values: of each fold, draw and held-out defect.
        confidence: of the interval, below 1.

    Returns:
        Without an interval where a fold has fewer than ``LEAST`` draws or defects. ``n``: the
        held-out defects.
    """
    if not values:
        return Interval(math.nan, None, None, 0)
    folds = [np.stack(list(draws.values())) for draws in values.values()]
    count = sum(fold.shape[1] for fold in folds)
    mean = float(np.mean([fold.mean() for fold in folds]))
    if min(min(fold.shape) for fold in folds) < LEAST:
        return Interval(mean, None, None, count)
    variance = uncertainty = 0.0
    for fold in folds:
        for axis in (0, 1):
            means = fold.mean(1 - axis)
            part = float(means.var(ddof=1)) / means.size / len(folds) ** 2
            variance += part
            uncertainty += part**2 / (means.size - 1)
    if variance == 0:
        return Interval(mean, mean, mean, count)
    freedom = variance**2 / uncertainty
    half = float(stats.t.ppf((1 + confidence) / 2, freedom)) * math.sqrt(variance)
    return Interval(mean, mean - half, mean + half, count)


def difference(values: Values, reference: Values) -> Values:
    """``values - reference``, paired by held-out defect in the folds and draws that both have."""
    paired: Values = {}
    for fold in sorted(values.keys() & reference.keys()):
        for draw in sorted(values[fold].keys() & reference[fold].keys()):
            pair = values[fold][draw] - reference[fold][draw]
            paired.setdefault(fold, {})[draw] = pair
    return paired


def over_all(curves: Mapping[int, Values], reference: Values) -> dict[int, Interval]:
    """The interval of each difference against the reference."""
    intervals = {}
    for k, values in curves.items():
        intervals[k] = crossed_interval(difference(values, reference))
    return intervals
