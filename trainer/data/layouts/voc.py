"""Pascal VOC's layout: an XML file of boxes for each picture, as LabelImg, CVAT and Roboflow write
it too."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from bgdefect_core.errors import DataError
from bgdefect_core.pictures.listing import (
    PICTURE_SUFFIXES,
    comparable,
    picture_key,
    shown_names,
    without_masks,
)

from ..annotations.layers import turned
from ..annotations.picture_index import PictureIndex
from ..annotations.reading import number_of, read_small_text, read_xml
from ..annotations.record import (
    IGNORE,
    AnnotatedSet,
    AnnotationOptions,
    LabelledPicture,
    Region,
    is_defect,
)
from ..annotations.shapes import Box, Polygons, Shape, Size
from ..annotations.voc_masks import MASK_FOLDERS, VocMasks
from ..sides import DataSide, side_called
from .annotated import AnnotationLayout
from .peeking import files_below, folders_below, pictures_below, soon, text_near_ends, xml_files

__all__ = ["Voc", "is_voc"]

_LARGEST = 16 << 20
"""Bytes of an XML file, which is about one picture."""
_LISTS = "imagesets"
_YES = ("1", "true", "yes")
_ROOT = re.compile(r"<annotation[\s>]")
_CLASS_COLUMN = re.compile(r"\s+-?[01]$")
_CORNER = re.compile(r"([xy])([0-9]+)")


class Voc(AnnotationLayout):
    """XML files beside the pictures, or in a folder of their own, in any depth. Coordinates are
    edges in pixels from the picture's upper left corner."""

    name = "voc"
    summary = (
        "Pascal VOC, as LabelImg, CVAT and Roboflow write it too: an XML file for each picture, "
        "beside it or in Annotations with JPEGImages, in any depth (boxes, turned boxes, "
        "polygons), with the masks of SegmentationClass and SegmentationObject where they are; "
        "sides by ImageSets or by folders; each name is a defect, difficult objects are ignored, "
        "pictures without XML or objects are good pictures"
    )

    def recognises(self, root: Path) -> bool:
        if not root.is_dir():
            return False
        return soon(is_voc, files_below(root, xml_files))

    def files(self, root: Path) -> list[Path]:
        """The annotation files: XML, masks with their names, and lists of sides."""
        files = _labels_in(root)
        for folder in folders_below(root):
            if comparable(folder.name) in MASK_FOLDERS:
                files += pictures_below(folder)
                files += filter(Path.is_file, [folder.parent / "labelmap.txt"])
            elif comparable(folder.name) == _LISTS:
                files += files_below(folder, _texts_in)
        return files

    def read(self, root: Path) -> AnnotatedSet:
        """As ``AnnotationLayout``."""
        reader = _Reader(root, self.options)
        for path in _labels_in(root):
            reader.add(path)
        reader.add_unlabelled()
        return AnnotatedSet(tuple(reader.pictures.values()), tuple(reader.notes()))


def _labels_in(root: Path) -> list[Path]:
    """The XML files with labels."""
    return list(filter(is_voc, files_below(root, xml_files)))


