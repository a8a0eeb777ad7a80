"""Folders of masks: given masks for pictures of the same name, and real masks from which new ones
are made."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import DataError, SettingError
from ..paths import system_errors
from ..placement.library import MaskLibrary, RealMask
from ..placement.surroundings import surroundings_of
from .listing import (
    comparable,
    is_good_name,
    list_folders,
    list_pictures,
    list_without_masks,
    mask_key,
    named,
    picture_key,
    shown_names,
    unique_names,
)
from .mask_reading import read_masks
from .mask_values import NONZERO, WHITE, MaskValues
from .masks import Mask, separate_defects, trimmed
from .picture import Pixels
from .reading import folder_white_level, read_picture

logger = logging.getLogger(__name__)

_reading = system_errors(DataError, "a folder of masks that can be read")


@_reading
def masks_by_name(pictures: Sequence[Path], folder: Path) -> dict[Path, Path]:
    """The mask of each picture: NAME.* or NAME_mask.*.

    Raises:
        DataError: no folder, a picture without mask, a mask without picture, two files of one name.
    """
    masks = unique_names(_mask_files(folder), mask_key)
    unique_names(pictures)
    mask_of: dict[Path, Path] = {}
    for picture in pictures:
        mask = masks.pop(picture_key(picture), None)
        if mask is None:
            expected = f"{folder / picture.stem}.png"
            raise DataError(f"{picture} has no mask", expected, "add it or leave the picture out")
        mask_of[picture] = mask
    for mask in masks.values():
        expected = f"a good picture {mask.stem}"
        raise DataError(f"{mask} has no picture", expected, "add it or remove the mask")
    return mask_of


@_reading
def find_library(good: Path, object: str, defect: str) -> Path:
    """The real masks beside the good pictures: ``ground_truth/DEFECT`` of the object.

    Raises:
        SettingError: there are none.
    """
    folders = [good, _folder_in(good, object)]
    if is_good_name(good.name):
        folders.append(good.parent.parent)
    for folder in folders:
        library = None if folder is None else _folder_in(folder, "ground_truth", defect)
        if library is not None:
            return library
    raise SettingError(
        "no masks are given",
        "--masks or --mask-library",
        "give the masks of the pictures trained on",
    )


@_reading
def pictures_beside(masks: Path) -> Path | None:
    """The pictures with these real defects in MVTec's layout: ``test/DEFECT`` for
    ``ground_truth/DEFECT``; None where there is no such folder."""
    if comparable(masks.parent.name) != "ground_truth":
        return None
    return _folder_in(masks.parent.parent, "test", masks.name)


def _folder_in(folder: Path, *names: str) -> Path | None:
    """The folder of these names, each in the one before, as a person reads them."""
    place: Path | None = folder
    for name in names:
        place = None if place is None else named(list_folders(place), name)
    return place


@_reading
def read_library(
    folder: Path,
    split: Path | None = None,
    pictures: Path | None = None,
    apart: bool = True,
    values: MaskValues = WHITE,
) -> MaskLibrary:
    """All masks of a folder: one a file, or one a subfolder whose files are one defect's parts
    (MVTec LOCO).

    A file that shows several defects far from each other gives a mask for each
    (:func:`separate_defects`), named NAME#1, NAME#2, ...

    Args:
        split: split file of a training; only masks of its training pictures are read.
        pictures: folder of the pictures with these defects, named as the masks; None: their
            surroundings stay unknown.
        apart: off: a file gives one mask, whatever it shows.
        values: what counts as defect instead of white.

    Returns:
        The masks, each with its surroundings where its picture is there, and all files that were
        read.

    Raises:
        DataError: no folder, nothing in it, nothing of the split, or two files of one name.
        MaskError: a bad mask, or a bad union of parts; the message names it.
    """
    sources = _mask_sources(folder)
    shown_in: dict[str, Path] = {}
    if pictures:
        shown_in = unique_names(list_without_masks(pictures))
        _report_unpaired(pictures, shown_in, folder, unique_names(sources, mask_key))
    if split is not None:
        sources = _trained_on(sources, split, folder)
    white = folder_white_level(pictures) if pictures else None
    masks: list[RealMask] = []
    files_read: list[Path] = []
    shares: list[float] = []
    for source, files in sources.items():
        shown = shown_in.get(mask_key(source))
        mask = _read_source(source, files, values, shown)
        shares.append(float(mask.mean()))
        files_read += files
        picture = None
        if shown is not None:
            files_read.append(shown)
            picture = _picture_of_mask(shown, white, source, mask)
        is_file = files == [source]
        defects = separate_defects(mask) if apart and is_file else [mask]
        for number, defect in enumerate(defects, 1):
            name = f"{source.name}#{number}" if len(defects) > 1 else source.name
            around = None if picture is None else surroundings_of(picture, defect)
            masks.append(RealMask(trimmed(defect), name, around, source))
    report_large_masks(str(folder), shares)
    return MaskLibrary(masks, files_read)


def _read_source(
    source: Path, files: Sequence[Path], values: MaskValues, shown: Path | None
) -> Mask:
    """The mask of a file, or the union of a folder's parts, in which every value but 0 counts where
    white does in files."""
    if files != [source] and values.is_white:
        values = NONZERO
    union = f"the union of the masks in {files[0].parent}"
    return read_masks(files, union, values=values, picture=shown)


def _picture_of_mask(shown: Path, white: int | None, source: Path, mask: Mask) -> Pixels | None:
    """The picture with a mask's defect; None, with a logged warning, where it has another size."""
    picture = read_picture(shown, white)
    if picture.shape[:2] == mask.shape:
        return picture
    text = "%s and its mask %s differ in size: its surroundings are not used"
    logger.warning(text, shown, source)
    return None


