"""How much the places of a good picture look like a real defect's surroundings: template matching
by mean squared differences of colours."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy import ndimage

from ..pictures.masks import Mask, bounding_box
from ..pictures.picture import Pixels

LEAST_REACH = 3
"""Least width of the ring in pixels."""
_ALIKE, _NEARLY = 0.01, 1.25
UNDER = 0.5
"""Weight of the filled mask beside that of the ring."""
_CHUNK = 1 << 18
"""Values that are compared in one call."""
_WORK_SIDE = 64
"""Larger surroundings are compared at a whole fraction of their size, as long as the ring keeps its
least width."""


@dataclass(frozen=True, eq=False)
class Template:
    """What should lie around a new mask of ``[h, w]``, and what should not lie under it."""

    colours: NDArray[np.float32]
    """``[h + 2 reach, w + 2 reach, C]`` in 0..1, with the real defect; 0 where the real picture
    had ended."""
    before: NDArray[np.float32]
    """The same without the defect."""
    known: NDArray[np.float32]
    """1 where it had not ended, else 0."""
    near: NDArray[np.float32]
    """Weight of each pixel that should look like ``before``: of the ring 1 in all, of the mask
    ``UNDER``."""
    under: NDArray[np.float32]
    """Weight of each pixel of the mask, 1 in all."""
    contrast: float
    """Of the real defect."""
    change: float
    """Of the real defect."""
    reach: int

    def alike(self, least: float) -> float:
        """Up to what difference a place is as good as the one with the ``least``: a quarter more,
        and 0.01 of the squared contrast."""
        return alike(least, self.contrast)


def alike(least: float, contrast: float) -> float:
    """Up to what difference a place is as good as the one with the ``least``, for a defect of this
    contrast."""
    return _NEARLY * least + _ALIKE * contrast**2


def template(
    mask: Mask,
    colours: NDArray[np.float32],
    before: NDArray[np.float32],
    reach: int,
    contrast: float,
    change: float,
) -> Template:
    """A new mask and the ring around it.

    Args:
        mask: bool ``[R, S]``, not empty. colours: float ``[R, S, C]``, the real defect and what lay
            around it; NaN: not known. before: the same without the defect.
        reach: width of the ring in pixels, 1 or more. contrast, change: of the real defect.
    """
    mask = np.pad(mask, reach)
    beyond = ((reach, reach), (reach, reach), (0, 0))
    colours = np.pad(colours, beyond, constant_values=np.nan)
    before = np.pad(before, beyond, constant_values=np.nan)
    window = bounding_box(mask).with_margin(reach)
    distance = ndimage.distance_transform_edt(~mask[window])
    known = np.isfinite(colours[window][..., 0])
    ring, under = (distance > 0) & (distance <= reach), distance == 0
    whole = np.isfinite(before[window][..., 0])
    return Template(
        np.where(known[..., None], colours[window], 0).astype(np.float32),
        np.where(whole[..., None], before[window], 0).astype(np.float32),
        known.astype(np.float32),
        _weights(ring / np.maximum(distance, 1)) + UNDER * _weights(under & whole),
        _weights(under & known),
        contrast,
        change,
        reach,
    )


def _weights(area: Mask) -> NDArray[np.float32]:
    """The weights of an area's pixels, 1 in all."""
    return np.asarray(area / max(area.sum(), 1), np.float32)


class Likeness:
    """How much the places of one good picture look like a real defect's surroundings.

    Args:
        picture: uint8 ``[H, W, 3]``.
    """

    def __init__(self, picture: Pixels) -> None:
        self.picture = picture
        self._pictures: dict[tuple[int, int], tuple[NDArray[np.float32], NDArray[np.float32]]] = {}

    def difference(self, wanted: Template, corners: NDArray[np.int64]) -> NDArray[np.float32]:
        """How much the places differ from what is wanted, 0 and up, at each of ``corners`` ``[N,
        2]`` (top, left of the mask's box).

        The mean squared difference from what was before the defect, over the ring and, with the
        weight ``UNDER``, over the mask; and twice what the difference from the defect, under the
        mask, falls short of half the real one's, so that no place is taken that looks like the
        defect already, and none is better for being far from it. Where one of the two pictures has
        ended and the other has not, it counts as the squared contrast: a defect at the border
        belongs there, and no other does.
        """
        if not len(corners):  # such as of a mask that is larger than the picture
            return np.zeros(0, np.float32)
        step = max(
            1, min(math.ceil(max(wanted.near.shape) / _WORK_SIDE), wanted.reach // LEAST_REACH)
        )
        picture, inside = self._shrunk(step, wanted.reach)
        near, under = block_sums(wanted.near, step), block_sums(wanted.under, step)
        counted = ((wanted.near + wanted.under) > 0).astype(np.float32)
        compared = wanted.known * counted
        weight = block_sums(compared, step)
        shares = np.maximum(weight, 1)[..., None]
        before = block_sums(wanted.before * compared[..., None], step) / shares
        defect = block_sums(wanted.colours * compared[..., None], step) / shares
        known = weight / np.maximum(block_sums(counted, step), 1)
        contrast = wanted.contrast**2
        channels = max(picture.shape[2], before.shape[2])
        size = weight.shape
        windows = sliding_window_view(picture, size, axis=(0, 1))
        present = sliding_window_view(inside, size)
        differences = np.empty(len(corners), np.float32)
        several = max(_CHUNK // (weight.size * channels), 1)
        for first in range(0, len(corners), several):
            cells = corners[first : first + several] // step
            share = present[cells[:, 0], cells[:, 1]]
            shown = np.moveaxis(windows[cells[:, 0], cells[:, 1]], 1, 3)
            squares = np.square(shown - before).mean(axis=3)
            both = squares * share * known + contrast * (share - known) ** 2
            unlike = np.square(shown - defect).mean(axis=3)
            lacking = np.maximum(wanted.change / 2 - np.tensordot(unlike, under), 0)
            differences[first : first + several] = np.tensordot(both, near) + 2 * lacking
        return differences

    def _shrunk(self, step: int, reach: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The picture with nothing in a margin of ``reach``, shrunk ``step`` times; and the share
        of each pixel that is picture."""
        if (step, reach) not in self._pictures:
            inside = block_sums(np.pad(np.ones(self.picture.shape[:2], np.float32), reach), step)
            colours = block_sums(
                np.pad(picture_colours(self.picture), ((reach, reach), (reach, reach), (0, 0))),
                step,
            )
            colours = np.divide(colours, np.maximum(inside, 1)[..., None], dtype=np.float32)
            self._pictures[step, reach] = colours, np.divide(inside, step**2, dtype=np.float32)
        return self._pictures[step, reach]


def picture_colours(picture: Pixels) -> NDArray[np.float32]:
    """A picture as ``[H, W, C]`` in 0..1; one channel where all three are equal: a third of
    the work."""
    red, green, blue = picture[..., 0], picture[..., 1], picture[..., 2]
    gray = np.array_equal(red, green) and np.array_equal(red, blue)
    return np.divide(picture[..., :1] if gray else picture, 255, dtype=np.float32)


def block_sums(array: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """Sums of blocks of ``step`` x ``step`` of ``[H, W]`` or ``[H, W, C]``; the last ones are
    filled up with 0."""
    rows, columns, *channels = array.shape
    rows, columns = -(-rows // step), -(-columns // step)
    full = np.zeros((rows * step, columns * step, *channels), np.float32)
    full[: array.shape[0], : array.shape[1]] = array
    sums: NDArray[np.float32] = full.reshape(rows, step, columns, step, *channels).sum(axis=(1, 3))
    return sums
