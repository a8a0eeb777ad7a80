"""Which good picture gets which mask.

Ready masks lie on their own pictures. Masks of a library choose their pictures
(:mod:`bgdefect_core.placement.choosing`): pair p follows from the seed, the inputs and the pairs
before it, so that a run can be resumed and extended.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from bgdefect_core.errors import BGDefectError, DataError, SettingError
from bgdefect_core.jobs import Job
from bgdefect_core.pictures.mask_reading import read_mask
from bgdefect_core.pictures.masks import Mask, separate_defects
from bgdefect_core.pictures.picture import Picture, Pixels
from bgdefect_core.placement.choosing import Choice, Chooser
from bgdefect_core.placement.directions import settled
from bgdefect_core.placement.part import PartKind, part_kind
from bgdefect_core.placement.placing import MaskLibrary, Placed, place_one
from bgdefect_core.placement.settings import PlacementSettings
from bgdefect_core.placement.surroundings import Likeness
from bgdefect_core.weights.info import ClassWeightsInfo

from .choice_file import ChoiceFile
from .config import GenerateConfig
from .good_files import GoodFiles
from .sources import ExampleSources, Sources, sources_in_folders, sources_of_examples

log = logging.getLogger(__name__)

_PARTS_COMPARED = 8
"""Good pictures that decide on the kind of part."""
_CHECKED = 64
"""Good pictures that are read before a run with a library of masks begins; others are read when a
mask looks at them."""
_PROBLEMS_SHOWN = 5
_PLACE = 5
"""What a random stream of the run is for, beside those of choosing."""


@dataclass(frozen=True)
class Pair:
    """A good picture and its mask."""

    index: int
    source: Path
    job: Job | None
    """None where no mask could be placed."""
    origin: dict[str, Any]
    """Where the mask came from, as plain JSON; ``missed`` names the real masks that could not be
    placed, by picture."""


class Pairs:
    """The pairs of one run.

    Args:
        sources: good pictures and masks.
        seed: of the run.
        part: where new masks may lie; "auto" is settled by :meth:`validate`.
        placement: how far new masks may differ from the real ones.
    """

    def __init__(
        self, sources: Sources, seed: int, part: PartKind, placement: PlacementSettings
    ) -> None:
        self.sources = sources
        self.placement = placement
        """With the ranges of turns and mirrors settled, after :meth:`validate`."""
        self.goods = GoodFiles(sources.good, part, sources.allowed, sources.forbidden)
        self.chooser: Chooser | None = None
        """After :meth:`validate`, where there is a library."""
        self._seed = seed
        self._file: ChoiceFile | None = None
        self._last: tuple[tuple[int, int, int], Placed | None] | None = None

    @property
    def part(self) -> PartKind:
        """Where new masks may lie; after :meth:`validate` never "auto" where there is a
        library."""
        return self.goods.part

    @property
    def white(self) -> int | None:
        """White level of the 16-bit pictures among the good ones; None: there are none."""
        return self.goods.white

    def validate(self, count: int, apart: bool) -> None:
        """Read files of ``count`` pairs before anything is written, at most ``_CHECKED`` where a
        library's masks choose their pictures; settle the kind of part and the ranges.

        Args:
            count: pairs.
            apart: whether the class was learned on single defects; ready masks of several then
                come out at another scale, which is warned of.

        Raises:
            DataError: naming up to five pictures or masks that cannot be used.
        """
        checked = self._checked(count)
        problems: list[str] = []
        pictures: list[Pixels] = []
        several = 0
        for number in tqdm(checked, desc="reading", unit="picture", leave=False):
            try:
                picture = self.goods.picture(number)
                if self.sources.library is None:
                    defects = separate_defects(self._ready_mask(number, picture))
                    several += apart and len(defects) > 1
            except BGDefectError as error:
                problems.append(str(error))
                continue
            if len(pictures) < _PARTS_COMPARED:
                pictures.append(picture.eight_bit())
        if problems:
            lines = [f"{len(problems)} of {len(checked)} pictures cannot be used:"]
            lines += problems[:_PROBLEMS_SHOWN]
            if len(problems) > _PROBLEMS_SHOWN:
                lines.append(f"and {len(problems) - _PROBLEMS_SHOWN} more")
            raise DataError("\n  ".join(lines))
        if several:
            log.warning(
                "%d of %d masks show defects far from each other, which share one coarse square. "
                "Paint them one after the other, each run on the results of the last, to get the "
                "scale that was learned",
                several,
                len(checked),
            )
        library = self.sources.library
        if library is not None:
            self._settle(library, pictures)

    def _settle(self, library: MaskLibrary, pictures: list[Pixels]) -> None:
        """Settle the kind of part and the ranges; get ready to choose."""
        if self.part == "auto":
            self.goods.part = part_kind(pictures)
            names = {"object": "an object on a tray", "texture": "a texture"}
            log.info("the part is taken for %s", names[self.goods.part])
        self.placement, reason = settled(self.placement, library.patches, pictures)
        log.info(
            "new masks are turned by up to %.0f degrees and %s: %s",
            self.placement.rotate or 0,
            "mirrored" if self.placement.flip else "not mirrored",
            reason,
        )
        self.chooser = Chooser(library, self.goods, self.placement, self._seed, self._fits)
        if self.chooser.without_contrast:
            log.warning(
                "%d of %d masks are not used, since their defect has the colour of what is around "
                "it: %s",
                len(self.chooser.without_contrast),
                len(library.names),
                ", ".join(self.chooser.without_contrast[:_PROBLEMS_SHOWN]),
            )

    def recall(self, file: ChoiceFile) -> None:
        """Take over the choices of an earlier start of the run."""
        if self.chooser is not None:
            self.chooser.restore(file.read())

    def remember(self, file: ChoiceFile) -> None:
        """Take over the choices of an earlier start of the run, and write further ones there.

        Raises:
            OutputError: the file cannot be written.
        """
        if self.chooser is not None:
            self.recall(file)
            file.write(self.chooser.choices)
            self._file = file

    def left_out(self) -> tuple[str, ...]:
        """Good pictures and masks that are not used, with the reasons, as "file: reason"."""
        chooser = self.chooser
        if chooser is None:
            return ()
        lines: list[str] = []
        for number, reason in sorted(chooser.unusable.items()):
            lines.append(f"{self.sources.good[number]}: {reason}")
        for name in chooser.without_contrast:
            lines.append(f"{name}: no contrast with its surroundings")
        return tuple(lines)

    def files(self, count: int) -> dict[str, Path]:
        """The files that ``count`` pairs are made from, as far as they are read beforehand."""
        return self.sources.files({self.sources.good[number] for number in self._checked(count)})

    def __getitem__(self, index: int) -> Pair:
        """Pair ``index``, 0 upwards without end; after ``validate``.

        Raises:
            DataError: a file can no longer be read.
        """
        library = self.sources.library
        if library is not None and self.chooser is not None:
            return self._placed_pair(self.chooser, library, index)
        number = self._turn(index)
        source, picture = self.sources.good[number], self.goods.picture(number)
        mask = self._ready_mask(number, picture)
        origin = {"kind": "file", "file": os.path.abspath(self.sources.masks[source])}
        return Pair(index, source, Job(picture, (mask,)), origin)

    def _placed_pair(self, chooser: Chooser, library: MaskLibrary, index: int) -> Pair:
        """A pair whose mask is a variation of a real one, placed on the picture that it chose."""
        before = len(chooser.choices)
        choice = chooser[index]
        if self._file is not None:
            self._file.add(chooser.choices[before:])
        source = self.sources.good[choice.picture]
        missed = self._missed(library, choice)
        placed = None
        if choice.mask is not None:
            placed = self._place(index, choice.mask, choice.picture)
        if choice.mask is None or placed is None:
            return Pair(index, source, None, {"kind": "none", "missed": missed})
        origin = {
            "kind": "placed",
            "made_from": library.names[choice.mask],
            "file": os.path.abspath(library.origins[choice.mask]),
            "missed": missed,
            "difference": placed.difference,
            "pictures_compared": choice.looked,
        }
        around = library.surroundings[choice.mask]
        picture = self.goods.picture(choice.picture)
        exemplars = () if placed.exemplar is None else (placed.exemplar,)
        return Pair(index, source, Job(picture, (placed.mask,), around, exemplars), origin)

    def _missed(self, library: MaskLibrary, choice: Choice) -> dict[str, list[str]]:
        """The masks that fit nowhere on the pictures that were tried, by picture."""
        missed: dict[str, list[str]] = {}
        for picture, mask in choice.missed:
            names = missed.setdefault(str(self.sources.good[picture]), [])
            names.append(library.names[mask])
        return missed

    def _fits(self, pair: int, mask: int, picture: int) -> bool:
        return self._place(pair, mask, picture) is not None

    def _place(self, pair: int, mask: int, picture: int) -> Placed | None:
        """A pair's mask on a picture; None where it fits nowhere."""
        key = (pair, mask, picture)
        if self._last is None or self._last[0] != key:
            self._last = (key, self._search_place(pair, mask, picture))
        return self._last[1]

    def _search_place(self, pair: int, mask: int, picture: int) -> Placed | None:
        library, chooser = self.sources.library, self.chooser
        if library is None or chooser is None:
            return None
        return place_one(
            library.patches[mask],
            chooser.search(pair, mask),
            self.goods.part_of(picture),
            np.random.default_rng((self._seed, pair, mask, _PLACE)),
            self.placement,
            Likeness(self.goods.picture(picture).eight_bit()),
        )

    def _checked(self, count: int) -> list[int]:
        """Numbers of the good pictures that are read beforehand."""
        if self.sources.library is None:
            return sorted({self._turn(index) for index in range(count)})
        total = len(self.sources.good)
        order = np.random.default_rng((self._seed, _PLACE)).permutation(total)
        return sorted(order[:_CHECKED].tolist())

    def _turn(self, index: int) -> int:
        """The good picture of a pair with a ready mask: every picture is used once before any is
        used again; each time round in another order."""
        total = len(self.sources.good)
        turn, place = divmod(index, total)
        order = np.random.default_rng((self._seed, turn, 1)).permutation(total)
        return int(order[place])

    def _ready_mask(self, number: int, picture: Picture) -> Mask:
        source = self.sources.good[number]
        mask, values = self.sources.masks[source], self.sources.values
        return read_mask(mask, picture.size, values=values, picture=source)


