"""LabelMe's layout: a JSON file for each picture."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence, Set
from itertools import chain
from pathlib import Path

from bgdefect_core.errors import DataError
from bgdefect_core.pictures.listing import comparable, list_pictures, without_masks

from ..annotations.reading import Entries, find_inside, read_json
from ..annotations.record import (
    POINTS_UNREAD,
    AnnotatedSet,
    LabelledPicture,
    Region,
    calls_bad,
)
from ..annotations.shapes import Box, Disc, MaskLayer, Polygons, Shape, Size, Stroke
from .annotated import AnnotationLayout
from .peeking import files_below, json_files, keys_in, soon


class LabelMe(AnnotationLayout):
    """JSON files beside the pictures, or in a folder of their own, in any depth."""

    name = "labelme"
    summary = (
        "LabelMe: a JSON file for each picture, beside it or where its imagePath leads (polygons, "
        "rectangles, circles, lines with a width, mask layers, points with --point-size); each "
        "label is a defect, pictures without JSON or shapes are good pictures"
    )

    def recognises(self, root: Path) -> bool:
        if not root.is_dir():
            return False
        return soon(_is_labelme, files_below(root, json_files))

    def files(self, root: Path) -> list[Path]:
        """The annotation files; the folders that hold them change with their pictures."""
        return list(filter(_is_labelme, files_below(root, json_files)))

    def read(self, root: Path) -> AnnotatedSet:
        """As ``AnnotationLayout``."""
        pictures: dict[Path, LabelledPicture] = {}
        notes: list[str] = []
        points = bad = 0
        files = self.files(root)
        for path in files:
            content = Entries(read_json(path), str(path))
            image = self._image(root, path, content)
            regions: list[Region] = []
            unread = 0
            for number, values in enumerate(content.list("shapes")):
                entries = Entries(values, f"{path}, shape {number}")
                shape = self._shape(entries)
                if shape is None:
                    unread += 1
                    points += 1
                else:
                    regions.append(Region(entries.label("label"), shape, entries.where))
            if image in pictures:
                came = f"{path} is a second file of labels for {image}"
                raise DataError(came, "one a picture", "join the two")
            if not regions and calls_bad(content.flags()):
                unread += 1
                bad += 1
            group = content.group(self.options.group_key)
            size = _size_of(content)
            pictures[image] = LabelledPicture(
                image, tuple(regions), group, size, unread=unread, called=content.flags()
            )
        listed: list[Path] = []
        for folder in {path.parent for path in (*files, *pictures)}:
            listed += list_pictures(folder, folders_are_read=True, labels=".json")
        unlabelled = without_masks([path for path in listed if path not in pictures], listed)
        _refuse_other_json(unlabelled, set(files))
        for image in unlabelled:
            pictures[image] = LabelledPicture(image, ())
        if unlabelled:
            notes.append(f"{len(unlabelled)} pictures have no JSON file: taken for good pictures")
        if bad:
            notes.append(f"{bad} pictures are called bad by flags alone, without a shape")
        if points:
            notes.append(f"{points} shapes are points, not read: {POINTS_UNREAD}")
        return AnnotatedSet(tuple(pictures.values()), tuple(notes))

    def _image(self, root: Path, path: Path, content: Entries) -> Path:
        name = content.text("imagePath") if "imagePath" in content else f"{path.stem}.png"
        base = os.path.basename(name.replace("\\", "/"))
        outside = self.options.outside
        image = find_inside(root, (path.parent,), base, str(path), outside)
        image = image or find_inside(root, (path.parent, root), name, str(path), outside)
        if image is None:
            came = f"{path}: its picture {name[:200]} does not exist"
            do = "put the picture beside it; a copy in the JSON alone is not read"
            raise DataError(came, "the file of imagePath", do)
        return image

    def _shape(self, entries: Entries) -> Shape | None:
        """The drawn shape; None of points that are not read."""
        kind = entries.text("shape_type") if "shape_type" in entries else "polygon"
        if kind == "points":  # of a tool that finds outlines: some lie outside
            return None
        points: list[tuple[float, ...]] = []
        for point in entries.list("points"):
            pair = entries.numbers_in(point, "points")
            if len(pair) != 2:
                raise DataError(f"{entries.where}: a point of {len(pair)} numbers", "x and y")
            points.append(pair)
        if len(points) < _FEWEST.get(kind, 2):
            came = f"{entries.where}: a {kind} of {len(points)} points"
            raise DataError(came, f"{_FEWEST.get(kind, 2)} or more", "draw it again")
        first, second = points[0], points[min(1, len(points) - 1)]
        flat = tuple(chain.from_iterable(points))
        if kind == "point":
            return self.options.click(*first)
        if kind in ("polygon", "rotation"):  # X-AnyLabeling's turned rectangle
            return Polygons((flat,))
        if kind == "rectangle":
            last = points[len(points) // 2]  # of two corners or of four
            return Box(first[0], first[1], last[0], last[1])
        if kind == "circle":
            return Disc(first[0], first[1], math.hypot(second[0] - first[0], second[1] - first[1]))
        if kind in ("line", "linestrip"):
            return Stroke(flat, self._width(entries))
        if kind == "mask":
            return MaskLayer(entries.text("mask"), round(first[0]), round(first[1]))
        came = f"{entries.where}: shape_type is {kind[:40]!r}"
        expected = "polygon, rectangle, circle, line, linestrip, mask or point"
        raise DataError(came, expected, "redraw it")

    def _width(self, entries: Entries) -> float:
        """The width of a line: of its own, or that of the options."""
        if "line_width" not in entries:
            return self.options.line_width
        return entries.numbers_in([entries.any("line_width")], "line_width")[0]


_FEWEST = {"polygon": 3, "rotation": 3, "mask": 1, "point": 1}
"""Points that a kind of shape needs, beside 2."""


def _refuse_other_json(images: Sequence[Path], files: Set[Path]) -> None:
    """Refuse pictures as good ones where a JSON file of a name holds no labels, or those of another
    picture.

    Args:
        files: the files with labels.

    Raises:
        DataError: there is one: empty, broken, of another tool, or of a picture of this name.
    """
    others: dict[tuple[Path, str], Path] = {}
    for folder in {image.parent for image in images}:
        for path in json_files(folder):
            others[folder, comparable(path.stem)] = path
    for image in images:
        other = others.get((image.parent, comparable(image.stem)))
        if other is None:
            continue
        if other in files:
            came = f"{other} has the name of {image}, but is about another picture"
            raise DataError(came, "one picture of this name", "rename one, or move it away")
        came = f"{other} is no file of labels of LabelMe"
        raise DataError(came, "its shapes and imagePath", "save it again, or move it away")


def _size_of(content: Entries) -> Size | None:
    if "imageHeight" not in content or "imageWidth" not in content:
        return None
    size = content.whole("imageHeight"), content.whole("imageWidth")
    return size if all(size) else None  # tools that do not know it write 0


def _is_labelme(path: Path) -> bool:
    keys = keys_in(path, ("shapes", "imagePath", "imageData", "annotations"))
    return "shapes" in keys and len(keys & {"imagePath", "imageData"}) > 0
