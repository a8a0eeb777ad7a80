"""How far drawn labels reach beyond their picture: what lies there is cut off."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from bgdefect_core.pictures.listing import shown_names

from .record import Region
from .shapes import Box, Disc, Numbers, Polygons, Size, Stroke

__all__ = ["overhang_of", "overhang_text"]

_ROUNDING = 1.001
"""Pixels by which labels reach beyond a picture where tools round their coordinates."""


def overhang_of(regions: Iterable[Region], size: Size) -> float:
    """Pixels by which the farthest corner lies beyond a picture, 0.0 up; of lines and circles their
    points and middles count. Masks have the picture's size and never do.

    Args:
        size: of the picture.
    """
    farthest = 0.0
    for region in regions:
        numbers, relative = _corners_of(region)
        points = np.array(numbers, np.float64).reshape(-1, 2)
        limits = np.array([size[1], size[0]], np.float64)
        if relative:
            points = points * limits
        beyond = np.maximum(-points, points - limits)
        farthest = max(farthest, float(beyond.max(initial=0.0)))
    return farthest


def overhang_text(overhangs: Mapping[Path, float]) -> str:
    """Which pictures have labels that reach beyond them by more than rounding does, the farthest
    first; "" where none has.

    Args:
        overhangs: pixels beyond each picture.
    """
    beyond: list[str] = []
    for image, pixels in sorted(overhangs.items(), key=lambda entry: (-entry[1], entry[0])):
        if pixels > _ROUNDING:
            beyond.append(f"{image.name} by {pixels:.3g} pixels")
    if not beyond:
        return ""
    text = f"labels of {len(beyond)} pictures reach beyond them and are cut off: "
    return text + shown_names(beyond)


def _corners_of(region: Region) -> tuple[Numbers, bool]:
    """x and y in turn, and whether they are shares of the picture's sides."""
    match region.shape:
        case Polygons(parts, relative):
            return tuple(number for part in parts for number in part), relative
        case Box(left, top, right, bottom, relative):
            return (left, top, right, bottom), relative
        case Stroke(points):
            return points, False
        case Disc(x, y):
            return (x, y), False
    return (), False
