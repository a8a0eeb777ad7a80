"""Label Studio's own export: a JSON file of tasks (JSON, JSON-MIN)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

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
    "untouched": "tasks have no annotation: taken for good pictures",
    "unfinished": "tasks have predictions or drafts alone: not read",
    "repeated": "tasks were annotated several times: all of their shapes count",
    "shapes": "entries have no shape or no label: not read",
    "points": f"key points are not read: {POINTS_UNREAD}",
    "several": "shapes have several labels: the first counts",
    "turned": "shapes were drawn on a picture that the tool had turned: check that they fit",
}
"""What the log says of things, by their kinds."""
_UNREAD = ("cancelled", "unfinished", "shapes", "points")
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
        counts: Counter[str] = Counter()
        for path in self.files(root):
            tasks = read_json(path)
            if not isinstance(tasks, list):
                raise DataError(f"{path} is no list", "a list of tasks", "export it again")
            for number, values in enumerate(tasks):
                task = Entries(values, f"{path}, task {number}")
                picture, counts_of_task = self._labelled(folder, index, task)
                pictures.append(picture)
                counts += counts_of_task
        notes = [f"{counts[kind]} {text}" for kind, text in _NOTES.items() if counts[kind]]
        return AnnotatedSet(tuple(pictures), tuple(notes))

    def _labelled(
        self, root: Path, index: PictureIndex, task: Entries
    ) -> tuple[LabelledPicture, Counter[str]]:
        """The picture of a task with its regions, and what the log says of it, counted."""
        data = Entries(task.any("data"), f"{task.where}, data") if "data" in task else task
        image = self._image(root, index, data)
        group = data.group(self.options.group_key)
        counts: Counter[str] = Counter()
        results = _results(task, data, counts)
        regions = _regions(results, self.options, counts)
        size = next((result.size for result in results if result.has_size), None)
        unread = sum(counts[kind] for kind in _UNREAD)
        return LabelledPicture(image, regions, group, size, unread=unread), counts

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


@dataclass(frozen=True)
class _Result:
    """A drawn shape, as the tool wrote it."""

    entries: Entries
    """What is said of it: the size of its picture."""
    value: Entries
    """The shape itself; in JSON-MIN the same entries."""

    @property
    def where(self) -> str:
        """For messages."""
        return self.entries.where

    @property
    def label(self) -> str:
        """Its class; "" where it has none."""
        for labels in map(self.value.any, _LABELS):
            if isinstance(labels, list) and labels and isinstance(labels[0], str):
                return labels[0].strip()
        return ""

    @property
    def has_several(self) -> bool:
        """Whether it has several classes."""
        labels = map(self.value.any, _LABELS)
        return any(isinstance(several, list) and len(several) > 1 for several in labels)

    @property
    def says_good(self) -> bool:
        """Whether it is a choice for the whole picture, and calls it good."""
        choices = self.value.any("choices")
        return isinstance(choices, list) and all(is_good_name(str(choice)) for choice in choices)

    @property
    def size(self) -> Size:
        """Height and width of its picture."""
        return self.entries.whole("original_height"), self.entries.whole("original_width")

    @property
    def has_size(self) -> bool:
        """Whether it says :attr:`size`."""
        return "original_width" in self.entries and "original_height" in self.entries


def _results(task: Entries, data: Entries, counts: Counter[str]) -> list[_Result]:
    """The shapes of a task, but for those of cancelled annotations."""
    if "annotations" in task:
        return _annotated(task, counts)
    results: list[_Result] = []
    for values in data.values():  # JSON-MIN: a list for each tool, beside the data
        for place, result in enumerate(values if isinstance(values, list) else []):
            if isinstance(result, Mapping):
                entries = Entries(result, f"{task.where}, shape {place}")
                results.append(_Result(entries, entries))
    return results


def _annotated(task: Entries, counts: Counter[str]) -> list[_Result]:
    annotations = task.list("annotations")
    if not annotations and (task.any("predictions") or task.any("drafts")):
        counts["unfinished"] += 1
    elif not annotations:
        counts["untouched"] += 1
    results: list[_Result] = []
    shown = 0
    for number, values in enumerate(annotations):
        annotation = Entries(values, f"{task.where}, annotation {number}")
        if annotation.any("was_cancelled") is True:
            counts["cancelled"] += 1
            continue
        shown += bool(annotation.list("result"))
        for place, result in enumerate(annotation.list("result")):
            entries = Entries(result, f"{annotation.where}, result {place}")
            if isinstance(entries.any("value"), Mapping):
                counts["turned"] += entries.any("image_rotation") not in (None, 0)
                results.append(_Result(entries, Entries(entries.any("value"), entries.where)))
    counts["repeated"] += shown > 1
    return results


def _regions(
    results: Sequence[_Result], options: AnnotationOptions, counts: Counter[str]
) -> tuple[Region, ...]:
    """The regions of a picture."""
    regions: list[Region] = []
    for result in results:
        shape = _shape_of(result, options) if result.label else None
        if shape is not None:
            counts["several"] += result.has_several
            regions.append(Region(result.label, shape, result.where))
        elif not result.says_good:
            counts["points" if "keypointlabels" in result.value else "shapes"] += 1
    return tuple(regions)


def _shape_of(result: _Result, options: AnnotationOptions) -> Shape | None:
    """The shape in pixels; None: none that is read. Coordinates of the file are percent of the
    picture's width and height."""
    value = result.value
    if "rle" in value:
        return _brush(result)
    height, width = result.size
    if not height or not width:
        came = f"{result.where}: its picture has {width} x {height} pixels"
        raise DataError(came, "original_width and original_height", "export it again")
    scale = (width / 100, height / 100)
    if "points" in value:
        return _polygon(result, scale)
    if "x" not in value or "y" not in value:
        return None
    x, y = _pair(value, ("x", "y"), scale)
    if "keypointlabels" in value:
        return options.click(x, y)
    degrees = value.numbers_in([value.any("rotation") or 0], "rotation")[0]
    if "radiusX" in value:
        across, down = _pair(value, ("radiusX", "radiusY"), scale)
        return Ellipse(x, y, across, down, degrees)
    if "width" not in value:
        return None
    across, down = _pair(value, ("width", "height"), scale)
    right, bottom = x + across, y + down
    if not degrees:
        return Box(x, y, right, bottom)
    return Polygons((turned((x, y, right, y, right, bottom, x, bottom), x, y, degrees),))


