"""Where a defect belongs: where a good picture looks like the surroundings of the real ones.

Not from the paper: it paints at masks that are given. A gap is a defect in a trace and nothing on bare board; a new mask is therefore
laid where the ring around it looks like the ring around its real defect: the same gray values, in the same order around it (a trace that
goes on at both sides, an edge at one), whichever way either is turned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .masks import Mask, bounding_box
from .pictures import Picture

_LEVELS = 16
_LEAST, _MOST = 3, 16
"""Width of the ring in pixels: half the side of a square of the mask's area, within these."""

_SECTORS = 16

Look = NDArray[np.float64]
"""A ring: the cumulative histogram of its gray values over its length (an earth mover's distance in its differences), ``[16]``; then the
magnitudes of the Fourier series, around the ring, of its mean gray value, which no turn and no mirror changes, ``[9]``."""


def ring_of(mask: Mask) -> tuple[Mask, int]:
    """The ring around a mask ``bool [h, w]``: bool ``[h + 2 r, w + 2 r]``, and its width r."""
    reach = int(np.clip(round(float(mask.sum()) ** 0.5 / 2), _LEAST, _MOST))
    padded = np.pad(mask, reach)
    ring: Mask = (ndimage.distance_transform_edt(~padded) <= reach) & ~padded
    return ring, reach


def look_at(picture: Picture, ring: Mask, top: int, left: int) -> Look:
    """The look of a ring whose upper left corner lies at ``top``, ``left`` (may be negative) of ``uint8 [H, W, 3]``.

    What lies outside the picture does not count.
    """
    rows = slice(max(top, 0), min(top + ring.shape[0], picture.shape[0]))
    columns = slice(max(left, 0), min(left + ring.shape[1], picture.shape[1]))
    inside = ring[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    gray = picture[rows, columns][inside].mean(axis=1, dtype=np.float64) / 256
    count = max(len(gray), 1)
    histogram = np.bincount((gray * _LEVELS).astype(int), minlength=_LEVELS).cumsum() / count
    y, x = np.nonzero(inside)
    angle = np.arctan2(y + rows.start - top - (ring.shape[0] - 1) / 2, x + columns.start - left - (ring.shape[1] - 1) / 2)
    sector = ((angle / (2 * np.pi) + 0.5) * _SECTORS).astype(int) % _SECTORS
    share = np.bincount(sector, minlength=_SECTORS)
    mean = np.bincount(sector, gray, _SECTORS)
    around = np.where(share > 0, mean / np.maximum(share, 1), gray.sum() / count)
    look: Look = np.concatenate([histogram / _LEVELS, np.abs(np.fft.rfft(around)) / _SECTORS])
    return look


def real_look(picture: Picture, mask: Mask) -> Look:
    """The look of a real defect: ``uint8 [H, W, 3]`` and its mask ``bool [H, W]``, not empty."""
    top, left, height, width = bounding_box(mask)
    ring, reach = ring_of(mask[top : top + height, left : left + width])
    return look_at(picture, ring, top - reach, left - reach)


@dataclass(frozen=True, eq=False)
class Preference:
    """Which of several places of a mask on a good picture looks most like the real defect's."""

    picture: Picture
    """uint8 ``[H, W, 3]``."""
    look: Look
    """Of the real defect: :func:`real_look`."""

    def best(self, patch: Mask, corners: NDArray[np.int64]) -> int:
        """The index of the best of ``corners`` ``[N, 2]`` (top, left of ``patch`` ``bool [h, w]``); the first of equals."""
        ring, reach = ring_of(patch)
        looks = [look_at(self.picture, ring, int(top) - reach, int(left) - reach) for top, left in corners]
        return int(np.argmin([np.abs(look - self.look).sum() for look in looks]))
