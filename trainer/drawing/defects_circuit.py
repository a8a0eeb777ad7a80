"""Drawn defects of circuit boards, each worked into the copper: opens, shorts, bites, spurs, holes,
islands.

Not from the paper: part of the project's own drawn pictures for pretraining. Every painter maps
(rng, picture float32 [S, S, 3] in 0..1, copper bool [S, S]) to (picture with the defect, mask bool
[S, S] of the pixels that visibly changed), or to None when the board has no place for it.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from scipy import ndimage

from .defect_tools import (
    Painter,
    blob_outline,
    fill_from,
    lay,
    painter,
    polygons,
    some_point,
    strokes,
)


def _depth(material: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance [S, S] in pixels to the material's border, and the nearest pixel outside as (x, y)
    [S, S, 2]."""
    depth, (iy, ix) = ndimage.distance_transform_edt(material, return_indices=True)
    return depth, np.stack([ix, iy], axis=2)


def _ridge(depth: np.ndarray, least: float, most: float) -> np.ndarray:
    """Middle lines, bool [S, S], of the strips whose half-width lies between the bounds, off the
    frame."""
    ridge = (depth >= ndimage.maximum_filter(depth, 3) - 0.01) & (depth >= least) & (depth <= most)
    return _off_frame(ridge)


