"""Guards against copies where samples start from real defects (docs/method.md, choice 15): how near
a sample is to its exemplar, and how much samples of one mask differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .pictures.masks import Mask
from .pictures.picture import Pixels
from .pictures.tones import two_tones

BETWEEN_SEEDS = "in-mask difference between seeds"
"""Name of :func:`diversity` in tables."""
FROM_EXEMPLAR = "difference from the exemplar"
"""Name of :func:`exemplar_difference` in tables."""
COPY = "copy of the real defect"
"""The verdict on a sample that is its exemplar within the noise of the camera."""
_LEAST_NOISE, _MOST_NOISE = 1 / 255, 6 / 255
"""Limits of the camera's noise: rounding alone, and what texture may be taken for noise."""
_FLIPPED = 0.02
"""In a picture of two tones: share of the mask's pixels up to which an outline counts as the
same."""
_LAPLACIAN = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
_SIDE = 512


def exemplar_difference(result: Pixels, pasted: Pixels, picture: Pixels, mask: Mask) -> float:
    """How far a sample is from its exemplar inside the mask: 0, a copy, and up; 1: as far as the
    good picture is.

    Args:
        result: uint8 ``[H, W, 3]``, the sample. pasted: the good picture with the real defect laid
            over it (``placement.paste``). picture: the good picture.
        mask: bool ``[H, W]``, where they are compared, not empty.

    Returns:
        The root of the mean squared difference of ``result`` and ``pasted``, over that of
        ``picture`` and ``pasted`` (at least a gray level).
    """
    contrast = max(_distance(picture, pasted, mask), 1 / 255)
    return _distance(result, pasted, mask) / contrast


def is_copy(result: Pixels, pasted: Pixels, picture: Pixels, mask: Mask) -> bool:
    """Whether a sample equals its exemplar as two pictures of one thing do.

    The root of the mean squared difference inside the mask is at most that of two pictures with the
    camera's noise, ``sqrt(2)`` times its deviation; in a picture of two tones, no more than 2 % of
    the mask's pixels differ. Arguments as in :func:`exemplar_difference`; an empty mask is no copy.
    """
    if not mask.any():
        return False
    if two_tones(picture) is not None:
        changed = (result != pasted).any(axis=2)[mask]
        return float(changed.mean()) <= _FLIPPED
    return _distance(result, pasted, mask) <= 2**0.5 * camera_noise(picture)


def camera_noise(picture: Pixels) -> float:
    """Deviation of the camera's noise, in 0..1: the median absolute response of a Laplacian, which
    most structure does not move (Immerkaer 1996, "Fast Noise Variance Estimation"; the median in
    place of the mean), within 1 and 6 gray levels.

    Args:
        picture: uint8 ``[H, W, 3]``; at most its middle 512 x 512 pixels are read.
    """
    top, left = (max((length - _SIDE) // 2, 0) for length in picture.shape[:2])
    middle = picture[top : top + _SIDE, left : left + _SIDE].astype(np.float32).mean(axis=2)
    response = np.abs(ndimage.convolve(middle, _LAPLACIAN, mode="mirror"))
    # The kernel's coefficients have a root of squares of 6; 0.6745 is the normal's quartile.
    deviation = float(np.median(response)) / (6 * 0.6745) / 255
    return min(max(deviation, _LEAST_NOISE), _MOST_NOISE)


def diversity(pictures: Sequence[Pixels], mask: Mask) -> float | None:
    """How much samples of one mask in one picture differ inside it: the mean absolute difference,
    0..1, over all pairs; None: fewer than two.

    Args:
        pictures: uint8 ``[H, W, 3]`` each. mask: bool ``[H, W]``, not empty.
    """
    if len(pictures) < 2:
        return None
    inside = [picture[mask].astype(np.float32) / 255 for picture in pictures]
    differences: list[float] = []
    for number, values in enumerate(inside):
        for other in inside[:number]:
            differences.append(float(np.abs(values - other).mean()))
    return float(np.mean(differences))


def mean_diversity(groups: Iterable[tuple[Sequence[Pixels], Mask]]) -> float | None:
    """The mean of :func:`diversity` over groups of samples of one mask, each with that mask; None:
    no group has two samples or more."""
    values: list[float] = []
    for pictures, mask in groups:
        value = diversity(pictures, mask)
        if value is not None:
            values.append(value)
    return float(np.mean(values)) if values else None


def _distance(left: Pixels, right: Pixels, mask: Mask) -> float:
    difference: NDArray[np.float32] = left[mask].astype(np.float32) - right[mask]
    return float(np.square(difference).mean() ** 0.5) / 255
