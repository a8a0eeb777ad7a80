"""Which good picture gets which mask.

Ready masks lie on their own pictures. Masks of a library choose their pictures
(:mod:`library_pairs`). Pair p follows from the seed, the inputs and the pairs before it, so that a
run can be resumed and extended.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from bgdefect_core.errors import BGDefectError, DataError, SettingError
from bgdefect_core.jobs import Job
from bgdefect_core.method.start import StartName
from bgdefect_core.pictures.mask_reading import read_mask
from bgdefect_core.pictures.masks import Mask, separate_defects
from bgdefect_core.pictures.picture import Picture, Pixels
from bgdefect_core.placement.choice import PairChoice
from bgdefect_core.placement.directions import settled
from bgdefect_core.placement.library import MaskLibrary
from bgdefect_core.placement.part import PartKind, part_kind
from bgdefect_core.placement.settings import PlacementSettings
from bgdefect_core.weights.info import ClassWeightsInfo

from .choice_file import ChoiceFile
from .config import GenerateConfig
from .good_files import GoodFiles
from .library_pairs import PLACE, LibraryPairs
from .pair import Pair
from .sources import ExampleSources, Sources, sources_in_folders, sources_of_examples

log = logging.getLogger(__name__)

_PARTS_COMPARED = 8
"""Good pictures that decide on the kind of part."""
_CHECKED = 64
"""Good pictures that are read before a run with a library of masks begins; others are read when a
mask looks at them."""
_PROBLEMS_SHOWN = 5


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
        self._placed: LibraryPairs | None = None
        """After :meth:`validate`, where there is a library."""
        self._seed = seed

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
            raise DataError(_problem_text(problems, len(checked)))
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
        more_like = self.sources.more_like
        frequencies = None if more_like is None else more_like.frequencies
        self._placed = LibraryPairs(library, self.goods, self.placement, self._seed, frequencies)
        without_contrast = self._placed.without_contrast
        if without_contrast:
            log.warning(
                "%d of %d masks are not used, since their defect has the colour of what is around "
                "it: %s",
                len(without_contrast),
                len(library.masks),
                ", ".join(without_contrast[:_PROBLEMS_SHOWN]),
            )

    @property
    def choices(self) -> list[PairChoice]:
        """The choices so far; none where masks are ready."""
        return [] if self._placed is None else self._placed.choices

    def restore(self, choices: Sequence[PairChoice]) -> None:
        """Take over choices of this run, from pair 0 on, in place of those that were made here."""
        if self._placed is not None:
            self._placed.restore(choices)

    def recall(self, file: ChoiceFile) -> None:
        """Take over the choices of an earlier start of the run."""
        self.restore(file.read())

    def remember(self, file: ChoiceFile) -> None:
        """Take over the choices of an earlier start of the run, and write further ones there.

        Raises:
            OutputError: the file cannot be written.
        """
        if self._placed is not None:
            self._placed.remember(file)

    def left_out(self) -> tuple[str, ...]:
        """Good pictures and masks that are not used, with the reasons, as "file: reason"."""
        return () if self._placed is None else self._placed.left_out()

    def files(self, count: int) -> dict[str, Path]:
        """The files that ``count`` pairs are made from, as far as they are read beforehand."""
        return self.sources.files({self.sources.good[number] for number in self._checked(count)})

    def __getitem__(self, index: int) -> Pair:
        """Pair ``index``, 0 upwards without end; after ``validate``.

        Raises:
            DataError: a file can no longer be read.
        """
        if self._placed is not None:
            return self._placed.pair(index)
        number = self._turn(index)
        source, picture = self.sources.good[number], self.goods.picture(number)
        mask = self._ready_mask(number, picture)
        origin = {"kind": "file", "file": os.path.abspath(self.sources.masks[source])}
        return Pair(index, source, Job(picture, (mask,)), origin)

    def _checked(self, count: int) -> list[int]:
        """Numbers of the good pictures that are read beforehand."""
        if self.sources.library is None:
            return sorted({self._turn(index) for index in range(count)})
        total = len(self.sources.good)
        order = np.random.default_rng((self._seed, PLACE)).permutation(total)
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


def _problem_text(problems: Sequence[str], checked: int) -> str:
    """What is wrong with files of a run, the first few of them."""
    lines = [f"{len(problems)} of {checked} pictures cannot be used:", *problems[:_PROBLEMS_SHOWN]]
    if len(problems) > _PROBLEMS_SHOWN:
        lines.append(f"and {len(problems) - _PROBLEMS_SHOWN} more")
    return "\n  ".join(lines)


def start_in_use(config: GenerateConfig, sources: Sources) -> tuple[StartName, ...]:
    """Where samples start, with what auto comes to for these sources."""
    known = sources.known_surroundings > 0 and config.placement.variations > 0
    return config.paint.starting.settled(known)


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
    """Refuse, or tell of, a start from real defects whose pictures are not known.

    Raises:
        SettingError: none is known, or the placement compares no places, and the settings demand
            them.
    """
    starting = config.paint.starting
    if not starting.uses_real:
        return
    compared = config.placement.variations > 0
    if not known or not compared:
        came = "no mask has its picture" if compared else "no variations are compared"
        if not starting.demands_real:
            log.warning("samples start from noise: %s", came)
            return
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
