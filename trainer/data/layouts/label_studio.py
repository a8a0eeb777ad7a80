"""Label Studio's own export: a JSON file of tasks (JSON, JSON-MIN)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from bgdefect_core.errors import DataError
from bgdefect_core.pictures.listing import PICTURE_SUFFIXES, is_good_name

from ..annotations.layers import BrushLayer, Ellipse, turned
from ..annotations.picture_index import PictureIndex, path_of_address
from ..annotations.reading import Entries, read_json
from ..annotations.record import (
    POINTS_UNREAD,
    AnnotatedSet,
    AnnotationOptions,
    LabelledPicture,
    Region,
)
from ..annotations.shapes import Box, Polygons, Shape, Size
from .annotated import AnnotationLayout
from .peeking import begins_with, json_files, keys_in

_LABELS = (
    "polygonlabels",
    "rectanglelabels",
    "ellipselabels",
    "brushlabels",
    "keypointlabels",
    "labels",
)
"""Where a shape's class stands, by the tool that drew it."""
_TASK = ("annotations", "data", "completed_by", "file_upload")
_MIN = ("annotation_id", "annotator", "lead_time")


_NOTES = {
    "cancelled": "annotations were cancelled: not read",
    "predictions": "tasks have predictions alone: not read",
    "shapes": "entries have no shape or no label: not read",
    "points": f"key points are not read: {POINTS_UNREAD}",
    "several": "shapes have several labels: the first counts",
    "turned": "shapes were drawn on a picture that the tool had turned: check that they fit",
}
"""What the log says of things, by their kinds."""
_UNREAD = ("cancelled", "predictions", "shapes", "points")
"""Kinds with which a picture is no good one."""


class LabelStudio(AnnotationLayout):
    """Tasks with polygons, rectangles, ellipses and brushes."""

    name = "label_studio"
    summary = (
        "Label Studio: the JSON or JSON-MIN export (polygons, rectangles, ellipses, brushes, key "
        "points with --point-size) with the pictures beside it, by their names with or without the "
        "tool's prefix; each label is a defect, tasks without a shape are good pictures"
    )

    def files(self, root: Path) -> list[Path]:
        """The annotation files."""
        files: list[Path] = []
        for path in json_files(root):
            keys = keys_in(path, (*_TASK, *_MIN))
            is_task = "annotations" in keys and len(keys & {*_TASK}) > 1
            if begins_with(path, "[") and (is_task or len(keys & {*_MIN}) > 1):
                files.append(path)
        return files

    def read(self, root: Path) -> AnnotatedSet:
        """As ``AnnotationLayout``."""
        folder = self.folder(root)
        index = PictureIndex(folder, outside=self.options.outside)
        pictures: list[LabelledPicture] = []
        counts = dict.fromkeys(_NOTES, 0)
        for path in self.files(root):
            tasks = read_json(path)
            if not isinstance(tasks, list):
                raise DataError(f"{path} is no list", "a list of tasks", "export it again")
            for number, values in enumerate(tasks):
                task = Entries(values, f"{path}, task {number}")
                data = Entries(task.any("data"), f"{task.where}, data") if "data" in task else task
                image = self._image(folder, index, data)
                unread = _unread_in(counts)
                results = list(_results(task, data, counts))
                regions: list[Region] = []
                for entries, label, shape in _shapes(results, counts, self.options):
                    regions.append(Region(label, shape, entries.where))
                group = data.group(self.options.group_key)
                unread = _unread_in(counts) - unread
                size = _size_of(results)
                pictures.append(LabelledPicture(image, tuple(regions), group, size, unread=unread))
        notes = [f"{count} {_NOTES[kind]}" for kind, count in counts.items() if count]
        return AnnotatedSet(tuple(pictures), tuple(notes))

    def _image(self, root: Path, index: PictureIndex, data: Entries) -> Path:
        names = [data.any("image"), *data.values()]
        for name in names:
            if not isinstance(name, str) or "\x00" in name:
                continue
            if Path(path_of_address(name)).suffix.lower() not in PICTURE_SUFFIXES:
                continue
            image = index.find(name, data.where)
            if image is None:
                came = f"{data.where}: no picture of the name of {name[:200]!r} in {root}"
                do = "put the pictures beside the export, as they are or with the tool's prefix"
                raise DataError(came, "the picture of each task", do)
            return image
        raise DataError(f"{data.where} names no picture", "the path of one", "export it again")


