"""The search for places of one real mask, whose surroundings are known, on any number of pictures.

First all places of all variations on coarse cells (:mod:`coarse`). Then a few variations are made
at full size, and compared by :meth:`Likeness.difference`: the best places are moved to where they
fit better still, and some that seem as good are drawn at random, so that a mask that fits nearly
anywhere goes anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from ..pictures.masks import Mask
from .coarse import CoarsePicture, CoarsePlaces, CoarseTemplates
from .exemplar import Exemplar, exemplar_at
from .settings import PlacementSettings
from .surroundings import Likeness, Surroundings
from .variation import Variation, changed, draw_change

_STARTS, _EACH, _BUILT = 8, 2, 5
"""Best places that are moved to better ones: in all, of a variation, and of how many variations at
most; a variation is made at full size for it."""
_DRAWN, _OTHERS = 24, 3
"""Places as good as the best that are drawn, and of how many variations at most."""
_TIGHT = 64
"""Places compared where the coarse look finds none."""
_NEIGHBOURS = np.array(
    [(row, column) for row in (-1, 0, 1) for column in (-1, 0, 1) if row or column]
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
class _Compared:
    """Places of a variation."""

    variation: Variation
    corners: Corners
    differences: NDArray[np.float32]


class Search:
    """Variations of one real mask, and their places.

    Args:
        patch: bool ``[h, w]``, the real mask cut to its box.
        around: its surroundings.
        rng: draws the variations.
        settings: their ranges and number.
    """

    def __init__(
        self,
        patch: Mask,
        around: Surroundings,
        rng: np.random.Generator,
        settings: PlacementSettings,
    ) -> None:
        self._patch = patch
        self.around = around
        """Surroundings of the real mask."""
        self._changes = []
        for number in range(settings.variations):
            self._changes.append(draw_change(rng, settings, number % 2 == 1))
        self._built: dict[int, Variation] = {}
        self.templates = CoarseTemplates(patch, around, self._changes)

    def look(self, likeness: Likeness, part: Mask) -> CoarsePlaces:
        """The coarse look at a picture."""
        height, width = part.shape
        grid = self.templates.grid((height, width))
        return self.templates.places(CoarsePicture(likeness.picture, part, grid))

    def place(
        self, places: CoarsePlaces, likeness: Likeness, part: Mask, rng: np.random.Generator
    ) -> Placed | None:
        """The mask at one of its best places.

        Args:
            places: of the coarse look at this picture.
            likeness: of the picture. part: bool ``[H, W]``, where the mask may lie.
            rng: draws among places that are as good.

        Returns:
            None where no place that the coarse look found is one at full size.
        """
        compared = self._moved_starts(places, likeness, part)
        for number, centres in self._drawn(places, rng):
            variation = self._variation(number)
            corners = _corners(variation, centres, part.shape)
            corners = corners[_allowed(variation.mask, corners, part)]
            compared.append(_compare(variation, corners, likeness))
        return drawn_place(compared, part.shape, rng)

    def nearest(self, places: CoarsePlaces, likeness: Likeness, part: Mask) -> float:
        """The least difference at full size of the places that are moved on; infinite where none
        is left. The arguments are those of :meth:`place`."""
        least = np.inf
        for compared in self._moved_starts(places, likeness, part):
            least = min(least, float(compared.differences.min(initial=np.inf)))
        return least

    def _moved_starts(
        self, places: CoarsePlaces, likeness: Likeness, part: Mask
    ) -> list[_Compared]:
        compared: list[_Compared] = []
        for number, middles in self._starts(places):
            variation = self._variation(number)
            corners = _corners(variation, middles, part.shape)
            corners = corners[_allowed(variation.mask, corners, part)]
            compared.append(_moved(variation, corners, likeness, part, places.cell))
        return compared

    def variations(self) -> list[Variation]:
        """All of them, at full size."""
        return [self._variation(number) for number in range(len(self._changes))]

    def _variation(self, number: int) -> Variation:
        if number not in self._built:
            self._built[number] = changed(self._patch, self._changes[number], self.around)
        return self._built[number]

    def _starts(self, places: CoarsePlaces) -> list[tuple[int, NDArray[np.float64]]]:
        """The best places, by variation: middles ``[N, 2]`` in pixels."""
        flat = places.differences.ravel()
        count = min(16 * _STARTS, flat.size)
        best = np.argpartition(flat, count - 1)[:count]
        best = best[np.argsort(flat[best], kind="stable")]
        chosen: dict[int, list[NDArray[np.float64]]] = {}
        total = 0
        for index in best[np.isfinite(flat[best])].tolist():
            number, middle = _middle(places, index)
            middles = chosen.get(number, [])
            near = [np.abs(middle - other).max() <= places.cell for other in middles]
            full = len(chosen) == _BUILT and number not in chosen
            if full or any(near) or len(middles) == _EACH:
                continue
            chosen.setdefault(number, []).append(middle)
            total += 1
            if total == _STARTS:
                break
        return [(number, np.array(middles)) for number, middles in chosen.items()]

    def _drawn(
        self, places: CoarsePlaces, rng: np.random.Generator
    ) -> list[tuple[int, NDArray[np.float64]]]:
        """Places that seem as good as the best, drawn evenly from those of a few variations."""
        limit = self.around.alike(places.least)
        alike = np.flatnonzero(places.differences.ravel() <= limit)
        if not np.isfinite(places.least) or not alike.size:
            return []
        each = places.differences[0].size
        numbers = {int(index) // each for index in rng.choice(alike, _OTHERS)}
        alike = alike[np.isin(alike // each, list(numbers))]
        chosen: dict[int, list[NDArray[np.float64]]] = {}
        for index in rng.choice(alike, _DRAWN).tolist():
            number, middle = _middle(places, index)
            shift = rng.uniform(-places.cell / 2, places.cell / 2, 2)
            chosen.setdefault(number, []).append(middle + shift)
        return [(number, np.array(middles)) for number, middles in sorted(chosen.items())]


def _middle(places: CoarsePlaces, index: int) -> tuple[int, NDArray[np.float64]]:
    """Variation, and row and column in pixels of the mask's middle, of a place by its number."""
    _, rows, columns = places.differences.shape
    number, place = divmod(index, rows * columns)
    steps = np.array(divmod(place, columns)) * places.cell
    return number, places.centres[number] + steps


