"""Boxes of the host, without the host."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..bgdefect_core.errors import SettingError
from ..bgdefect_core.pictures.masks import Mask

Box = tuple[int, int, int, int]
"""Left, top, width, height in pixels."""
_FAR = 2**20
"""No picture has more pixels a side."""
_NAMES = ("x", "y", "width", "height")


def boxes_of(value: Any) -> list[list[Box]] | None:
    """The boxes of a BOUNDING_BOX: a record of x, y, width and height, a list of such records for
    all pictures, or a list for each picture, as detectors give them.

    Returns:
        One list for all pictures, or one a picture; a picture's may be empty. None: unplugged.

    Raises:
        SettingError: something else, or no box at all.
    """
    if value is None:
        return None
    of_each = [value]
    if isinstance(value, (list, tuple)) and value and isinstance(value[0], (list, tuple)):
        of_each = list(value)
    boxes = [list(_flat(part)) for part in of_each]
    if not any(boxes):
        raise SettingError("box holds no box", "at least one", "draw a box or unplug it")
    return boxes


def _flat(value: Any) -> Iterator[Box]:
    if isinstance(value, (list, tuple)):
        for member in value:
            yield from _flat(member)
        return
    record = value if isinstance(value, dict) else {}
    numbers: list[int] = []
    for name in _NAMES:
        number = record.get(name)
        if not isinstance(number, (int, float)) or not math.isfinite(number):
            raise SettingError(
                f"box holds {str(value)[:80]}",
                "records of the numbers x, y, width and height",
                "connect a node that gives out BOUNDING_BOX",
            )
        numbers.append(int(np.clip(number, -_FAR, _FAR)))
    left, top, width, height = numbers
    yield left, top, width, height


def area_of(boxes: list[Box], size: tuple[int, int]) -> Mask:
    """bool ``[H, W]``: what lies in any of the boxes; what sticks out of the picture is cut off."""
    area = np.zeros(size, np.bool_)
    for left, top, width, height in boxes:
        rows = slice(max(top, 0), max(top + height, 0))
        area[rows, max(left, 0) : max(left + width, 0)] = True
    return area
