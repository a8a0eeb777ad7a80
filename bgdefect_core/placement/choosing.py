"""The good picture is chosen for the mask (docs/method.md, choice 16).

Every real defect fits some good pictures and not others: an open needs a narrow trace. Each mask
therefore looks at several pictures (:mod:`matching`), which are drawn here: none is used much more
often than the others, and what fits nowhere is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .choice import PairChoice
from .matching import Matcher
from .rounds import weighted_round

_NO_CONTRAST = 0.02
"""Contrast of a defect, 0..1, that cannot be told from its surroundings."""
_MASKS_TRIED = 3
"""Masks that a pair tries before it is given up; also those that a picture may miss before it is
left out, if it has taken none."""
_ORDER, _PICTURES = 1, 2
"""What a random stream of the run is for; :mod:`matching` has 3 and 4."""


@dataclass(frozen=True)
class _Candidates:
    """The pictures that a pair looks at."""

    usable: Sequence[int]
    """In the pair's order."""
    left_out: Mapping[int, str]
    """Those that came before and cannot be used, with the reasons."""
    first: int
    """One to name where no mask fits."""


class Chooser:
    """The choices of a run, one after the other: pair p follows from the seed and the pairs before
    it.

    Args:
        matcher: looks for the picture of a mask. Where the defect suits none of the candidates, the
            next mask is tried; where no mask suits, the first that fits is taken.
        frequencies: how often each mask is drawn beside the others, above 0; None: all equally.
    """

    def __init__(self, matcher: Matcher, frequencies: Sequence[float] | None = None) -> None:
        self.matcher = matcher
        self.frequencies = frequencies
        self._reset()

    def _reset(self) -> None:
        count = len(self.matcher.pictures)
        self.choices: list[PairChoice] = []
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
        names = self.matcher.library.names
        return [name for number, name in enumerate(names) if number not in used]

    def restore(self, choices: Iterable[PairChoice]) -> None:
        """Take over the choices of an earlier run with the same seed and inputs, from pair 0 on."""
        self._reset()
        for choice in choices:
            self._take(choice)

    def __getitem__(self, pair: int) -> PairChoice:
        while len(self.choices) <= pair:
            self._take(self._choose(len(self.choices)))
        return self.choices[pair]

    def _take(self, choice: PairChoice) -> None:
        self.choices.append(choice)
        self.left_out.update(choice.left_out)
        for picture, _ in choice.missed:
            self._misses[picture] += 1
        if choice.mask is not None:
            self.uses[choice.picture] += 1

    def _masks(self) -> list[int]:
        """The masks that are used: all but those without contrast; all where none has any."""
        masks = self.matcher.library.masks
        contrasts = []
        for number, mask in enumerate(masks):
            around = mask.surroundings
            if around is None or around.contrast >= _NO_CONTRAST:
                contrasts.append(number)
        return contrasts or list(range(len(masks)))

    def _order(self, pair: int) -> list[int]:
        """The masks for a pair: each round uses every mask once, in another order, or as often as
        the frequencies say; others follow, in case it fits nowhere."""
        masks = self._masks()
        turn, place = divmod(pair, len(masks))
        rng = np.random.default_rng((self.matcher.seed, turn, _ORDER))
        order: list[int] = rng.permutation(masks).tolist()
        order = order[place:] + order[:place]
        if self.frequencies is not None:
            frequencies = [self.frequencies[mask] for mask in masks]
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

    def _choose(self, pair: int) -> PairChoice:
        candidates = self._candidates(pair)
        usable, left_out = candidates.usable, candidates.left_out
        missed: list[tuple[int, int]] = []
        unsuited: PairChoice | None = None
        for mask in self._order(pair) if usable else []:
            match = self.matcher.match(pair, mask, usable)
            missed += [(picture, mask) for picture in match.misfits]
            if match.chosen is None:
                continue
            chosen = match.chosen
            choice = PairChoice(
                pair, mask, chosen.picture, chosen.difference, match.looked, tuple(missed), left_out
            )
            if match.suits:
                return choice
            unsuited = unsuited or choice
        if unsuited is not None:
            return replace(unsuited, missed=tuple(missed))
        return PairChoice(pair, None, candidates.first, None, len(usable), tuple(missed), left_out)

    def _candidates(self, pair: int) -> _Candidates:
        rng = np.random.default_rng((self.matcher.seed, pair, _PICTURES))
        order: list[int] = rng.permutation(self._open(pair)).tolist()
        usable: list[int] = []
        left_out: dict[int, str] = {}
        for picture in order:
            if len(usable) == self.matcher.settings.candidates:
                break
            reason = self.matcher.pictures.unusable(picture)
            if reason:
                left_out[picture] = reason
            else:
                usable.append(picture)
        return _Candidates(usable, left_out, next(iter(usable or order), 0))