def _corners(variation: Variation, middles: NDArray[np.float64], shape: tuple[int, ...]) -> Corners:
    """Corners of a variation's box for its middles, moved into the picture where they are beside
    it."""
    corners = np.rint(middles - variation.middle).astype(np.int64)
    room = np.array(shape) - variation.mask.shape
    return corners[:0] if room.min() < 0 else np.clip(corners, 0, room)


def _allowed(mask: Mask, corners: Corners, part: Mask) -> NDArray[np.bool_]:
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


def _compare(variation: Variation, corners: Corners, likeness: Likeness) -> _Compared:
    differences = np.zeros(len(corners), np.float32)
    if variation.wanted is not None:
        differences = likeness.difference(variation.wanted, corners)
    return _Compared(variation, corners, differences)


def _moved(
    variation: Variation, corners: Corners, likeness: Likeness, part: Mask, step: int
) -> _Compared:
    """Each place, moved on to the best of its eight neighbours while that is better, in steps from
    ``step`` down to a pixel."""
    wanted = variation.wanted
    if wanted is None or not len(corners):
        return _compare(variation, corners, likeness)
    differences = likeness.difference(wanted, corners)
    while step:
        around = corners[:, None] + step * _NEIGHBOURS
        inside = _allowed(variation.mask, around.reshape(-1, 2), part).reshape(around.shape[:2])
        nearby = np.full(inside.shape, np.inf, np.float32)
        nearby[inside] = likeness.difference(wanted, around[inside])
        best = nearby.argmin(axis=1)
        better = nearby.min(axis=1) < differences
        corners[better] = around[better, best[better]]
        differences[better] = nearby[better, best[better]]
        step //= 2
    return _Compared(variation, corners, differences)


def tight_place(
    variation: Variation, likeness: Likeness | None, part: Mask, rng: np.random.Generator
) -> Placed | None:
    """A variation at a place found exactly; None where there is none.

    Correlating "off the part" with the mask gives for every offset the number of mask pixels that
    would fall off; all offsets with none are valid. One is drawn evenly, where surroundings are
    known of those drawn that fit best.
    """
    patch, wanted = variation.mask, variation.wanted
    rows, columns = part.shape[0] - patch.shape[0] + 1, part.shape[1] - patch.shape[1] + 1
    if rows < 1 or columns < 1 or patch.sum() >= part.size:
        return None
    valid = np.arange(rows * columns)
    if not part.all():
        size = [fft.next_fast_len(length, real=True) for length in part.shape]
        spectrum = fft.rfft2((~part).astype(np.float64), size)
        off = fft.irfft2(spectrum * np.conj(fft.rfft2(patch.astype(np.float64), size)), size)
        # whole numbers but for rounding of about 1e-9
        valid = np.flatnonzero(off[:rows, :columns] < 0.5)
    if not valid.size:
        return None
    compared = wanted is not None and likeness is not None
    places = rng.choice(valid, _TIGHT if compared else 1)
    corners = np.stack(np.divmod(places, columns), axis=1)
    if likeness is None or not compared:
        return _placed(part.shape, variation, corners[0], None)
    return drawn_place([_compare(variation, corners, likeness)], part.shape, rng)


def full_least(
    search: Search, likeness: Likeness, part: Mask, rng: np.random.Generator, places: int = 200
) -> float:
    """The least difference of a search without a coarse look, to measure it by: every variation at
    full size at ``places`` random places, and the best of all moved on."""
    compared: list[_Compared] = []
    for variation in search.variations():
        room = np.array(part.shape) - variation.mask.shape + 1
        if room.min() > 0:
            corners = np.stack([rng.integers(0, length, places) for length in room], axis=1)
            corners = corners[_allowed(variation.mask, corners, part)]
            compared.append(_compare(variation, corners, likeness))
    if not compared:
        return math.inf
    differences = np.concatenate([entry.differences for entry in compared])
    best = np.zeros(len(differences), np.bool_)
    best[np.argsort(differences, kind="stable")[:_STARTS]] = True
    least = float(differences.min(initial=np.inf))
    first = 0
    for entry in compared:
        starts = entry.corners[best[first : first + len(entry.corners)]]
        first += len(entry.corners)
        step = search.around.reach
        moved = _moved(entry.variation, starts, likeness, part, step)
        least = min(least, float(moved.differences.min(initial=np.inf)))
    return least


def drawn_place(
    compared: Sequence[_Compared], shape: tuple[int, ...], rng: np.random.Generator
) -> Placed | None:
    """One of the places that are as good as the best (:meth:`Template.alike`); None: there are no
    places."""
    compared = [places for places in compared if len(places.corners)]
    if not compared:
        return None
    least = min(float(places.differences.min()) for places in compared)
    alike: list[tuple[Variation, NDArray[np.int64], float]] = []
    for places in compared:
        wanted = places.variation.wanted
        limit = wanted.alike(least) if wanted else least
        for number in np.flatnonzero(places.differences <= limit).tolist():
            place = (places.variation, places.corners[number], float(places.differences[number]))
            alike.append(place)
    return _placed(shape, *alike[int(rng.integers(len(alike)))])


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
