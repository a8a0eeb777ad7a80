"""Masks of Pascal VOC beside its boxes: ``SegmentationClass``, whose colours are classes, and
``SegmentationObject``, whose value i is the i-th object of the picture's XML file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from bgdefect_core.errors import DataError, MaskError
from bgdefect_core.pictures.decoding import decode
from bgdefect_core.pictures.listing import (
    JPEG_SUFFIXES,
    comparable,
    named,
    picture_files,
    picture_key,
    unique_names,
)
from bgdefect_core.pictures.mask_values import WHITE, MaskValues, numbers_of

from .mask_classes import MaskClasses, OtherPixels
from .reading import inside
from .record import IGNORE, Region, is_background, is_defect
from .shapes import Box, MaskFiles

__all__ = ["MASK_FOLDERS", "VOID", "VocMasks", "voc_colour"]

_CLASSES, _OBJECTS = "segmentationclass", "segmentationobject"
MASK_FOLDERS = frozenset({_CLASSES, _OBJECTS})
"""Names, in comparable form, of the folders of masks."""
VOID = 255
"""Value of what is neither an object nor background."""
_MOST = 256
Colour = tuple[int, int, int]
Bounds = tuple[int, int, int, int]
"""Left, top, right and bottom of an area."""


def voc_colour(number: int) -> Colour:
    """Pascal VOC's colour of an index, 0 to 255."""
    channels = [0, 0, 0]
    for place in range(8):
        bits = number >> (3 * place)
        for channel in range(3):
            channels[channel] |= ((bits >> channel) & 1) << (7 - place)
    return channels[0], channels[1], channels[2]


_NUMBER_OF = {voc_colour(number): number for number in range(_MOST)}


@dataclass(frozen=True)
class VocMasks:
    """The folders of masks of a data set."""

    root: Path
    folders: tuple[Path, ...]
    outside: bool = False
    """Whether links to files outside the data set's folder are followed."""

    def regions_of(self, image: Path, objects: Sequence[Region]) -> tuple[Region, ...]:
        """The regions of a picture: its masks in place of the boxes of their objects.

        Args:
            objects: what the XML file draws, in its order.

        Raises:
            DataError: nothing says which value of a mask is which class. MaskError: it cannot be
                read.
        """
        classes, objects_file = self._file_of(image, _CLASSES), self._file_of(image, _OBJECTS)
        file = classes or objects_file
        if file is None:
            return tuple(objects)
        label_map = _label_map_of(file)
        labels = {region.label for region in objects if is_defect(region.label)}
        if classes is not None and label_map is not None:
            return _by_label_map(classes, label_map, image, objects)
        if not labels and _values_of(file)[0]:
            came = f"{file} marks something in {image.name}, which has no object in an XML file"
            raise DataError(came, "its object, or a mask without any", "correct one of them")
        if not labels:
            return tuple(objects)
        if len(labels) == 1:
            return _of_one_class(file, min(labels), image, objects)
        if objects_file is None:
            came = f"{file} has values without names, and {image.name} shows {len(labels)} classes"
            do = "write it, or move the mask away"
            raise DataError(came, "labelmap.txt beside its folder", do)
        return _by_object(objects_file, image, objects)

    def _file_of(self, image: Path, kind: str) -> Path | None:
        """The mask of a picture in a folder of one kind."""
        for folder in self.folders:
            if comparable(folder.name) != kind or not image.is_relative_to(folder.parent):
                continue
            inner = image.parent.relative_to(folder.parent).parts[1:]
            place = folder.joinpath(*inner)
            if not place.is_dir():
                continue
            path = _masks_in(place, place.stat().st_mtime_ns).get(picture_key(image))
            if path is not None and not inside(self.root, path, self.outside):
                came = f"{path} leads out of {self.root}"
                do = "put the file there, or give --outside-files"
                raise DataError(came, "a file in the data's folder", do)
            if path is not None:
                return path
        return None


@lru_cache(maxsize=64)
def _masks_in(folder: Path, changed: int) -> dict[str, Path]:
    """Args: changed: time of the folder; another one is another entry."""
    return unique_names(picture_files(folder))


def _label_map_of(mask: Path) -> MaskClasses | None:
    """The names of the values, out of the ``labelmap.txt`` beside the folder of masks."""
    for folder in mask.parents:
        if comparable(folder.name) in MASK_FOLDERS:
            path = named(folder.parent.iterdir(), "labelmap.txt")
            return None if path is None else MaskClasses.read(path)
    return None


def _by_label_map(
    mask: Path, classes: MaskClasses, image: Path, objects: Sequence[Region]
) -> tuple[Region, ...]:
    regions: list[Region] = []
    present = [name for name in classes.in_file(mask) if is_defect(name)]
    for name in present:
        shape = MaskFiles((mask,), classes.values_of((name,)), image)
        regions.append(Region(name, shape, str(mask)))
    undecided: list[str] = []
    for name, _ in classes.values:
        if not is_defect(name) and not is_background(name):
            undecided.append(name)
    regions += _undecided(mask, classes.values_of(undecided))
    regions += [region for region in objects if region.label not in present]
    return tuple(regions)


