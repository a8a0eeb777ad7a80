"""Where a defect belongs: where a good picture looks like the surroundings of the real ones.

Not from the paper: it paints at masks that are given. A gap is a defect in a trace and nothing on bare board, and a bite goes into a trace
from its edge. A new mask is therefore turned, scaled and bent together with the real picture around and under it, and laid where the ring
around it differs least from the good picture, and where that does not look like the defect already (the ring around a bridge between two
traces is also that of a piece of one trace): template matching by mean squared differences of gray values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .masks import Mask, bounding_box
from .pictures import Picture

_LEAST, _MOST = 3, 16
"""Width of the ring in pixels: half the side of a square of the mask's area, within these."""
_CONTRAST = 90
_WORK_SIDE = 64
"""Larger surroundings are compared at a whole fraction of their size, as long as the ring keeps its least width."""


@dataclass(frozen=True, eq=False)
class Surroundings:
    """The picture around a real defect."""

    gray: NDArray[np.float32]
    """``[h + 2 margin, w + 2 margin]`` in 0..1 around the mask's box of ``[h, w]``; NaN beyond the picture."""
    margin: int
    reach: int
    """Width of the ring that is compared."""


@dataclass(frozen=True, eq=False)
class Template:
    """What should lie around a new mask of ``[h, w]``, and what should not lie under it."""

    gray: NDArray[np.float32]
    """``[h + 2 reach, w + 2 reach]`` in 0..1; 0 where nothing is known."""
    ring: NDArray[np.float32]
    """Weight of each pixel around the mask, 1 in all."""
    under: NDArray[np.float32]
    """Weight of each pixel of the mask, 1 in all."""
    contrast: float
    """Squared difference of the real defect's mean gray value from what in its own ring is least like it (the 90th percentile)."""
    reach: int


def surroundings_of(picture: Picture, mask: Mask) -> Surroundings:
    """Of a real defect: ``uint8 [H, W, 3]`` and its mask ``bool [H, W]``, not empty."""
    top, left, height, width = bounding_box(mask)
    reach = int(np.clip(round(float(mask.sum()) ** 0.5 / 2), _LEAST, _MOST))
    margin = 2 * reach + 2  # a turned and shrunk ring reaches further into the picture than the ring itself
    gray = np.pad(_gray(picture), margin, constant_values=np.nan)
    return Surroundings(gray[top : top + height + 2 * margin, left : left + width + 2 * margin].copy(), margin, reach)


def template(mask: Mask, gray: NDArray[np.float32], reach: int) -> Template:
    """A new mask and the ring around it.

    Args:
        mask: bool ``[R, C]``, not empty. gray: float ``[R, C]``, the real defect and what lay around it; NaN: not known.
        reach: width of the ring in pixels, 1 or more.
    """
    mask, gray = np.pad(mask, reach), np.pad(gray, reach, constant_values=np.nan)
    top, left, height, width = bounding_box(mask)
    window = np.s_[top - reach : top + height + reach, left - reach : left + width + reach]
    distance = ndimage.distance_transform_edt(~mask[window])
    known = np.isfinite(gray[window])
    ring, under = (distance > 0) & (distance <= reach) & known, (distance == 0) & known
    values = np.where(known, gray[window], 0).astype(np.float32)
    weights = [(one / max(one.sum(), 1)).astype(np.float32) for one in (ring, under)]
    seen = float((weights[1] * values).sum())
    contrast = float(np.percentile((values[ring] - seen) ** 2, _CONTRAST)) if ring.any() and under.any() else 0.0
    return Template(values, weights[0], weights[1], contrast, reach)


class Likeness:
    """How much the places of one good picture look like a real defect's surroundings.

    Args:
        picture: uint8 ``[H, W, 3]``.
    """

    def __init__(self, picture: Picture) -> None:
        self._picture = picture
        self._pictures: dict[tuple[int, int], NDArray[np.float32]] = {}

    def difference(self, wanted: Template, corners: NDArray[np.int64]) -> NDArray[np.float32]:
        """How much the places differ from what is wanted, 0 and up, at each of ``corners`` ``[N, 2]`` (top, left of the mask's box).

        The mean squared difference over the ring; and twice what the one under the mask falls short of half the defect's own
        contrast, so that no place is taken that looks like the defect already, and none is better for being far from it. The picture is
        mirrored at its border.
        """
        step = max(1, min(math.ceil(max(wanted.gray.shape) / _WORK_SIDE), wanted.reach // _LEAST))
        picture = self._shrunk(step, wanted.reach)
        weights = [_blocks(weight, step) for weight in (wanted.ring, wanted.under)]
        known = ((wanted.ring + wanted.under) > 0).astype(np.float32)
        gray = _blocks(wanted.gray * known, step) / np.maximum(_blocks(known, step), 1)
        found = np.empty(len(corners), np.float32)
        for number, (row, column) in enumerate((corners // step).tolist()):
            squares = (picture[row : row + gray.shape[0], column : column + gray.shape[1]] - gray) ** 2
            around, under = (float((weight * squares).sum()) for weight in weights)
            found[number] = around + 2 * max(wanted.contrast / 2 - under, 0)
        return found

    def _shrunk(self, step: int, reach: int) -> NDArray[np.float32]:
        """The picture padded by ``reach`` and shrunk ``step`` times."""
        if (step, reach) not in self._pictures:
            self._pictures[step, reach] = _blocks(np.pad(_gray(self._picture), reach, mode="symmetric"), step) / np.float32(step**2)
        return self._pictures[step, reach]


def _gray(picture: Picture) -> NDArray[np.float32]:
    gray: NDArray[np.float32] = picture.mean(axis=2, dtype=np.float32) / 255
    return gray


def _blocks(array: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """Sums of blocks of ``step`` x ``step``; the last ones are filled up with 0."""
    rows, columns = (-(-length // step) for length in array.shape)
    full = np.zeros((rows * step, columns * step), np.float32)
    full[: array.shape[0], : array.shape[1]] = array
    sums: NDArray[np.float32] = full.reshape(rows, step, columns, step).sum(axis=(1, 3))
    return sums
