"""The outline of a defect in its box: where random walks over the picture, which rarely cross an
edge, end in what the class sees rather than in the box's surroundings (Grady, "Random Walks for
Image Segmentation", PAMI 2006; scikit-image's implementation).

The signal of a class alone is coarse (a latent cell) and falls into pieces; it says where the
defect is, and the picture's edges say how far it goes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import random_walker

from bgdefect_core.pictures.masks import Mask
from bgdefect_core.pictures.picture import Pixels

__all__ = ["outline"]

_EDGES = 1000
"""How much harder a walk crosses an edge (Grady's beta)."""
_SMOOTHED = 0.05
"""Standard deviation over which the signal is smoothed, as a share of the root of the box's
area."""
_CENTRED = 2.0
"""A signal at the middle of the box's sides counts exp(-2) of one at its centre: a box is drawn
around its defect."""
_CERTAIN = 0.93
"""Quantile of the signal in the box from which a pixel is the defect: walks end there, or outside
of the box."""
_LEAST = 1e-3
_UNKNOWN, _IN_DEFECT, _IN_BACKGROUND, _LEFT_OUT = 0, 1, 2, -1
"""Marks of pixels, as ``random_walker`` reads them."""


def outline(
    square: Pixels, box: Mask, others: Mask, signal: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Probability that a pixel belongs to the defect: float32 ``[R, R]`` in 0..1, 0 outside the
    box.

    Args:
        square: uint8 ``[R, R, 3]``. box: bool ``[R, R]``, not empty. others: other boxes, which
            are no background. signal: of the class, float32 ``[R, R]``, at least 0; None: no class
            is known, the nearness to the centre alone counts.
    """
    evidence = _centred(box)
    if signal is not None:
        evidence *= _smoothed(signal, box)
    marks = np.where(box, _UNKNOWN, _IN_BACKGROUND)
    marks[box & (evidence >= np.quantile(evidence[box], _CERTAIN))] = _IN_DEFECT
    marks[others & ~box] = _LEFT_OUT
    certain = np.where(marks == _IN_DEFECT, 1, 0).astype(np.float32)
    if not (marks == _UNKNOWN).any() or not (marks == _IN_BACKGROUND).any():
        return certain
    window = _around(box)
    pixels = square[window].astype(np.float64) / 255
    walks = random_walker(
        pixels, marks[window], _EDGES, mode="bf", return_full_prob=True, channel_axis=-1
    )
    probability = np.zeros(box.shape, np.float32)
    probability[window] = walks[0].clip(0, 1)
    return np.where(box, probability, 0).astype(np.float32)


def _smoothed(signal: NDArray[np.float32], box: Mask) -> NDArray[np.float32]:
    """The signal in the box, smoothed there, of its largest value, and never 0: where it says
    nothing, the nearness to the centre does."""
    deviation = _SMOOTHED * float(np.sqrt(box.sum()))
    inside = ndimage.gaussian_filter(np.where(box, signal, 0).astype(np.float32), deviation)
    return np.asarray(inside / max(float(inside.max()), _LEAST) + _LEAST, np.float32)


def _centred(box: Mask) -> NDArray[np.float32]:
    """1 at the centre of the box, ``exp(-_CENTRED)`` at the middle of its sides."""
    rows, columns = np.nonzero(box)
    distance = np.zeros(box.shape, np.float32)
    for axis, places in enumerate((rows, columns)):
        first, last = int(places.min()), int(places.max())
        middle, half = (first + last) / 2, (last - first + 1) / 2
        line = ((np.arange(box.shape[axis]) - middle) / half) ** 2
        distance += line[:, None] if axis == 0 else line[None]
    return np.exp(-_CENTRED * distance)


def _around(box: Mask) -> tuple[slice, slice]:
    """The box with a ring around it."""
    rows, columns = np.nonzero(box)
    slices: list[slice] = []
    for places in (rows, columns):
        first, last = int(places.min()), int(places.max()) + 1
        ring = max(4, round(0.15 * (last - first)))
        slices.append(slice(max(first - ring, 0), last + ring))
    return slices[0], slices[1]
