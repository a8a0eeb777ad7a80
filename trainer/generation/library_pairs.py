"""Pairs whose masks are variations of a library's real ones, placed on the pictures that they
choose (:mod:`bgdefect_core.placement.choosing`)."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from bgdefect_core.jobs import Job
from bgdefect_core.placement.choice import PairChoice
from bgdefect_core.placement.choosing import Chooser
from bgdefect_core.placement.library import MaskLibrary
from bgdefect_core.placement.likeness import Likeness
from bgdefect_core.placement.matching import Matcher
from bgdefect_core.placement.placing import Placed, place_one
from bgdefect_core.placement.settings import PlacementSettings
from bgdefect_core.quality.effects import effects_of
from bgdefect_core.quality.place_effect import place_with_effect

from .choice_file import ChoiceFile
from .good_files import GoodFiles
from .pair import Pair

PLACE = 5
"""What a random stream of the run is for, beside those of choosing."""


class LibraryPairs:
    """The pairs of a run with a library of masks. Pair p follows from the seed, the inputs and the
    pairs before it.

    Args:
        library: real masks, with their files as ``origin``.
        goods: the good pictures, with the kind of part settled.
        placement: how far new masks may differ from the real ones, with ranges settled.
        seed: of the run.
        frequencies: how often each mask is drawn beside the others; None: all equally.
    """

    def __init__(
        self,
        library: MaskLibrary,
        goods: GoodFiles,
        placement: PlacementSettings,
        seed: int,
        frequencies: Sequence[float] | None = None,
    ) -> None:
        self._goods = goods
        self._effects = effects_of(library)
        self._matcher = Matcher(library, goods, placement, seed, self._fits, self._suits)
        self._chooser = Chooser(self._matcher, frequencies)
        self._file: ChoiceFile | None = None
        self._places: dict[tuple[int, int, int], tuple[Placed | None, bool]] = {}

    @property
    def without_contrast(self) -> Sequence[str]:
        """Names of the masks that are left out because they would change nothing that is seen."""
        return self._chooser.without_contrast

    @property
    def choices(self) -> list[PairChoice]:
        """The choices so far."""
        return self._chooser.choices

    def restore(self, choices: Sequence[PairChoice]) -> None:
        """Take over choices of this run, from pair 0 on."""
        self._chooser.restore(choices)

    def remember(self, file: ChoiceFile) -> None:
        """Take over the choices of an earlier start of the run, and write further ones there.

        Raises:
            OutputError: the file cannot be written.
        """
        self.restore(file.read())
        file.write(self._chooser.choices)
        self._file = file

    def left_out(self) -> tuple[str, ...]:
        """Good pictures and masks that are not used, with the reasons, as "file: reason"."""
        lines: list[str] = []
        for number, reason in sorted(self._chooser.unusable.items()):
            lines.append(f"{self._goods.paths[number]}: {reason}")
        for name in self.without_contrast:
            lines.append(f"{name}: no contrast with its surroundings")
        return tuple(lines)

    def pair(self, index: int) -> Pair:
        """Pair ``index``, 0 upwards without end.

        Raises:
            PictureError, MaskError: a file can no longer be read.
        """
        choice = self._choice(index)
        source = self._goods.paths[choice.picture]
        missed = self._missed(choice)
        placed = None
        if choice.mask is not None:
            placed, _ = self._place(index, choice.mask, choice.picture)
        if choice.mask is None or placed is None:
            return Pair(index, source, None, {"kind": "none", "missed": missed})
        real = self._matcher.library.masks[choice.mask]
        origin = {
            "kind": "placed",
            "made_from": real.name,
            "file": None if real.origin is None else os.path.abspath(real.origin),
            "missed": missed,
            "difference": placed.difference,
            "pictures_compared": choice.looked,
        }
        if self._chooser.frequencies is not None:
            origin["frequency"] = self._chooser.frequencies[choice.mask]
        picture = self._goods.picture(choice.picture)
        exemplars = () if placed.exemplar is None else (placed.exemplar,)
        job = Job(picture, (placed.mask,), real.surroundings, exemplars)
        return Pair(index, source, job, origin)

    def _choice(self, index: int) -> PairChoice:
        """The choice of a pair; those that are new are written to the file."""
        before = len(self._chooser.choices)
        choice = self._chooser[index]
        if self._file is not None:
            self._file.add(self._chooser.choices[before:])
        return choice

    def _missed(self, choice: PairChoice) -> dict[str, list[str]]:
        """The masks that fit nowhere on the pictures that were tried, by picture."""
        missed: dict[str, list[str]] = {}
        for picture, mask in choice.missed:
            names = missed.setdefault(str(self._goods.paths[picture]), [])
            names.append(self._matcher.library.masks[mask].name)
        return missed

    def _fits(self, pair: int, mask: int, picture: int) -> bool:
        return self._place(pair, mask, picture)[0] is not None

    def _suits(self, pair: int, mask: int, picture: int) -> bool:
        return self._place(pair, mask, picture)[1]

    def _place(self, pair: int, mask: int, picture: int) -> tuple[Placed | None, bool]:
        """A pair's mask on a picture, None where it fits nowhere; and whether the real defect has
        the class's effect there. Places of another pair are forgotten."""
        key = (pair, mask, picture)
        if key not in self._places:
            if self._places and next(iter(self._places))[0] != pair:
                self._places.clear()
            self._places[key] = self._search_place(pair, mask, picture)
        return self._places[key]

    def _search_place(self, pair: int, mask: int, picture: int) -> tuple[Placed | None, bool]:
        """As :meth:`_place`, anew."""
        search = self._matcher.search(pair, mask)
        coarse = None
        if search is not None:  # the chooser has looked at this picture on the same grid
            grid = search.templates.grid(self._goods.shape(picture))
            coarse = self._goods.coarse(picture, grid)
        good = self._goods.picture(picture)
        likeness = Likeness(good.eight_bit())

        def draw(attempt: int) -> Placed | None:
            return place_one(
                self._matcher.library.masks[mask].patch,
                search,
                self._goods.part_of(picture),
                np.random.default_rng((self._matcher.seed, pair, mask, PLACE, attempt)),
                self._matcher.settings,
                likeness,
                coarse,
            )

        return place_with_effect(draw, good, self._effects)
