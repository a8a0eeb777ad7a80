"""MVTec AD's layout: OBJECT/test/DEFECT/000.png with OBJECT/ground_truth/DEFECT/000_mask.png."""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path

from bgdefect_core.errors import DataError
from bgdefect_core.pictures.listing import (
    PICTURE_SUFFIXES,
    comparable,
    is_good_name,
    is_leftover,
    list_folders,
    list_pictures,
    list_without_masks,
    mask_key,
    named,
    report_once,
    shown_names,
    unique_names,
)
from bgdefect_core.pictures.mask_values import NONZERO, WHITE, MaskValues
from bgdefect_core.records.dataset_place import EXPORTS, EXTRAS

from ..annotations.record import AnnotationOptions
from ..examples import GOOD, Example
from ..reviewed import standing_examples
from .layout import Layout, choose_object, file_in, find_file, object_name
from .tables import read_table

__all__ = ["MVTecAD", "objects_in", "unfit_manifest"]

log = logging.getLogger(__name__)

_PARTS = ("test", "train", "ground_truth")
_MANIFEST = "manifest.csv"


class MVTecAD(Layout):
    """A folder of objects, or one object's folder.

    A ``manifest.csv`` in the object's folder may join pictures of one part into a group: its
    columns are ``file`` (relative to the object's folder) and ``group``.
    """

    name = "mvtec"
    summary = (
        "as MVTec AD: OBJECT/test/DEFECT/000.png with OBJECT/ground_truth/DEFECT/000_mask.png or "
        "000.png; good pictures in OBJECT/train/good (or ok, normal)"
    )
    good_place = "pictures in train/good"
    file_values: MaskValues = WHITE
    """What counts as defect in a mask that is a single file."""

    def __init__(self, group_key: str = AnnotationOptions.group_key) -> None:
        self._group_key = group_key.lower()

    def reading(self, options: AnnotationOptions) -> Layout:
        """The layout with another column of groups."""
        same = options.group_key.lower() == self._group_key
        return self if same else type(self)(options.group_key)

    def recognises(self, root: Path) -> bool:
        return bool(objects_in(root))

    def classes(self, root: Path) -> dict[str, list[str]]:
        objects = objects_in(root)
        beside = {root / EXTRAS, root / EXPORTS}  # of a data set that was generated
        _report_rest(root, {*objects.values()} - {root}, beside)
        return {name: _defects_of(folder) for name, folder in objects.items()}

    def examples(self, root: Path, classes: Collection[tuple[str, str]]) -> list[Example]:
        objects = objects_in(root)
        examples = []
        for name, defect in sorted(classes):
            examples += self._examples_of(name, objects[name], defect)
        return examples

    def good_examples(self, root: Path, object: str | None, side: str) -> list[Example]:
        objects = objects_in(root)
        name = choose_object(root, object, objects)
        folder = objects[name]
        part = named(list_folders(folder), side)
        groups = _groups_of(folder, self._group_key)
        pictures: list[Path] = []
        for place in [] if part is None else list_folders(part):
            if is_good_name(place.name):
                pictures += list_without_masks(place)
        unique_names(pictures)
        examples = []
        for picture in pictures:
            group = groups.get(_relative(picture, folder), "")
            examples.append(Example(picture, (), name, GOOD, group))
        return examples

    def masks_in(self, folder: Path) -> list[Path]:
        """The masks in ``ground_truth/DEFECT``: files, or folders of files whose union is a mask,
        and in which every value but 0 counts."""
        return list_pictures(folder)

    def _examples_of(self, object: str, folder: Path, defect: str) -> list[Example]:
        places = []
        for name in ("test", "ground_truth"):
            part = named(list_folders(folder), name) or folder / name
            places.append(named(list_folders(part), defect) or part / defect)
        pictures_at, masks_at = places
        pictures = unique_names(list_without_masks(pictures_at)) if pictures_at.is_dir() else {}
        masks = unique_names(self.masks_in(masks_at), mask_key) if masks_at.is_dir() else {}
        matched = len(pictures.keys() & masks.keys())
        log.info("%s: %d of %d masks have their picture", masks_at, matched, len(masks))
        if pictures and not matched:
            raise _unmatched(pictures_at, masks_at, list(masks.values()))
        groups = _groups_of(folder, self._group_key)
        examples = []
        for name, picture in pictures.items():
            mask = masks.pop(name, None)
            files = _files_of(mask) if mask is not None else ()
            if mask is None or not files:
                expected = f"{masks_at / picture.stem}_mask.png"
                raise DataError(f"{picture} has no mask", expected, "add it or leave it out")
            group = groups.get(_relative(picture, folder), "")
            values = NONZERO if mask.is_dir() else self.file_values
            examples.append(Example(picture, files, object, defect, group, values))
        for mask in masks.values():
            expected = f"a picture in {pictures_at}"
            raise DataError(f"{mask} has no picture", expected, "add it or remove the mask")
        if not examples:
            came, do = f"{pictures_at} is an empty folder", "add some or remove the folder"
            raise DataError(came, "pictures of the defect", do)
        return standing_examples(folder, defect, examples)


