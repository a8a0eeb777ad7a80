"""What a label is drawn with, and how it becomes a mask. Coordinates are x to the right and y
downwards in pixels, from the picture's upper left corner; the middle of the first pixel is 0.5."""

from __future__ import annotations

import base64
import binascii
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bgdefect_core.errors import DataError
from bgdefect_core.pictures.mask_reading import read_masks
from bgdefect_core.pictures.mask_values import WHITE, MaskValues
from bgdefect_core.pictures.masks import Mask

from .outlines import FARTHEST, fill_polygon
from .run_lengths import mask_of_runs, unpacked

__all__ = [
    "Box",
    "Click",
    "Disc",
    "MaskFiles",
    "MaskLayer",
    "Polygons",
    "RunLengths",
    "Shape",
    "Stroke",
]

_LONGEST_RUN = 13
"""Characters of one run of COCO's string at most."""
_FLAT = 1e-9
"""Largest sine of an angle that rounding makes."""
Numbers = tuple[float, ...]
Size = tuple[int, int]
"""Height and width in pixels."""


class Shape(Protocol):
    """One drawn label."""

    def fill(self, size: Size) -> Mask:
        """The label's pixels: bool ``[H, W]``, possibly none.

        Raises:
            DataError: it cannot be drawn in a picture of this size; the message says why.
        """


@dataclass(frozen=True)
class Polygons:
    """The union of some polygons, each by the even-odd rule."""

    parts: tuple[Numbers, ...]
    """Of each x and y of its corners in turn."""
    relative: bool = False
    """Whether coordinates are shares of the picture's width and height."""

    @property
    def has_area(self) -> bool:
        """Whether the corners of one of them do not lie on one line, as those of a slip do."""
        return any(map(_spans_area, self.parts))

    def fill(self, size: Size) -> Mask:
        """As ``Shape``."""
        mask = np.zeros(size, np.bool_)
        for part in self.parts:
            if len(part) % 2:
                raise DataError(f"a polygon has {len(part)} coordinates", "x and y of each corner")
            mask |= fill_polygon(_points(part, size, self.relative), size)
        return mask


@dataclass(frozen=True)
class Box:
    """An upright rectangle: nobody drew the defect's outline."""

    left: float
    top: float
    right: float
    bottom: float
    relative: bool = False
    """Whether coordinates are shares of the picture's width and height."""

    @property
    def has_area(self) -> bool:
        """Whether it has width and height: a click without a drag has none."""
        return self.left != self.right and self.top != self.bottom

    def fill(self, size: Size) -> Mask:
        """As ``Shape``; filled as the polygon of its corners."""
        left, right = sorted((self.left, self.right))
        top, bottom = sorted((self.top, self.bottom))
        corners = (left, top, left, bottom, right, bottom, right, top)
        return Polygons((corners,), self.relative).fill(size)


@dataclass(frozen=True)
class RunLengths:
    """Run lengths of COCO."""

    runs: tuple[int, ...] | str
    """A list, or COCO's string."""
    size: Size

    @property
    def has_area(self) -> bool:
        """Whether there is a run that is not background."""
        if isinstance(self.runs, str):
            try:
                return len(self.runs) > _LONGEST_RUN or len(unpacked(self.runs)) > 1
            except DataError:  # said where it is filled, with its place
                return True
        return any(self.runs[1::2])

    def fill(self, size: Size) -> Mask:
        """As ``Shape``."""
        if self.size != size:
            came = f"run lengths for {self.size[1]} x {self.size[0]} pixels"
            raise DataError(came, f"{size[1]} x {size[0]}, as the picture")
        runs = unpacked(self.runs) if isinstance(self.runs, str) else self.runs
        return mask_of_runs(runs, size)


@dataclass(frozen=True)
class Stroke:
    """A line of a width through some points."""

    points: Numbers
    """x and y in turn."""
    width: float

    def fill(self, size: Size) -> Mask:
        """As ``Shape``: pixels whose middle lies within half the width of the line."""
        points = _points(self.points, size)
        mask = np.zeros(size, np.bool_)
        ends = points[1:] if len(points) > 1 else points
        for begin, end in zip(points, ends, strict=False):
            box, x, y = _middles(begin, end, self.width / 2, size)
            step = end - begin
            length = float(step @ step)
            along = ((x - begin[0]) * step[0] + (y - begin[1]) * step[1]) / (length or 1.0)
            along = np.clip(along, 0, 1)
            apart = (x - begin[0] - along * step[0]) ** 2 + (y - begin[1] - along * step[1]) ** 2
            mask[box] |= apart <= (self.width / 2) ** 2
        return mask


