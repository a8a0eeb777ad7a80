"""Rounds of draws in which some masks come more often than others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def weighted_round(frequencies: Sequence[float], rng: np.random.Generator) -> list[int]:
    """As many draws as there are frequencies, by systematic sampling: index i is drawn
    ``n f_i / sum(f)`` times, rounded down or up, and exactly so in the mean over rounds.

    Args:
        frequencies: n numbers above 0. rng: the only source of randomness.

    Returns:
        n indices 0..n-1 in random order.
    """
    count = len(frequencies)
    ends = np.cumsum(np.asarray(frequencies, np.float64))
    ends *= count / ends[-1]
    points = np.arange(count) + rng.random()
    drawn = np.searchsorted(ends[:-1], points, side="right")
    order: list[int] = rng.permutation(drawn).tolist()
    return order
