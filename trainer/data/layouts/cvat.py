"""CVAT's own export: an XML file of images (CVAT for images 1.1)."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

from bgdefect_core.errors import DataError

from ..annotations.layers import Ellipse, RowRuns, turned
from ..annotations.picture_index import PictureIndex, is_address
from ..annotations.reading import find_inside, number_of, numbers_of, read_xml
from ..annotations.record import (
    POINTS_UNREAD,
    AnnotatedSet,
    AnnotationOptions,
    LabelledPicture,
    Region,
    calls_bad,
)
from ..annotations.shapes import Box, Polygons, Shape, Stroke
from ..sides import side_called
from .annotated import AnnotationLayout
from .peeking import text_near_ends, xml_files


class CvatImages(AnnotationLayout):
    """Images with polygons, boxes, ellipses, lines and masks; tags name parts."""

    name = "cvat"
    summary = (
        "CVAT: the export CVAT for images 1.1, an XML file with the pictures beside it or in "
        "images (polygons, boxes, ellipses, masks, lines, points with --point-size); each label is "
        "a defect, images without a shape are good pictures; its other exports are coco, yolo, "
        "voc, labelme_xml and class_masks"
    )

    def files(self, root: Path) -> list[Path]:
        """The annotation files."""
        files: list[Path] = []
        for path in xml_files(root):
            text = text_near_ends(path)
            if "<annotations>" in text and ("<image " in text or "<track " in text):
                files.append(path)
        return files

    def read(self, root: Path) -> AnnotatedSet:
        """As ``AnnotationLayout``."""
        folder = self.folder(root)
        index = PictureIndex(folder, outside=self.options.outside)
        pictures: list[LabelledPicture] = []
        unread: Counter[str] = Counter()
        for path in self.files(root):
            document = read_xml(path, "annotations")
            if document.find("track") is not None:
                came = f"{path} holds tracks of a video"
                raise DataError(came, "images", "export it as CVAT for images 1.1")
            for number, element in enumerate(document.iter("image")):
                where = f"{path}, image {number}"
                image = self._image(folder, index, path, element, where)
                picture, passed_over = _labelled(element, image, self.options, where)
                pictures.append(picture)
                unread += passed_over
        return AnnotatedSet(tuple(pictures), _notes(unread))

    def _image(
        self, root: Path, index: PictureIndex, path: Path, element: ElementTree.Element, where: str
    ) -> Path:
        name = _text(element, "name", where)
        subset = element.get("subset") or "default"
        images = path.parent / "images"
        folders = (path.parent, images, images / subset, root, root / "images")
        outside = self.options.outside
        image = None
        if is_address(name) and not (outside and Path(name).is_file()):  # of another machine
            image = index.find(name, where)
        image = image or find_inside(root, folders, name, where, outside)
        image = image or index.find(name, where)
        if image is None:
            came = f"{where}: {name[:200]} does not exist in {root}"
            do = "export with 'Save images', or put the pictures beside the XML file"
            raise DataError(came, "the picture of each image", do)
        return image


def _labelled(
    element: ElementTree.Element, image: Path, options: AnnotationOptions, where: str
) -> tuple[LabelledPicture, Counter[str]]:
    """A picture with its regions, and how many of its shapes are not read, by their kinds."""
    regions: list[Region] = []
    unread: Counter[str] = Counter()
    for place, child in enumerate(element):
        source = f"{where}, {child.tag} {place}"
        if child.tag in _OTHERS:
            unread["others"] += 1
        elif child.tag == "points" and options.point_size is None:
            unread["points"] += 1
        elif child.tag in _SHAPES:
            label = _text(child, "label", source)
            for shape in _SHAPES[child.tag](child, options, source):
                regions.append(Region(label, shape, source))
    height, width = _whole(element, "height", where), _whole(element, "width", where)
    size = (height, width) if height and width else None  # tools that do not know it write 0
    group = _group_of(element, options.group_key)
    side = side_called(element.get("subset") or "")
    tags = tuple(tag.get("label") or "" for tag in element.iter("tag"))
    if not regions and calls_bad(tags):
        unread["tags"] += 1
    picture = LabelledPicture(image, tuple(regions), group, size, side, unread.total(), tags)
    return picture, unread


def _notes(unread: Counter[str]) -> tuple[str, ...]:
    notes: list[str] = []
    if unread["others"]:
        notes.append(f"{unread['others']} shapes are skeletons or cuboids: not read")
    if unread["tags"]:
        notes.append(f"{unread['tags']} pictures are called bad by tags alone, without a shape")
    if unread["points"]:
        notes.append(f"{unread['points']} shapes are points, not read: {POINTS_UNREAD}")
    return tuple(notes)


def _box(element: ElementTree.Element, options: AnnotationOptions, where: str) -> list[Shape]:
    left, top, right, bottom = _values(element, ("xtl", "ytl", "xbr", "ybr"), where)
    degrees = _rotation(element, where)
    if not degrees:
        return [Box(left, top, right, bottom)]
    corners = (left, top, right, top, right, bottom, left, bottom)
    return [Polygons((turned(corners, (left + right) / 2, (top + bottom) / 2, degrees),))]


def _ellipse(element: ElementTree.Element, options: AnnotationOptions, where: str) -> list[Shape]:
    x, y, across, down = _values(element, ("cx", "cy", "rx", "ry"), where)
    return [Ellipse(x, y, across, down, _rotation(element, where))]


def _mask(element: ElementTree.Element, options: AnnotationOptions, where: str) -> list[Shape]:
    runs = numbers_of(_text(element, "rle", where), where)
    if not all(run.is_integer() for run in runs):
        raise DataError(f"{where}: rle holds fractions", "run lengths", "export it again")
    left, top = _whole(element, "left", where), _whole(element, "top", where)
    width, height = _whole(element, "width", where), _whole(element, "height", where)
    return [RowRuns(tuple(map(int, runs)), left, top, width, height)]


def _polygon(element: ElementTree.Element, options: AnnotationOptions, where: str) -> list[Shape]:
    return [Polygons((_corners(element, 3, where),))]


def _polyline(element: ElementTree.Element, options: AnnotationOptions, where: str) -> list[Shape]:
    return [Stroke(_corners(element, 2, where), options.line_width)]


def _points(element: ElementTree.Element, options: AnnotationOptions, where: str) -> list[Shape]:
    """A circle for each point."""
    numbers = numbers_of(_text(element, "points", where), where)
    if len(numbers) % 2:
        came = f"{where}: points of {len(numbers)} coordinates"
        raise DataError(came, "x and y of each", "draw them again")
    clicks: list[Shape] = []
    for x, y in zip(numbers[::2], numbers[1::2], strict=True):
        click = options.click(x, y)
        if click is not None:
            clicks.append(click)
    return clicks


_SHAPES = {
    "box": _box,
    "ellipse": _ellipse,
    "mask": _mask,
    "points": _points,
    "polygon": _polygon,
    "polyline": _polyline,
}
"""Tag of a shape -> its reader."""
_OTHERS = ("skeleton", "cuboid")
"""Tags of shapes that are not read."""


def _corners(element: ElementTree.Element, fewest: int, where: str) -> tuple[float, ...]:
    """The points of an outline or a line: x, y, x, y, ..."""
    numbers = numbers_of(_text(element, "points", where), where)
    if len(numbers) < 2 * fewest or len(numbers) % 2:
        came = f"{where}: a {element.tag} of {len(numbers)} coordinates"
        raise DataError(came, f"x and y of {fewest} points or more", "draw it again")
    return numbers


def _rotation(element: ElementTree.Element, where: str) -> float:
    """Degrees."""
    degrees = element.get("rotation")
    return number_of(degrees, where) if degrees else 0.0


def _group_of(element: ElementTree.Element, key: str) -> str:
    """The attribute of this name of a tag, or the tag that begins so."""
    for tag in element.iter("tag"):
        for attribute in tag.iter("attribute"):
            if attribute.get("name") == key and attribute.text:
                return attribute.text.strip()
        label = tag.get("label") or ""
        if label.startswith(key):
            return label
    return ""


def _text(element: ElementTree.Element, name: str, where: str) -> str:
    text = (element.get(name) or "").strip()
    if not text or "\x00" in text:
        raise DataError(f"{where}: {name} is not there", "a text", "export it again")
    return text


def _values(element: ElementTree.Element, names: tuple[str, ...], where: str) -> tuple[float, ...]:
    return tuple(number_of(_text(element, name, where), where) for name in names)


def _whole(element: ElementTree.Element, name: str, where: str) -> int:
    number = number_of(_text(element, name, where), where)
    if not number.is_integer():
        raise DataError(f"{where}: {name} is {number:g}", "a whole number", "export it again")
    return int(number)
