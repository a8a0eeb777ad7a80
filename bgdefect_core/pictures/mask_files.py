"""Folders of masks: ready ones for same-named pictures, and real ones from which new masks are
made."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ..errors import DataError, SettingError
from ..paths import system_errors
from ..placement.placing import MaskLibrary
from ..placement.surroundings import Surroundings, surroundings_of
from .files import PICTURE_SUFFIXES, read_masks, read_picture
from .masks import Mask, separate_defects, trimmed

_reading = system_errors(DataError, "a folder of masks that can be read")


@_reading
def masks_by_name(pictures: Sequence[Path], folder: Path) -> dict[Path, Path]:
    """The mask of each picture: NAME.* or NAME_mask.*.

    Raises:
        DataError: no folder, a picture without mask, a mask without picture, two of one name.
    """
    masks: dict[str, Path] = {}
    for path in _files(folder):
        name = path.stem.removesuffix("_mask")
        if name in masks:
            raise DataError(
                f"{masks[name]} and {path} are masks of one name",
                "one mask a picture",
                "remove one",
            )
        masks[name] = path
    found: dict[Path, Path] = {}
    for picture in pictures:
        if picture.stem not in masks:
            raise DataError(
                f"{picture} has no mask",
                f"{folder / picture.stem}.png",
                "add it or leave the picture out",
            )
        found[picture] = masks[picture.stem]
    widows = sorted(set(masks.values()) - set(found.values()))
    if widows:
        raise DataError(
            f"{widows[0]} has no picture",
            f"a good picture {widows[0].stem}",
            "add it or remove the mask",
        )
    return found


@_reading
def find_library(good: Path, object: str, defect: str) -> Path:
    """The real masks that lie beside the good pictures: ``ground_truth/DEFECT`` of the object.

    Raises:
        SettingError: there are none.
    """
    for folder in (good, good / object, good.parent.parent if good.name == "good" else good):
        if (folder / "ground_truth" / defect).is_dir():
            return folder / "ground_truth" / defect
    raise SettingError(
        "no masks are given",
        "--masks or --mask-library",
        "give the masks of the pictures trained on",
    )


@_reading
def pictures_beside(masks: Path) -> Path | None:
    """The pictures with these real defects in MVTec's places: ``test/DEFECT`` for
    ``ground_truth/DEFECT``; None where they are not."""
    pictures = masks.parent.parent / "test" / masks.name
    return pictures if masks.parent.name == "ground_truth" and pictures.is_dir() else None


@_reading
def read_library(
    folder: Path, split: Path | None = None, pictures: Path | None = None, apart: bool = True
) -> MaskLibrary:
    """All masks of a folder: those of a file, or one a subfolder whose files are one defect's parts
    (MVTec LOCO).

    A file that shows several defects far from each other gives a mask for each
    (:func:`separate_defects`), named NAME#1, NAME#2, ...

    Args:
        apart: off: a file gives one mask, whatever it shows.
        split: split file of a training; only masks of the pictures that it trains on are read.
        pictures: folder of the same-named pictures with these defects; None: their surroundings
            stay unknown.

    Returns:
        The masks, with each one's surroundings where its picture is found, and all files that were
        read.

    Raises:
        DataError: no folder, nothing in it, or nothing of the split. MaskError: a bad mask, or a
            bad union of parts, named.
    """
    groups: dict[str, list[Path]] = {}
    shown = (
        [path for path in folder.iterdir() if not path.name.startswith(".")]
        if folder.is_dir()
        else []
    )
    nested = sorted(path for path in shown if path.is_dir())
    if nested:
        groups = {path.name: _files(path) for path in nested}
    if not nested or any(path.suffix.lower() in PICTURE_SUFFIXES for path in shown):
        groups |= {path.name: [path] for path in _files(folder)}
    if split is not None:
        wanted = _on_side(split, folder.name, "train")
        groups = {
            name: files
            for name, files in groups.items()
            if Path(name).stem.removesuffix("_mask") in wanted
        }
        if not groups:
            raise DataError(
                f"{split} trains on none of the masks in {folder}",
                "the split of this class",
                "check both paths",
            )
    names: list[str] = []
    masks: list[Mask] = []
    around: list[Surroundings | None] = []
    origins: list[Path] = []
    read: list[Path] = []
    for name, files in groups.items():
        parts = (folder / name).is_dir()
        mask = read_masks(files, f"the union of the masks in {files[0].parent}", nonzero=parts)
        defects = separate_defects(mask) if apart and not parts else [mask]
        shown_at = _picture_of(pictures, name) if pictures else None
        picture = read_picture(shown_at) if shown_at else None
        if picture is not None and picture.shape[:2] != mask.shape:
            picture = None
        names += (
            [f"{name}#{number}" for number in range(1, len(defects) + 1)]
            if len(defects) > 1
            else [name]
        )
        around += [
            None if picture is None else surroundings_of(picture, defect) for defect in defects
        ]
        masks += [
            trimmed(defect) for defect in defects
        ]  # whole ones of a large set would fill the memory
        origins += [folder / name] * len(defects)
        read += [*files, *([shown_at] if shown_at else [])]
    return MaskLibrary(masks, names, around, origins, read)


def _picture_of(pictures: Path, name: str) -> Path | None:
    """The picture of a mask's file or folder, where it is there."""
    stem = Path(name).stem.removesuffix("_mask")
    found = (pictures / f"{stem}{suffix}" for suffix in sorted(PICTURE_SUFFIXES))
    return next((path for path in found if path.is_file()), None)


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder", "a folder of masks", "check the path")
    found = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".")
    )
    if not found:
        raise DataError(f"{folder} holds no masks", "black and white pictures", "check the path")
    return found


@_reading
def held_out_masks(folder: Path, names: Sequence[str], split: Path) -> list[str]:
    """Those of a library's names whose picture the split holds out.

    Raises:
        DataError: no split file.
    """
    pictures = _on_side(split, folder.name, "held_out")
    return [
        name for name in names if Path(name.split("#")[0]).stem.removesuffix("_mask") in pictures
    ]


def _on_side(split: Path, defect: str, side: str) -> set[str]:
    """Names of the pictures of this defect on a side, "train" or "held_out"."""
    try:
        listed = [Path(str(item)) for item in json.loads(split.read_text(encoding="utf-8"))[side]]
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as reason:
        raise DataError(
            f"{split} is no split file ({reason!r})", "split.json of a training", "check the path"
        ) from reason
    return {path.stem for path in listed if path.parent.name == defect}