def _polygon(result: _Result, scale: tuple[float, float]) -> Polygons:
    value = result.value
    points = value.list("points")
    for point in points:
        if not isinstance(point, list) or len(point) != 2:
            count = len(value.numbers_in(point, "coordinates"))
            raise DataError(f"{value.where}: {count} coordinates", "x and y", "export it again")
    if len(points) < 3:
        came = f"{result.where}: a polygon of {len(points)} points"
        raise DataError(came, "3 or more", "draw it again")
    shares = value.numbers_in(list(chain.from_iterable(points)), "coordinates")
    corners = [share * scale[place % 2] for place, share in enumerate(shares)]
    return Polygons((tuple(corners),))


def _brush(result: _Result) -> BrushLayer:
    numbers = result.value.numbers("rle")
    if not all(0 <= number < 256 and number.is_integer() for number in numbers):
        raise DataError(f"{result.where}: rle is no list of bytes", "numbers from 0 to 255")
    return BrushLayer(bytes(map(int, numbers)), result.size)


def _pair(
    value: Entries, names: tuple[str, str], scale: tuple[float, float]
) -> tuple[float, float]:
    """Two numbers across and down, in pixels."""
    across, down = value.numbers_in([value.any(name) for name in names], "coordinates")
    return across * scale[0], down * scale[1]
