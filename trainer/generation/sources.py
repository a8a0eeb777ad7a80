"""What samples are made from: good pictures, and masks, either ready ones or a library."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bgdefect_core.errors import DataError
from bgdefect_core.paths import system_errors
from bgdefect_core.pictures.area_reading import Areas
from bgdefect_core.pictures.listing import comparable, list_folders, named
from bgdefect_core.pictures.mask_files import (
    find_library,
    held_out_masks,
    masks_by_name,
    pictures_beside,
    read_library,
)
from bgdefect_core.pictures.mask_values import WHITE, MaskValues
from bgdefect_core.pictures.masks import Mask, separate_defects, trimmed
from bgdefect_core.placement.placing import MaskLibrary
from bgdefect_core.placement.surroundings import Surroundings, surroundings_of
from bgdefect_core.weights.info import ClassWeightsInfo

from ..data.examples import Example, load_example
from ..data.layouts import good_pictures
from ..training.run_folder import RunFolder
from .config import GenerateConfig
from .more_like import MoreLike, read_more_like

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExampleSources:
    """Sources that are given as examples, in place of folders."""

    good: Sequence[Example]
    """Good pictures."""
    defects: Sequence[Example]
    """Real defects. New masks are made from theirs."""


@dataclass(frozen=True)
class Sources:
    """Good pictures with ready masks, or with a library of real masks."""

    good: Sequence[Path]
    masks: Mapping[Path, Path] = field(default_factory=dict)
    """Good picture -> its ready mask; empty where there is a library."""
    library: MaskLibrary | None = None
    folder: Path | None = None
    """Folder of the library, given or detected."""
    allowed: Areas | None = None
    """Where alone defects may lie; None: anywhere. Not read where there are ready masks."""
    forbidden: Areas | None = None
    """Where they may not lie."""
    values: MaskValues = WHITE
    """What counts as defect in ready masks."""
    more_like: MoreLike | None = None
    """How often each mask of the library is drawn; None: all equally."""

    @property
    def mask_names(self) -> list[str]:
        """Names of the masks, in their order."""
        if self.library is not None:
            return list(self.library.names)
        return [path.name for path in self.masks.values()]

    @property
    def known_surroundings(self) -> int:
        """Masks of the library whose real picture is known."""
        surroundings = [] if self.library is None else self.library.surroundings
        return len(surroundings) - surroundings.count(None)

    def files(self, used: set[Path]) -> dict[str, Path]:
        """The files behind some good pictures: the pictures, their masks or the whole library."""
        files: dict[str, Path] = {}
        for number, path in enumerate(self.good):
            if path in used:
                files[f"good {number}"] = path
                if self.library is None:
                    files[f"mask {number}"] = self.masks[path]
        if self.library is not None:
            for number, path in enumerate(self.library.files):
                files[f"library {number}"] = path
            files |= self._area_files(used)
        return files

    def _area_files(self, used: set[Path]) -> dict[str, Path]:
        files: dict[str, Path] = {}
        for role, areas in (("allowed", self.allowed), ("forbidden", self.forbidden)):
            for number, path in enumerate(self.good):
                file = None if areas is None or path not in used else areas.of(path)
                if file is not None:
                    files[f"{role} {number}"] = file
        return files


def sources_in_folders(config: GenerateConfig, info: ClassWeightsInfo) -> Sources:
    """The sources that the settings name.

    Raises:
        DataError: no good pictures, no masks, a picture without mask or a mask without picture.
        MaskError: a bad mask. SettingError: no folder of masks is given, and none is there.
        DataError: missed defects that do not belong to this class and library.
    """
    object = config.object or info.object
    good = good_pictures(config.good, _object_in(config.good, object))
    if config.masks is not None:
        masks = masks_by_name(good, config.masks)
        return Sources(good, masks, values=MaskValues.parse(config.mask_values))
    folder = config.mask_library or find_library(config.good, object, info.defect)
    apart = info.zoom != "whole"
    split = config.mask_split
    if split is None and (config.paint.starting.uses_real or config.more_like is not None):
        split = _split_beside(config.weights)
    values = MaskValues.parse(config.mask_values)
    library = read_library(folder, split, pictures_beside(folder), apart, values)
    if split is None:
        _warn_of_held_out(folder, library.names, RunFolder(config.weights).split)
    more_like = None
    if config.more_like is not None:
        factor = config.more_like_factor
        more_like = read_more_like(config.more_like, factor, info, library, folder, split)
    return Sources(
        good,
        library=library,
        folder=folder,
        allowed=None if config.allowed is None else Areas(config.allowed),
        forbidden=None if config.forbidden is None else Areas(config.forbidden),
        more_like=more_like,
    )


def sources_of_examples(examples: ExampleSources, info: ClassWeightsInfo) -> Sources:
    """Sources from examples: each real defect's mask, with its surroundings in its own picture.

    Raises:
        PictureError, MaskError: a bad picture or mask, named. DataError: no defects.
    """
    masks: list[Mask] = []
    names: list[str] = []
    surroundings: list[Surroundings | None] = []
    origins: list[Path] = []
    files: list[Path] = []
    for number, example in enumerate(examples.defects):
        picture, mask = load_example(example)
        defects = [mask] if info.zoom == "whole" else separate_defects(mask)
        for part, defect in enumerate(defects, start=1):
            suffix = f"#{part}" if len(defects) > 1 else ""
            names.append(f"{number:03d}_{example.image.stem}_mask.png{suffix}")
            masks.append(trimmed(defect))
            surroundings.append(surroundings_of(picture, defect))
            origins.append(example.masks[0])
        files += [*example.masks, example.image]
    library = MaskLibrary(masks, names, surroundings, origins, files)
    return Sources([example.image for example in examples.good], library=library)


def _split_beside(weights: Path) -> Path | None:
    """The split of the training of these weights, where it stands beside them: samples must
    neither start from real defects that it held out, nor be drawn towards them."""
    split = RunFolder(weights).split
    if split.is_file():
        log.info("real defects of the training side alone are used: %s", split)
        return split
    log.warning(
        "%s has no split beside it: name the training's split.json by --mask-split, so that no "
        "real defect is used that the training held out",
        weights,
    )
    return None


def _warn_of_held_out(folder: Path, names: Sequence[str], split: Path) -> None:
    """Warn where masks of pictures are used that the training held out: their pictures are no
    longer unseen."""
    try:
        held_out = held_out_masks(folder, names, split) if split.is_file() else []
    except DataError as error:
        log.warning("%s", error)
        return
    if held_out:
        log.warning(
            "%d of %d masks in %s belong to pictures that the training held out. Tests on these "
            "pictures are no longer independent; --mask-split %s leaves the masks out",
            len(held_out),
            len(names),
            folder,
            split,
        )


@system_errors(DataError, "a folder that can be read")
def _object_in(good: Path, name: str) -> str | None:
    """The object to choose where ``good`` holds several; a single one may have any name."""
    if not good.is_dir():
        return name
    if _is_object(good):
        return None
    objects = [path for path in list_folders(good) if _is_object(path)]
    has_manifest = named(good.iterdir(), "manifest.csv") is not None
    return name if len(objects) > 1 or has_manifest else None


def _is_object(folder: Path) -> bool:
    """Whether a folder is an object's in MVTec layout."""
    try:
        names = {comparable(path.name) for path in list_folders(folder)}
    except PermissionError:  # a folder beside the objects that is none of ours
        return False
    return not names.isdisjoint(("test", "train", "ground_truth"))
