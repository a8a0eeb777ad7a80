"""How far drawn labels reach beyond their picture: what lies there is cut off."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from bgdefect_core.pictures.listing import shown_names

from .record import Region
from .shapes import Box, Disc, Numbers, Polygons, Size, Stroke

__all__ = ["Overhangs"]

_ROUNDING = 1.001
"""Pixels by which labels reach beyond a picture where tools round their coordinates."""


class Overhangs:
    """The pictures that labels reach beyond."""

    def __init__(self) -> None:
        self._pixels: dict[Path, float] = {}

    def add(self, image: Path, regions: Iterable[Region], size: Size) -> None:
        """Take in a picture's labels: how far the farthest corner lies beyond it. Of lines and
        circles the points and middles count; masks have the picture's size and never do.

        Args:
            size: of the picture.
        """
        limits = np.array([size[1], size[0]], np.float64)
        farthest = self._pixels.get(image, 0.0)
        for region in regions:
            numbers, relative = _corners_of(region)
            points = np.array(numbers, np.float64).reshape(-1, 2)
            if relative:
                points = points * limits
            beyond = np.maximum(-points, points - limits)
            farthest = max(farthest, float(beyond.max(initial=0.0)))
        self._pixels[image] = farthest

    @property
    def text(self) -> str:
        """The pictures that are exceeded by more than rounding does, the farthest first; "" where
        none is."""
        beyond: list[str] = []
        for image, pixels in sorted(self._pixels.items(), key=lambda entry: (-entry[1], entry[0])):
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