def objects_in(root: Path) -> dict[str, Path]:
    """Object's name -> folder, for one object's folder or for a folder of several. A link keeps its
    own name.

    Raises:
        DataError: a ``manifest.csv`` beside several objects, which would be passed over.
    """
    if not root.is_dir():
        return {}
    if _is_object(root):
        return {object_name(root): root}
    objects: dict[str, Path] = {}
    for folder in filter(_is_object, list_folders(root)):
        objects[folder.name] = folder
    manifest = file_in(root, _MANIFEST)
    if objects and manifest is not None:
        raise unfit_manifest(manifest)
    return objects


def _is_object(folder: Path) -> bool:
    """Whether a folder is that of one object, which is then called as the folder is."""
    try:
        folders = list_folders(folder)
    except PermissionError:  # a folder beside the objects that is none of ours
        return False
    return any(comparable(path.name) in _PARTS for path in folders)


def _defects_of(folder: Path) -> list[str]:
    """Names of the defects, as their folders in ``test`` (else in ``ground_truth``) have them."""
    folders = list_folders(folder)
    parts = list(filter(None, (named(folders, "test"), named(folders, "ground_truth"))))
    train = named(folders, "train")
    _report_rest(folder, [*parts, train] if train else parts)
    defects: dict[str, str] = {}
    for part in parts:
        for name, place in unique_names(list_folders(part)).items():
            if not is_good_name(name):
                defects.setdefault(name, place.name)
            elif comparable(part.name) == "ground_truth":
                report_once(f"{place}: not read, good pictures have no masks", expected=True)
            elif name != GOOD:
                report_once(f"{place}: taken for good pictures, not for a defect", expected=True)
        _report_loose(part)
    if train is not None:
        _report_loose(train)
        good = [place for place in list_folders(train) if is_good_name(place.name)]
        _report_rest(train, good)
    return sorted(defects.values())


def _unmatched(pictures_at: Path, masks_at: Path, masks: list[Path]) -> DataError:
    """The error about pictures of which none has a mask."""
    came = f"no picture in {pictures_at} has its mask: "
    if masks:
        came += f"{masks_at} holds {shown_names([mask.name for mask in masks])}"
    else:
        came += f"{masks_at} holds none" if masks_at.is_dir() else f"{masks_at} is not there"
    expected = f"NAME_mask.png or NAME.png in {masks_at} for each picture NAME"
    return DataError(came, expected, "rename or move them, or list the pairs in a csv")


def _files_of(mask: Path) -> tuple[Path, ...]:
    return tuple(list_pictures(mask)) if mask.is_dir() else (mask,)


def _report_rest(
    folder: Path, read: Collection[Path], known: Collection[Path] = frozenset()
) -> None:
    """Say which folders in a folder are not read, but for known ones."""
    rest: list[str] = []
    for path in list_folders(folder):
        if path not in read and path not in known:
            rest.append(path.name)
    if rest and read:
        report_once(f"{folder}: passed over the folders {', '.join(rest)}", expected=True)


def _report_loose(part: Path) -> None:
    """Say which pictures lie in ``test``, ``train`` or ``ground_truth`` itself: none is read."""
    names: list[str] = []
    for path in part.iterdir():
        if path.suffix.lower() in PICTURE_SUFFIXES and not is_leftover(path.name):
            names.append(path.name)
    if names:
        names.sort()
        text = f"{part}: not read, since they lie in no folder of a defect or of good pictures"
        report_once(f"{text}: {shown_names(names)}", expected=False)


def _relative(path: Path, folder: Path) -> str:
    return comparable(path.relative_to(folder).as_posix())


def _groups_of(folder: Path, key: str) -> dict[str, str]:
    """Picture, as :func:`_relative` calls it -> its group."""
    path = file_in(folder, _MANIFEST)
    if path is None:
        return {}
    header, rows = read_table(path)
    if not {"file", key} <= set(header):
        raise unfit_manifest(path)
    groups: dict[str, str] = {}
    for row in rows:
        picture = find_file(folder, row["file"])
        if picture is not None:
            groups[_relative(picture, folder)] = row[key]
        elif row[key]:  # a group of a file that is not there was meant for another one
            file = Path(row["file"].replace("\\", "/")).as_posix()
            came = f"{path} gives {file} a group, but {folder / file} does not exist"
            expected = f"files relative to {folder}"
            raise DataError(came, expected, "correct the path, or leave the row out")
    return groups


def unfit_manifest(path: Path) -> DataError:
    """The refusal of a ``manifest.csv`` that lists neither groups nor examples: passed over, it
    would leave pictures of one part on both sides of a split."""
    header = read_table(path)[0]
    columns = ", ".join(map(repr, header)) or "of an empty file"
    expected = (
        "file and group, in the object's folder; or image, mask, class and defect in the folder "
        "that is given"
    )
    do = "correct its first line, or move the file away if it is none of ours"
    return DataError(f"{path} has the columns {columns}", expected, do)
