"""Means with 95 % intervals, and paired differences: the error bars of every table.

Runs differ in three ways: in the fold, in the choice of the known real defects (the draw), and in
the detector's seed. Seeds of one draw share its defects and samples, so that runs are not
independent; a hierarchical bootstrap (Davison and Hinkley 1997, section 3.8) resamples folds, draws
in each and seeds in each of these.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

CONFIDENCE = 0.95
Run = tuple[int, int, int]
"""(fold, draw, seed)."""
Runs = dict[Run, float]
"""Run -> value."""
RESAMPLES = 2000
_SEED = 23
_TAILS = (1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2
LEAST_DRAWS = 4
"""Fewest pairs of fold and draw that are resampled; of fewer the interval is Student's."""
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
        if self.low is None or self.high is None:
            return None
        return (self.high - self.low) / 2


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


def of_runs(runs: Runs) -> Interval:
    """The interval of the mean over runs, by the hierarchical bootstrap; Student's where there are
    fewer than ``LEAST_DRAWS`` draws. NaN values are left out."""
    finite = _finite(runs)
    if not _resampled(finite):
        return interval(list(finite.values()))
    return _percentiles(np.array(list(finite.values())), resample_weights(tuple(finite)))


def of_cells(classes: Mapping[str, Sequence[Runs]]) -> Interval:
    """The interval of the mean over cells, each of which counts once.

    Args:
        classes: class -> its cells, one for each number of real defects. Cells of a class are
            resampled together, since the defects of a smaller number are among those of a larger
            one. Where a cell has fewer than ``LEAST_DRAWS`` draws, the interval is Student's over
            the means of the cells.
    """
    means: list[float] = []
    enough = True
    total = np.zeros(RESAMPLES)
    for number, cells in enumerate(classes.values()):
        for finite in filter(None, map(_finite, cells)):
            values = np.array(list(finite.values()))
            means.append(float(values.mean()))
            enough = enough and _resampled(finite)
            if enough:
                total += resample_weights(tuple(finite), number) @ values
    if not means or not enough:
        return interval(means)
    low, high = np.quantile(total / len(means), _TAILS)
    return Interval(float(np.mean(means)), float(low), float(high), len(means))


def _finite(runs: Runs) -> Runs:
    return {run: value for run, value in sorted(runs.items()) if math.isfinite(value)}


def _resampled(runs: Runs) -> bool:
    return len({run[:2] for run in runs}) >= LEAST_DRAWS


def _percentiles(values: NDArray[np.float64], weights: NDArray[np.float64]) -> Interval:
    low, high = np.quantile(weights @ values, _TAILS)
    return Interval(float(values.mean()), float(low), float(high), len(values))


@lru_cache(maxsize=256)
def resample_weights(runs: tuple[Run, ...], stream: int = 0) -> NDArray[np.float64]:
    """Weights of the runs in each resample of the hierarchical bootstrap: float
    ``[RESAMPLES, runs]``, lines sum to 1.

    Folds are drawn with replacement, then draws in each of them, then seeds in each of these.

    Args:
        stream: of random numbers.
    """
    tree: dict[int, dict[int, list[int]]] = {}
    for index, (fold, draw, _) in enumerate(runs):
        tree.setdefault(fold, {}).setdefault(draw, []).append(index)
    rng = np.random.default_rng((_SEED, stream))
    weights = np.zeros((RESAMPLES, len(runs)))
    folds = [list(draws.values()) for draws in tree.values()]
    for line in weights:
        for fold in rng.integers(len(folds), size=len(folds)).tolist():
            draws = folds[fold]
            for draw in rng.integers(len(draws), size=len(draws)).tolist():
                seeds = draws[draw]
                for seed in rng.integers(len(seeds), size=len(seeds)).tolist():
                    line[seeds[seed]] += 1 / (len(folds) * len(draws) * len(seeds))
    return weights


def more_draws(half: float, wanted: float, draws: int) -> int:
    """Further draws of the known real defects for each fold that a wanted half-width takes, as
    widths fall with the root of the number of draws.

    Args:
        half: half-width that ``draws`` draws gave. wanted: above 0, in the same unit.
    """
    return max(0, math.ceil(draws * (half / wanted) ** 2 - 1e-9) - draws)


def minus(values: Runs, reference: Runs) -> Runs:
    """``values - reference`` for the runs that both have."""
    differences: Runs = {}
    for run in sorted(values.keys() & reference.keys()):
        differences[run] = values[run] - reference[run]
    return differences


def paired(values: Runs, reference: Runs) -> Interval:
    """The interval of the differences ``values - reference`` over the runs that both have.

    The two values of a pair share fold, draw and seed, so that differences between these cancel.
    """
    return of_runs(minus(values, reference))


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
        gaps_of_others: list[float] = []
        for (_, _, seed), gap in gaps.items():
            if seed != run[2]:
                gaps_of_others.append(gap)
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
    values: list[float] = []
    for gain, gap in zip(gains, gaps, strict=True):
        values.append(ratio + (gain - ratio * gap) / mean_gap)
    return values


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
