"""YOLO's layout: a text file of labels for each picture, and names in a ``data.yaml``."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bgdefect_core.errors import DataError
from bgdefect_core.pictures.listing import (
    comparable,
    is_leftover,
    list_folders,
    list_pictures,
    named,
    shown_names,
)

from ..annotations.picture_index import is_address, without_prefix
from ..annotations.reading import find_inside, inside, read_small_text, read_yaml
from ..annotations.record import AnnotatedSet, LabelledPicture, Region
from ..annotations.shapes import Box, Polygons, Shape
from .annotated import AnnotationLayout
from .tables import read_table

_SIDES = ("train", "val", "valid", "test")
_NAME_LISTS = ("classes.txt", "obj.names")


class Yolo(AnnotationLayout):
    """Segmentation (a class and a polygon a line) and detection (a class and a box a line)."""

    name = "yolo"
    summary = (
        "YOLO: data.yaml with names, train and val, or images and labels beside each other with "
        "classes.txt; a text file a picture of polygons or boxes, relative to its size; each name "
        "is a defect, pictures without label are good pictures"
    )

    def recognises(self, root: Path) -> bool:
        if _yaml_of(root) is not None:
            return True
        if not root.is_dir():
            return False
        if any(named(root.iterdir(), name) is not None for name in _NAME_LISTS):
            return next(_label_files(root), None) is not None
        folders = list_folders(root)
        labels = named(folders, "labels")
        has_both = labels is not None and named(folders, "images") is not None
        return has_both and labels is not None and next(_label_files(labels), None) is not None

    def files(self, root: Path) -> list[Path]:
        """The annotation files."""
        files = sorted(self.folder(root).rglob("*.txt"))
        path = _yaml_of(root)
        return files if path is None else [path, *files]

    def read(self, root: Path) -> AnnotatedSet:
        """As ``AnnotationLayout``."""
        folder, path = self.folder(root), _yaml_of(root)
        content: Mapping[str, Any] = {} if path is None else _content_of(path)
        names = _names_of(content, path) if content else _listed_names(folder)
        pictures: list[LabelledPicture] = []
        images = list(dict.fromkeys(self._images(folder, content, path)))
        if not images:
            raise DataError(f"{root} lists no pictures", "pictures under train or images")
        groups = _groups_in(folder, self.options.group_key)
        labels, notes = _labels_of(folder, images)
        for image in images:
            label = labels.get(image)
            regions: list[Region] = []
            if label is not None and inside(folder, label, self.options.outside):
                regions = list(_regions_in(label, names))
            pictures.append(LabelledPicture(image, tuple(regions), groups.get(image, "")))
        return AnnotatedSet(tuple(pictures), tuple(notes))

    def _images(
        self, folder: Path, content: Mapping[str, Any], path: Path | None
    ) -> Iterator[Path]:
        """The pictures of all sides."""
        places = [content[side] for side in _SIDES if content.get(side)]
        if not places:
            images = named(list_folders(folder), "images")
            yield from _pictures_in(images or folder)
            return
        base = _base_of(folder, content, self.options.outside)
        for place in places:
            for entry in place if isinstance(place, list) else [place]:
                if not isinstance(entry, str) or "\x00" in entry:
                    raise DataError(f"{path} lists {str(entry)[:40]!r}", "folders or list files")
                yield from self._images_at(folder, base, entry, str(path))

    def _images_at(self, root: Path, base: Path, entry: str, where: str) -> Iterator[Path]:
        """The pictures of a folder or of a list file."""
        outside = self.options.outside
        for relative in (entry, entry.replace("\\", "/").removeprefix("../")):
            place = Path(os.path.normpath(base / relative.replace("\\", "/")))
            if not place.exists():
                continue
            if not inside(root, place, outside):
                came = f"{where} names {entry!r}, which leads out of {root}"
                do = "correct it, or give --outside-files"
                raise DataError(came, "a place in the data's folder", do)
            if place.is_dir():
                yield from _pictures_in(place)
            else:
                yield from _listed_pictures(root, base, place, outside)
            return
        if not inside(root, base / entry, outside):
            came = f"{where} names {entry[:200]!r}, which leads out of {root}"
            raise DataError(came, "a place in the data's folder", "correct it")
        raise DataError(f"{where}: {entry[:200]} does not exist", "a folder or a list of pictures")


def _listed_pictures(root: Path, base: Path, place: Path, outside: bool) -> Iterator[Path]:
    for number, line in enumerate(read_small_text(place).splitlines(), start=1):
        name = line.strip().replace("\x00", "")
        if not name:
            continue
        where = f"{place}, line {number}"
        places = (place.parent, base, root)
        image = find_inside(root, places, name, where, outside)
        if image is None and not is_address(name):  # Darknet's lists are relative to its own folder
            image = find_inside(root, places, name.removeprefix("data/"), where, outside)
        if image is None:
            raise DataError(f"{where}: {name[:200]} does not exist", "a picture", "correct it")
        yield image


def _yaml_of(root: Path) -> Path | None:
    """The file with names and sides, where there is one."""
    if root.is_file():
        return root if root.suffix.lower() in (".yaml", ".yml") else None
    for path in sorted(root.iterdir()):
        if path.suffix.lower() not in (".yaml", ".yml") or is_leftover(path.name):
            continue
        if path.stat().st_size > 1 << 20:
            continue
        try:
            content = read_yaml(path)
        except DataError:  # another file that is none of ours
            continue
        has_sides = isinstance(content, dict) and any(content.get(side) for side in _SIDES)
        if has_sides and "names" in content:
            return path
    return None


def _content_of(path: Path) -> Mapping[str, Any]:
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise DataError(f"{path} holds no entries", "names, train and val", "export it again")
    return content


def _base_of(folder: Path, content: Mapping[str, Any], outside: bool) -> Path:
    """The folder to which the sides are relative: ``path`` of the file where that is there."""
    path = content.get("path")
    if not isinstance(path, str) or "\x00" in path:
        return folder
    base = Path(os.path.normpath(folder / path))
    return base if base.is_dir() and inside(folder, base, outside) else folder


def _names_of(content: Mapping[str, Any], path: Path | None) -> dict[int, str]:
    """Number of a class -> its name."""
    names = content.get("names")
    pairs: list[tuple[Any, Any]] = []
    if isinstance(names, list):
        pairs = list(enumerate(names))
    elif isinstance(names, dict):
        pairs = list(names.items())
    numbered: dict[int, str] = {}
    for number, name in pairs:
        is_number = isinstance(number, int) and not isinstance(number, bool)
        if not is_number or not isinstance(name, str | int | float) or not str(name).strip():
            came = f"{path} names the class {str(number)[:40]!r}"
            raise DataError(came, "a number with a name", "correct it")
        numbered[number] = str(name).strip()
    if not numbered:
        raise DataError(f"{path} has no names of classes", "names: [...]", "correct it")
    return numbered


def _listed_names(folder: Path) -> dict[int, str] | None:
    """Names out of a list of them; None: there is none."""
    for name in _NAME_LISTS:
        path = named(folder.iterdir(), name)
        if path is not None:
            lines = map(str.strip, read_small_text(path).splitlines())
            return dict(enumerate(filter(None, lines)))
    return None


def _pictures_in(folder: Path) -> Iterator[Path]:
    """The pictures of a folder and of all folders in it."""
    yield from list_pictures(folder, folders_are_read=True)
    for inner in list_folders(folder):
        if not inner.is_symlink():
            yield from _pictures_in(inner)


def _label_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*.txt")):
        if path.name not in _NAME_LISTS and path.is_file():
            yield path


def _label_of(image: Path) -> Path | None:
    """The label of a picture: in ``labels`` for the last ``images`` of its path, else beside it."""
    parts = list(image.parts)
    beside = image.with_suffix(".txt")
    for place in range(len(parts) - 2, -1, -1):
        if parts[place].lower() == "images":
            parts[place] = "labels"
            label = Path(*parts).with_suffix(".txt")
            return label if label.is_file() else (beside if beside.is_file() else None)
    return beside if beside.is_file() else None


def _labels_of(folder: Path, images: Sequence[Path]) -> tuple[dict[Path, Path], list[str]]:
    """The label of each picture that has one, and what is to be said of the others.

    Label Studio names the labels after its own copies of the pictures, with a prefix.

    Raises:
        DataError: there are labels, but none of a picture.
    """
    labels: dict[Path, Path] = {}
    for image in images:
        label = _label_of(image)
        if label is not None:
            labels[image] = label
    used = set(labels.values())
    lists = {f"{side}.txt" for side in _SIDES} | {*_NAME_LISTS}
    rest: list[Path] = []
    for path in _label_files(folder):
        is_label = path.parent != folder or path.name not in lists
        if path not in used and is_label and path.stat().st_size:
            rest.append(path)
    unlabelled = {comparable(image.stem): image for image in images if image not in labels}
    orphans: list[str] = []
    for path in rest:
        name = without_prefix(path.stem)
        if name != path.stem and comparable(name) in unlabelled:
            labels[unlabelled.pop(comparable(name))] = path
        else:
            orphans.append(path.name)
    if orphans and not labels:
        came = f"{folder}: no label has its picture ({shown_names(orphans)})"
        do = "put the pictures into images, or beside the labels"
        raise DataError(came, "pictures of the labels' names", do)
    notes: list[str] = []
    if orphans:
        notes.append(f"{len(orphans)} labels have no picture: {shown_names(orphans)}")
    return labels, notes


def _groups_in(folder: Path, key: str) -> dict[Path, str]:
    """Picture -> its group, where a ``manifest.csv`` names them."""
    path = named(folder.iterdir(), "manifest.csv")
    if path is None or not path.is_file():
        return {}
    header, rows = read_table(path)
    groups: dict[Path, str] = {}
    if {"file", key.lower()} <= set(header):
        for row in rows:
            groups[Path(os.path.normpath(folder / row["file"]))] = row[key.lower()]
    return groups


def _regions_in(label: Path, names: Mapping[int, str] | None) -> Iterator[Region]:
    for number, line in enumerate(read_small_text(label).splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        where = f"{label}, line {number}"
        try:
            values = tuple(map(float, words))
        except ValueError as reason:
            raise DataError(f"{where} is {line[:40]!r}", "numbers", "export it again") from reason
        if not all(map(math.isfinite, values)) or values[0] != int(values[0]):
            raise DataError(f"{where} is {line[:40]!r}", "a class and finite numbers")
        kind = int(values[0])
        if names is not None and kind not in names:
            raise DataError(f"{where} is of the class {kind}", f"one of {sorted(names)[:20]}")
        name = f"class{kind}" if names is None else names[kind]
        yield Region(name, _shape_of(values[1:], where), where)


def _shape_of(values: tuple[float, ...], where: str) -> Shape:
    """A box (middle and size) of four numbers, else a polygon."""
    if len(values) in (4, 5):  # the fifth is a detector's confidence
        x, y, width, height = values[:4]
        if width <= 0 or height <= 0:
            raise DataError(f"{where}: a box of {width:g} x {height:g}", "above 0", "redraw it")
        left, top = x - width / 2, y - height / 2
        return Box(left, top, left + width, top + height, relative=True)
    if len(values) < 6 or len(values) % 2:
        came = f"{where}: {len(values)} numbers after the class"
        raise DataError(came, "4 of a box, or x and y of 3 corners or more", "export it again")
    return Polygons((values,), relative=True)
