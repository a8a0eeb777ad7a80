"""The search for places of one real mask, whose surroundings are known, on any number of pictures.

First all places of all variations on coarse cells (:mod:`coarse`). Then a few variations are made
at full size, and compared by :meth:`Likeness.difference`: the best places are moved to where they
fit better still, and some that seem as good are drawn at random, so that a mask that fits nearly
anywhere goes anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..pictures.masks import Mask
from ..pictures.picture import Pixels
from .coarse import CoarsePicture, CoarsePlaces, CoarseTemplates
from .library import RealMask
from .likeness import Likeness
from .places import (
    Compared,
    Placed,
    compared_around,
    compared_at,
    drawn_place,
    moved_on,
    on_part,
)
from .settings import PlacementSettings
from .surroundings import Surroundings
from .variation import Variation, changed, draw_change

_STARTS, _EACH, _BUILT = 8, 2, 5
"""Best places that are moved to better ones: in all, of a variation, and of how many variations at
most; a variation is made at full size for it."""
_DRAWN, _OTHERS = 24, 3
"""Places as good as the best that are drawn, and of how many variations at most."""
Middles = NDArray[np.float64]
"""``[N, 2]``: row and column in pixels of a mask's middle."""


def search_of(
    real: RealMask, rng: np.random.Generator, settings: PlacementSettings
) -> Search | None:
    """The variations of a real mask; None where its surroundings are not known, or not to be
    compared. Arguments as of :class:`Search`."""
    if real.surroundings is None or settings.variations == 0:
        return None
    return Search(real.patch, real.surroundings, rng, settings)


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

    def shrunk(self, picture: Pixels, part: Mask) -> CoarsePicture:
        """A picture as the coarse look reads it.

        Args:
            picture: uint8 ``[H, W, 3]``. part: bool ``[H, W]``, where the mask may lie.
        """
        height, width = part.shape
        return CoarsePicture(picture, part, self.templates.grid((height, width)))

    def look(self, picture: CoarsePicture) -> CoarsePlaces:
        """The coarse look at a picture, on the grid of these templates."""
        return self.templates.places(picture)

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
        for number, middles in self._drawn(places, rng):
            compared.append(compared_around(self._variation(number), middles, likeness, part))
        return drawn_place(compared, part.shape, rng)

    def nearest(self, places: CoarsePlaces, likeness: Likeness, part: Mask) -> float:
        """The least difference at full size of the places that are moved on; infinite where none
        is left. The arguments are those of :meth:`place`."""
        least = math.inf
        for compared in self._moved_starts(places, likeness, part):
            least = min(least, compared.least)
        return least

    def _moved_starts(self, places: CoarsePlaces, likeness: Likeness, part: Mask) -> list[Compared]:
        compared: list[Compared] = []
        for number, middles in self._starts(places):
            starts = compared_around(self._variation(number), middles, likeness, part)
            compared.append(moved_on(starts, likeness, part, places.cell))
        return compared

    def variations(self) -> list[Variation]:
        """All of them, at full size."""
        return [self._variation(number) for number in range(len(self._changes))]

    def _variation(self, number: int) -> Variation:
        if number not in self._built:
            self._built[number] = changed(self._patch, self._changes[number], self.around)
        return self._built[number]

    def _starts(self, places: CoarsePlaces) -> list[tuple[int, Middles]]:
        """The best places, by variation; those of one are more than a cell apart."""
        flat = places.differences.ravel()
        count = min(16 * _STARTS, flat.size)
        best = np.argpartition(flat, count - 1)[:count]
        best = best[np.argsort(flat[best], kind="stable")]
        chosen: dict[int, list[NDArray[np.float64]]] = {}
        total = 0
        for index in best[np.isfinite(flat[best])].tolist():
            number, middle = _middle(places, index)
            middles = chosen.get(number, [])
            full = len(chosen) == _BUILT and number not in chosen
            if full or len(middles) == _EACH or _is_near(middle, middles, places.cell):
                continue
            chosen.setdefault(number, []).append(middle)
            total += 1
            if total == _STARTS:
                break
        return [(number, np.array(middles)) for number, middles in chosen.items()]

    def _drawn(self, places: CoarsePlaces, rng: np.random.Generator) -> list[tuple[int, Middles]]:
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


def _is_near(
    middle: NDArray[np.float64], middles: Sequence[NDArray[np.float64]], cell: int
) -> bool:
    """Whether a middle lies within a cell of one of the others."""
    return any(np.abs(middle - chosen).max() <= cell for chosen in middles)


def _middle(places: CoarsePlaces, index: int) -> tuple[int, NDArray[np.float64]]:
    """Variation, and row and column in pixels of the mask's middle, of a place by its number."""
    _, rows, columns = places.differences.shape
    number, place = divmod(index, rows * columns)
    steps = np.array(divmod(place, columns)) * places.cell
    return number, places.centres[number] + steps


def full_least(
    search: Search, likeness: Likeness, part: Mask, rng: np.random.Generator, places: int = 200
) -> float:
    """The least difference of a search without a coarse look, to measure it by: every variation at
    full size at ``places`` random places, and the best of all moved on."""
    compared: list[Compared] = []
    for variation in search.variations():
        rows, columns = np.array(part.shape) - variation.mask.shape + 1
        if min(rows, columns) > 0:
            top, left = rng.integers(0, rows, places), rng.integers(0, columns, places)
            corners = np.stack([top, left], axis=1)
            corners = corners[on_part(variation.mask, corners, part)]
            compared.append(compared_at(variation, corners, likeness))
    least = math.inf
    for starts in _best_starts(compared):
        moved = moved_on(starts, likeness, part, search.around.reach)
        least = min(least, starts.least, moved.least)
    return least


def _best_starts(compared: Sequence[Compared]) -> list[Compared]:
    """The best places of all, by variation."""
    if not compared:
        return []
    differences = np.concatenate([places.differences for places in compared])
    best = np.zeros(len(differences), np.bool_)
    best[np.argsort(differences, kind="stable")[:_STARTS]] = True
    starts: list[Compared] = []
    first = 0
    for places in compared:
        chosen = best[first : first + len(places.corners)]
        first += len(places.corners)
        starts.append(
            Compared(places.variation, places.corners[chosen], places.differences[chosen])
        )
    return starts
