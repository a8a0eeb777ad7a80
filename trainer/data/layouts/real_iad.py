"""Real-IAD's layout: a JSON file for each object, which lists pictures and masks."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from bgdefect_core.errors import DataError
from bgdefect_core.pictures.listing import comparable, list_folders, report_once, shown_names
from bgdefect_core.pictures.mask_values import NONZERO

from ..annotations.reading import Entries, find_inside, read_json
from ..examples import GOOD, Example
from .layout import Layout, check_defect_names, choose_object, find_folder
from .peeking import json_files, keys_in

_KEYS = ("meta", "anomaly_class", "image_path")
_SIDES = ("train", "test")
_PLACES = (
    (),
    ("realiad_jsons", "realiad_jsons"),
    ("realiad_jsons",),
    ("realiad_jsons", "realiad_jsons_sv"),
    ("realiad_jsons_sv",),
)
"""Where the files may lie; the first place that holds any is read: all views before one view."""
_SIZED = re.compile(r"realiad[_-]([0-9]+|raw)")
_REMEMBERED = 64


@dataclass(frozen=True)
class _Line:
    image: str
    mask: str | None
    defect: str | None
    """None: a good picture."""
    side: str
    where: str


@dataclass(frozen=True)
class _Object:
    file: Path
    folder: Path
    """Of its pictures."""


class RealIAD(Layout):
    """The views of one part lie in one folder (``NG/BX/S0001``), which is their group. A view of a
    defective part in which the defect is not visible is a good picture, as the file says."""

    name = "real_iad"
    summary = (
        "as Real-IAD: OBJECT.json with meta, train and test in realiad_jsons/realiad_jsons (or "
        "realiad_jsons, realiad_jsons_sv, the folder itself), pictures in realiad_1024/OBJECT (of "
        "several sizes the largest) or OBJECT; each anomaly_class is a defect, every value of a "
        "mask but 0; the views of a part are a group"
    )
    good_place = "pictures of the normal class in the JSON file"

    def recognises(self, root: Path) -> bool:
        return bool(_files_of(root))

    def classes(self, root: Path) -> dict[str, set[str]]:
        classes: dict[str, set[str]] = {}
        for name, entry in _objects_in(root).items():
            classes[name] = _defects_of(_lines_of(entry.file))
        return classes

    def examples(self, root: Path, classes: Collection[tuple[str, str]]) -> list[Example]:
        objects = _objects_in(root)
        examples: list[Example] = []
        for name, defect in sorted(classes):
            entry = objects[name]
            for line in _lines_of(entry.file):
                if line.defect == defect:
                    examples.append(_example(root, entry, name, line))
        return examples

    def good_examples(self, root: Path, object: str | None, side: str) -> list[Example]:
        objects = _objects_in(root)
        name = choose_object(root, object, objects)
        examples: list[Example] = []
        for line in _lines_of(objects[name].file):
            if line.defect is None and line.side == side:
                examples.append(_example(root, objects[name], name, line))
        return examples


def _files_of(root: Path) -> list[Path]:
    """The JSON files of the objects; none where the folder is of another layout."""
    if not root.is_dir():
        return []
    for names in _PLACES:
        place = find_folder(root, *names)
        if place is None:
            continue
        files = [path for path in json_files(place) if set(_KEYS) <= keys_in(path, _KEYS)]
        if files:
            return files
    return []


def _objects_in(root: Path) -> dict[str, _Object]:
    """The objects whose pictures are there.

    Raises:
        DataError: there is none.
    """
    sized: list[tuple[int, Path]] = []
    for folder in list_folders(root):
        match = _SIZED.fullmatch(comparable(folder.name))
        if match is not None:
            sized.append((0 if match[1] == "raw" else int(match[1]), folder))
    sized.sort(reverse=True)
    bases = [*(folder for _, folder in sized), root]
    objects: dict[str, _Object] = {}
    absent: list[str] = []
    for path in _files_of(root):
        place = _first_folder(bases, path.stem)
        if place is None:
            absent.append(path.stem)
        else:
            objects[path.stem] = _Object(path, place)
    if absent and not objects:
        came = f"{root} holds no pictures of {shown_names(absent)}"
        raise DataError(came, "realiad_1024/OBJECT beside the JSON files", "unpack them there")
    if absent:
        report_once(f"{root}: no pictures of {shown_names(absent)}: passed over", expected=True)
    read = sorted({entry.folder.parent.name for entry in objects.values()})
    if len(sized) > 1:
        report_once(f"{root}: of several sizes, {', '.join(read)} is read", expected=True)
    return objects


def _first_folder(bases: Iterable[Path], name: str) -> Path | None:
    """The folder of this name in the first of some folders that has it."""
    for base in bases:
        folder = find_folder(base, name)
        if folder is not None:
            return folder
    return None


def _lines_of(path: Path) -> tuple[_Line, ...]:
    status = path.stat()
    return _read(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=_REMEMBERED)
def _read(path: Path, size: int, changed: int) -> tuple[_Line, ...]:
    """All pictures that a file lists.

    Args:
        size, changed: of the file; another state is another entry.

    Raises:
        DataError: another structure, or a class that cannot be a folder.
    """
    content = Entries(read_json(path), str(path))
    meta = Entries(content.any("meta"), f"{path}, meta")
    normal = meta.text("normal_class")
    lines: list[_Line] = []
    listed: set[str] = set()
    for side in _SIDES:
        for number, values in enumerate(content.list(side) if side in content else []):
            entries = Entries(values, f"{path}, {side} {number}")
            kind = entries.text("anomaly_class")
            mask = entries.text("mask_path") if entries.any("mask_path") else None
            defect = None if kind == normal else kind
            image = entries.text("image_path")
            if image in listed:
                came = f"{entries.where}: {image[:200]} stands there twice"
                raise DataError(came, "an entry a picture", "leave one out")
            listed.add(image)
            lines.append(_Line(image, mask, defect, side, entries.where))
    check_defect_names(path, _defects_of(lines))
    return tuple(lines)


def _defects_of(lines: Iterable[_Line]) -> set[str]:
    return {line.defect for line in lines if line.defect is not None}


def _example(root: Path, entry: _Object, object: str, line: _Line) -> Example:
    """The files that a line names.

    Raises:
        DataError: one is not there, leads out of the folder, or a defect has no mask.
    """
    image = _file(root, entry, line.image, line.where)
    group = line.image.replace("\\", "/").strip("/").rpartition("/")[0]
    if line.defect is None:
        return Example(image, (), object, GOOD, group)
    if line.mask is None:
        came = f"{line.where}: {line.image} is of {line.defect} and has no mask_path"
        raise DataError(came, "a mask for each defect", "add it, or leave the entry out")
    mask = _file(root, entry, line.mask, line.where)
    return Example(image, (mask,), object, line.defect, group, NONZERO)


def _file(root: Path, entry: _Object, name: str, where: str) -> Path:
    path = find_inside(root, (entry.folder,), name, where)
    if path is None:
        came = f"{where}: {name[:200]} does not exist"
        raise DataError(came, f"a file in {entry.folder}", "unpack the pictures there")
    return path
