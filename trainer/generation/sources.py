"""What samples are made from: good pictures, and masks, either ready ones or a library."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bgdefect_core.errors import DataError
from bgdefect_core.paths import system_errors
from bgdefect_core.pictures.area_reading import Areas
from bgdefect_core.pictures.listing import comparable, list_folders, named
from bgdefect_core.pictures.mask_files import (
    find_library,
    held_out_masks,
    is_of_split,
    masks_by_name,
    pictures_beside,
    read_library,
)
from bgdefect_core.pictures.mask_values import WHITE, MaskValues
from bgdefect_core.placement.library import MaskLibrary
from bgdefect_core.weights.info import ClassWeightsInfo

from ..data.examples import Example
from ..data.layouts import (
    CsvList,
    MVTecAD,
    PlainFolder,
    ReadingSettings,
    good_pictures,
    layout_of,
)
from ..training.run_folder import RunFolder
from .config import GenerateConfig
from .example_library import examples_in, is_data_set, library_of, warn_of_held_out
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
    labels: str | None = None
    """Digest of what annotations draw of the library's masks; None: all are files."""
    more_like: MoreLike | None = None
    """How often each mask of the library is drawn; None: all equally."""

    @property
    def mask_names(self) -> list[str]:
        """Names of the masks, in their order."""
        if self.library is not None:
            return self.library.names
        return [path.name for path in self.masks.values()]

    @property
    def known_surroundings(self) -> int:
        """Masks of the library whose real picture is known."""
        masks = [] if self.library is None else self.library.masks
        return sum(mask.surroundings is not None for mask in masks)

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
    config = _by_tightened(config)
    object = config.object or info.object
    reading = config.reading
    if config.mask_library is not None:  # the layout is that of the library
        reading = replace(reading, layout=None)
    object_there = _object_in(config.good, object, reading)
    good = good_pictures(config.good, object_there, reading)
    if config.masks is not None:
        masks = masks_by_name(good, config.masks)
        return Sources(good, masks, values=config.reading.values_of(info.defect))
    real = _real_masks(config, info, object)
    more_like = None
    if config.more_like is not None:
        factor = config.more_like_factor
        more_like = read_more_like(
            config.more_like, factor, info, real.library, real.place, real.split
        )
    return Sources(
        good,
        library=real.library,
        folder=real.place,
        labels=real.labels,
        allowed=None if config.allowed is None else Areas(config.allowed),
        forbidden=None if config.forbidden is None else Areas(config.forbidden),
        more_like=more_like,
    )


@dataclass(frozen=True)
class _RealMasks:
    """The real masks of a run, and where they are from."""

    library: MaskLibrary
    place: Path
    """Folder of masks, or a data set."""
    split: Path | None
    labels: str | None = None


def _real_masks(config: GenerateConfig, info: ClassWeightsInfo, object: str) -> _RealMasks:
    """The library that the settings name, or that stands beside the good pictures.

    Raises:
        BGDefectError: as :func:`sources_in_folders`.
    """
    apart = info.zoom != "whole"
    split = config.mask_split
    must_fit = config.paint.starting.demands_real or config.more_like is not None
    of_training = _is_tightened(config)
    if split is None and not of_training and (config.paint.starting.uses_real or must_fit):
        split = _split_beside(config.weights)
    place = _data_set_of(config, info.defect)
    if place is not None:
        examples = examples_in(place, info.object, info.defect, split, config.reading)
        if split is None and not of_training:
            warn_of_held_out(place, examples, RunFolder(config.weights).split)
        drawn = library_of(examples, apart)
        return _RealMasks(drawn.masks, place, split, drawn.labels)
    folder = config.mask_library or find_library(config.good, object, info.defect)
    values = config.reading.values_of(info.defect)
    if config.mask_split is None and not must_fit and split and not is_of_split(folder, split):
        log.info("%s names none of the masks in %s: all are used", split, folder)
        split = None
    library = read_library(folder, split, pictures_beside(folder), apart, values)
    if split is None and not of_training:
        _warn_of_held_out(folder, library.names, RunFolder(config.weights).split)
    return _RealMasks(library, folder, split)


def _by_tightened(config: GenerateConfig) -> GenerateConfig:
    """The settings with the masks that the training made of boxes as their library, where there are
    such and nothing else is named."""
    review = RunFolder(config.weights).boxes / "review"
    named_masks = (config.masks, config.mask_library, config.mask_split)
    if any(place is not None for place in named_masks) or not review.is_dir():
        return config
    log.info("new masks are made from those that the training made of boxes: %s", review)
    return replace(config, mask_library=review)


def _is_tightened(config: GenerateConfig) -> bool:
    """Whether the library is what the training made of its own side's boxes."""
    if config.mask_library is None:
        return False
    boxes = os.path.abspath(RunFolder(config.weights).boxes)
    return Path(os.path.abspath(config.mask_library)).is_relative_to(boxes)


def _data_set_of(config: GenerateConfig, defect: str) -> Path | None:
    """The data set with the real defects: the one that is named, else that of the good pictures
    where its masks lie elsewhere than in ``ground_truth``; None: masks lie in a folder of files."""
    if config.mask_library is not None:
        is_set = is_data_set(config.mask_library, config.reading)
        return config.mask_library if is_set else None
    layout = layout_of(config.good, config.reading)
    if isinstance(layout, MVTecAD | PlainFolder):
        return None
    defects: set[str] = set()
    for names in layout.classes(config.good).values():
        defects.update(names)
    return config.good if defect in defects else None


def sources_of_examples(examples: ExampleSources, info: ClassWeightsInfo) -> Sources:
    """Sources from examples: each real defect's mask, with its surroundings in its own picture.

    Raises:
        PictureError, MaskError: a bad picture or mask, named. DataError: no defects.
    """
    library = library_of(examples.defects, apart=info.zoom != "whole")
    good = [example.image for example in examples.good]
    return Sources(good, library=library.masks, labels=library.labels)


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
def _object_in(good: Path, name: str, reading: ReadingSettings) -> str | None:
    """The object to choose where ``good`` holds several; a single one may have any name."""
    layout = layout_of(good, reading) if good.exists() else None
    if layout is not None and not isinstance(layout, MVTecAD | PlainFolder | CsvList):
        return name if len(layout.classes(good)) > 1 else None
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
