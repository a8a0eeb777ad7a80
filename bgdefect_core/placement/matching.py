"""The picture that a mask takes among several (docs/method.md, choice 16): the first that comes
near enough to the surroundings of its real defect, by the coarse look of :mod:`coarse`, else the
nearest.

Near enough is as good as the best of a few pictures, looked at once for each mask. Always taking
the nearest would use the same few places of a defect that fits nearly anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Protocol

import numpy as np

from .coarse import CoarsePicture, CoarsePlaces, Grid
from .library import MaskLibrary
from .search import Search, search_of
from .settings import PlacementSettings
from .surroundings import Surroundings

JUDGED = 8
"""Variations that judge how near a picture comes; all of them look for the place on it."""
_PILOTS = 12
"""Pictures from which a mask learns how near its places come; as good as their best is near
enough (:meth:`Surroundings.alike`)."""
_LIMIT, _VARIATIONS = 3, 4
"""What a random stream of the run is for; :mod:`choosing` has 1 and 2."""


class GoodPictures(Protocol):
    """What choosing sees of the good pictures, by their numbers; the trainer reads files for it."""

    def __len__(self) -> int:
        """How many there are."""

    def unusable(self, number: int) -> str:
        """Why a picture cannot be used at all; "" where it can."""

    def shape(self, number: int) -> tuple[int, int]:
        """Rows and columns in pixels, of a usable picture."""

    def coarse(self, number: int, grid: Grid) -> CoarsePicture:
        """A usable picture on a grid."""


Fits = Callable[[int, int, int], bool]
"""(pair, mask, picture) -> whether the mask can be placed there at full size."""


@dataclass(frozen=True)
class _Looked:
    """A candidate picture as a mask sees it."""

    picture: int
    difference: float | None = None
    """Least difference of the coarse look; None: not compared, or no variation fits."""
    near: bool = False
    """Whether that is near enough to the mask's real surroundings."""

    def order(self) -> float:
        """The nearest comes first."""
        return inf if self.difference is None else self.difference


@dataclass(frozen=True)
class Match:
    """The picture that a mask takes."""

    chosen: _Looked | None
    """None: the mask fits in none."""
    looked: int
    """Pictures that were looked at."""
    misfits: Sequence[int] = ()
    """Pictures in which the mask was found to fit nowhere."""
    suits: bool = True
    """Whether the defect does there what the real ones do."""


class Matcher:
    """Looks for the picture of a mask.

    Args:
        library: real masks with their surroundings.
        pictures: the good pictures.
        settings: of placement, with ranges settled.
        seed: of the run.
        fits: the last word on a place.
        suits: whether the defect does at its place what the real ones do.
    """

    def __init__(
        self,
        library: MaskLibrary,
        pictures: GoodPictures,
        settings: PlacementSettings,
        seed: int,
        fits: Fits,
        suits: Fits = lambda pair, mask, picture: True,
    ) -> None:
        self.library = library
        self.pictures = pictures
        self.settings = settings
        self.seed = seed
        self._fits = fits
        self._suits = suits
        self._limits: dict[int, float] = {}
        self._last: tuple[tuple[int, int], Search | None] | None = None

    def search(self, pair: int, mask: int) -> Search | None:
        """The variations of a pair's mask; None where its surroundings are not known, or not to be
        compared."""
        if self._last is None or self._last[0] != (pair, mask):
            rng = np.random.default_rng((self.seed, pair, mask, _VARIATIONS))
            search = search_of(self.library.masks[mask], rng, self.settings)
            self._last = ((pair, mask), search)
        return self._last[1]

    def match(self, pair: int, mask: int, candidates: Sequence[int]) -> Match:
        """The picture of a mask: the first that is near enough, fits and suits, else the nearest
        that fits and suits, else the nearest that fits."""
        looked: list[_Looked] = []
        for candidate in self._looks(pair, mask, candidates):
            looked.append(candidate)
            picture = candidate.picture
            if candidate.near and self._fits(pair, mask, picture):
                if self._suits(pair, mask, picture):
                    return Match(candidate, len(looked))
        misfits: list[int] = []
        unsuited: _Looked | None = None
        for candidate in sorted(looked, key=_Looked.order):
            if not self._fits(pair, mask, candidate.picture):
                misfits.append(candidate.picture)
            elif self._suits(pair, mask, candidate.picture):
                return Match(candidate, len(looked), misfits)
            else:
                unsuited = unsuited or candidate
        return Match(unsuited, len(looked), misfits, suits=False)

    def _looks(self, pair: int, mask: int, candidates: Iterable[int]) -> Iterator[_Looked]:
        """The candidates as the mask sees them; one by one, since a look takes time."""
        around, search = self.library.masks[mask].surroundings, self.search(pair, mask)
        if around is None or search is None:
            yield from (_Looked(picture) for picture in candidates)
            return
        limit = self._limit(mask, around)
        for picture in candidates:
            least = self._look(search, picture).least
            yield _Looked(picture, least if isfinite(least) else None, least <= limit)

    def _look(self, search: Search, picture: int) -> CoarsePlaces:
        grid = search.templates.grid(self.pictures.shape(picture))
        return search.templates.places(self.pictures.coarse(picture, grid), JUDGED)

    def _limit(self, mask: int, around: Surroundings) -> float:
        """Up to what difference a picture is near enough to a mask's real surroundings."""
        if mask not in self._limits:
            rng = np.random.default_rng((self.seed, mask, _LIMIT))
            search = Search(self.library.masks[mask].patch, around, rng, self.settings)
            leasts: list[float] = []
            for picture in rng.permutation(len(self.pictures))[: 2 * _PILOTS].tolist():
                if len(leasts) < _PILOTS and not self.pictures.unusable(picture):
                    leasts.append(self._look(search, picture).least)
            finite = [least for least in leasts if np.isfinite(least)]
            self._limits[mask] = around.alike(min(finite, default=np.inf))
        return self._limits[mask]
