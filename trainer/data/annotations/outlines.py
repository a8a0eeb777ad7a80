"""Polygons to masks as COCO's own tools fill them, and masks to polygons.

:func:`fill_polygon` follows ``rleFrPoly`` of pycocotools: corners are rounded to a fifth of a
pixel, the outline is drawn on that grid, and a pixel's column is crossed at its middle. Tests
compare it pixel by pixel. pycocotools itself is not used for reading: a coordinate far outside ends
the whole process.

:func:`outlines_of` goes along the borders between pixels. Filled again, its polygons give the
very mask.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bgdefect_core.errors import DataError
from bgdefect_core.pictures.masks import Mask

__all__ = ["FARTHEST", "Face", "Outline", "bridged", "fill_polygon", "outlines_of"]

Points = NDArray[np.float64]
"""``[N, 2]``: x to the right and y downwards in pixels, from the picture's upper left corner."""
Outline = NDArray[np.int64]
"""``[N, 2]``: corners between pixels, x and y; the last is joined to the first."""
Face = list[Outline]
"""A piece of a mask: its outer outline, then those of its holes."""

FARTHEST = 10.0
"""How far outside a corner may lie, in sides of the picture."""
_FINE = 5
"""Steps a pixel on which outlines are drawn."""
_CHUNK = 1 << 20
_LONGEST = 1 << 28
"""Steps of an outline that are drawn at most: four corners need a few thousand."""


def fill_polygon(points: Points, size: tuple[int, int]) -> Mask:
    """The inside of a polygon, by the even-odd rule: bool ``[H, W]``.

    Args:
        points: float ``[N, 2]``, N at least 3.
        size: (H, W) of the picture in pixels.

    Raises:
        DataError: fewer corners, one that is not finite or far outside, or an endless outline.
    """
    _check(points, size)
    corners = np.trunc(_FINE * points + 0.5).astype(np.int64)
    lengths = np.abs(np.roll(corners, -1, axis=0) - corners).max(axis=1) + 1
    total = int(lengths.sum())
    if total > _LONGEST:
        came = f"an outline of {len(points)} corners is {total // _FINE} pixels long"
        raise DataError(came, f"at most {_LONGEST // _FINE}", "simplify it")
    crossings: list[NDArray[np.int64]] = []
    ends = np.cumsum(lengths)
    first = 0
    while first < len(corners):  # in parts: a long outline would fill the memory
        reached = ends[first - 1] if first else 0
        last = int(np.searchsorted(ends, reached + _CHUNK, side="right"))
        last = max(last, first + 1)
        begin, end = corners[first:last], np.roll(corners, -1, axis=0)[first:last]
        crossings.append(_crossings(begin, end, lengths[first:last], size))
        first = last
    return _between(np.concatenate(crossings), size)


def _check(points: Points, size: tuple[int, int]) -> None:
    if len(points) < 3:
        raise DataError(f"a polygon has {len(points)} corners", "3 or more", "close its outline")
    if not np.isfinite(points).all():
        raise DataError("a polygon has a corner that is no number", "finite coordinates")
    height, width = size
    limits = np.array([width, height], np.float64)
    outside = (points < -FARTHEST * limits) | (points > (1 + FARTHEST) * limits)
    if outside.any():
        corner = points[outside.any(axis=1)][0]
        came = f"a polygon has the corner {corner[0]:g}, {corner[1]:g}"
        raise DataError(came, f"corners in a picture of {width} x {height} pixels")


