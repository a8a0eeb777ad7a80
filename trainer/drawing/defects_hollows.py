"""Drawn defects that lie deeper than the surface: holes, pits, dents, blowholes.

Not from the paper: part of the project's own drawn pictures for pretraining.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from .defect_tools import (
    blob_outline,
    blur,
    colour_at,
    lay,
    noise,
    other_colour,
    painter,
    polygons,
    relief,
    rim_around,
    some_point,
    some_radius,
)


@painter
def hole(rng: Generator, picture: np.ndarray, part: np.ndarray) -> np.ndarray | None:
    """A blob of dark or other colour with a shaded wall and a rim."""
    size = part.shape[0]
    radius, roughness = some_radius(rng, size, 0.0015, 0.07), rng.uniform(0.03, 0.3)
    centre = some_point(rng, part)
    if centre is None:
        return None
    stretch, raggedness = rng.uniform(1.0, 1.7), rng.uniform(0, 0.05)
    outline = blob_outline(rng, centre, radius, roughness, stretch, None, raggedness)
    alpha = polygons(size, [outline]) * part
    ground = colour_at(picture, centre)
    is_dark = ground.mean() > 0.2 and rng.random() < 0.8
    inside = ground * rng.uniform(0.05, 0.45) if is_dark else other_colour(rng, ground)
    light = rng.uniform(0, 2 * np.pi)
    wall = relief(blur(alpha, 0.25 * radius + 0.7), light)
    rim = rim_around(alpha, part, 1.0 + 0.12 * radius)
    lit = picture + (rim * rng.uniform(-0.2, 0.25))[..., None]
    rimmed = lit - (rim * wall * rng.uniform(0, 0.3))[..., None]
    rough = inside * (1 + 0.12 * noise(rng, size, 3)[..., None])
    return lay(rimmed, alpha, rough + wall[..., None] * rng.uniform(0.0, 0.2))


@painter
def pit(rng: Generator, picture: np.ndarray, part: np.ndarray) -> np.ndarray | None:
    """A few small hollows, dark on one side and lit on the other."""
    size = part.shape[0]
    centre = some_point(rng, part)
    if centre is None:
        return None
    spread = size * rng.uniform(0.02, 0.12)
    outlines: list[np.ndarray] = []
    for number in range(int(rng.integers(1, 6))):
        middle = centre + rng.normal(0, spread, 2) * (number > 0)
        outlines.append(blob_outline(rng, middle, some_radius(rng, size, 0.0006, 0.004)))
    hollow = blur(polygons(size, outlines), 0.8 * (size / 160))
    shade = relief(hollow, rng.uniform(0, 2 * np.pi)) * rng.uniform(0.15, 0.45)
    shade = shade - hollow * rng.uniform(0.05, 0.35)
    return picture + (shade * part)[..., None]


@painter
def dent(rng: Generator, picture: np.ndarray, part: np.ndarray) -> np.ndarray | None:
    """A smooth hollow or bump that shows by its shading only."""
    size = part.shape[0]
    centre = some_point(rng, part)
    if centre is None:
        return None
    radius = some_radius(rng, size, 0.003, 0.07)
    outline = blob_outline(rng, centre, radius, rng.uniform(0.05, 0.2), rng.uniform(1, 2.2))
    hollow = blur(polygons(size, [outline]), radius * rng.uniform(0.2, 0.45) + 0.5)
    shade = relief(hollow, rng.uniform(0, 2 * np.pi)) * rng.uniform(0.12, 0.4)
    return picture + ((shade - hollow * rng.uniform(-0.06, 0.12)) * part)[..., None]


@painter
def blowhole(rng: Generator, picture: np.ndarray, part: np.ndarray) -> np.ndarray | None:
    """A cluster of small round dark pores, some with a bright rim."""
    size = part.shape[0]
    centre = some_point(rng, part)
    if centre is None:
        return None
    spread = size * rng.uniform(0.02, 0.1)
    outlines: list[np.ndarray] = []
    for number in range(int(rng.integers(1, 9))):
        middle = centre + rng.normal(0, spread, 2) * (number > 0)
        outlines.append(blob_outline(rng, middle, some_radius(rng, size, 0.0004, 0.005), 0.05, 1.1))
    alpha = polygons(size, outlines) * part
    ground = colour_at(picture, centre)
    dark = ground * rng.uniform(0.05, 0.4) if ground.mean() > 0.15 else ground + 0.3
    rim = rim_around(alpha, part, 1.0)
    return lay(picture + (rim * rng.uniform(0, 0.2))[..., None], alpha, dark)