def _results(
    task: Entries, data: Entries, counts: dict[str, int]
) -> Iterator[tuple[Entries, Entries]]:
    """The shapes of a task: what is written of each, and the part of it that is drawn."""
    if "annotations" in task:
        has_none = not task.list("annotations") and bool(task.any("predictions"))
        counts["predictions"] += has_none
        for number, values in enumerate(task.list("annotations")):
            annotation = Entries(values, f"{task.where}, annotation {number}")
            if annotation.any("was_cancelled") is True:
                counts["cancelled"] += 1
                continue
            for place, result in enumerate(annotation.list("result")):
                entries = Entries(result, f"{annotation.where}, result {place}")
                if isinstance(entries.any("value"), Mapping):
                    counts["turned"] += entries.any("image_rotation") not in (None, 0)
                    yield entries, Entries(entries.any("value"), entries.where)
        return
    for values in data.values():  # JSON-MIN: a list for each tool, beside the data
        if isinstance(values, list):
            for place, result in enumerate(values):
                if isinstance(result, Mapping):
                    entries = Entries(result, f"{task.where}, shape {place}")
                    yield entries, entries


def _shapes(
    results: list[tuple[Entries, Entries]], counts: dict[str, int], options: AnnotationOptions
) -> Iterator[tuple[Entries, str, Shape]]:
    for entries, value in results:
        label = _label_of(value)
        shape = _shape_of(entries, value, options) if label else None
        if shape is not None:
            counts["several"] += any(len(value.any(name) or ()) > 1 for name in _LABELS)
            yield entries, label, shape
        elif not _says_good(value):
            counts["points" if "keypointlabels" in value else "shapes"] += 1


def _says_good(value: Entries) -> bool:
    """Whether it is a choice for the whole picture, and calls it good."""
    choices = value.any("choices")
    return isinstance(choices, list) and all(is_good_name(str(choice)) for choice in choices)


def _unread_in(counts: Mapping[str, int]) -> int:
    return sum(counts[kind] for kind in _UNREAD)


def _label_of(value: Entries) -> str:
    for name in _LABELS:
        labels = value.any(name)
        if isinstance(labels, list) and labels and isinstance(labels[0], str):
            return labels[0].strip()
    return ""


def _size_of(results: list[tuple[Entries, Entries]]) -> Size | None:
    for entries, _ in results:
        if "original_width" in entries and "original_height" in entries:
            return entries.whole("original_height"), entries.whole("original_width")
    return None


def _shape_of(entries: Entries, value: Entries, options: AnnotationOptions) -> Shape | None:
    """The shape; coordinates of the file are percent of the picture's width and height."""
    if "rle" in value:
        return _brush(entries, value)
    height, width = entries.whole("original_height"), entries.whole("original_width")
    scale = (width / 100, height / 100)
    if "points" in value:
        points = value.list("points")
        for point in points:
            if not isinstance(point, list) or len(point) != 2:
                _pair(value, point)
        if len(points) < 3:
            came = f"{entries.where}: a polygon of {len(points)} points"
            raise DataError(came, "3 or more", "draw it again")
        shares = value.numbers_in(list(chain.from_iterable(points)), "coordinates")
        across = [share * scale[0] for share in shares[::2]]
        down = [share * scale[1] for share in shares[1::2]]
        return Polygons((tuple(chain.from_iterable(zip(across, down, strict=True))),))
    if "x" not in value or "y" not in value:
        return None
    x, y = _pair(value, [value.any("x"), value.any("y")])
    x, y = x * scale[0], y * scale[1]
    if "keypointlabels" in value:
        return options.click(x, y)
    degrees = value.numbers_in([value.any("rotation") or 0], "rotation")[0]
    if "radiusX" in value:
        radii = _pair(value, [value.any("radiusX"), value.any("radiusY")])
        return Ellipse(x, y, radii[0] * scale[0], radii[1] * scale[1], degrees)
    if "width" not in value:
        return None
    sides = _pair(value, [value.any("width"), value.any("height")])
    right, bottom = x + sides[0] * scale[0], y + sides[1] * scale[1]
    if not degrees:
        return Box(x, y, right, bottom)
    return Polygons((turned((x, y, right, y, right, bottom, x, bottom), x, y, degrees),))


def _brush(entries: Entries, value: Entries) -> Shape:
    numbers = value.list("rle")
    if not set(map(type, numbers)) <= {int} or not all(0 <= number < 256 for number in numbers):
        raise DataError(f"{entries.where}: rle is no list of bytes", "numbers from 0 to 255")
    size = (entries.whole("original_height"), entries.whole("original_width"))
    return BrushLayer(bytes(numbers), size)


def _pair(value: Entries, numbers: Any) -> tuple[float, float]:
    pair = value.numbers_in(numbers, "coordinates")
    if len(pair) != 2:
        raise DataError(f"{value.where}: {len(pair)} coordinates", "x and y", "export it again")
    return pair[0], pair[1]
