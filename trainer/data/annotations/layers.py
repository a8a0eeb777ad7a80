"""Masks as CVAT's and Label Studio's own files hold them, and ellipses, which both draw."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bgdefect_core.errors import DataError
from bgdefect_core.pictures.masks import Mask

from .outlines import FARTHEST
from .run_lengths import mask_of_runs
from .shapes import Numbers, Size

__all__ = ["BrushLayer", "Ellipse", "RowRuns", "turned"]

_WORDS = 5
"""Bits that give the length of a value in a packed brush; those of a run's length have 4."""


@dataclass(frozen=True)
class Ellipse:
    """A filled ellipse."""

    x: float
    y: float
    radius_x: float
    radius_y: float
    degrees: float = 0.0
    """Turned clockwise, as seen, around its middle."""

    @property
    def has_area(self) -> bool:
        """Whether it has width and height."""
        return self.radius_x != 0 and self.radius_y != 0

    def fill(self, size: Size) -> Mask:
        """As ``Shape``: pixels whose middle lies in the ellipse."""
        limit = FARTHEST * max(size)
        radii = (self.radius_x, self.radius_y)
        place = (abs(self.x), abs(self.y), abs(self.degrees))
        if not (min(radii) > 0 and max(radii) <= limit and max(place) <= 2 * limit + 360):
            came = f"an ellipse at {self.x:g}, {self.y:g} with the radii {radii[0]:g}, {radii[1]:g}"
            raise DataError(came, f"one in a picture of {size[1]} x {size[0]} pixels", "redraw it")
        angle = math.radians(self.degrees)
        x = np.arange(size[1], dtype=np.float64)[None] + 0.5 - self.x
        y = np.arange(size[0], dtype=np.float64)[:, None] + 0.5 - self.y
        along = (x * math.cos(angle) + y * math.sin(angle)) / self.radius_x
        across = (y * math.cos(angle) - x * math.sin(angle)) / self.radius_y
        mask: Mask = along**2 + across**2 <= 1
        return mask


@dataclass(frozen=True)
class RowRuns:
    """A mask in a box of the picture: run lengths row after row, background first (CVAT)."""

    runs: tuple[int, ...]
    left: int
    top: int
    width: int
    height: int

    @property
    def has_area(self) -> bool:
        """Whether there is a run that is not background."""
        return any(self.runs[1::2])

    def fill(self, size: Size) -> Mask:
        """As ``Shape``."""
        bottom, right = self.top + self.height, self.left + self.width
        inside = min(self.top, self.left) >= 0 and bottom <= size[0] and right <= size[1]
        if not inside or min(self.width, self.height) < 1:
            came = f"a mask of {self.width} x {self.height} pixels at {self.left}, {self.top}"
            raise DataError(came, f"a place in a picture of {size[1]} x {size[0]} pixels")
        mask = np.zeros(size, np.bool_)
        # mask_of_runs goes down the columns: of the turned box these are its rows
        mask[self.top : bottom, self.left : right] = mask_of_runs(
            self.runs, (self.width, self.height)
        ).T
        return mask


@dataclass(frozen=True)
class BrushLayer:
    """A brush's RGBA picture, packed into bits (Label Studio's ``rle``); its alpha is the mask."""

    data: bytes
    size: Size

    def fill(self, size: Size) -> Mask:
        """As ``Shape``."""
        if self.size != size:
            came = f"a brush's mask of {self.size[1]} x {self.size[0]} pixels"
            raise DataError(came, f"{size[1]} x {size[0]}, as the picture")
        values = _unpacked(self.data, 4 * size[0] * size[1])
        mask: Mask = values.reshape(*size, 4)[..., 3] > 0
        return mask


class _Bits:
    """Bits in the order of writing."""

    def __init__(self, data: bytes) -> None:
        self._bits = np.unpackbits(np.frombuffer(data, np.uint8))
        self._place = 0

    def numbers(self, count: int, width: int) -> NDArray[np.int64]:
        """Some numbers of ``width`` bits each.

        Raises:
            DataError: the data end before.
        """
        end = self._place + count * width
        if end > len(self._bits):
            raise DataError("a brush's mask breaks off", "all of its bits", "export it again")
        bits = self._bits[self._place : end].reshape(count, width)
        self._place = end
        return bits.astype(np.int64) @ (1 << np.arange(width - 1, -1, -1, dtype=np.int64))

    def number(self, width: int) -> int:
        """The next number."""
        return int(self.numbers(1, width)[0])


def _unpacked(data: bytes, count: int) -> NDArray[np.int64]:
    """The values of a packed brush: runs of one value, and stretches of several.

    Args:
        count: of the values that are expected.

    Raises:
        DataError: another count, or data that break off.
    """
    bits = _Bits(data)
    total = bits.number(32)
    if total != count:
        raise DataError(f"a brush's mask has {total} values", f"{count}, four a pixel")
    width = bits.number(_WORDS) + 1
    lengths = [bits.number(4) + 1 for _ in range(4)]
    values = np.zeros(count, np.int64)
    place = 0
    while place < count:
        is_run = bits.number(1)
        end = min(place + 1 + bits.number(lengths[bits.number(2)]), count)
        values[place:end] = bits.numbers(1 if is_run else end - place, width)
        place = end
    return values


def turned(corners: Numbers, x: float, y: float, degrees: float) -> Numbers:
    """Corners (x and y in turn) turned clockwise, as seen, around a point."""
    angle = math.radians(degrees)
    points = np.array(corners, np.float64).reshape(-1, 2) - (x, y)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    result: list[float] = (points @ turn + (x, y)).ravel().tolist()
    return tuple(result)
