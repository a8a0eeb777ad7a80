"""Whether a sample holds together as the real defect does that it started from: a thin crack must
not come out as a row of dashes. Not from the paper.

Half of the real cracks of a class are faint in places and do not hold together at any threshold, so
that the class says nothing (``properties.one_piece``). The real defect itself, pasted at the same
place and measured alike, does. A label in one piece is enough, too: where a dark crack crosses from
a light joint into a dark brick the change falls off, and the label knows better.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..method.refinement import refine
from ..pictures.masks import Mask
from ..pictures.picture import Pixels
from ..pictures.tones import change

IN_PIECES = "in more pieces than the real defect"
"""The verdict on a sample that does not hold together."""
LEAST = 0.8
"""Continuity that a sample needs. On samples of drawn cracks and of broken tile edges few changes
lie between 0.75 and 0.85; by eye those below are in pieces."""
_SHOWS = 0.3
"""Share of the change's peak from which on the defect shows, as in labels."""
_SMOOTHED = 3
_DIAGONAL = np.ones((3, 3))


def continuity(result: Pixels, pasted: Pixels, picture: Pixels, mask: Mask, label: Mask) -> float:
    """Share of the visible defect that its largest piece holds, over the same of the exemplar; or
    the share of the label, over that of the mask, if it is larger. 1: as much in one piece as the
    real defect.

    Args:
        result: uint8 ``[H, W, 3]``, the sample. pasted: the good picture with the real defect laid
            over it (``placement.paste``). picture: the good picture.
        mask: bool ``[H, W]``, as requested, not empty. label: the refined mask.

    Returns:
        0 and up; 0 where nothing shows, 1 where nothing of the exemplar does.
    """
    real = _largest_share(_shows(pasted, picture, mask))
    if real == 0:
        return 1.0
    shown = _largest_share(_shows(result, picture, mask)) / real
    return max(shown, _largest_share(label) / _largest_share(mask))


def _shows(result: Pixels, picture: Pixels, mask: Mask) -> Mask:
    """``[H, W]``: where a defect shows inside its mask."""
    smooth: NDArray[np.float32] = ndimage.uniform_filter(
        change(picture, result), _SMOOTHED, mode="nearest"
    )
    return refine(smooth, mask, _SHOWS)[0]


def _largest_share(defect: Mask) -> float:
    """Share of the pixels that the largest piece holds; 0 where there is none."""
    labels, count = ndimage.label(defect, _DIAGONAL)
    if count == 0:
        return 0.0
    areas = np.bincount(labels.ravel())[1:]
    return float(areas.max() / areas.sum())