class _Reader:
    """Reads a data set file by file."""

    def __init__(self, root: Path, options: AnnotationOptions) -> None:
        folders = list(folders_below(root))
        self.pictures: dict[Path, LabelledPicture] = {}
        self._root = root
        self._options = options
        self._index = PictureIndex(root, MASK_FOLDERS, options.outside)
        self._mask_folders = [path for path in folders if comparable(path.name) in MASK_FOLDERS]
        self._masks = VocMasks(root, tuple(self._mask_folders), options.outside)
        self._lists = [_SideLists(path) for path in folders if comparable(path.name) == _LISTS]
        self._files: dict[Path, Path] = {}
        """Picture -> its XML file."""
        self._difficult = 0

    def add(self, path: Path) -> None:
        """Read an XML file.

        Raises:
            DataError: another structure, or a second file about its picture.
        """
        document = read_xml(path, "annotation", _LARGEST)
        image = _image_of(self._root, self._index, path, document)
        if image in self._files:
            came = f"{path} is a second file of labels for {image}, beside {self._files[image]}"
            raise DataError(came, "one a picture", "join the two")
        self._files[image] = path
        objects: list[Region] = []
        for number, element in enumerate(document.iter("object")):
            region = _region_of(element, f"{path}, object {number}")
            self._difficult += region.label == IGNORE
            objects.append(region)
        if not objects and document.find(".//bndbox") is not None:
            raise DataError(f"{path} has boxes, but no object", "a box in each", "export it again")
        regions = self._masks.regions_of(image, objects)
        group = _text(document, self._options.group_key)
        size = _size_of(document, str(path))
        self.pictures[image] = LabelledPicture(image, regions, group, size, self._side_of(image))

    def add_unlabelled(self) -> None:
        """Add the pictures without an XML file.

        Raises:
            DataError: an XML file of another kind has the name of such a picture.
        """
        others: dict[str, Path] = {}
        read = set(self._files.values())
        for path in files_below(self._root, xml_files):
            if path not in read:
                others[picture_key(path.stem)] = path
        listed = self._index.pictures
        missing = [path for path in listed if path not in self.pictures]
        for image in without_masks(missing, listed):
            other = others.get(picture_key(image))
            if other is not None:
                came = f"{other} has the name of {image}, but is no file of labels of Pascal VOC"
                do = "save it again, or move it away"
                raise DataError(came, "its objects in an annotation", do)
            regions = self._masks.regions_of(image, ())
            self.pictures[image] = LabelledPicture(image, regions, side=self._side_of(image))

    def notes(self) -> Iterator[str]:
        """What is to be said of the whole."""
        missing = len(self.pictures) - len(self._files)
        if missing:
            yield f"{missing} pictures have no XML file: taken for good pictures"
        unlisted = sum(not picture.side for picture in self.pictures.values())
        if unlisted and any(listed.names_sides for listed in self._lists):
            yield f"{unlisted} pictures stand in no list of ImageSets: they are on no side"
        keys = set(map(picture_key, self.pictures))
        orphans: list[str] = []
        for path in chain.from_iterable(map(pictures_below, self._mask_folders)):
            if picture_key(path) not in keys:
                orphans.append(path.name)
        if orphans:
            yield f"{len(orphans)} masks have no picture: {shown_names(orphans)}"
        if self._difficult:
            text = f"{self._difficult} objects are difficult or to be ignored: neither defect nor "
            yield f"{text}background"

    def _side_of(self, image: Path) -> DataSide:
        """The side of a picture by the lists; empty: it stands in none."""
        for listed in self._lists:
            side = listed.side_of(image)
            if side:
                return side
        return ""


def is_voc(path: Path) -> bool:
    """Whether an XML file is one of Pascal VOC, by its tags; LabelMe's older files have others."""
    text = text_near_ends(path)
    if not _ROOT.search(text) or "<imagesize>" in text:
        return False
    return any(tag in text for tag in ("<bndbox>", "<robndbox>", "<segmented>", "<size>"))


def _image_of(root: Path, index: PictureIndex, path: Path, document: ElementTree.Element) -> Path:
    """The picture of an XML file: of its name, and of that of ``filename``.

    Raises:
        DataError: there is none, the two differ, or several may be meant.
    """
    written = _text(document, "filename").replace("\\", "/").replace("\x00", "")
    name = written.rpartition("/")[2]
    folder = _text(document, "folder").replace("\\", "/").rpartition("/")[2]
    near = (*path.parent.relative_to(root).parts, folder)
    of_file = index.nearest(path.stem, near)
    of_entry = index.nearest(name, near) if name else []
    both = [image for image in of_file if image in of_entry]
    images = both or of_file or of_entry
    if of_file and of_entry and not both:
        came = f"{path} has the name of {of_file[0]}, but says that it is about {of_entry[0]}"
        raise DataError(came, "one picture", "correct filename, or rename the file")
    if not images:
        came = f"{path}: its picture {name[:200] or path.stem} does not exist in {root}"
        expected = f"a picture of its name ({' '.join(sorted(PICTURE_SUFFIXES))})"
        do = "put the pictures there, or give the folder that holds both"
        raise DataError(came, expected, do)
    if len(images) > 1:
        came = f"{path} may be about {images[0]} or {images[1]}"
        raise DataError(came, "one picture of this name", "rename one, or move it away")
    return images[0]


def _region_of(element: ElementTree.Element, where: str) -> Region:
    label = _text(element, "name")
    if not label:
        raise DataError(f"{where} has no name", "the name of its class", "name it")
    shape = _shape_of(element, where)
    if is_defect(label) and _text(element, "difficult").lower() in _YES:
        label = IGNORE
    return Region(label, shape, where)


