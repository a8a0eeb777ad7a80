"""Which good picture gets which mask: pair p of a run, as a pure function of the seed and p."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from bgdefect_core.errors import BGDefectError, DataError
from bgdefect_core.painting import Job
from bgdefect_core.paths import system_errors
from bgdefect_core.pictures.files import Picture, read_mask, read_picture
from bgdefect_core.pictures.mask_files import (
    find_library,
    held_out_masks,
    masks_by_name,
    pictures_beside,
    read_library,
)
from bgdefect_core.pictures.masks import Mask, separate_defects
from bgdefect_core.placement.part import PartKind, part_kind, part_mask
from bgdefect_core.placement.placing import MaskLibrary, place_mask
from bgdefect_core.placement.surroundings import Likeness
from bgdefect_core.weights.info import ClassWeightsInfo

from ..data.layouts import good_pictures
from ..training.run_folder import RunFolder
from .config import GenerateConfig

log = logging.getLogger(__name__)

_PARTS_SEEN = 8
_MASKS_TRIED = 3
"""Real masks that are tried on a picture, each with all its variations, before the pair is given
up."""
_KEPT = 8


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
    """The pairs of one run. Every picture is used once before any is used again; each time round in
    another order.

    Raises:
        DataError: no good pictures, no masks, a picture without mask or a mask without picture.
            MaskError: a bad mask.
    """

    def __init__(self, config: GenerateConfig, info: ClassWeightsInfo) -> None:
        self._config = config
        self.sources = good_pictures(
            config.good, _object_in(config.good, config.object or info.object)
        )
        self._zoomed = info.zoom != "whole"
        self._masks: dict[Path, Path] = {}
        self._library: MaskLibrary | None = None
        self.library_folder: Path | None = None
        """Folder of the real masks, given or found."""
        self.known_surroundings = 0
        """Masks of the library whose real picture is there."""
        if config.masks is not None:
            self._masks = masks_by_name(self.sources, config.masks)
            self.mask_names = [path.name for path in self._masks.values()]
        else:
            folder = config.mask_library or find_library(
                config.good, config.object or info.object, info.defect
            )
            self.library_folder = folder
            self._library = read_library(
                folder, config.mask_split, pictures_beside(folder), apart=self._zoomed
            )
            self.mask_names = self._library.names
            if config.mask_split is None:
                _warn_of_held_out(folder, self.mask_names, RunFolder(config.weights).split)
            self.known_surroundings = sum(
                around is not None for around in self._library.surroundings
            )
        self._pictures: dict[Path, Picture] = {}
        self._places: dict[Path, Mask] = {}
        self.part: PartKind = config.part

    def validate(self, count: int) -> None:
        """Read what ``count`` pairs need once, before anything is written, and settle the kind of
        part.

        Raises:
            DataError: naming up to five pictures or masks that cannot be used.
        """
        used = sorted({self._source(pair) for pair in range(count)})
        problems: list[str] = []
        seen: list[Picture] = []
        several = 0
        for path in tqdm(used, desc="reading", unit="picture", leave=False):
            try:
                picture = self._picture(path)
                if path in self._masks:
                    mask = read_mask(self._masks[path], (picture.shape[0], picture.shape[1]))
                    several += self._zoomed and len(separate_defects(mask)) > 1
            except BGDefectError as error:
                problems.append(str(error))
                continue
            if len(seen) < _PARTS_SEEN:
                seen.append(picture)
        if problems:
            more = [f"and {len(problems) - 5} more"] if len(problems) > 5 else []
            raise DataError(
                "\n  ".join(
                    [
                        f"{len(problems)} of {len(used)} pictures cannot be used:",
                        *problems[:5],
                        *more,
                    ]
                )
            )
        if several:
            do = "paint one after the other, into what the last run made, for the scale at which they were learned"
            log.warning(
                "%d of %d masks show defects far from each other, which come out in one coarse square; %s",
                several,
                len(used),
                do,
            )
        if self.part == "auto" and self._library is not None:
            self.part = part_kind(seen)
            log.info(
                "the part is taken for %s",
                {"object": "an object on a tray", "texture": "a texture"}[self.part],
            )

    def files(self, count: int) -> dict[str, Path]:
        """All that ``count`` pairs are made from: good pictures, masks, and the pictures of the
        masks."""
        used = {self._source(pair) for pair in range(count)}
        files = {f"good {number}": path for number, path in enumerate(self.sources) if path in used}
        if self._library is not None:
            return files | {
                f"library {number}": path for number, path in enumerate(self._library.files)
            }
        return files | {
            f"mask {number}": self._masks[path]
            for number, path in enumerate(self.sources)
            if path in used
        }

    def __getitem__(self, index: int) -> Pair:
        """Pair ``index``, 0 upwards without end; after ``validate``."""
        source = self._source(index)
        picture = self._picture(source)
        if self._library is None:
            mask = read_mask(self._masks[source], (picture.shape[0], picture.shape[1]))
            return Pair(
                index,
                source,
                Job(picture, (mask,)),
                {"kind": "file", "file": os.path.abspath(self._masks[source])},
            )
        rng = np.random.default_rng((self._config.seed, index))
        part = _kept(self._places, source, lambda: part_mask(picture, self.part))
        likeness = Likeness(picture)
        missed: list[str] = []
        for number in rng.permutation(len(self._library.patches))[:_MASKS_TRIED].tolist():
            name = self._library.names[number]
            around = self._library.surroundings[number]
            placed = place_mask(
                part,
                [self._library.patches[number]],
                rng,
                self._config.placement,
                [around],
                likeness,
            )
            if placed is not None:
                file = os.path.abspath(self._library.origins[number])
                origin = {"kind": "placed", "made_from": name, "file": file, "missed": missed}
                return Pair(index, source, Job(picture, (placed,), around), origin)
            missed.append(name)
        return Pair(index, source, None, {"kind": "none", "missed": missed})

    def _source(self, index: int) -> Path:
        turn, place = divmod(index, len(self.sources))
        order = np.random.default_rng((self._config.seed, turn, 1)).permutation(len(self.sources))
        return self.sources[int(order[place])]

    def _picture(self, path: Path) -> Picture:
        return _kept(self._pictures, path, lambda: read_picture(path))


def _kept(store: dict[Path, Any], key: Path, make: Callable[[], Any]) -> Any:
    """A small memory: the pictures of one batch come again for its retries and masks."""
    if key not in store:
        while len(store) >= _KEPT:
            del store[next(iter(store))]
        store[key] = make()
    return store[key]


def _warn_of_held_out(folder: Path, names: Sequence[str], split: Path) -> None:
    """Say where masks of pictures that the class was not trained on would be used: they are no
    longer unseen then."""
    try:
        held_out = held_out_masks(folder, names, split) if split.is_file() else []
    except DataError as error:
        log.warning("%s", error)
        return
    if held_out:
        text = "%d of %d masks in %s are of pictures that the training held out, and no longer unseen then; --mask-split %s leaves them out"
        log.warning(text, len(held_out), len(names), folder, split)


@system_errors(DataError, "a folder that can be read")
def _object_in(good: Path, name: str) -> str | None:
    """The object to choose where ``good`` holds several; a single one may have any name."""
    parts: Sequence[str] = ("test", "train", "ground_truth")
    if not good.is_dir() or any((good / part).is_dir() for part in parts):
        return None if good.is_dir() else name
    several = sum(
        any((path / part).is_dir() for part in parts) for path in good.iterdir() if path.is_dir()
    )
    return name if several > 1 or (good / "manifest.csv").is_file() else None
