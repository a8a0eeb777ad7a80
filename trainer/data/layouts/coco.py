"""COCO's layout: one JSON file of images, annotations and categories."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from bgdefect_core.errors import DataError
from bgdefect_core.pictures.listing import list_folders, named

from ..annotations.picture_index import PictureIndex, is_address
from ..annotations.reading import Entries, find_inside, read_json
from ..annotations.record import IGNORE, AnnotatedSet, AnnotationOptions, LabelledPicture, Region
from ..annotations.shapes import Box, Polygons, RunLengths, Shape, Size
from ..sides import side_called
from .annotated import AnnotationLayout
from .peeking import json_files, keys_in

_KEYS = ("images", "annotations", "categories")
_PLACES = ("annotations", "train", "valid", "val", "test")
"""Folders beside the pictures, or of a side each, in which such files lie."""
_PICTURES = ("images", "JPEGImages", "data", "train", "val", "valid", "test")
"""Folders in which pictures may lie where the file's own names do not lead to them."""


class Coco(AnnotationLayout):
    """One file, or all such files of a folder. Polygons, run lengths packed or not, and boxes."""

    name = "coco"
    summary = (
        "COCO: a JSON file of images, annotations and categories (polygons, run lengths, boxes), "
        "or the folder that holds it, itself or in annotations, train, valid, val or test; each "
        "category is a defect, images without annotation are good pictures"
    )

    def files(self, root: Path) -> list[Path]:
        """The annotation files."""
        places = [root]
        if root.is_dir():
            folders = list_folders(root)
            places += filter(None, (named(folders, name) for name in _PLACES))
        files: list[Path] = []
        for place in places:
            for path in json_files(place):
                if len(keys_in(path, _KEYS)) >= 2:
                    files.append(path)
        return files

    def folder(self, root: Path) -> Path:
        """The data set's folder; of a file in ``annotations`` the folder above."""
        if root.is_dir():
            return root
        parent = Path(os.path.abspath(root)).parent
        return parent.parent if parent.name == "annotations" else parent

    def read(self, root: Path) -> AnnotatedSet:
        """As ``AnnotationLayout``."""
        pictures: list[LabelledPicture] = []
        listed_in: dict[Path, Path] = {}
        index = PictureIndex(self.folder(root), outside=self.options.outside)
        for path in self.files(root):
            for picture in _Document(path).pictures(self.folder(root), index, self.options):
                other = listed_in.setdefault(picture.image, path)
                if other != path:
                    came = f"{other} and {path} both have {picture.image}"
                    do = "move one of the files away, or give the other as the data set"
                    raise DataError(came, "each picture in one file", do)
                pictures.append(picture)
        return AnnotatedSet(tuple(pictures))


