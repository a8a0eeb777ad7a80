"""Where a defect belongs: where a good picture looks like the surroundings of the real ones.

Not from the paper: it paints at masks that are given. A gap is a defect in a trace and nothing on
bare board, and a bite goes into a trace from its edge. A new mask is therefore turned, scaled and
bent together with the real picture around and under it, and laid where the good picture differs
least from what the real one may have shown before its defect: from the ring around the mask, and
from the mask filled from that ring, or with the other one of two tones. The ring alone would let a
mask hide structure that no real defect covers. And where the place does not look like the defect
already: the ring around a bridge between two traces is also that of a piece of one trace. It is
template matching by mean squared differences of colours (:mod:`likeness`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..pictures.filling import before_defect
from ..pictures.masks import Mask, bounding_box
from ..pictures.picture import Pixels
from .likeness import LEAST_REACH, alike, picture_colours

_MOST_REACH = 16
"""Most width of the ring in pixels."""
_CONTRAST, _TYPICAL, _LIGHT = 90, 75, 95
_VISIBLE, _AWAY = 0.02, 2


@dataclass(frozen=True, eq=False)
class Surroundings:
    """The picture around a real defect."""

    colours: NDArray[np.float32]
    """``[h + 2 margin, w + 2 margin, C]`` in 0..1 around the mask's box of ``[h, w]``; NaN beyond
    the picture. C: 3, or 1 of a gray one."""
    margin: int
    reach: int
    """Width of the ring that is compared."""
    contrast: float
    """How far the defect stands out: its mean colour against what in the ring is least like it (the
    90th percentile), 0..1. A distance between colours is the root of their mean squared
    difference."""
    colour: NDArray[np.float32]
    """Mean colour of the defect, ``[C]`` in 0..1."""
    before: NDArray[np.float32]
    """As ``colours``, with the mask filled from its ring; NaN inside it where nothing else is
    known."""
    change: float
    """Mean squared difference of the defect from what was before it, 0..1."""
    light: float
    """How light the whole picture is: the 95th percentile of its values, 0..1."""
    fullness: float
    """Share of the change by the defect's mean colour that the real defect shows: 1 for an even
    defect in a tight mask, less in a loose mask; 0: the mean colour would change nearly nothing."""
    core: NDArray[np.float32]
    """Mean colour of the tenth of its pixels that differ most from what lies beside them, ``[C]``
    in 0..1."""
    size: tuple[int, int]
    """Height and width of the whole picture."""

    def alike(self, least: float) -> float:
        """As :meth:`Template.alike`."""
        return alike(least, self.contrast)

    def share_made(self, picture: Pixels, result: Pixels, mask: Mask) -> float:
        """How much of what such a defect would change at ``mask`` of a good ``picture`` is in
        ``result``: 0 and up, 1 as in life.

        The lesser of two shares, both in the light of the picture, and 1 where the defect would
        change nearly nothing. Of the whole change that its mean colour would make, over what the
        real one makes of it itself: a bridge that does not reach its traces and a crack in pieces
        fall short. And of the change that its core would make, in the strongest tenth of the
        pixels: the mean colour of a thin crack in its mask is faint, its core is not.
        """
        window = bounding_box(mask).slices
        inside = mask[window]
        good = np.divide(picture[window][inside], 255, dtype=np.float32)
        new = np.divide(result[window][inside], 255, dtype=np.float32)
        light = _light(picture) / max(self.light, 1 / 255)
        change = _distance(new, good)
        share = _share(change, _distance(np.minimum(self.colour * light, 1), good))
        whole = share / self.fullness if share is not None and self.fullness else 1.0
        core = float(np.percentile(_distance(np.minimum(self.core * light, 1), good), _TYPICAL))
        if core < _VISIBLE:
            return whole
        return min(whole, float(change[_strongest(change)].mean()) / core)


def ring_reach(mask: Mask) -> int:
    """Width in pixels of the ring around a mask that is compared: half the side of a square of its
    area, 3 to 16."""
    return int(np.clip(round(float(mask.sum()) ** 0.5 / 2), LEAST_REACH, _MOST_REACH))


def surroundings_margin(mask: Mask) -> int:
    """Width in pixels of what is kept around a mask's box: a turned and shrunk ring reaches further
    into the picture."""
    return 2 * ring_reach(mask) + 2


def colours_around(picture: Pixels, mask: Mask) -> tuple[NDArray[np.float32], Mask]:
    """The ``colours`` of a defect's surroundings, and the mask in them; the arguments are those of
    :func:`surroundings_of`."""
    box, margin = bounding_box(mask), surroundings_margin(mask)
    height, width = mask.shape
    beyond_rows = (max(margin - box.top, 0), max(box.bottom + margin - height, 0))
    beyond_columns = (max(margin - box.left, 0), max(box.right + margin - width, 0))
    beyond = (beyond_rows, beyond_columns, (0, 0))
    inside = picture_colours(picture[box.with_margin(margin)])
    colours = np.pad(inside, beyond, constant_values=np.nan)
    return colours, np.pad(mask[box.slices], margin)


def surroundings_of(picture: Pixels, mask: Mask, unknown: Mask | None = None) -> Surroundings:
    """Of a real defect: ``uint8 [H, W, 3]`` and its mask ``bool [H, W]``, not empty.

    Args:
        unknown: what is no background of it, such as other defects; as unknown as what lies beyond
            the picture.
    """
    colours, patch = colours_around(picture, mask)
    if unknown is not None:
        known = np.repeat((~unknown | mask)[..., None], 3, axis=2).astype(np.uint8)
        colours[colours_around(known, mask)[0][..., 0] == 0] = np.nan
    reach = ring_reach(mask)
    distance = ndimage.distance_transform_edt(~patch)
    ring = colours[(distance > 0) & (distance <= reach) & np.isfinite(colours[..., 0])]
    colour = colours[patch].mean(axis=0)
    contrast = float(np.percentile(_distance(ring, colour), _CONTRAST)) if ring.size else 0.0
    before, difference = _before(colours, patch)
    beside = _beside(colours, patch)
    fullness, core = 0.0, colour
    if beside is not None:
        change = _distance(colours[patch], beside)
        fullness = _share(change, _distance(colour, beside)) or 0.0
        core = colours[patch][_strongest(change)].mean(axis=0)
    return Surroundings(
        colours,
        surroundings_margin(mask),
        reach,
        contrast,
        colour,
        before,
        difference,
        _light(picture),
        fullness,
        core,
        (mask.shape[0], mask.shape[1]),
    )


def _before(colours: NDArray[np.float32], patch: Mask) -> tuple[NDArray[np.float32], float]:
    """The picture before its defect, and the mean squared difference under the mask."""
    before = before_defect(colours, patch)
    if before is None:
        return np.where(patch[..., None], np.float32(np.nan), colours), 0.0
    return before, float(np.square(colours[patch] - before[patch]).mean())


def _beside(colours: NDArray[np.float32], patch: Mask) -> NDArray[np.float32] | None:
    """What the picture may have shown under the defect: for each of its pixels ``[N, C]`` the
    nearest colour that is more than ``_AWAY`` pixels from it; None: the picture shows nothing
    else."""
    covered = ndimage.binary_dilation(patch, iterations=_AWAY) | ~np.isfinite(colours[..., 0])
    if covered.all():
        return None
    rows, columns = ndimage.distance_transform_edt(
        covered, return_distances=False, return_indices=True
    )
    nearest: NDArray[np.float32] = colours[rows[patch], columns[patch]]
    return nearest


def _distance(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    """Between colours ``[N, C]``: the root of their mean squared difference, ``[N]``."""
    distance: NDArray[np.float32] = np.square(left - right).mean(axis=-1) ** 0.5
    return distance


def _strongest(change: NDArray[np.float32]) -> NDArray[np.int64]:
    """Where the strongest tenth of ``[N]`` changes stand, at least one."""
    count = max(len(change) // 10, 1)
    return np.argpartition(change, -count)[-count:]


def _share(change: NDArray[np.float32], wanted: NDArray[np.float32]) -> float | None:
    """How much of ``wanted`` ``[N]`` was made, 0..1, over the pixels that should change at least
    half as much as a quarter of them; None: a quarter of them should not change by ``_VISIBLE``."""
    typical = float(np.percentile(wanted, _TYPICAL))
    if typical < _VISIBLE:
        return None
    counted = wanted >= typical / 2
    return float(np.minimum(change, wanted)[counted].sum() / wanted[counted].sum())


def _light(picture: Pixels) -> float:
    step = max(1, min(picture.shape[:2]) // 256)  # a sample of the pixels is enough
    return float(np.percentile(picture[::step, ::step], _LIGHT)) / 255
