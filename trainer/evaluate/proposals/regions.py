"""From an anomaly map to regions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from bgdefect_core.pictures.masks import Mask

from ..detectors.truth import Map

_DIAGONAL = np.ones((3, 3))


def regions_of(scores: Map, good_score: float, level: float, most: int) -> list[Mask]:
    """The regions of a map, that with the highest score first.

    Scores count from the picture's median on, its usual score. A pixel belongs to a region where it
    reaches a share of the highest score, and what good pictures reach. Where no score reaches that,
    the region around the highest one is proposed alone: the picture is known to be bad.

    Args:
        scores: float32 ``[H, W]``, at least 0. good_score: that good pictures reach. level: the
            share, 0..1. most: regions at most.

    Returns:
        bool ``[H, W]`` each; at least one.
    """
    usual, highest = float(np.median(scores)), float(scores.max())
    least = usual + level * (highest - usual)
    high = scores >= max(least, good_score)
    if not high.any():
        most, high = 1, scores >= least
    pieces, count = ndimage.label(high, _DIAGONAL)
    peaks = ndimage.maximum(scores, pieces, range(1, count + 1))
    order = np.argsort(-np.asarray(peaks), kind="stable")[:most]
    return [pieces == number + 1 for number in order.tolist()]


def boxes_around(regions: Sequence[Mask]) -> Mask:
    """The filled boxes around regions, bool ``[H, W]``."""
    filled = np.zeros_like(regions[0])
    for region in regions:
        filled[ndimage.find_objects(region.astype(np.uint8))[0]] = True
    return filled