def _of_one_class(
    mask: Path, label: str, image: Path, objects: Sequence[Region]
) -> tuple[Region, ...]:
    values, undecided = _values_of(mask)
    is_white = values == [VOID] or mask.suffix.lower() in JPEG_SUFFIXES
    wanted = WHITE if is_white else _wanted(values)
    regions: list[Region] = []
    if values:
        regions.append(Region(label, MaskFiles((mask,), wanted, image), str(mask)))
    if undecided:
        regions += _undecided(mask, _wanted(undecided))
    regions += [region for region in objects if region.label != label or not values]
    return tuple(regions)


def _by_object(mask: Path, image: Path, objects: Sequence[Region]) -> tuple[Region, ...]:
    """The masks of objects in place of their boxes.

    Raises:
        DataError: the mask has an object that the XML file does not have, or has elsewhere.
    """
    values, undecided = _values_of(mask)
    bounds = _bounds_in(mask, mask.stat().st_mtime_ns)
    by_label: dict[str, list[int | Colour]] = {}
    drawn: set[int] = set()
    for value in values:
        number = value if isinstance(value, int) else _NUMBER_OF.get(value, 0)
        region = objects[number - 1] if 0 < number <= len(objects) else None
        if region is None or not _holds(region, bounds[value]):
            came = f"{mask}: its object {value} is none of the {len(objects)} of the XML file there"
            expected = "the number of each object in the order of the XML file"
            raise DataError(came, expected, "export both again, or name classes in labelmap.txt")
        by_label.setdefault(region.label, []).append(value)
        drawn.add(number - 1)
    regions: list[Region] = []
    for label, wanted in by_label.items():
        regions.append(Region(label, MaskFiles((mask,), _wanted(wanted), image), str(mask)))
    if undecided:
        regions += _undecided(mask, _wanted(undecided))
    for number, region in enumerate(objects):
        if number not in drawn:
            regions.append(region)
    return tuple(regions)


def _holds(region: Region, bounds: Bounds) -> bool:
    """Whether an area lies in an object's box, by its middle."""
    box = region.shape
    if not isinstance(box, Box):
        return True
    across, down = (bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2
    return box.left - 1 <= across <= box.right + 1 and box.top - 1 <= down <= box.bottom + 1


def _values_of(mask: Path) -> tuple[list[int | Colour], list[int | Colour]]:
    """The values or colours of a mask that mean objects, and those that mean neither object nor
    background. White is the object where there are no other values, or where compression has
    changed them."""
    found = list(_bounds_in(mask, mask.stat().st_mtime_ns))
    void = [value for value in found if value in (VOID, voc_colour(VOID))]
    if found == [VOID] or mask.suffix.lower() in JPEG_SUFFIXES:
        return found, []
    return [value for value in found if value not in void], void


def _wanted(values: Sequence[int | Colour]) -> MaskValues:
    numbers: list[int] = []
    colours: list[Colour] = []
    for value in values:
        if isinstance(value, int):
            numbers.append(value)
        else:
            colours.append(value)
    return MaskValues(tuple(numbers), tuple(colours), near=0)


def _undecided(mask: Path, values: MaskValues) -> list[Region]:
    if values.is_white or not values.pixels_of(decode(mask, MaskError)).any():
        return []
    return [Region(IGNORE, OtherPixels((mask,), values), str(mask))]


@lru_cache(maxsize=1 << 14)
def _bounds_in(mask: Path, changed: int) -> dict[int | Colour, Bounds]:
    """Values of a mask but 0, or its colours but black -> where they lie.

    Args:
        changed: time of the file; another one is another entry.

    Raises:
        MaskError: it cannot be read, or holds more values than a mask of classes has.
    """
    decoded = decode(mask, MaskError)
    numbers = numbers_of(decoded)
    if numbers is None:
        packed = decoded.pixels.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])
    else:
        packed = numbers.astype(np.int64)
    values = [value for value in np.unique(packed).tolist() if value]
    if len(values) >= _MOST and mask.suffix.lower() not in JPEG_SUFFIXES:
        came = f"{mask} holds {len(values)} values"
        raise MaskError(came, "a value for each class or object", "export it again as PNG")
    bounds: dict[int | Colour, Bounds] = {}
    for value in values:
        rows, columns = np.nonzero(packed == value)
        key = (value >> 16, value >> 8 & 255, value & 255) if numbers is None else value
        left, right = int(columns.min()), int(columns.max()) + 1
        bounds[key] = (left, int(rows.min()), right, int(rows.max()) + 1)
    return bounds
