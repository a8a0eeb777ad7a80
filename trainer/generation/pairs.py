"""Which good picture gets which mask: pair p of a run, as a pure function of the seed and p."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from tqdm import tqdm

from bgdefect_core.errors import BGDefectError, DataError, SettingError
from bgdefect_core.painting import Job
from bgdefect_core.pictures.mask_reading import read_mask
from bgdefect_core.pictures.masks import Mask, separate_defects
from bgdefect_core.pictures.picture import Picture, Pixels
from bgdefect_core.pictures.reading import load_picture, white_level
from bgdefect_core.placement.part import PartKind, part_kind, part_mask
from bgdefect_core.placement.placing import MaskLibrary, place_mask
from bgdefect_core.placement.settings import PlacementSettings
from bgdefect_core.placement.surroundings import Likeness
from bgdefect_core.weights.info import ClassWeightsInfo

from .config import GenerateConfig
from .sources import ExampleSources, Sources, sources_in_folders, sources_of_examples

log = logging.getLogger(__name__)

Array = TypeVar("Array", Picture, Mask)
_PARTS_COMPARED = 8
"""Good pictures that decide on the kind of part."""
_MASKS_TRIED = 3
"""Real masks that are tried on a picture, each with all its variations, before the pair is given
up."""
_MEMORY = 1 << 29
"""Bytes of pictures that are kept, so that most runs read each picture once."""
_PROBLEMS_SHOWN = 5


@dataclass(frozen=True)
class Pair:
    """A good picture and its mask."""

    index: int
    source: Path
    job: Job | None
    """None where no mask could be placed."""
    origin: dict[str, Any]
    """Where the mask came from, as plain JSON; ``missed`` names the real masks that could not be
    placed here."""


class Pairs:
    """The pairs of one run.

    Every picture is used once before any is used again; each time round in another order.

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
        self.part: PartKind = part
        self.white = white_level(sources.good)
        """White level of the 16-bit pictures among the good ones; None: there are none."""
        self._seed = seed
        self._placement = placement
        self._pictures = _Memory[Picture](_MEMORY)
        self._part_masks = _Memory[Mask](_MEMORY)

    def validate(self, count: int, apart: bool) -> None:
        """Read the files of ``count`` pairs before anything is written; settle the kind of part.

        Args:
            count: pairs.
            apart: whether the class was learned on single defects; ready masks of several then
                come out at another scale, which is warned of.

        Raises:
            DataError: naming up to five pictures or masks that cannot be used.
        """
        used = sorted(self._used(count))
        problems: list[str] = []
        pictures: list[Pixels] = []
        several = 0
        for path in tqdm(used, desc="reading", unit="picture", leave=False):
            try:
                picture = self._picture(path)
                if path in self.sources.masks:
                    defects = separate_defects(self._ready_mask(path, picture))
                    several += apart and len(defects) > 1
            except BGDefectError as error:
                problems.append(str(error))
                continue
            if len(pictures) < _PARTS_COMPARED:
                pictures.append(picture.eight_bit())
        if problems:
            lines = [f"{len(problems)} of {len(used)} pictures cannot be used:"]
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
                len(used),
            )
        if self.part == "auto" and self.sources.library is not None:
            self.part = part_kind(pictures)
            names = {"object": "an object on a tray", "texture": "a texture"}
            log.info("the part is taken for %s", names[self.part])

    def files(self, count: int) -> dict[str, Path]:
        """All files that ``count`` pairs are made from."""
        return self.sources.files(self._used(count))

    def __getitem__(self, index: int) -> Pair:
        """Pair ``index``, 0 upwards without end; after ``validate``."""
        source = self._source(index)
        picture = self._picture(source)
        library = self.sources.library
        if library is not None:
            return self._placed(index, source, picture, library)
        mask = self._ready_mask(source, picture)
        origin = {"kind": "file", "file": os.path.abspath(self.sources.masks[source])}
        return Pair(index, source, Job(picture, (mask,)), origin)

    def _placed(self, index: int, source: Path, picture: Picture, library: MaskLibrary) -> Pair:
        """A pair whose mask is a variation of a real one, placed on the part."""
        rng = np.random.default_rng((self._seed, index))
        part = self._part_masks.get(source, lambda: part_mask(picture.eight_bit(), self.part))
        likeness = Likeness(picture.eight_bit())
        missed: list[str] = []
        for number in rng.permutation(len(library.patches))[:_MASKS_TRIED].tolist():
            name = library.names[number]
            around = library.surroundings[number]
            patches = [library.patches[number]]
            placed = place_mask(part, patches, rng, self._placement, [around], likeness)
            if placed is not None:
                file = os.path.abspath(library.origins[number])
                origin = {"kind": "placed", "made_from": name, "file": file, "missed": missed}
                exemplars = () if placed.exemplar is None else (placed.exemplar,)
                job = Job(picture, (placed.mask,), around, exemplars)
                return Pair(index, source, job, origin)
            missed.append(name)
        return Pair(index, source, None, {"kind": "none", "missed": missed})

    def _used(self, count: int) -> set[Path]:
        return {self._source(index) for index in range(count)}

    def _source(self, index: int) -> Path:
        good = self.sources.good
        turn, place = divmod(index, len(good))
        order = np.random.default_rng((self._seed, turn, 1)).permutation(len(good))
        return good[int(order[place])]

    def _picture(self, path: Path) -> Picture:
        return self._pictures.get(path, lambda: load_picture(path, self.white))

    def _ready_mask(self, source: Path, picture: Picture) -> Mask:
        return read_mask(self.sources.masks[source], picture.size, picture=source)


class _Memory(Generic[Array]):
    """Pictures or masks by file, up to a number of bytes; the oldest go first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = 0
        self._arrays: dict[Path, Array] = {}

    def get(self, path: Path, make: Callable[[], Array]) -> Array:
        """The picture or mask of a file; made where it is not there."""
        if path not in self._arrays:
            array = make()
            self._arrays[path] = array
            self._bytes += array.nbytes
            while self._bytes > self._limit and len(self._arrays) > 1:
                oldest = next(iter(self._arrays))
                self._bytes -= self._arrays.pop(oldest).nbytes
        return self._arrays[path]


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
    compared = config.placement.places * config.placement.variations > 1
    if not known or not compared:
        came = "no mask has its picture" if compared else "1 variation and 1 place are compared"
        raise SettingError(
            f"a start from real defects, but {came}",
            "the pictures of the real defects beside their masks, and more than 1 place",
            "start from noise, or give ground_truth/DEFECT beside test/DEFECT",
        )
    if known < total:
        log.warning(
            "samples of %d masks start from noise: the pictures of their real defects are not "
            "known",
            total - known,
        )