@dataclass(frozen=True)
class Disc:
    """A filled circle."""

    x: float
    y: float
    radius: float

    @property
    def has_area(self) -> bool:
        """Whether it is more than a point."""
        return self.radius != 0

    def fill(self, size: Size) -> Mask:
        """As ``Shape``: pixels whose middle lies in the circle."""
        return Stroke((self.x, self.y), 2 * self.radius).fill(size)


@dataclass(frozen=True)
class Click(Disc):
    """A place in a defect, and a circle around it in place of an outline that nobody drew."""


@dataclass(frozen=True)
class MaskLayer:
    """A small mask at a place of the picture, as LabelMe keeps it."""

    png: str
    """The mask's PNG file in base64."""
    left: int
    top: int

    def fill(self, size: Size) -> Mask:
        """As ``Shape``; every value but 0 counts."""
        layer = self._decoded(size)
        bottom, right = self.top + layer.shape[0], self.left + layer.shape[1]
        if min(self.top, self.left) < 0 or bottom > size[0] or right > size[1]:
            came = f"a mask layer of {layer.shape[1]} x {layer.shape[0]} pixels at "
            came += f"{self.left}, {self.top}"
            raise DataError(came, f"a place in a picture of {size[1]} x {size[0]} pixels")
        mask = np.zeros(size, np.bool_)
        mask[self.top : bottom, self.left : right] = layer
        return mask

    def _decoded(self, size: Size) -> Mask:
        try:
            content = base64.b64decode(self.png, validate=True)
            with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
                if image.width > size[1] or image.height > size[0]:  # before anything is decoded
                    came = f"a mask layer of {image.width} x {image.height} pixels"
                    raise DataError(came, f"at most {size[1]} x {size[0]}, as its picture")
                layer: Mask = np.asarray(image.convert("L" if image.mode != "1" else "1")) > 0
        except (binascii.Error, OSError, ValueError, SyntaxError) as reason:
            came = f"a mask layer cannot be read ({reason})"
            raise DataError(came, "a PNG file in base64", "draw it again") from reason
        return layer


@dataclass(frozen=True)
class MaskFiles:
    """Mask files of the size of the picture; their union is the label."""

    paths: tuple[Path, ...]
    values: MaskValues = WHITE
    """What counts as defect in them."""
    picture: Path | None = None

    def fill(self, size: Size) -> Mask:
        """As ``Shape``.

        Raises:
            MaskError: see ``read_masks``.
        """
        name = f"the union of the masks of {self.picture or self.paths[0]}"
        return read_masks(self.paths, name, size, values=self.values, picture=self.picture)


def _spans_area(corners: Numbers) -> bool:
    """Whether some corners, x and y in turn, do not lie on one line."""
    along, down = 0.0, 0.0
    for x, y in zip(corners[2::2], corners[3::2], strict=False):
        across, below = x - corners[0], y - corners[1]
        reach = (abs(along) + abs(down)) * (abs(across) + abs(below))
        if abs(along * below - down * across) > _FLAT * reach:
            return True
        if not along and not down:
            along, down = across, below
    return False


def _points(numbers: Numbers, size: Size, relative: bool = False) -> NDArray[np.float64]:
    """Coordinates in turn as ``[N, 2]`` in pixels, all finite and near the picture.

    Raises:
        DataError: they are not.
    """
    points = np.array(numbers, np.float64).reshape(-1, 2)
    scale = np.array([size[1], size[0]], np.float64)
    if relative:
        points = points * scale
    near = (points >= -FARTHEST * scale) & (points <= (1 + FARTHEST) * scale)
    if not near.all():  # NaN is near nothing
        corner = points[~near.all(axis=1)][0]
        came = f"a label has the point {corner[0]:g}, {corner[1]:g}"
        raise DataError(came, f"points in a picture of {size[1]} x {size[0]} pixels")
    return points


def _middles(
    begin: NDArray[np.float64], end: NDArray[np.float64], reach: float, size: Size
) -> tuple[tuple[slice, slice], NDArray[np.float64], NDArray[np.float64]]:
    """The box of pixels within reach of a line, and x and y of their middles.

    Raises:
        DataError: the reach is no size of a picture.
    """
    if not 0 < reach <= FARTHEST * max(size):
        came = f"a label is {2 * reach:g} pixels wide"
        raise DataError(came, f"above 0, in a picture of {size[1]} x {size[0]} pixels")
    low = np.floor(np.minimum(begin, end) - reach).astype(int)
    high = np.ceil(np.maximum(begin, end) + reach).astype(int)
    left, right = np.clip([low[0], high[0]], 0, size[1]).tolist()
    top, bottom = np.clip([low[1], high[1]], 0, size[0]).tolist()
    x = np.arange(left, right, dtype=np.float64)[None] + 0.5
    y = np.arange(top, bottom, dtype=np.float64)[:, None] + 0.5
    return (slice(top, bottom), slice(left, right)), x, y
