"""Whether a sample holds together as the real defect does that it started from: a thin crack must
not come out as a row of dashes. Not from the paper.

A quarter of the real cracks of a class are faint in places and do not hold together when they are
measured as samples are, so that the class says nothing (``properties.one_piece``). The real defect
itself, pasted at the same place and measured alike, does. A label in one piece is enough, too:
where a dark crack crosses from a light joint into a dark brick the change falls off, and the label
knows better.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..method.refinement import refine
from ..method.signals.difference import SMOOTHED, DifferenceSignal
from ..pictures.mask_shape import largest_share
from ..pictures.masks import Mask, bounding_box
from ..pictures.picture import Pixels
from ..pictures.tones import change

IN_PIECES = "in more pieces than the real defect"
"""The verdict on a sample that does not hold together."""
LEAST = 0.8
"""Continuity that a sample needs. On samples of drawn cracks and of broken tile edges few changes
lie between 0.75 and 0.85; by eye those below are in pieces."""


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
    window = bounding_box(mask).with_margin(SMOOTHED)
    near, inside = picture[window], mask[window]
    real = largest_share(_shows(pasted[window], near, inside))
    if real == 0:
        return 1.0
    shown = largest_share(_shows(result[window], near, inside)) / real
    return max(shown, largest_share(label[window]) / largest_share(inside))


def _shows(result: Pixels, picture: Pixels, mask: Mask) -> Mask:
    """``[H, W]``: where a defect shows inside its mask, as in labels."""
    smooth: NDArray[np.float32] = ndimage.uniform_filter(
        change(picture, result), SMOOTHED, mode="nearest"
    )
    return refine(smooth, mask, DifferenceSignal.threshold)[0]
