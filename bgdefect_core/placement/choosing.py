"""The good picture is chosen for the mask (docs/method.md, choice 16).

Every real defect fits some good pictures and not others: an open needs a narrow trace. Each mask
therefore looks at several pictures, by the coarse look of :mod:`coarse`, and takes the first that
comes near enough to the real surroundings. Near enough is as good as the best of a few pictures,
looked at once for each mask. Always taking the nearest would use the same few places of a defect
that fits nearly anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf, isfinite
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .coarse import CoarsePicture, CoarsePlaces, Grid
from .placing import MaskLibrary
from .rounds import weighted_round
from .search import Search
from .settings import PlacementSettings
from .surroundings import Surroundings

JUDGED = 8
"""Variations that judge how near a picture comes; all of them look for the place on it."""
_PILOTS = 12
"""Pictures from which a mask learns how near its places come; as good as their best is near
enough (:meth:`Surroundings.alike`)."""
_NO_CONTRAST = 0.02
"""Contrast of a defect, 0..1, that cannot be told from its surroundings."""
_MASKS_TRIED = 3
"""Masks that a pair tries before it is given up; also those that a picture may miss before it is
left out, if it has taken none."""
_ORDER, _PICTURES, _LIMIT, _VARIATIONS = 1, 2, 3, 4
"""What a random stream of the run is for."""


@dataclass(frozen=True)
class Choice:
    """The mask and the good picture of a pair."""

    pair: int
    mask: int | None
    """Number in the library; None where no mask that was tried fits."""
    picture: int
    """Number of the good picture; where no mask fits, one that was looked at."""
    difference: float | None = None
    """Least difference of the coarse look; None: not compared."""
    looked: int = 0
    """Pictures that were looked at."""
    missed: tuple[tuple[int, int], ...] = ()
    """(picture, mask) where the mask fits nowhere."""
    left_out: Mapping[int, str] = field(default_factory=dict)
    """Pictures that are used no more from here on, with the reasons."""

    def as_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "pair": self.pair,
            "mask": self.mask,
            "picture": self.picture,
            "difference": self.difference,
            "looked": self.looked,
            "missed": list(map(list, self.missed)),
            "left_out": {str(number): reason for number, reason in self.left_out.items()},
        }

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Choice:
        """From :meth:`as_json`.

        Raises:
            KeyError, TypeError, ValueError: it is not.
        """
        missed = [(int(picture), int(mask)) for picture, mask in entry["missed"]]
        left_out = {int(number): str(reason) for number, reason in entry["left_out"].items()}
        return cls(
            int(entry["pair"]),
            None if entry["mask"] is None else int(entry["mask"]),
            int(entry["picture"]),
            None if entry["difference"] is None else float(entry["difference"]),
            int(entry["looked"]),
            tuple(missed),
            left_out,
        )


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
class _Candidates:
    """The pictures that a pair looks at."""

    usable: Sequence[int]
    """In the pair's order."""
    left_out: Mapping[int, str]
    """Those that came before and cannot be used, with the reasons."""
    first: int
    """One to name where no mask fits."""


@dataclass(frozen=True)
class _Match:
    """The picture that a mask takes."""

    chosen: _Looked | None
    """None: the mask fits in none."""
    looked: int
    """Pictures that were looked at."""
    misfits: Sequence[int] = ()
    """Pictures in which the mask was found to fit nowhere."""