class _Document:
    """One file.

    Raises:
        DataError: it is no such file, or two of its entries have one id.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._side = side_called(path.stem) or side_called(path.parent.name)
        content = Entries(read_json(path), str(path))
        self._images = self._by_id(content, "images")
        self._categories: dict[str, str] = {}
        for id, entries in self._by_id(content, "categories").items():
            self._categories[id] = entries.label("name")
        self._regions: dict[str, list[Region]] = {}
        for index, values in enumerate(content.list("annotations")):
            self._add(Entries(values, f"{path}, annotation {index}"))

    def _by_id(self, content: Entries, name: str) -> dict[str, Entries]:
        by_id: dict[str, Entries] = {}
        for index, values in enumerate(content.list(name)):
            entries = Entries(values, f"{self._path}, {name} {index}")
            id = entries.id("id")
            if id in by_id:
                came = f"{entries.where}: the id {id[:60]} stands there twice"
                raise DataError(came, "an id each", "export it again")
            by_id[id] = entries
        return by_id

    def _add(self, entries: Entries) -> None:
        image, category = entries.id("image_id"), entries.id("category_id")
        if image not in self._images:
            came = f"{entries.where} is of the image {image[:60]}"
            raise DataError(came, "the id of an image", "export it again")
        if category not in self._categories:
            came = f"{entries.where} has the category {category[:60]}"
            raise DataError(came, "the id of a category", "export it again")
        shape = _shape_of(entries)
        regions = self._regions.setdefault(image, [])
        if not entries.is_on("ignore"):
            regions.append(Region(self._categories[category], shape, entries.where))
        elif not any(region.shape == shape for region in regions):  # it stands in every category
            regions.append(Region(IGNORE, shape, entries.where))

    def pictures(
        self, root: Path, index: PictureIndex, options: AnnotationOptions
    ) -> Iterator[LabelledPicture]:
        """The pictures with their regions."""
        folders = _picture_folders(self._path, root)
        for id, entries in self._images.items():
            name = entries.text("file_name")
            image = None
            if is_address(name) and not (options.outside and Path(name).is_file()):
                image = index.find(name, entries.where)
            if image is None:
                image = find_inside(root, folders, name, entries.where, options.outside)
            if image is None:
                came = f"{entries.where}: {name} does not exist"
                expected = f"a file in {folders[0]}, or in images beside or above it"
                raise DataError(came, expected, "put the pictures there, or leave the entry out")
            regions = tuple(self._regions.get(id, ()))
            group = entries.group(options.group_key)
            yield LabelledPicture(image, regions, group, _size_of(entries), self._side)


def _picture_folders(path: Path, root: Path) -> tuple[Path, ...]:
    """Where file names may begin: beside the annotation file, in the data's folder, and in usual
    folders of pictures in them."""
    places = [path.parent, root]
    folders: list[Path] = []
    side = path.stem.removeprefix("instances_")
    for place in places:
        folders.append(place)
        for name in (side, *_PICTURES):
            folder = place / name
            if folder.is_dir():
                folders.append(folder)
                for part in (side, *_PLACES):
                    if (folder / part).is_dir():
                        folders.append(folder / part)
    return tuple(dict.fromkeys(folders))


def _size_of(entries: Entries) -> Size | None:
    if "height" not in entries or "width" not in entries:
        return None
    size = entries.whole("height"), entries.whole("width")
    return size if all(size) else None  # tools that do not know it write 0


def _shape_of(entries: Entries) -> Shape:
    """Polygons or run lengths where the annotation has them with an area, else its box.

    Raises:
        DataError: it has none of them.
    """
    segmentation: Any = entries.any("segmentation")
    if isinstance(segmentation, dict) and segmentation:
        return _runs_of(Entries(segmentation, f"{entries.where}, segmentation"))
    if isinstance(segmentation, list):
        segmentation = [part for part in segmentation if part != []]
    if segmentation:
        if not isinstance(segmentation, list):
            raise DataError(f"{entries.where}: segmentation is no list", "polygons or run lengths")
        if not isinstance(segmentation[0], list) or _are_pairs(segmentation):
            segmentation = [segmentation]
        parts: list[tuple[float, ...]] = []
        for part in segmentation:
            part = list(chain.from_iterable(part)) if _are_pairs(part) else part
            numbers = entries.numbers_in(part, "segmentation")
            if not numbers or len(numbers) % 2:
                came = f"{entries.where}: a polygon has {len(numbers)} coordinates"
                raise DataError(came, "x and y of each corner", "draw it again")
            if len(numbers) >= 6:
                parts.append(numbers)
        if parts:
            return Polygons(tuple(parts))
        if "bbox" not in entries:
            came = f"{entries.where}: a polygon of less than 3 corners, without bbox"
            raise DataError(came, "x and y of 3 corners or more", "draw it again")
    box = entries.numbers("bbox")
    if len(box) != 4 or min(box[2:]) < 0:
        came = f"{entries.where}: bbox is {list(box)[:6]}"
        raise DataError(came, "left, top, width and height, none below 0", "draw it again")
    return Box(box[0], box[1], box[0] + box[2], box[1] + box[3])


def _are_pairs(part: Any) -> bool:
    """Whether an outline is written as a pair of x and y for each corner."""
    if not isinstance(part, list) or len(part) < 3:
        return False
    return all(
        isinstance(pair, list) and len(pair) == 2 and not isinstance(pair[0], list) for pair in part
    )


def _runs_of(entries: Entries) -> RunLengths:
    size = entries.numbers("size")
    if len(size) != 2:
        raise DataError(f"{entries.where}: size is {list(size)[:6]}", "height and width")
    counts: Any = entries.any("counts")
    if isinstance(counts, str):
        return RunLengths(counts, (int(size[0]), int(size[1])))
    runs = tuple(map(int, entries.numbers("counts")))
    return RunLengths(runs, (int(size[0]), int(size[1])))
