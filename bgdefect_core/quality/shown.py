"""How strongly a change shows the defect (docs/method.md, choice 21).

Magnitudes count any change: a weave that is painted anew with another phase changes every pixel and
shows nothing. What counts is the change towards the real defects: signed, projected on what they
differ by from their surroundings, and smoothed to the scale of the mask, above the texture's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import MaskError, PictureError
from ..pictures.masks import Mask, bounding_box, mean_width

SCALES = (1 / 16, 1 / 8, 1 / 4, 1 / 2)
"""Smoothing that is tried for a class: standard deviation over the mask's mean width."""
STRONGEST = 0.1
"""Share of the mask's pixels, those with the strongest change, that make up the strength."""
_LEAST_RING = 8


@dataclass(frozen=True, eq=False)
class Signature:
    """What the real defects of a class differ by from their surroundings."""

    directions: NDArray[np.float32]
    """``[D, 3]``, one or two colour differences of length 1: the defect is darker, redder, ..."""
    scale: float
    """Smoothing of the change: standard deviation over the mask's mean width."""


@dataclass(frozen=True, eq=False)
class Shown:
    """A change as it counts towards the defect, around its mask."""

    strength: float
    """0..1, 0 where the change leads away from the defect. A gray change of 0.3 is 0.3."""
    contrast: float
    """Strength over the variation of the surroundings, 0 and up."""
    mean: float
    """Mean of the change over the mask, -1..1: chance adds nothing to it."""
    towards: NDArray[np.float32]
    """``[h, w]``: the change, projected and smoothed."""
    change: NDArray[np.float32]
    """``[h, w]``: the change, projected, not smoothed."""
    picture: NDArray[np.float32]
    """``[h, w]``: the painted picture, projected, not smoothed."""
    mask: Mask
    """``[h, w]``."""


def shown(
    painted: NDArray[np.float32],
    normal: NDArray[np.float32],
    mask: Mask,
    signature: Signature,
) -> Shown:
    """How strongly a change shows the defect.

    The change ``painted - normal`` is projected on a direction and smoothed. Strength is its mean
    over the strongest tenth of the mask's pixels; contrast is that over the standard deviation of
    the normal picture around the mask, projected and smoothed alike. Of two directions the one with
    the larger strength counts.

    Args:
        painted: float ``[r, r, 3]`` in 0..1, the decoded square with its defect.
        normal: float ``[r, r, 3]`` in 0..1, the decoded encoding of the good square.
        mask: bool ``[r, r]``, the requested mask in the square.
        signature: of the class.

    Raises:
        MaskError: the mask is empty. PictureError: sizes differ.
    """
    window, sigma, reach = _window(painted, normal, mask, signature.scale)
    inside = mask[window]
    ring = ring_around(inside, reach)
    views = []
    for direction in signature.directions:
        old = projected(normal[window], direction)
        new = projected(painted[window], direction)
        change = new - old
        towards = smoothed(change, sigma)
        strength = max(float(strongest(towards[inside]).mean()), 0.0)
        variation = float(smoothed(old, sigma)[ring].std())
        contrast = strength / max(variation, 1 / 255)
        mean = float(towards[inside].mean())
        views.append(Shown(strength, contrast, mean, towards, change, new, inside))
    return max(views, key=lambda view: view.strength)


def ring_around(mask: Mask, width: float) -> Mask:
    """The pixels outside a mask ``[h, w]`` that are at most ``width`` away; all where there are
    none."""
    distance = ndimage.distance_transform_edt(~mask)
    ring: Mask = (distance > 0) & (distance <= width)
    return ring if ring.any() else np.ones_like(mask)


def projected(colours: NDArray[np.float32], direction: NDArray[np.float32]) -> NDArray[np.float32]:
    """Colours ``[h, w, 3]`` along a direction ``[3]``: ``[h, w]``; a gray of 0.3 along white is
    0.3."""
    values: NDArray[np.float32] = (colours @ direction) / np.float32(len(direction) ** 0.5)
    return values


def smoothed(values: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Values ``[h, w]`` after a Gaussian blur of ``sigma`` pixels."""
    smooth: NDArray[np.float32] = ndimage.gaussian_filter(values, sigma, truncate=3)
    return smooth


def strongest(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The largest tenth of ``[N]`` values, at least one."""
    count = max(round(STRONGEST * len(values)), 1)
    return np.partition(values, -count)[-count:]


def directions_of(cores: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """The directions ``[D, 3]`` of a class: the mean of its defects' core changes ``[3]``, and
    that of those that lead the other way where at least a fifth of them do.

    All-zero changes are left out; without any other the direction is "darker".
    """
    changes = np.stack(cores)
    lengths = np.linalg.norm(changes, axis=1)
    if not lengths.any():
        return np.full((1, 3), -(3**-0.5), np.float32)
    units = changes[lengths > 0] / lengths[lengths > 0, None]
    along = units @ units[np.argmax(lengths[lengths > 0])] >= 0
    directions = []
    for group in (units[along], units[~along]):
        if len(group) >= max(len(units) / 5, 1):
            mean = group.mean(axis=0)
            directions.append(mean / max(float(np.linalg.norm(mean)), 1e-6))
    return np.stack(directions).astype(np.float32)


def core_change(
    painted: NDArray[np.float32], normal: NDArray[np.float32], mask: Mask, scale: float
) -> NDArray[np.float32]:
    """The mean change ``[3]`` of the strongest tenth of the mask's pixels, after smoothing."""
    window, sigma, _ = _window(painted, normal, mask, scale)
    change = painted[window] - normal[window]
    smooth = ndimage.gaussian_filter(change, (sigma, sigma, 0), truncate=3)[mask[window]]
    length = np.square(smooth).sum(axis=1)
    count = max(round(STRONGEST * len(length)), 1)
    core: NDArray[np.float32] = smooth[np.argpartition(length, -count)[-count:]].mean(axis=0)
    return core


def _window(
    painted: NDArray[np.float32], normal: NDArray[np.float32], mask: Mask, scale: float
) -> tuple[tuple[slice, slice], float, int]:
    """The part of the square that counts, the smoothing, and the width of the ring, in pixels."""
    if painted.shape != normal.shape or painted.shape[:2] != mask.shape:
        came = f"pictures of {list(painted.shape)} and {list(normal.shape)}"
        raise PictureError(f"{came} with a mask of {list(mask.shape)}", "equal sizes")
    if not mask.any():
        raise MaskError(
            "the mask is empty", "at least one defect pixel", "measure only pictures with a mask"
        )
    width = mean_width(mask)
    sigma = scale * width
    reach = max(_LEAST_RING, round(width))
    margin = reach + round(3 * sigma)
    return bounding_box(mask).with_margin(margin), sigma, reach