def open_pairs(
    config: GenerateConfig, info: ClassWeightsInfo, examples: ExampleSources | None = None
) -> Pairs:
    """The pairs of a run, validated.

    Args:
        config: settings of the run; its folders of pictures and masks are not read where examples
            are given.
        info: of the class weights.
        examples: good pictures and real defects.

    Raises:
        BGDefectError: as :func:`sources_in_folders` and :meth:`Pairs.validate`.
    """
    if examples is None:
        sources = sources_in_folders(config, info)
    else:
        sources = sources_of_examples(examples, info)
    if sources.library is not None:
        total = len(sources.mask_names)
        known = sources.known_surroundings
        log.info("%d of %d masks have their picture", known, total)
        _check_exemplars(config, known, total)
    pairs = Pairs(sources, config.seed, config.part, config.placement)
    pairs.validate(config.plan.pairs, apart=info.zoom != "whole")
    return pairs


def _check_exemplars(config: GenerateConfig, known: int, total: int) -> None:
    """Refuse, or warn of, a start from real defects whose pictures are not known.

    Raises:
        SettingError: none is known, or the placement compares no places.
    """
    if not config.paint.starting.uses_real:
        return
    compared = config.placement.variations > 0
    if not known or not compared:
        came = "no mask has its picture" if compared else "no variations are compared"
        raise SettingError(
            f"a start from real defects, but {came}",
            "the pictures of the real defects beside their masks, and at least 1 variation",
            "start from noise, or give ground_truth/DEFECT beside test/DEFECT",
        )
    if known < total:
        log.warning(
            "samples of %d masks start from noise: the pictures of their real defects are not "
            "known",
            total - known,
        )
