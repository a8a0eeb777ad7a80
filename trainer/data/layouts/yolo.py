"""YOLO's layout: a text file of labels for each picture, and names in a ``data.yaml``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from bgdefect_core.errors import DataError
from bgdefect_core.pictures.listing import list_folders, named, picture_files, without_masks

from ..annotations.reading import inside, read_small_text
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
from .yolo_yaml import DataYaml, pictures_in


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
        if DataYaml.of(root) is not None:
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
        data = DataYaml.of(root)
        files = text_files(self.folder(root))
        return files if data is None else [data.path, *files]

    def read(self, root: Path) -> AnnotatedSet:
        """As ``AnnotationLayout``."""
        folder, data = self.folder(root), DataYaml.of(root)
        names = _listed_names(folder) if data is None else data.names
        sides: dict[Path, DataSide] = {}
        for image, side in self._images(folder, data):
            sides.setdefault(image, side)  # of several sides the first counts
        images = list(sides)
        if not images:
            raise DataError(f"{root} lists no pictures", "pictures under train or images")
        groups = _groups_in(folder, self.options.group_key)
        labels, notes = labels_of(folder, images)
        unlabelled = without_masks([image for image in images if image not in labels], images)
        used = {*labels, *unlabelled}
        pictures: list[LabelledPicture] = []
        for image in images:
            if image not in used:
                continue
            label = labels.get(image)
            regions: list[Region] = []
            if label is not None and not inside(folder, label, self.options.outside):
                came = f"{label} leads out of {folder}"
                do = "put the file there, or give --outside-files"
                raise DataError(came, "a file in the data's folder", do)
            if label is not None:
                has_key_points = data is not None and data.has_key_points
                regions = list(regions_in(label, names, has_key_points))
            group = groups.get(image, "")
            pictures.append(LabelledPicture(image, tuple(regions), group, side=sides[image]))
        return AnnotatedSet(tuple(pictures), tuple(notes))

    def _images(self, folder: Path, data: DataYaml | None) -> Iterator[tuple[Path, DataSide]]:
        """The pictures of all sides, each with its own."""
        if data is None or not data.sides:
            place = named(list_folders(folder), "images") or folder
            for image in pictures_below(place, labels=".txt"):
                yield image, ""
            return
        outside = self.options.outside
        for side, place in data.places(folder, outside):
            images = pictures_in(place, folder, data.base(folder, outside), outside)
            for image in images:
                yield image, side_called(side)


def _is_pair(place: Path) -> bool:
    """Whether a folder holds images and labels beside each other."""
    folders = list_folders(place)
    labels = named(folders, "labels")
    if labels is None or named(folders, "images") is None:
        return False
    return next(label_files(labels), None) is not None


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