class Chooser:
    """The choices of a run, one after the other: pair p follows from the seed and the pairs before
    it.

    Args:
        library: real masks with their surroundings.
        pictures: the good pictures.
        settings: of placement, with ranges settled.
        seed: of the run.
        fits: the last word on a place.
        suits: whether the defect does at its place what the real ones do. Where it does so on none
            of the candidates, the next mask is tried; where no mask does, the first that fits is
            taken.
        frequencies: how often each mask is drawn beside the others, above 0; None: all equally.
    """

    def __init__(
        self,
        library: MaskLibrary,
        pictures: GoodPictures,
        settings: PlacementSettings,
        seed: int,
        fits: Fits,
        frequencies: Sequence[float] | None = None,
        suits: Fits = lambda pair, mask, picture: True,
    ) -> None:
        self._library = library
        self._pictures = pictures
        self._settings = settings
        self._seed = seed
        self._fits = fits
        self._suits = suits
        self._frequencies = frequencies
        self._limits: dict[int, float] = {}
        self._last: tuple[tuple[int, int], Search] | None = None
        self._reset()

    def _reset(self) -> None:
        count = len(self._pictures)
        self.choices: list[Choice] = []
        self.uses: NDArray[np.int64] = np.zeros(count, np.int64)
        """How often each picture was chosen."""
        self.left_out: dict[int, str] = {}
        """Pictures that cannot be used, and why."""
        self._misses: NDArray[np.int64] = np.zeros(count, np.int64)

    @property
    def unusable(self) -> dict[int, str]:
        """Pictures that are not used, and why."""
        reasons = dict(self.left_out)
        for number in np.flatnonzero(self._closed()).tolist():
            reasons.setdefault(number, f"none of {_MASKS_TRIED} masks fits on it")
        return reasons

    @property
    def without_contrast(self) -> list[str]:
        """Names of the masks that are left out because they would change nothing that is seen."""
        used = set(self._masks())
        return [name for number, name in enumerate(self._library.names) if number not in used]

    def restore(self, choices: Iterable[Choice]) -> None:
        """Take over the choices of an earlier run with the same seed and inputs, from pair 0 on."""
        self._reset()
        for choice in choices:
            self._take(choice)

    def __getitem__(self, pair: int) -> Choice:
        while len(self.choices) <= pair:
            self._take(self._choose(len(self.choices)))
        return self.choices[pair]

    def _take(self, choice: Choice) -> None:
        self.choices.append(choice)
        self.left_out.update(choice.left_out)
        for picture, _ in choice.missed:
            self._misses[picture] += 1
        if choice.mask is not None:
            self.uses[choice.picture] += 1

    def search(self, pair: int, mask: int) -> Search | None:
        """The variations of a pair's mask; None where its surroundings are not known, or not to be
        compared."""
        around = self._library.surroundings[mask]
        if around is None or self._settings.variations == 0:
            return None
        if self._last is None or self._last[0] != (pair, mask):
            rng = np.random.default_rng((self._seed, pair, mask, _VARIATIONS))
            search = Search(self._library.patches[mask], around, rng, self._settings)
            self._last = ((pair, mask), search)
        return self._last[1]

    def _masks(self) -> list[int]:
        """The masks that are used: all but those without contrast; all where none has any."""
        contrasts = []
        for number, around in enumerate(self._library.surroundings):
            if around is None or around.contrast >= _NO_CONTRAST:
                contrasts.append(number)
        return contrasts or list(range(len(self._library.patches)))

    def _order(self, pair: int) -> list[int]:
        """The masks for a pair: each round uses every mask once, in another order, or as often as
        the frequencies say; others follow, in case it fits nowhere."""
        masks = self._masks()
        turn, place = divmod(pair, len(masks))
        rng = np.random.default_rng((self._seed, turn, _ORDER))
        order: list[int] = rng.permutation(masks).tolist()
        order = order[place:] + order[:place]
        if self._frequencies is not None:
            frequencies = [self._frequencies[mask] for mask in masks]
            drawn = masks[weighted_round(frequencies, rng)[place]]
            order.remove(drawn)
            order.insert(0, drawn)
        return order[:_MASKS_TRIED]

    def _closed(self) -> NDArray[np.bool_]:
        """Pictures that are used no more."""
        closed: NDArray[np.bool_] = (self.uses == 0) & (self._misses >= _MASKS_TRIED)
        closed[list(self.left_out)] = True
        return closed

    def _open(self, pair: int) -> NDArray[np.int64]:
        """Pictures that a pair may use: none more than twice the mean, and one."""
        closed = self._closed()
        usable = max(int((~closed).sum()), 1)
        return np.flatnonzero(~closed & (self.uses + 1 <= 2 * (pair + 1) / usable + 1))

    def _choose(self, pair: int) -> Choice:
        candidates = self._candidates(pair)
        usable, left_out = candidates.usable, candidates.left_out
        missed: list[tuple[int, int]] = []
        unsuited: Choice | None = None
        for mask in self._order(pair) if usable else []:
            match = self._match(pair, mask, usable)
            missed += [(picture, mask) for picture in match.misfits]
            if match.chosen is None:
                continue
            picture, difference = match.chosen.picture, match.chosen.difference
            choice = Choice(pair, mask, picture, difference, match.looked, tuple(missed), left_out)
            if self._suits(pair, mask, picture):
                return choice
            unsuited = unsuited or choice
        if unsuited is not None:
            return replace(unsuited, missed=tuple(missed))
        return Choice(pair, None, candidates.first, None, len(usable), tuple(missed), left_out)

    def _candidates(self, pair: int) -> _Candidates:
        rng = np.random.default_rng((self._seed, pair, _PICTURES))
        order: list[int] = rng.permutation(self._open(pair)).tolist()
        usable: list[int] = []
        left_out: dict[int, str] = {}
        for picture in order:
            if len(usable) == self._settings.candidates:
                break
            reason = self._pictures.unusable(picture)
            if reason:
                left_out[picture] = reason
            else:
                usable.append(picture)
        return _Candidates(usable, left_out, next(iter(usable or order), 0))

    def _match(self, pair: int, mask: int, candidates: Sequence[int]) -> _Match:
        """The picture of a mask: the first that is near enough, fits and suits, else the nearest
        that fits and suits, else the nearest that fits."""
        looked: list[_Looked] = []
        for candidate in self._looks(pair, mask, candidates):
            looked.append(candidate)
            picture = candidate.picture
            if candidate.near and self._fits(pair, mask, picture):
                if self._suits(pair, mask, picture):
                    return _Match(candidate, len(looked))
        misfits: list[int] = []
        unsuited: _Looked | None = None
        for candidate in sorted(looked, key=_Looked.order):
            if not self._fits(pair, mask, candidate.picture):
                misfits.append(candidate.picture)
            elif self._suits(pair, mask, candidate.picture):
                return _Match(candidate, len(looked), misfits)
            else:
                unsuited = unsuited or candidate
        return _Match(unsuited, len(looked), misfits)

    def _looks(self, pair: int, mask: int, candidates: Iterable[int]) -> Iterator[_Looked]:
        """The candidates as the mask sees them; one by one, since a look takes time."""
        around, search = self._library.surroundings[mask], self.search(pair, mask)
        if around is None or search is None:
            yield from (_Looked(picture) for picture in candidates)
            return
        limit = self._limit(mask, around)
        for picture in candidates:
            least = self._look(search, picture).least
            yield _Looked(picture, least if isfinite(least) else None, least <= limit)

    def _look(self, search: Search, picture: int) -> CoarsePlaces:
        grid = search.templates.grid(self._pictures.shape(picture))
        return search.templates.places(self._pictures.coarse(picture, grid), JUDGED)

    def _limit(self, mask: int, around: Surroundings) -> float:
        """Up to what difference a picture is near enough to a mask's real surroundings."""
        if mask not in self._limits:
            rng = np.random.default_rng((self._seed, mask, _LIMIT))
            search = Search(self._library.patches[mask], around, rng, self._settings)
            leasts: list[float] = []
            for picture in rng.permutation(len(self._pictures))[: 2 * _PILOTS].tolist():
                if len(leasts) < _PILOTS and not self._pictures.unusable(picture):
                    leasts.append(self._look(search, picture).least)
            finite = [least for least in leasts if np.isfinite(least)]
            self._limits[mask] = around.alike(min(finite, default=np.inf))
        return self._limits[mask]
