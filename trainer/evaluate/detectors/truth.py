"""What is true of each pixel of a picture that a detector learns from, or is measured on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bgdefect_core.pictures.masks import Mask

__all__ = ["IGNORED", "Map", "Truth", "counted_in", "defect_of", "seen", "truth_of"]

Map = NDArray[np.float32]
"""What a detector says of each pixel, ``[H, W]``."""
Truth = NDArray[np.bool_] | NDArray[np.int8]
"""``[H, W]``: 1 = defect, 0 = background, ``IGNORED`` = neither. bool where nothing is ignored."""
IGNORED = -1
"""Of a pixel in a region of another class, or in one that is to be ignored. It enters neither the
loss nor a metric."""


def truth_of(mask: Mask, others: Mask | None) -> Truth:
    """The truth of a picture; where both meet, it is a defect.

    Args:
        mask: the defect, bool ``[H, W]``. others: what is neither; None: nothing.
    """
    if others is None or not (others & ~mask).any():
        return mask
    return np.where(mask, np.int8(1), np.where(others, np.int8(IGNORED), np.int8(0)))


def defect_of(truth: Truth) -> Mask:
    """The defect's pixels: bool ``[H, W]``."""
    return truth > 0


def counted_in(truth: Truth) -> Mask:
    """The pixels that are defect or background: bool ``[H, W]``."""
    return truth >= 0


def seen(truth: Truth, anomaly: Map) -> Map:
    """The map with its lowest value where the truth is neither, so that nothing there raises the
    score of the picture. The map itself where nothing is ignored."""
    counted = counted_in(truth)
    return anomaly if counted.all() else np.where(counted, anomaly, anomaly.min())