def _trained_on(
    sources: Mapping[Path, list[Path]], split: Path, folder: Path
) -> dict[Path, list[Path]]:
    """The masks of a folder whose pictures the split trains on.

    Raises:
        DataError: there are none.
    """
    names = _on_side(split, folder.name, "train")
    trained_on: dict[Path, list[Path]] = {}
    for path, files in sources.items():
        if mask_key(path) in names:
            trained_on[path] = files
    if not trained_on:
        came = f"{split} trains on none of the masks in {folder}"
        raise DataError(came, "the split of this class", "check both paths")
    return trained_on


def _report_unpaired(
    pictures_at: Path, pictures: Mapping[str, Path], masks_at: Path, masks: Mapping[str, Path]
) -> None:
    """Warn of pictures without mask, which are not used, and of masks without picture, whose
    surroundings are unknown."""
    without_mask = [path.name for name, path in pictures.items() if name not in masks]
    if without_mask:
        logger.warning("%s: not used, without mask: %s", pictures_at, shown_names(without_mask))
    without_picture = [path.name for name, path in masks.items() if name not in pictures]
    if without_picture:
        logger.warning("%s: without picture: %s", masks_at, shown_names(without_picture))


def report_large_masks(name: str, shares: Sequence[float]) -> None:
    """Warn where nearly all masks of a class cover more than half of their picture: black and white
    may be swapped.

    Args:
        name: of the class or the folder.
        shares: share of its picture that each mask covers, 0..1.
    """
    large = sum(share > 0.5 for share in shares)
    if large and large >= 0.9 * len(shares):
        text = "%s: %d of %d masks cover more than half of their picture; white must be the defect"
        logger.warning(text, name, large, len(shares))


def _mask_sources(folder: Path) -> dict[Path, list[Path]]:
    """Each mask's file, or its folder of parts, with the files to read for it."""
    sources = {path: _mask_files(path) for path in list_folders(folder)}
    if not sources or list_pictures(folder, folders_are_read=True):
        for path in _mask_files(folder):
            sources[path] = [path]
    unique_names(sources, mask_key)
    return sources


def _mask_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder", "a folder of masks", "check the path")
    files = list_pictures(folder, folders_are_read=True)
    if not files:
        raise DataError(f"{folder} holds no masks", "black and white pictures", "check the path")
    return files


@_reading
def is_of_split(folder: Path, split: Path) -> bool:
    """Whether a split names the picture of any mask in a folder, on either side.

    Raises:
        DataError: no split file, no folder, nothing in it.
    """
    keys = _on_side(split, folder.name, "train") | _on_side(split, folder.name, "held_out")
    return any(mask_key(source) in keys for source in _mask_sources(folder))


@_reading
def held_out_masks(folder: Path, names: Sequence[str], split: Path) -> list[str]:
    """Those of a library's names whose picture the split holds out.

    Raises:
        DataError: no split file.
    """
    held_out = _on_side(split, folder.name, "held_out")
    return [name for name in names if mask_key(re.sub(r"#\d+$", "", name)) in held_out]


def _on_side(split: Path, defect: str, side: str) -> set[str]:
    """Comparable names of this defect's pictures on a side, "train" or "held_out"."""
    try:
        listed = json.loads(split.read_text(encoding="utf-8-sig"))[side]
        pictures = [Path(str(path).replace("\\", "/")) for path in listed]
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as reason:
        came = f"{split} is no split file ({reason!r})"
        raise DataError(came, "split.json of a training", "check the path") from reason
    key = comparable(defect)
    names = set()
    for path in pictures:
        if comparable(path.parent.name) == key:
            names.add(picture_key(path))
    return names
