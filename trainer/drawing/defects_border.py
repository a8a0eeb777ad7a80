"""Drawn defects at the border of a part: missing material, broken edges, burrs, extra material.

Not from the paper: part of the project's own drawn pictures for pretraining. Every painter maps
(rng, picture float32 [S, S, 3] in 0..1, part bool [S, S]) to (picture with the defect, mask bool
[S, S] of the pixels that visibly changed), or to None when the part has no border inside the
picture.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from scipy import ndimage

from .defect_tools import (
    blob_outline,
    blur,
    colour_at,
    fill_from,
    lay,
    noise,
    painter,
    polygons,
    relief,
    shifted,
    some_point,
    some_radius,
)


def _border_point(rng: Generator, part: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """A border pixel (x, y) of the part and the unit vector that points out of it there; None
    without border."""
    border = part & ~ndimage.binary_erosion(part, border_value=1)
    border[:3], border[-3:], border[:, :3], border[:, -3:] = False, False, False, False
    point = some_point(rng, border)
    if point is None:
        return None
    x, y = point.astype(int)
    window = part[max(0, y - 6) : y + 7, max(0, x - 6) : x + 7]
    ys, xs = np.nonzero(window)
    middle = np.array([xs.mean() - min(x, 6), ys.mean() - min(y, 6)])
    length = np.hypot(*middle)
    return None if length < 0.3 else (point, -middle / length)


def _tray(picture: np.ndarray, part: np.ndarray, where: np.ndarray) -> np.ndarray | None:
    """The picture with what lies around the part continued into `where` (bool [S, S])."""
    outside = ~ndimage.binary_dilation(part, iterations=2)
    return fill_from(picture, outside, where)


@painter
def missing_material(rng: Generator, picture: np.ndarray, part: np.ndarray) -> np.ndarray | None:
    """A bite out of the part's border that shows what it lies on."""
    place = _border_point(rng, part)
    if place is None:
        return None
    point, outward = place
    size = part.shape[0]
    radius = some_radius(rng, size, 0.002, 0.12)
    angle = float(np.arctan2(outward[0], -outward[1]))
    outline = blob_outline(
        rng, point + outward * radius * rng.uniform(-0.3, 0.5), radius, rng.uniform(0.05, 0.35),
        rng.uniform(1.0, 2.2), angle, rng.uniform(0.0, 0.05),
    )  # fmt: skip
    bite = polygons(size, [outline])
    tray = _tray(picture, part, (bite > 0) & ndimage.binary_dilation(part, iterations=2))
    if tray is None:
        return None
    face = np.clip(blur(bite, 1.2) * 2.2, 0, 1) * (1 - bite) * part
    faced = picture * (1 + rng.uniform(-0.5, 0.5) * face[..., None])
    shadow = 1 - rng.uniform(0.0, 0.4) * np.clip(blur(1 - bite, 2.0) * 1.5, 0, 1) * part
    return lay(faced, bite, tray * shadow[..., None])


@painter
def broken_edge(rng: Generator, picture: np.ndarray, part: np.ndarray) -> np.ndarray | None:
    """A jagged break at the part's border with a rough fracture face beside the gap."""
    place = _border_point(rng, part)
    if place is None:
        return None
    point, outward = place
    size = part.shape[0]
    radius = some_radius(rng, size, 0.002, 0.08)
    angle = float(np.arctan2(outward[0], -outward[1]))
    outline = blob_outline(
        rng,
        point + outward * radius * 0.3,
        radius,
        rng.uniform(0.2, 0.4),
        rng.uniform(1.2, 2.6),
        angle,
        0.09,
    )
    middle = outline.mean(axis=0)
    grown = (outline - middle) * (1 + rng.uniform(0.15, 0.6, (outline.shape[0], 1)))
    face_outline = middle - outward * radius * rng.uniform(0.0, 0.3) + grown
    gap, face = polygons(size, [outline]), polygons(size, [face_outline]) * part
    tray = _tray(picture, part, (gap > 0) & ndimage.binary_dilation(part, iterations=2))
    if tray is None:
        return None
    material = colour_at(picture, point - outward * radius, 4)
    rough = relief(noise(rng, size, 3) + 0.6 * noise(rng, size, 1.5), rng.uniform(0, 2 * np.pi))
    tone = material * rng.uniform(0.55, 1.4) + rng.normal(0, 0.02, 3)
    fracture = tone + rough[..., None] * rng.uniform(0.08, 0.25)
    return lay(lay(picture, face * rng.uniform(0.75, 1.0), fracture), gap, tray)


@painter
def burr(rng: Generator, picture: np.ndarray, part: np.ndarray) -> np.ndarray | None:
    """Thin ragged slivers of the part's own material that stick out of its border."""
    place = _border_point(rng, part)
    if place is None:
        return None
    point, outward = place
    size = part.shape[0]
    along = np.array([-outward[1], outward[0]])
    reach, span = size * rng.uniform(0.015, 0.05), size * rng.uniform(0.03, 0.12)
    teeth = int(rng.integers(2, 7))
    t = np.linspace(-1, 1, 2 * teeth + 1)
    heights = np.where(
        np.arange(t.size) % 2 == 1, rng.uniform(0.4, 1.2, t.size), rng.uniform(0, 0.25, t.size)
    )
    rim = point + np.outer(t * span + rng.normal(0, span / teeth / 4, t.size), along)
    tips = rim + np.outer(heights * reach * (1 - 0.5 * t**2), outward)
    base = (rim - 3 * outward)[::-1]
    alpha = polygons(size, [np.concatenate([tips, base])])
    material = colour_at(picture, point - outward * 4, 2)
    shade = relief(blur(alpha, 1.0), rng.uniform(0, 2 * np.pi))
    tone = material * rng.uniform(0.8, 1.35) + shade[..., None] * rng.uniform(0.1, 0.3)
    return lay(picture, alpha, tone)


@painter
def extra_material(rng: Generator, picture: np.ndarray, part: np.ndarray) -> np.ndarray | None:
    """A lump of the part's own material, on it or grown over its border."""
    place = _border_point(rng, part)
    size = part.shape[0]
    radius = some_radius(rng, size, 0.002, 0.05)
    if place is None or rng.random() < 0.3:
        point = some_point(rng, part)
        if point is None:
            return None
        material = colour_at(picture, point)
    else:
        border, outward = place
        point = border + outward * radius * rng.uniform(-0.3, 0.5)
        material = colour_at(picture, border - outward * 5, 3)
    outline = blob_outline(
        rng, point, radius, rng.uniform(0.1, 0.35), rng.uniform(1.0, 1.8), None, 0.02
    )
    alpha = polygons(size, [outline])
    light = rng.uniform(0, 2 * np.pi)
    lump = blur(alpha, radius * 0.3 + 0.6)
    shadow = np.clip(
        shifted(lump, round(2.0 * np.cos(light)), round(2.0 * np.sin(light))) - alpha, 0, 1
    )
    tone = material * rng.uniform(0.8, 1.25) + relief(lump, light)[..., None] * rng.uniform(
        0.1, 0.35
    )
    tone = tone + 0.02 * noise(rng, size, 3)[..., None]
    return lay(picture * (1 - rng.uniform(0.2, 0.6) * shadow[..., None]), alpha, tone)