def _off_frame(where: np.ndarray) -> np.ndarray:
    margin = max(3, where.shape[0] // 25)
    inner = np.zeros_like(where)
    inner[margin:-margin, margin:-margin] = where[margin:-margin, margin:-margin]
    return inner


def _edge(copper: np.ndarray) -> np.ndarray:
    return _off_frame(copper & ~ndimage.binary_erosion(copper, border_value=1))


def _outward(copper: np.ndarray, point: np.ndarray) -> np.ndarray | None:
    """Unit vector (x, y) from the copper's edge at `point` towards the laminate."""
    x, y = point.astype(int)
    window = copper[max(0, y - 4) : y + 5, max(0, x - 4) : x + 5]
    ys, xs = np.nonzero(window)
    middle = np.array([xs.mean() - min(x, 4), ys.mean() - min(y, 4)])
    length = np.hypot(*middle)
    return None if length < 0.3 else -middle / length


def _run(material: np.ndarray, start: np.ndarray, direction: np.ndarray, most: int) -> int:
    """Pixels that `material` (bool [S, S]) goes on from beside `start` along `direction`, at most
    `most`."""
    size = material.shape[0]
    for step in range(2, most):
        x, y = np.rint(start + step * direction).astype(int)
        if not (0 <= x < size and 0 <= y < size) or not material[y, x]:
            return step
    return most


def _swap(picture: np.ndarray, alpha: np.ndarray, to: np.ndarray) -> np.ndarray | None:
    """The picture with the material `to` (bool [S, S]) drawn over its opposite with `alpha`."""
    surely = ndimage.binary_erosion(to, iterations=2, border_value=1)
    filled = fill_from(picture, surely if surely.sum() > 50 else to, alpha > 0)
    if filled is None:
        return None
    return lay(picture, alpha, filled)


@painter
def open_circuit(rng: Generator, picture: np.ndarray, copper: np.ndarray) -> np.ndarray | None:
    """A trace cut through, with rough ends."""
    size = copper.shape[0]
    depth, nearest = _depth(copper)
    point = some_point(rng, _ridge(depth, 1.5, size * 0.06))
    if point is None:
        return None
    x, y = point.astype(int)
    half = float(depth[y, x])
    across = nearest[y, x] - point
    long = half * rng.uniform(1.25, 1.6) + 2.0
    short = max(1.5, half * rng.uniform(0.35, 1.6))
    outline = blob_outline(
        rng,
        point,
        (long * short) ** 0.5,
        rng.uniform(0.1, 0.3),
        long / short,
        float(np.arctan2(across[1], across[0])) + rng.normal(0, 0.15),
        rng.uniform(0.0, 0.08),
    )
    return _swap(picture, polygons(size, [outline]), ~copper)


@painter
def short_circuit(rng: Generator, picture: np.ndarray, copper: np.ndarray) -> np.ndarray | None:
    """A copper bridge between two near traces, often waisted."""
    size = copper.shape[0]
    depth, nearest = _depth(~copper)
    ridge = _ridge(depth, 1.5, size * 0.09)
    for _ in range(12):
        point = some_point(rng, ridge)
        if point is None:
            return None
        x, y = point.astype(int)
        half = float(depth[y, x])
        across = (nearest[y, x] - point) / half
        far = point - across * (half + 2.5)
        fx, fy = np.clip(np.rint(far), 0, size - 1).astype(int)
        if copper[fy, fx]:
            break
    else:
        return None
    along = np.array([-across[1], across[0]])
    t = np.linspace(-1, 1, 14)
    sway = np.cumsum(rng.normal(0, 0.12, 14)) * half * 0.5
    points = point + np.outer(t * (half + 2.5), across) + np.outer(sway - sway.mean(), along)
    waist = 1 + rng.uniform(0, 1.2) * t**2 + rng.normal(0, 0.1, 14)
    width = max(2.0, half * rng.uniform(0.3, 1.4))
    return _swap(picture, strokes(size, [(points, width * np.clip(waist, 0.5, 2.5))]), copper)


@painter
def mouse_bite(rng: Generator, picture: np.ndarray, copper: np.ndarray) -> np.ndarray | None:
    """An irregular nibble at a trace's edge that leaves the trace connected."""
    size = copper.shape[0]
    edge = _edge(copper)
    point = some_point(rng, edge)
    outward = None if point is None else _outward(copper, point)
    if point is None or outward is None:
        return None
    thickness = _run(copper, point, -outward, size // 5)
    radius = float(np.clip(thickness * rng.uniform(0.3, 0.62), 1.8, size * rng.uniform(0.02, 0.06)))
    along = np.array([-outward[1], outward[0]])
    outlines = [
        blob_outline(
            rng,
            point
            + outward * radius * rng.uniform(0.0, 0.5)
            + along * radius * rng.normal(0, 1.0) * (k > 0),
            radius * (1.0 if k == 0 else rng.uniform(0.4, 0.9)),
            rng.uniform(0.15, 0.4),
            rng.uniform(1.0, 1.8),
            float(np.arctan2(along[1], along[0])),
            rng.uniform(0.0, 0.12),
        )
        for k in range(int(rng.integers(1, 4)))
    ]
    return _swap(picture, polygons(size, outlines), ~copper)


@painter
def spur(rng: Generator, picture: np.ndarray, copper: np.ndarray) -> np.ndarray | None:
    """Extra copper that sticks out of a trace's edge."""
    size = copper.shape[0]
    edge = _edge(copper)
    for _ in range(12):
        point = some_point(rng, edge)
        if point is None:
            return None
        outward = _outward(copper, point)
        gap = 0 if outward is None else _run(~copper, point, outward, size // 5)
        if outward is not None and gap >= 5:
            break
    else:
        return None
    length = min(size * rng.uniform(0.02, 0.08) + 1.5, gap * rng.uniform(0.5, 0.75))
    if rng.random() < 0.5:
        t = np.linspace(0, 1, 9)
        along = np.array([-outward[1], outward[0]])
        sway = np.cumsum(rng.normal(0, 0.08, 9)) * length
        points = point + np.outer(t * (length + 2) - 2, outward) + np.outer(sway, along)
        widths = length * rng.uniform(0.5, 1.2) * (1 - 0.75 * t) * (1 + rng.normal(0, 0.12, 9))
        alpha = strokes(size, [(points, np.clip(widths, 1.2, None))])
    else:
        angle = float(np.arctan2(outward[1], outward[0])) + rng.normal(0, 0.3)
        centre = point + outward * length * rng.uniform(0.0, 0.3)
        outline = blob_outline(
            rng, centre, length * 0.65, rng.uniform(0.15, 0.4), rng.uniform(0.8, 1.7), angle, 0.06
        )
        alpha = polygons(size, [outline])
    return _swap(picture, alpha, copper)


@painter
def pin_hole(rng: Generator, picture: np.ndarray, copper: np.ndarray) -> np.ndarray | None:
    """A small hole inside the copper, through to the laminate."""
    return _island(rng, picture, copper, rng.uniform(0.45, 0.8), 0.035)


@painter
def spurious_copper(rng: Generator, picture: np.ndarray, copper: np.ndarray) -> np.ndarray | None:
    """An island of copper on the laminate."""
    return _island(rng, picture, ~copper, rng.uniform(0.35, 0.85), 0.09)


def _island(
    rng: Generator, picture: np.ndarray, around: np.ndarray, fullness: float, largest: float
) -> np.ndarray | None:
    """A rough blob of the other material that touches nothing but `around`."""
    size = around.shape[0]
    depth, _ = _depth(around)
    point = some_point(rng, _off_frame(depth >= 3.0))
    if point is None:
        return None
    x, y = point.astype(int)
    radius = float(np.clip(depth[y, x] * fullness, 2.3, size * rng.uniform(0.02, largest)))
    outline = blob_outline(
        rng,
        point,
        radius,
        rng.uniform(0.05, 0.35),
        rng.uniform(1.0, 1.5),
        None,
        rng.uniform(0.0, 0.08),
    )
    alpha = polygons(size, [outline])
    return _swap(picture, alpha, ~around)


CIRCUIT_DEFECTS: dict[str, Painter] = {
    "open circuit": open_circuit,
    "short circuit": short_circuit,
    "mouse bite": mouse_bite,
    "spur": spur,
    "pin hole": pin_hole,
    "spurious copper": spurious_copper,
}