def _crossings(
    begin: Outline, end: Outline, lengths: NDArray[np.int64], size: tuple[int, int]
) -> NDArray[np.int64]:
    """Where edges on the fine grid cross the middles of columns: int64 ``[M, 2]`` of column and
    first row below."""
    height, width = size
    change = end - begin
    steep = np.abs(change[:, 0]) < np.abs(change[:, 1])
    main = steep.astype(np.int64)  # the axis with a point a step
    edges = np.arange(len(begin))
    reverse = change[edges, main] < 0
    start = np.where(reverse[:, None], end, begin)
    change = np.where(reverse[:, None], -change, change)
    longer = change[edges, main]
    slope = change[edges, 1 - main] / np.maximum(longer, 1)
    edge = np.repeat(edges, lengths)
    step = np.arange(len(edge)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    step = np.where(reverse[edge], longer[edge] - step, step)
    along = start[edge, main[edge]] + step
    across = np.trunc(start[edge, 1 - main[edge]] + slope[edge] * step + 0.5).astype(np.int64)
    x = np.where(steep[edge], across, along)
    y = np.where(steep[edge], along, across)
    moves = (x[1:] != x[:-1]) & (edge[1:] == edge[:-1])
    left = np.minimum(x[1:], x[:-1])[moves]
    top = np.minimum(y[1:], y[:-1])[moves]
    column = (left + 0.5) / _FINE - 0.5
    inside = (np.floor(column) == column) & (column >= 0) & (column <= width - 1)
    row = np.ceil(np.clip((top[inside] + 0.5) / _FINE - 0.5, 0, height))
    return np.stack([column[inside], row], axis=1).astype(np.int64)


def _between(crossings: NDArray[np.int64], size: tuple[int, int]) -> Mask:
    """The pixels below an odd number of crossings of their column."""
    height, width = size
    mask = np.zeros((height, width), np.bool_)
    if not len(crossings):
        return mask
    first, last = int(crossings[:, 0].min()), int(crossings[:, 0].max())
    columns = last - first + 1
    place = (crossings[:, 0] - first) * height + crossings[:, 1]
    changes = np.bincount(place, minlength=columns * height + 1)[: columns * height]
    inside = np.cumsum(changes) % 2 == 1
    mask[:, first : last + 1] = inside.reshape(columns, height).T
    return mask


def outlines_of(mask: Mask) -> list[list[Face]]:
    """The areas of a mask, the largest first: pixels that touch over an edge or a corner. Each
    consists of faces, whose pixels touch over edges.

    Args:
        mask: bool ``[H, W]``.
    """
    labels, _ = ndimage.label(mask, np.ones((3, 3)))
    areas: list[tuple[int, list[Face]]] = []
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        piece = labels[box] == number
        corner = np.array([box[1].start, box[0].start])
        areas.append((int(piece.sum()), _faces(piece, corner)))
    areas.sort(key=lambda entry: -entry[0])
    return [faces for _, faces in areas]


def _faces(piece: Mask, corner: Outline) -> list[Face]:
    labels, count = ndimage.label(piece)
    faces: list[Face] = []
    for number in range(1, count + 1):
        loops = [loop + corner for loop in _loops(labels == number)]
        loops.sort(key=_area, reverse=True)
        faces.append(loops)
    return faces


def _loops(piece: Mask) -> list[Outline]:
    """The closed borders of an area, defect on the right of each step as seen: outer borders turn
    clockwise, holes the other way."""
    padded = np.pad(piece, 1)
    steps: dict[tuple[int, int], list[tuple[int, int]]] = {}
    inside = padded[1:-1, 1:-1]
    sides = (
        (padded[:-2, 1:-1], (0, 0), (1, 0)),  # above: to the right
        (padded[1:-1, 2:], (1, 0), (1, 1)),  # right: downwards
        (padded[2:, 1:-1], (1, 1), (0, 1)),  # below: to the left
        (padded[1:-1, :-2], (0, 1), (0, 0)),  # left: upwards
    )
    for beside, begin, end in sides:
        rows, columns = np.nonzero(inside & ~beside)
        for y, x in zip(rows.tolist(), columns.tolist(), strict=True):
            target = (x + end[0], y + end[1])
            steps.setdefault((x + begin[0], y + begin[1]), []).append(target)
    loops: list[Outline] = []
    while steps:
        loops.append(_follow(steps))
    return loops


def _follow(steps: dict[tuple[int, int], list[tuple[int, int]]]) -> Outline:
    """Take one closed border out of the steps; straight runs become one step. Where two borders
    meet in a corner the right turn is taken, which keeps to the same pixel."""
    start = min(steps)
    corner, heading = start, (0, 0)
    corners: list[tuple[int, int]] = []
    while True:
        targets = steps[corner]
        right = (corner[0] - heading[1], corner[1] + heading[0])
        target = right if right in targets else targets[0]
        targets.remove(target)
        if not targets:
            del steps[corner]
        turn = (target[0] - corner[0], target[1] - corner[1])
        if turn != heading:
            corners.append(corner)
        corner, heading = target, turn
        if corner == start and not _goes_on(steps, corner, heading):
            break
    return np.array(corners, np.int64)


def _goes_on(
    steps: dict[tuple[int, int], list[tuple[int, int]]],
    corner: tuple[int, int],
    heading: tuple[int, int],
) -> bool:
    """Whether a border that is back at its start keeps to its pixel by a right turn."""
    right = (corner[0] - heading[1], corner[1] + heading[0])
    return right in steps.get(corner, ())


def _area(loop: Outline) -> float:
    """Signed area: above 0 for outer borders (clockwise as seen)."""
    x, y = loop[:, 0], loop[:, 1]
    doubled = int((x * np.roll(y, -1) - np.roll(x, -1) * y).sum())
    return doubled / 2


def bridged(face: Face) -> Outline:
    """A face as one polygon without holes: each hole is joined to what is around it by a slit of no
    width. Filled by the even-odd rule it gives the same pixels."""
    around = face[0]
    for hole in face[1:]:
        corner, corner_of_hole = _nearest(around, hole)
        opened = np.roll(hole, -corner_of_hole, axis=0)
        around = np.concatenate([around[: corner + 1], opened, opened[:1], around[corner:]])
    return around


def _nearest(first: Outline, second: Outline) -> tuple[int, int]:
    """Numbers of the nearest two corners."""
    best = (np.iinfo(np.int64).max, 0, 0)
    for number, corner in enumerate(second):
        squares = ((first - corner) ** 2).sum(axis=1)
        nearest = int(squares.argmin())
        if squares[nearest] < best[0]:
            best = (int(squares[nearest]), nearest, number)
    return best[1], best[2]
