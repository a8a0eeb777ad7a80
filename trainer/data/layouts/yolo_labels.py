"""YOLO's text files of labels: which picture each belongs to, and what its lines say."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from bgdefect_core.errors import DataError
from bgdefect_core.pictures.listing import comparable, list_folders, named, shown_names

from ..annotations.picture_index import without_prefix
from ..annotations.reading import read_small_text
from ..annotations.record import Region
from ..annotations.shapes import Box, Polygons, Shape
from .peeking import text_near_ends

__all__ = [
    "NAME_LISTS",
    "SIDES",
    "has_label_beside",
    "label_files",
    "labels_of",
    "regions_in",
    "text_files",
]

SIDES = ("train", "val", "valid", "test")
NAME_LISTS = ("classes.txt", "obj.names")
"""Files of names, no labels."""
_NUMBER = re.compile(r"[-+]?[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?")
_LARGEST_SHARE = 1.5
"""Of a picture's width or height: labels reach beyond their pictures by far less, pixels and the
numbers of key points by more."""


def label_files(folder: Path) -> Iterator[Path]:
    """All that may be labels, in a folder and the folders in it."""
    for path in text_files(folder):
        is_readme = path.name.lower().startswith("readme.")  # Roboflow writes two
        if path.name not in NAME_LISTS and not is_readme:
            yield path


def text_files(folder: Path) -> list[Path]:
    """The files that end in ``.txt``, in either case, in a folder and the folders in it."""
    files: list[Path] = []
    for path in sorted(folder.rglob("*.*")):
        if path.suffix.lower() == ".txt" and path.is_file():
            files.append(path)
    return files


def _label_of(image: Path, labels_beside: Callable[[Path], Path]) -> Path | None:
    """The label of a picture: in ``labels`` for the last ``images`` of its path, else beside it.

    Args:
        labels_beside: the folder of labels beside one of images.
    """
    beside = _text_at(image)
    for folder in image.parents:
        if comparable(folder.name) == "images":
            return _text_at(labels_beside(folder) / image.relative_to(folder)) or beside
    return beside


def _labels_beside(images: Path) -> Path:
    labels = named(list_folders(images.parent), "labels")
    return images.parent / "labels" if labels is None else labels


def has_label_beside(image: Path) -> bool:
    """Whether a text file of a picture's name lies beside it and begins with a label."""
    path = _text_at(image)
    words = [] if path is None else next(iter(text_near_ends(path).splitlines()), "").split()
    return len(words) >= 5 and all(map(_NUMBER.fullmatch, words))


def _text_at(path: Path) -> Path | None:
    """The text file of this name, with an ending in either case."""
    for ending in (".txt", ".TXT"):
        text = path.with_suffix(ending)
        if text.is_file():
            return text
    return None


def labels_of(folder: Path, images: Sequence[Path]) -> tuple[dict[Path, Path], list[str]]:
    """The label of each picture that has one, and what is to be said of the others.

    Label Studio names the labels after its own copies of the pictures, with a prefix.

    Raises:
        DataError: there are labels, but none of a picture, or two pictures have one label.
    """
    labels: dict[Path, Path] = {}
    image_of: dict[Path, Path] = {}
    labels_beside = cache(_labels_beside)
    for image in images:
        label = _label_of(image, labels_beside)
        if label is None:
            continue
        if label in image_of:
            came = f"{image_of[label]} and {image} have one label, {label}"
            raise DataError(came, "one picture a label", "rename one of them, or remove it")
        labels[image] = label
        image_of[label] = image
    used = set(labels.values())
    lists = {f"{side}.txt" for side in SIDES} | {*NAME_LISTS}
    rest: list[Path] = []
    for path in label_files(folder):
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
    if not labels:
        text = "no picture has a label (NAME.txt beside it, or in labels beside images): all are "
        notes.append(f"{text}taken for good pictures")
    if orphans:
        notes.append(f"{len(orphans)} labels have no picture: {shown_names(orphans)}")
    return labels, notes


def regions_in(
    label: Path, names: Mapping[int, str] | None, with_key_points: bool = False
) -> Iterator[Region]:
    """The regions that a file draws.

    Args:
        names: of the classes by their numbers; None: there are none. with_key_points: a line is a
            box and key points, which are not read.

    Raises:
        DataError: a line of another form; the message names it.
    """
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
        last = 5 if with_key_points else len(values)
        if max(map(abs, values[1:last]), default=0) > _LARGEST_SHARE:
            came = f"{where} is {line[:40]!r}, in pixels or with key points"
            expected = "shares of the picture's width and height, 0 to 1"
            do = "divide them by width and height, or name kpt_shape in data.yaml"
            raise DataError(came, expected, do)
        kind = int(values[0])
        if names is not None and kind not in names:
            raise DataError(f"{where} is of the class {kind}", f"one of {sorted(names)[:20]}")
        name = f"class{kind}" if names is None else names[kind]
        yield Region(name, _shape_of(values[1:last], where), where)


def _shape_of(values: tuple[float, ...], where: str) -> Shape:
    """A box (middle and size) of four numbers, else a polygon."""
    if len(values) in (4, 5):  # the fifth is a detector's confidence
        x, y, width, height = values[:4]
        if width < 0 or height < 0:
            came = f"{where}: a box of {width:g} x {height:g}"
            raise DataError(came, "none below 0", "draw it again")
        left, top = x - width / 2, y - height / 2
        return Box(left, top, left + width, top + height, relative=True)
    if len(values) < 6 or len(values) % 2:
        came = f"{where}: {len(values)} numbers after the class"
        raise DataError(came, "4 of a box, or x and y of 3 corners or more", "export it again")
    return Polygons((values,), relative=True)