def _shape_of(element: ElementTree.Element, where: str) -> Shape:
    """An outline where there is one, else a turned or an upright box.

    Raises:
        DataError: there is none, or it holds other numbers.
    """
    outline, turned_box = element.find("polygon"), element.find("robndbox")
    corners = [] if outline is None else _corners_of(outline, where)
    if len(corners) >= 6:
        return Polygons((tuple(corners),))
    if turned_box is not None:
        names = ("cx", "cy", "w", "h", "angle")
        x, y, width, height, angle = _numbers(turned_box, names, where)
        if width < 0 or height < 0:
            came = f"{where}: a box of {width:g} x {height:g}"
            raise DataError(came, "none below 0", "draw it again")
        left, top, right, bottom = x - width / 2, y - height / 2, x + width / 2, y + height / 2
        upright = (left, top, right, top, right, bottom, left, bottom)
        return Polygons((turned(upright, x, y, math.degrees(angle)),))
    box = element.find("bndbox")
    if box is None:
        raise DataError(f"{where} has no bndbox", "its box", "export it again")
    left, top, right, bottom = _numbers(box, ("xmin", "ymin", "xmax", "ymax"), where)
    if right < left or bottom < top:
        came = f"{where}: its box reaches from {left:g}, {top:g} to {right:g}, {bottom:g}"
        raise DataError(came, "xmin and ymin that are not above xmax and ymax", "draw it again")
    return Box(left, top, right, bottom)


def _corners_of(outline: ElementTree.Element, where: str) -> list[float]:
    """x and y in turn of the corners ``x1``, ``y1``, ``x2``, ..., as Roboflow writes them."""
    axes: dict[str, dict[int, float]] = {"x": {}, "y": {}}
    for child in outline:
        match = _CORNER.fullmatch(child.tag)
        if match is not None:
            axes[match[1]][int(match[2])] = number_of(child.text or "", where)
    if axes["x"].keys() != axes["y"].keys():
        came = f"{where}: an outline of {len(axes['x'])} x and {len(axes['y'])} y"
        raise DataError(came, "both of each corner", "export it again")
    corners: list[float] = []
    for number in sorted(axes["x"]):
        corners += (axes["x"][number], axes["y"][number])
    return corners


def _numbers(element: ElementTree.Element, names: Sequence[str], where: str) -> tuple[float, ...]:
    return tuple(number_of(_text(element, name), f"{where}, {name}") for name in names)


def _text(element: ElementTree.Element, name: str) -> str:
    """What the first child of this name holds; "" where there is none."""
    for child in element:
        if child.tag == name:
            return (child.text or "").strip()
    return ""


def _size_of(document: ElementTree.Element, where: str) -> Size | None:
    size = document.find("size")
    if size is None or not _text(size, "height") or not _text(size, "width"):
        return None
    height, width = _numbers(size, ("height", "width"), where)
    return (int(height), int(width)) if height and width else None  # tools write 0 for unknown


class _SideLists:
    """The lists of one folder ``ImageSets``: those of its files that are called as sides."""

    def __init__(self, folder: Path) -> None:
        self._base = folder.parent
        self._sides: dict[str, DataSide] = {}
        """Name of a picture without ending -> its side; of several the first counts."""
        self._without_column: dict[str, DataSide] = {}
        """The same without what follows a name."""
        files = sorted(files_below(folder, _texts_in), key=_rank)
        for path in files:
            side = side_called(path.stem)
            for line in read_small_text(path).splitlines() if side else ():
                self._sides.setdefault(_listed_key(line), side)
                name = _CLASS_COLUMN.sub("", line.strip())  # Main's lists may say whether it shows
                self._without_column.setdefault(_listed_key(name), side)

    def side_of(self, image: Path) -> DataSide:
        """The side of a picture; empty: it stands in no list."""
        if not image.is_relative_to(self._base):
            return ""
        parts = image.relative_to(self._base).parts
        for first in range(len(parts)):
            key = _listed_key("/".join(parts[first:]))
            side = self._sides.get(key) or self._without_column.get(key)
            if side:
                return side
        return ""

    @property
    def names_sides(self) -> bool:
        """Whether it says anything."""
        return bool(self._sides)


def _texts_in(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.suffix.lower() == ".txt"]


def _rank(path: Path) -> int:
    return ("train", "val", "test", "").index(side_called(path.stem))


def _listed_key(line: str) -> str:
    folder, mark, name = line.strip().replace("\\", "/").removeprefix("./").rpartition("/")
    return comparable(folder + mark) + picture_key(name)
