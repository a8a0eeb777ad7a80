"""YOLO's layout: a text file of labels for each picture, and names in a ``data.yaml``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bgdefect_core.errors import DataError
from bgdefect_core.pictures.listing import (
    comparable,
    is_leftover,
    list_folders,
    named,
    picture_files,
    report_once,
    without_masks,
)

from ..annotations.picture_index import is_address, picture_at_end, place_at_end
from ..annotations.reading import find_inside, inside, read_small_text, read_yaml
from ..annotations.record import AnnotatedSet, LabelledPicture, Region
from ..sides import DataSide, side_called
from .annotated import AnnotationLayout
from .layout import find_folder
from .peeking import pictures_below, soon
from .tables import read_table
from .yolo_labels import (
    NAME_LISTS,
    SIDES,
    has_label_beside,
    label_files,
    labels_of,
    regions_in,
    text_files,
)


class Yolo(AnnotationLayout):
    """Segmentation (a class and a polygon a line) and detection (a class and a box a line)."""

    name = "yolo"
    summary = (
        "YOLO: data.yaml with names, train and val, or images and labels beside each other, there "
        "or in train, val, valid and test, with "
        "classes.txt; a text file a picture of polygons or boxes, relative to its size; each name "
        "is a defect, pictures without label are good pictures"
    )

    def recognises(self, root: Path) -> bool:
        if _yaml_of(root) is not None:
            return True
        if not root.is_dir():
            return False
        if any(named(root.iterdir(), name) is not None for name in NAME_LISTS):
            return next(label_files(root), None) is not None
        sides = [find_folder(root, side) for side in SIDES]
        if any(_is_pair(place) for place in (root, *sides) if place is not None):
            return True
        return soon(has_label_beside, picture_files(root))

    def files(self, root: Path) -> list[Path]:
        """The annotation files."""
        files = text_files(self.folder(root))
        path = _yaml_of(root)
        return files if path is None else [path, *files]

    def read(self, root: Path) -> AnnotatedSet:
        """As ``AnnotationLayout``."""
        folder, path = self.folder(root), _yaml_of(root)
        content: Mapping[str, Any] = {} if path is None else _content_of(path)
        names = _names_of(content, path) if content else _listed_names(folder)
        pictures: list[LabelledPicture] = []
        sides: dict[Path, DataSide] = {}
        for image, side in self._images(folder, content, path):
            sides.setdefault(image, side)
        images = list(sides)
        if not images:
            raise DataError(f"{root} lists no pictures", "pictures under train or images")
        groups = _groups_in(folder, self.options.group_key)
        labels, notes = labels_of(folder, images)
        unlabelled = without_masks([image for image in images if image not in labels], images)
        used = {*labels, *unlabelled}
        for image in images:
            if image not in used:
                continue
            label = labels.get(image)
            regions: list[Region] = []
            if label is not None and inside(folder, label, self.options.outside):
                regions = list(regions_in(label, names, "kpt_shape" in content))
            group = groups.get(image, "")
            pictures.append(LabelledPicture(image, tuple(regions), group, side=sides[image]))
        return AnnotatedSet(tuple(pictures), tuple(notes))

    def _images(
        self, folder: Path, content: Mapping[str, Any], path: Path | None
    ) -> Iterator[tuple[Path, DataSide]]:
        """The pictures of all sides, each with its own; of several the first counts."""
        sides = [side for side in SIDES if content.get(side)]
        if not sides:
            images = named(list_folders(folder), "images")
            for image in pictures_below(images or folder, labels=".txt"):
                yield image, ""
            return
        base = _base_of(folder, content, self.options.outside)
        for side in sides:
            listed = content[side]
            for entry in listed if isinstance(listed, list) else [listed]:
                if not isinstance(entry, str) or "\x00" in entry:
                    raise DataError(f"{path} lists {str(entry)[:40]!r}", "folders or list files")
                place = _place_of(folder, base, entry, str(path), self.options.outside)
                if place is None and side == "test" and len(sides) > 1:
                    text = f"{path}: {entry[:200]} ({side}) does not exist: passed over"
                    report_once(text, expected=False)  # Roboflow names it always
                    continue
                if place is None:
                    came = f"{path}: {entry[:200]} does not exist"
                    raise DataError(came, "a folder or a list of pictures")
                for image in self._images_at(folder, base, place):
                    yield image, side_called(side)

    def _images_at(self, root: Path, base: Path, place: Path) -> Iterator[Path]:
        """The pictures of a folder or of a list file."""
        if place.is_dir():
            yield from pictures_below(place, labels=".txt")
        else:
            yield from _listed_pictures(root, base, place, self.options.outside)


def _place_of(root: Path, base: Path, entry: str, where: str, outside: bool) -> Path | None:
    """The folder or list file of an entry: as it is written, without the ``../`` of Roboflow, or
    what an absolute path of another machine ends in; None: there is none.

    Raises:
        DataError: it leads out of the data's folder.
    """
    relative = entry.replace("\\", "/")
    places: list[Path] = []
    for name in (relative, relative.removeprefix("../")):
        places.append(Path(os.path.normpath(base / name)))
    in_folder = [place for place in places if inside(root, place, outside)]
    for place in in_folder:
        if place.exists():
            return place
    is_elsewhere = is_address(entry) and not places[0].exists()
    if places[0].exists() or not (in_folder or is_elsewhere):
        came = f"{where} names {entry[:200]!r}, which leads out of {root}"
        do = "correct it, or give --outside-files"
        raise DataError(came, "a place in the data's folder", do)
    place_here = place_at_end(root, (base, root), entry) if is_elsewhere else None
    if place_here is not None:
        text = f"{where} names {entry[:200]}, which is not on this machine: "
        report_once(f"{text}{place_here} is read", expected=False)
    return place_here


def _is_pair(place: Path) -> bool:
    """Whether a folder holds images and labels beside each other."""
    folders = list_folders(place)
    labels = named(folders, "labels")
    if labels is None or named(folders, "images") is None:
        return False
    return next(label_files(labels), None) is not None


def _listed_pictures(root: Path, base: Path, place: Path, outside: bool) -> Iterator[Path]:
    """The pictures of a list file, a path a line."""
    bases = tuple(dict.fromkeys((place.parent, base, root)))
    elsewhere: list[str] = []
    for number, line in enumerate(read_small_text(place).splitlines(), start=1):
        name = line.strip().replace("\x00", "")
        if not name:
            continue
        where = f"{place}, line {number}"
        if is_address(name) and not Path(name).exists():
            image = picture_at_end(root, bases, name, where)
            elsewhere.append(name)
        else:
            # Darknet's lists are relative to its own folder
            image = find_inside(root, bases, name, where, outside)
            image = image or find_inside(root, bases, name.removeprefix("data/"), where, outside)
        if image is None:
            raise DataError(f"{where}: {name[:200]} does not exist", "a picture", "correct it")
        yield image
    if elsewhere:
        text = f"{place} names pictures by paths that are not on this machine, such as "
        text += f"{elsewhere[0][:200]}: those of the same names in {root} are read"
        report_once(text, expected=False)


_YAML_NAMES = ("data", "dataset")
"""Files that are meant for YOLO, whatever is wrong with them."""


def _yaml_of(root: Path) -> Path | None:
    """The file with names and sides, where there is one."""
    if root.is_file():
        return root if root.suffix.lower() in (".yaml", ".yml") else None
    found: list[Path] = []
    for path in sorted(root.iterdir()):
        if path.suffix.lower() not in (".yaml", ".yml") or is_leftover(path.name):
            continue
        if path.stat().st_size > 1 << 20:
            continue
        try:
            content = read_yaml(path)
        except DataError:
            if comparable(path.stem) in _YAML_NAMES:
                raise
            continue  # another file that is none of ours
        has_sides = isinstance(content, dict) and any(content.get(side) for side in SIDES)
        if has_sides and "names" in content:
            found.append(path)
    usual = [path for path in found if comparable(path.stem) in _YAML_NAMES]
    found = usual or found
    if len(found) > 1:
        came = f"{found[0]} and {found[1]} both have names and sides"
        raise DataError(came, "one file, or data.yaml", "give the one that is meant as the data")
    return found[0] if found else None


def _content_of(path: Path) -> Mapping[str, Any]:
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise DataError(f"{path} holds no entries", "names, train and val", "export it again")
    return content


def _base_of(folder: Path, content: Mapping[str, Any], outside: bool) -> Path:
    """The folder to which the sides are relative: ``path`` of the file where that is there, or what
    it ends in where it is of another machine."""
    path = content.get("path")
    if not isinstance(path, str) or "\x00" in path:
        return folder
    base = Path(os.path.normpath(folder / path))
    if base.is_dir() and inside(folder, base, outside):
        return base
    base_here = place_at_end(folder, (folder,), path)
    return folder if base_here is None or not base_here.is_dir() else base_here


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
        if isinstance(number, str) and number.isdecimal():
            number = int(number)
        is_number = isinstance(number, int) and not isinstance(number, bool)
        is_name = isinstance(name, str | int | float) and not isinstance(name, bool)
        if not is_number or not is_name or not str(name).strip():
            came = f"{path} names the class {str(number)[:40]!r} {str(name)[:40]!r}"
            do = "correct it; in YAML, words such as on, no and ~ are names in quotes alone"
            raise DataError(came, "a number with a name", do)
        numbered[number] = str(name).strip()
    if not numbered and names not in ([], {}):  # a data set of good pictures alone has none
        raise DataError(f"{path} has no names of classes", "names: [...]", "correct it")
    return numbered


def _listed_names(folder: Path) -> dict[int, str] | None:
    """Names out of a list of them, in the folder or beside the labels, as LabelImg writes it; None:
    there is none.

    Raises:
        DataError: two lists that differ.
    """
    places = list(filter(None, (named(folder.iterdir(), name) for name in NAME_LISTS)))
    places = places or [path for path in text_files(folder) if path.name in NAME_LISTS]
    names: dict[int, str] | None = None
    for path in places:
        lines = map(str.strip, read_small_text(path).splitlines())
        listed = dict(enumerate(filter(None, lines)))
        if names not in (None, listed):
            came = f"{places[0]} and {path} name different classes"
            raise DataError(came, "one list of names", "move one of them away")
        names = listed
    return names


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
