"""Properties of a defect that a program can measure and nearly all real ones of a class share
(docs/method.md, choice 16): what they share must hold for accepted samples.

The visible defect is where the change towards the real defects is at least half of its strength.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..declarations import Registry
from ..pictures.mask_shape import largest_share
from ..pictures.masks import Mask
from .shown import Shown

VISIBLE = 0.5
"""Share of the strength from which on a pixel belongs to the visible defect."""


def visible(view: Shown) -> Mask:
    """``[h, w]``: where the defect shows."""
    mask: Mask = view.mask & (view.towards >= VISIBLE * view.strength)
    return mask


@dataclass(frozen=True)
class Property:
    """One property."""

    name: str
    summary: str
    reason: str
    """Of the verdict on a sample that lacks it."""
    of: Callable[[Shown], float]
    least_shared: float = 0.0
    """What nine of ten real defects must reach for it to be shared."""
    most_spread: float = math.inf
    """What nine of ten stay below, over what nine of ten reach, for it to be shared."""
    at_most: bool = False
    """Whether a sample may have too much of it; else too little."""


def one_piece(view: Shown) -> float:
    """Share of the visible defect that its largest piece holds."""
    return largest_share(visible(view))


def solid(view: Shown) -> float:
    """Share that the visible defect takes of itself with its holes filled."""
    defect = visible(view)
    whole = ndimage.binary_fill_holes(defect)
    return float(defect.sum() / max(whole.sum(), 1))


def sharpness(view: Shown) -> float:
    """Mean gradient of the change, a pixel, on the visible defect and beside it, over the strength.
    That of the picture would be too small in a light joint, where a dark crack has a larger
    strength than in a dark brick, but no steeper edges."""
    return _mean_gradient(view, view.change)


def roughness(view: Shown) -> float:
    """Mean gradient of the picture, a pixel, on the visible defect and beside it, over the
    strength. That of the change would count the texture that an even defect has covered."""
    return _mean_gradient(view, view.picture)


def _mean_gradient(view: Shown, values: NDArray[np.float32]) -> float:
    rows, columns = np.gradient(values)
    near = ndimage.binary_dilation(visible(view), iterations=1) & view.mask
    if view.strength <= 0 or not near.any():
        return 0.0
    return float(np.hypot(rows, columns)[near].mean() / view.strength)


PROPERTIES = Registry[Property](
    "property",
    Property(
        "one_piece",
        "share of the visible defect in its largest piece",
        "defect in pieces",
        one_piece,
        least_shared=0.9,
    ),
    Property(
        "solid",
        "share of the visible defect of itself with its holes filled",
        "holes in the defect",
        solid,
        least_shared=0.9,
    ),
    Property(
        "sharpness",
        "mean gradient of the change on the visible defect over its strength",
        "softer than the real defects",
        sharpness,
        most_spread=2,
    ),
    Property(
        "roughness",
        "mean gradient of the picture on the visible defect over its strength",
        "rougher than the real defects",
        roughness,
        most_spread=2,
        at_most=True,
    ),
)
"""The properties, in the order of the verdict's checks."""
