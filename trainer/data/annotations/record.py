"""What a data set says of its pictures, whatever file it says it in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bgdefect_core.errors import BGDefectError, MaskError
from bgdefect_core.pictures.listing import comparable, is_good_name, shown_names
from bgdefect_core.pictures.masks import Mask

from ..sides import DataSide
from .shapes import Box, Click, Shape, Size

__all__ = [
    "AnnotatedSet",
    "AnnotationOptions",
    "IGNORE",
    "LabelledPicture",
    "POINTS_UNREAD",
    "Region",
    "calls_bad",
    "defect_regions",
    "is_background",
    "is_defect",
    "others_of",
    "regions_digest",
    "union_of",
    "with_called",
    "without_slips",
]

POINTS_UNREAD = "they have no area: give --point-size, and train with --masks-from points"
"""What the log says of points."""
_BACKGROUND = frozenset({"background", "_background_", "bg"})
"""Names of classes, in comparable form, whose regions show no defect."""
_BAD = frozenset(
    {"abnormal", "anomalous", "anomaly", "bad", "defect", "defective", "fail", "ng", "nok"}
)
"""Words in comparable form by which people call whole pictures so."""
_IGNORED = frozenset({"__ignore__", "ignore", "ignored"})
"""Names of classes, in comparable form, whose regions are neither defect nor background. A void is
a defect: of solder, of castings."""
IGNORE = "ignore"
"""The one of them that is written."""


@dataclass(frozen=True)
class AnnotationOptions:
    """How annotations are read."""

    outside: bool = False
    """Whether pictures may lie outside the data set's folder."""
    line_width: float = 10.0
    """Pixels, of a line without a width of its own."""
    group_key: str = "group"
    """Entry of a picture that names its part."""
    point_size: float | None = None
    """Diameter in pixels of the circle in place of a point; None: points are not read."""

    def click(self, x: float, y: float) -> Click | None:
        """The shape of a point; None where points are not read."""
        return None if self.point_size is None else Click(x, y, self.point_size / 2)


@dataclass(frozen=True)
class Region:
    """One label of a picture."""

    label: str
    """Name of its class."""
    shape: Shape
    source: str
    """Where it is written, for messages: the file, and its number in it."""

    @property
    def is_loose(self) -> bool:
        """Whether nobody drew its outline: a box or a point."""
        return isinstance(self.shape, Box | Click)

    @property
    def files(self) -> tuple[Path, ...]:
        """The mask files in which it stands; none: it is drawn."""
        files: tuple[Path, ...] = getattr(self.shape, "paths", ())
        return files

    def fill(self, size: Size) -> Mask:
        """The region's pixels: bool ``[H, W]``, possibly none.

        Raises:
            MaskError: it cannot be drawn in a picture of this size; the message names the region.
        """
        try:
            return self.shape.fill(size)
        except BGDefectError as error:
            raise MaskError(f"{self.source}: {error.came}", error.expected, error.do) from error


@dataclass(frozen=True)
class LabelledPicture:
    """A picture and its labels; without any it is a good one."""

    image: Path
    regions: tuple[Region, ...]
    group: str = ""
    """Pictures of one part share it; empty: a part of its own."""
    size: Size | None = None
    """Height and width as the annotation has them; None: it does not say."""
    side: DataSide = ""
    """Where the annotation itself says it; empty: its folder may."""
    unread: int = 0
    """Labels of kinds that are not read; with such it is no good one."""
    called: tuple[str, ...] = ()
    """Words for it as a whole: tags and flags."""

    @property
    def is_good(self) -> bool:
        """Whether nothing is labelled but good places and background."""
        return not self.unread and all(is_background(region.label) for region in self.regions)


@dataclass(frozen=True)
class AnnotatedSet:
    """All pictures of a data set, and what was passed over."""

    pictures: tuple[LabelledPicture, ...]
    notes: tuple[str, ...] = ()
    """What was not read, for the log: one line each."""


def without_slips(record: AnnotatedSet) -> AnnotatedSet:
    """The same without labels that have no area, such as a click without a drag; where one was, the
    picture is no good one."""
    pictures: list[LabelledPicture] = []
    slips: list[str] = []
    for picture in record.pictures:
        empty = [region for region in picture.regions if _is_slip(region)]
        if empty:
            kept = tuple(region for region in picture.regions if not _is_slip(region))
            picture = replace(picture, regions=kept, unread=picture.unread + len(empty))
            slips += [region.source for region in empty]
        pictures.append(picture)
    if not slips:
        return record
    note = f"{len(slips)} labels have no area, not read: {shown_names(slips)}"
    return AnnotatedSet(tuple(pictures), (*record.notes, note))


def with_called(record: AnnotatedSet) -> AnnotatedSet:
    """The same, where a picture that shows nothing is no good one if it is called by the name of a
    class."""
    names: set[str] = set()
    for picture in record.pictures:
        names.update(comparable(region.label) for region in defect_regions(picture.regions))
    pictures: list[LabelledPicture] = []
    found: list[str] = []
    for picture in record.pictures:
        if (
            picture.called
            and picture.is_good
            and names.intersection(map(comparable, picture.called))
        ):
            picture = replace(picture, unread=1)
            found.append(picture.image.name)
        pictures.append(picture)
    if not found:
        return record
    note = f"{len(found)} pictures are called by the name of a defect, but show none: "
    return AnnotatedSet(tuple(pictures), (*record.notes, note + shown_names(found)))


def _is_slip(region: Region) -> bool:
    return not getattr(region.shape, "has_area", True)


def union_of(regions: Sequence[Region], size: Size) -> Mask:
    """All pixels of some regions: bool ``[H, W]``.

    Raises:
        MaskError: a region cannot be drawn.
    """
    mask = np.zeros(size, np.bool_)
    for region in regions:
        mask |= region.fill(size)
    return mask


def regions_digest(regions: Iterable[Region]) -> str:
    """SHA-256 of what is drawn, wherever it is written. Of mask files the names alone count."""
    digest = hashlib.sha256()
    for region in regions:
        names = [path.name for path in region.files]
        shape = (names, getattr(region.shape, "values", "")) if names else region.shape
        digest.update(repr((region.label, shape)).encode(errors="surrogateescape"))
    return digest.hexdigest()


def others_of(regions: Iterable[Region], label: str) -> tuple[Region, ...]:
    """The regions of other classes, and those to be ignored."""
    others: list[Region] = []
    for region in regions:
        if region.label != label and not is_background(region.label):
            others.append(region)
    return tuple(others)


def is_background(label: str) -> bool:
    """Whether a class of this name is neither a defect nor to be ignored."""
    return is_good_name(label) or comparable(label) in _BACKGROUND


def calls_bad(names: Iterable[object]) -> bool:
    """Whether one of some words for a whole picture says that it shows a defect."""
    return any(comparable(str(name)) in _BAD for name in names)


def is_defect(label: str) -> bool:
    """Whether a class of this name is a defect: neither background nor to be ignored."""
    return not is_background(label) and comparable(label) not in _IGNORED


def defect_regions(regions: Iterable[Region]) -> list[Region]:
    """The regions of defects."""
    return [region for region in regions if is_defect(region.label)]
