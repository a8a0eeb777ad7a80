"""What a data set says of its pictures, whatever file it says it in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bgdefect_core.errors import BGDefectError, MaskError
from bgdefect_core.pictures.masks import Mask

from .shapes import Box, Shape, Size

__all__ = [
    "AnnotatedSet",
    "AnnotationOptions",
    "IGNORE",
    "IGNORED",
    "LabelledPicture",
    "Region",
    "regions_digest",
    "union_of",
]


IGNORED = frozenset({"__ignore__", "ignore", "ignored", "_background_"})
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


@dataclass(frozen=True)
class Region:
    """One label of a picture."""

    label: str
    """Name of its class."""
    shape: Shape
    source: str
    """Where it is written, for messages: the file, and its number in it."""

    @property
    def is_box(self) -> bool:
        """Whether nobody drew its outline."""
        return isinstance(self.shape, Box)

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


@dataclass(frozen=True)
class AnnotatedSet:
    """All pictures of a data set, and what was passed over."""

    pictures: tuple[LabelledPicture, ...]
    notes: tuple[str, ...] = ()
    """What was not read, for the log: one line each."""


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
