"""Places of a variation at full size: which lie on the part, how far they differ from what is
wanted there, which of their neighbours are better, and the one that is drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from ..pictures.masks import Mask
from .exemplar import Exemplar, exemplar_at
from .likeness import Likeness
from .variation import Variation

_TIGHT = 64
"""Places compared where the coarse look finds none."""
_NEIGHBOURS = np.array(
    [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)],
)
Corners = NDArray[np.int64]
"""``[N, 2]``: top and left of a mask's box."""


@dataclass(frozen=True, eq=False)
class Placed:
    """A new mask at its place on a picture."""

    mask: Mask
    """bool ``[H, W]`` of the picture."""
    difference: float | None
    """How far the place differs from the real defect's surroundings, 0 and up
    (:meth:`Likeness.difference`); None where these are not known."""
    exemplar: Exemplar | None
    """The real defect's pixels for this place; None where its picture is not known."""


@dataclass(frozen=True, eq=False)
class Compared:
    """Places of a variation."""

    variation: Variation
    corners: Corners
    differences: NDArray[np.float32]
    """``[N]``, by :meth:`Likeness.difference`; 0 where no surroundings are wanted."""

    @property
    def least(self) -> float:
        """The least difference; infinite where there are no places."""
        return float(self.differences.min(initial=np.inf))


def compared_around(
    variation: Variation, middles: NDArray[np.float64], likeness: Likeness, part: Mask
) -> Compared:
    """The places of a variation that are allowed, of those nearest to some middles of its mask.

    Args:
        middles: ``[N, 2]``, rows and columns in pixels. A box that would lie beside the picture is
            moved into it.
        part: bool ``[H, W]``, where the mask may lie.
    """
    corners = np.rint(middles - variation.middle).astype(np.int64)
    room = np.array(part.shape) - variation.mask.shape
    corners = corners[:0] if room.min() < 0 else np.clip(corners, 0, room)
    return compared_at(variation, corners[on_part(variation.mask, corners, part)], likeness)


def compared_at(variation: Variation, corners: Corners, likeness: Likeness) -> Compared:
    """A variation at these places."""
    differences = np.zeros(len(corners), np.float32)
    if variation.wanted is not None:
        differences = likeness.difference(variation.wanted, corners)
    return Compared(variation, corners, differences)


def on_part(mask: Mask, corners: Corners, part: Mask) -> NDArray[np.bool_]:
    """At which corners the box lies in the picture and the whole mask on the part: ``[N]``."""
    room = np.array(part.shape) - mask.shape
    inside = (corners >= 0) & (corners <= room)
    allowed: NDArray[np.bool_] = np.asarray(inside.all(axis=1))
    if part.all():
        return allowed
    height, width = mask.shape
    for number in np.flatnonzero(allowed).tolist():
        top, left = corners[number]
        under = part[top : top + height, left : left + width]
        allowed[number] = bool(under[mask].all())
    return allowed


def moved_on(places: Compared, likeness: Likeness, part: Mask, step: int) -> Compared:
    """Each place, moved on to the best of its eight neighbours while that is better, in steps from
    ``step`` pixels down to one."""
    variation = places.variation
    mask, wanted = variation.mask, variation.wanted
    if wanted is None or not len(places.corners):
        return places
    corners, differences = places.corners.copy(), places.differences.copy()
    while step:
        around = corners[:, None] + step * _NEIGHBOURS
        allowed = on_part(mask, around.reshape(-1, 2), part).reshape(around.shape[:2])
        nearby = np.full(allowed.shape, np.inf, np.float32)
        nearby[allowed] = likeness.difference(wanted, around[allowed])
        best = nearby.argmin(axis=1)
        better = nearby.min(axis=1) < differences
        corners[better] = around[better, best[better]]
        differences[better] = nearby[better, best[better]]
        step //= 2
    return Compared(variation, corners, differences)


def tight_place(
    variation: Variation, likeness: Likeness | None, part: Mask, rng: np.random.Generator
) -> Placed | None:
    """A variation at a place found exactly; None where there is none.

    One of all places on the part is drawn evenly, where surroundings are known of those drawn that
    fit best.
    """
    offsets = _offsets_on_part(variation.mask, part)
    if not offsets.size:
        return None
    columns = part.shape[1] - variation.mask.shape[1] + 1
    if likeness is None or variation.wanted is None:
        corners = np.stack(np.divmod(rng.choice(offsets, 1), columns), axis=1)
        return _placed(part.shape, variation, corners[0], None)
    corners = np.stack(np.divmod(rng.choice(offsets, _TIGHT), columns), axis=1)
    return drawn_place([compared_at(variation, corners, likeness)], part.shape, rng)


def _offsets_on_part(mask: Mask, part: Mask) -> NDArray[np.int64]:
    """All offsets of a mask at which none of its pixels falls off the part, numbered row by row.

    Correlating "off the part" with the mask gives for every offset the number of mask pixels that
    would fall off.
    """
    rows, columns = part.shape[0] - mask.shape[0] + 1, part.shape[1] - mask.shape[1] + 1
    if rows < 1 or columns < 1 or mask.sum() >= part.size:
        return np.arange(0)
    if part.all():
        return np.arange(rows * columns)
    size = (
        fft.next_fast_len(part.shape[0], real=True),
        fft.next_fast_len(part.shape[1], real=True),
    )
    off_part = fft.rfft2((~part).astype(np.float64), size)
    of_mask = fft.rfft2(mask.astype(np.float64), size)
    fallen = fft.irfft2(off_part * np.conj(of_mask), size)[:rows, :columns]
    return np.flatnonzero(fallen < 0.5)  # whole numbers but for rounding of about 1e-9


def drawn_place(
    compared: Sequence[Compared], shape: tuple[int, ...], rng: np.random.Generator
) -> Placed | None:
    """One of the places that are as good as the best (:meth:`Template.alike`); None: there are no
    places.

    Args:
        compared: places of several variations. shape: of the picture.
    """
    least = math.inf
    for places in compared:
        least = min(least, places.least)
    alike: list[tuple[Compared, int]] = []
    for places in compared:
        wanted = places.variation.wanted
        limit = wanted.alike(least) if wanted else least
        for number in np.flatnonzero(places.differences <= limit).tolist():
            alike.append((places, number))
    if not alike:
        return None
    places, number = alike[int(rng.integers(len(alike)))]
    difference = float(places.differences[number])
    return _placed(shape, places.variation, places.corners[number], difference)


def _placed(
    shape: tuple[int, ...],
    variation: Variation,
    corner: NDArray[np.int64],
    difference: float | None,
) -> Placed:
    """A variation with its box at ``corner`` (top, left) of a picture of ``shape``."""
    top, left = corner.tolist()
    height, width = variation.mask.shape
    mask = np.zeros(shape, np.bool_)
    mask[top : top + height, left : left + width] = variation.mask
    return Placed(mask, difference, exemplar_at(variation, top, left))
