"""The real defect's pixels, turned, scaled and bent with its mask (docs/method.md, choice 15)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..pictures.masks import Mask
from .variation import Variation


@dataclass(frozen=True, eq=False)
class Exemplar:
    """A real defect that is laid over a good picture: the box of its mask with a margin on all
    sides, ``[h, w]``."""

    colours: NDArray[np.float32]
    """``[h, w, C]`` in 0..1, NaN where the real picture had ended; C: 3, or 1 of a gray picture."""
    mask: Mask
    """bool ``[h, w]``: the new mask."""
    top: int
    """Row of the good picture at which the box begins; below 0 where the margin begins above it."""
    left: int
    angle: float
    """Turn after the mirror, in degrees, counter-clockwise as seen."""
    scale: float
    flipped: bool
    """Mirrored left to right."""


def exemplar_at(variation: Variation, top: int, left: int) -> Exemplar | None:
    """The exemplar of a varied mask whose box, without margin, begins at ``top``, ``left`` of the
    good picture; None where the real picture is not known."""
    wanted = variation.wanted
    if wanted is None:
        return None
    unknown = wanted.known[..., None] == 0
    return Exemplar(
        np.where(unknown, np.nan, wanted.colours).astype(np.float32),
        np.pad(variation.mask, wanted.reach),
        top - wanted.reach,
        left - wanted.reach,
        variation.change.angle,
        variation.change.scale,
        variation.change.flipped,
    )
