"""Drawn defects of surfaces and parts: scratches, cracks, holes, dents, stains, particles, threads
and more.

Not from the paper: part of the project's own drawn pictures for pretraining. Every painter in
`SURFACE_DEFECTS` maps (rng, picture float32 [S, S, 3] in 0..1, part bool [S, S] where it may lie)
to (picture with the defect, mask bool [S, S] of the pixels that visibly changed), or to None when
it found no place.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from .defect_tools import (
    Painter,
    blob_outline,
    blur,
    colour_at,
    lay,
    noise,
    other_colour,
    painter,
    path,
    polygons,
    relief,
    shifted,
    some_point,
    some_radius,
    strokes,
)
from .defects_border import broken_edge, burr, extra_material, missing_material


def _tone(rng: Generator, ground: np.ndarray, least: float = 0.1, most: float = 0.5) -> np.ndarray:
    """The colour of the ground, made clearly darker or lighter, float32 [3]; towards the side that
    has room."""
    step = rng.uniform(least, most)
    lighter = rng.random() < 1 - ground.mean()
    return np.clip(ground + (step if lighter else -step), 0, 1).astype(np.float32)


def _unit(picture: np.ndarray) -> float:
    """Scale of thin things: 1 at 160 pixels."""
    return picture.shape[0] / 160


@painter
def scratch(rng: Generator, picture: np.ndarray, part: np.ndarray) -> np.ndarray | None:
    """One or a few thin curved lines, brighter or darker, of varying width, broken in places."""
    size, unit = part.shape[0], _unit(picture)
    start = some_point(rng, part)
    if start is None:
        return None
    line = path(rng, start, size * rng.uniform(0.12, 0.9), rng.uniform(0.05, 0.7))
    taper = np.clip(
        np.minimum(np.linspace(0.1, 3, len(line)), np.linspace(3, 0.1, len(line))), 0, 1
    )
    width = unit * rng.uniform(0.5, 2.0)
    lines: list[tuple[np.ndarray, np.ndarray]] = []
    for _ in range(int(rng.choice([1, 2, 3, 5], p=[0.6, 0.2, 0.12, 0.08]))):
        offset = rng.normal(0, 4 * unit, 2) * (len(lines) > 0)
        begin = int(rng.integers(0, max(1, len(line) // 2))) * (len(lines) > 0)
        lines.append(
            ((line + offset)[begin:], (width * taper * rng.uniform(0.6, 1.3, len(line)))[begin:])
        )
    alpha = strokes(size, lines) * part
    if rng.random() < 0.5:
        alpha = alpha * np.clip(0.7 + 0.6 * noise(rng, size, 8 * unit), 0, 1)
    ground = colour_at(picture, start)
    scored = lay(picture, alpha, picture + (_tone(rng, ground, 0.12, 0.6) - ground))
    if rng.random() < 0.5:
        light = relief(blur(alpha, 0.8), rng.uniform(0, 2 * np.pi)) * part
        scored = scored + light[..., None] * rng.uniform(0.05, 0.25)
    return scored


@painter
def crack(rng: Generator, picture: np.ndarray, part: np.ndarray) -> np.ndarray | None:
    """A dark branching random walk of varying thickness, with faint relief along it."""
    size, unit = part.shape[0], _unit(picture)
    start = some_point(rng, part)
    if start is None:
        return None
    main = path(
        rng, start, size * rng.uniform(0.15, 0.9), rng.uniform(0.2, 0.9), rng.uniform(0.25, 0.6)
    )
    width = unit * rng.uniform(0.7, 2.4)
    lines = [(main, _crack_widths(rng, len(main), width))]
    for _ in range(int(rng.poisson(1.6))):
        trunk, widths = lines[int(rng.integers(len(lines)))]
        root = int(rng.integers(len(trunk)))
        branch = path(rng, trunk[root], size * rng.uniform(0.05, 0.3), 0.5, 0.45)
        branch = branch - branch[0] + trunk[root]
        lines.append(
            (branch, np.linspace(1, 0.25, len(branch)) * widths[root] * rng.uniform(0.5, 0.9))
        )
    alpha = strokes(size, lines) * part
    ground = colour_at(picture, start)
    deep = (
        ground * rng.uniform(0.05, 0.55)
        if ground.mean() > 0.15
        else ground + rng.uniform(0.15, 0.4)
    )
    cracked = lay(picture, alpha * rng.uniform(0.65, 1.0), deep)
    soft = blur(alpha, 1.3 * unit)
    return cracked + (relief(soft, rng.uniform(0, 2 * np.pi)) * part * (1 - alpha))[
        ..., None
    ] * rng.uniform(0, 0.15)


def _crack_widths(rng: Generator, steps: int, width: float) -> np.ndarray:
    wander = np.exp(np.cumsum(rng.normal(0, 0.15, steps)))
    ends = np.minimum(np.linspace(0.3, 4, steps), np.linspace(4, 0.3, steps)).clip(0, 1)
    return width * np.clip(wander, 0.4, 1.8) * ends


@painter
def hole(rng: Generator, picture: np.ndarray, part: np.ndarray) -> np.ndarray | None:
    """A blob of dark or other colour with a shaded wall and a rim."""
    return _opening(
        rng, picture, part, some_radius(rng, part.shape[0], 0.0015, 0.07), rng.uniform(0.03, 0.3)
    )


def _opening(
    rng: Generator, picture: np.ndarray, part: np.ndarray, radius: float, roughness: float
) -> np.ndarray | None:
    size = part.shape[0]
    centre = some_point(rng, part)
    if centre is None:
        return None
    stretch = rng.uniform(1.0, 1.7)
    alpha = (
        polygons(
            size,
            [blob_outline(rng, centre, radius, roughness, stretch, None, rng.uniform(0, 0.05))],
        )
        * part
    )
    ground = colour_at(picture, centre)
    inside = (
        ground * rng.uniform(0.05, 0.45)
        if ground.mean() > 0.2 and rng.random() < 0.8
        else other_colour(rng, ground)
    )
    light = rng.uniform(0, 2 * np.pi)
    wall = relief(blur(alpha, 0.25 * radius + 0.7), light)
    rim = np.clip(blur(alpha, 1.0 + 0.12 * radius) * 2, 0, 1) * (1 - alpha) * part
    rimmed = (
        picture
        + (rim * rng.uniform(-0.2, 0.25))[..., None]
        - (rim * wall * rng.uniform(0, 0.3))[..., None]
    )
    bottom = inside * (1 + 0.12 * noise(rng, size, 3)[..., None]) + wall[..., None] * rng.uniform(
        0.0, 0.2
    )
    return lay(rimmed, alpha, bottom)


@painter
def pit(rng: Generator, picture: np.ndarray, part: np.ndarray) -> np.ndarray | None:
    """A few small hollows, dark on one side and lit on the other."""
    size = part.shape[0]
    centre = some_point(rng, part)
    if centre is None:
        return None
    spread = size * rng.uniform(0.02, 0.12)
    outlines = [
        blob_outline(
            rng, centre + rng.normal(0, spread, 2) * (k > 0), some_radius(rng, size, 0.0006, 0.004)
        )
        for k in range(int(rng.integers(1, 6)))
    ]
    hollow = blur(polygons(size, outlines), 0.8 * _unit(picture))
    shade = relief(hollow, rng.uniform(0, 2 * np.pi)) * rng.uniform(
        0.15, 0.45
    ) - hollow * rng.uniform(0.05, 0.35)
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


def _stained(
    rng: Generator,
    picture: np.ndarray,
    part: np.ndarray,
    radius: float,
    softness: float,
    hue: float,
) -> np.ndarray | None:
    """A multiplicative colour blotch with uneven strength and sometimes a darker drying edge."""
    size = part.shape[0]
    centre = some_point(rng, part)
    if centre is None:
        return None
    outlines = []
    for k in range(int(rng.integers(1, 4))):
        middle = centre + rng.normal(0, 0.6 * radius, 2) * (k > 0)
        stretch = rng.uniform(1, 2)
        outlines.append(blob_outline(rng, middle, radius / (1 + 0.5 * k), 0.3, stretch))
    sharp = polygons(size, outlines)
    alpha = blur(sharp, radius * softness + 0.6) * np.clip(
        0.85 + 0.25 * noise(rng, size, radius / 2 + 2), 0.2, 1.1
    )
    if rng.random() < 0.35:
        alpha = alpha + rng.uniform(0.2, 0.7) * sharp * np.clip(1 - blur(sharp, 1.5), 0, 1) * 2
    tint = np.exp(rng.normal(0, hue, 3))
    brightness = (
        rng.uniform(0.35, 0.88)
        if rng.random() < 0.75 or picture.mean() > 0.7
        else rng.uniform(1.15, 1.6)
    )
    factor = (tint / tint.mean() * brightness).astype(np.float32)
    lift = 0.12 if brightness > 1 else 0.0
    return lay(picture, np.clip(alpha, 0, 1) * part, picture * factor + lift)


@painter
def stain(rng: Generator, picture: np.ndarray, part: np.ndarray) -> np.ndarray | None:
    """A soft blotch of liquid or dirt."""
    radius = some_radius(rng, part.shape[0], 0.003, 0.06)
    return _stained(rng, picture, part, radius, rng.uniform(0.04, 0.3), rng.choice([0.05, 0.25]))


@painter
def discoloration(rng: Generator, picture: np.ndarray, part: np.ndarray) -> np.ndarray | None:
    """A wide soft change of colour."""
    radius = some_radius(rng, part.shape[0], 0.01, 0.09)
    return _stained(rng, picture, part, radius, rng.uniform(0.15, 0.4), rng.uniform(0.15, 0.5))


def _particles(
    rng: Generator, picture: np.ndarray, part: np.ndarray, count: int, largest: float, spread: float
) -> np.ndarray | None:
    size = part.shape[0]
    centre = some_point(rng, part)
    if centre is None:
        return None
    outlines = []
    for k in range(count):
        middle = centre + rng.normal(0, spread * size, 2) * (k > 0)
        radius = some_radius(rng, size, 0.0002, largest)
        roughness, stretch = rng.uniform(0.05, 0.35), rng.uniform(1, 2.2)
        outlines.append(
            blob_outline(rng, middle, radius, roughness, stretch, None, rng.uniform(0, 0.08))
        )
    alpha = polygons(size, outlines)
    ground = colour_at(picture, centre)
    light = rng.uniform(0, 2 * np.pi)
    body = other_colour(rng, ground) + relief(blur(alpha, 1.0), light)[..., None] * rng.uniform(
        0, 0.2
    )
    shadow = np.clip(
        shifted(blur(alpha, 1.0), *(int(d) for d in rng.integers(-2, 3, 2))) - alpha, 0, 1
    ) * rng.uniform(0, 0.5)
    return lay(
        picture * (1 - (shadow * part)[..., None]), alpha * part * rng.uniform(0.75, 1.0), body
    )


@painter
def spot(rng: Generator, picture: np.ndarray, part: np.ndarray) -> np.ndarray | None:
    """One to three opaque spots."""
    return _particles(rng, picture, part, int(rng.integers(1, 4)), 0.012, 0.06)


@painter
def contamination(rng: Generator, picture: np.ndarray, part: np.ndarray) -> np.ndarray | None:
    """A cluster of foreign particles."""
    return _particles(rng, picture, part, int(rng.integers(1, 24)), 0.02, rng.uniform(0.03, 0.15))


@painter
def blowhole(rng: Generator, picture: np.ndarray, part: np.ndarray) -> np.ndarray | None:
    """A cluster of small round dark pores, some with a bright rim."""
    size = part.shape[0]
    centre = some_point(rng, part)
    if centre is None:
        return None
    spread = size * rng.uniform(0.02, 0.1)
    outlines = [
        blob_outline(
            rng,
            centre + rng.normal(0, spread, 2) * (k > 0),
            some_radius(rng, size, 0.0004, 0.005),
            0.05,
            1.1,
        )
        for k in range(int(rng.integers(1, 9)))
    ]
    alpha = polygons(size, outlines) * part
    ground = colour_at(picture, centre)
    dark = ground * rng.uniform(0.05, 0.4) if ground.mean() > 0.15 else ground + 0.3
    rim = np.clip(blur(alpha, 1.0) * 2, 0, 1) * (1 - alpha) * part
    return lay(picture + (rim * rng.uniform(0, 0.2))[..., None], alpha, dark)


@painter
def cut(rng: Generator, picture: np.ndarray, part: np.ndarray) -> np.ndarray | None:
    """A nearly straight tapered gash, dark inside, with lit lips."""
    size, unit = part.shape[0], _unit(picture)
    centre = some_point(rng, part)
    if centre is None:
        return None
    line = path(rng, centre, size * rng.uniform(0.1, 0.5), rng.uniform(0.02, 0.25))
    t = np.linspace(-1, 1, len(line))
    alpha = strokes(size, [(line, unit * rng.uniform(1.5, 6.0) * np.clip(1 - t**2, 0.1, 1))]) * part
    ground = colour_at(picture, centre)
    inside = ground * rng.uniform(0.1, 0.5) if ground.mean() > 0.2 else other_colour(rng, ground)
    lips = np.clip(blur(alpha, 1.1 * unit) * 2, 0, 1) * (1 - alpha) * part
    light = relief(blur(alpha, 1.2 * unit), rng.uniform(0, 2 * np.pi))
    lipped = picture + (lips * (rng.uniform(-0.05, 0.2) + light * rng.uniform(0, 0.25)))[..., None]
    return lay(lipped, alpha, inside * (1 + 0.3 * light[..., None]))


@painter
def thread(rng: Generator, picture: np.ndarray, part: np.ndarray) -> np.ndarray | None:
    """A thin curly fibre with a faint shadow."""
    size, unit = part.shape[0], _unit(picture)
    start = some_point(rng, part)
    if start is None:
        return None
    line = path(rng, start, size * rng.uniform(0.15, 1.0), rng.uniform(0.8, 4.0))
    alpha = strokes(size, [(line, np.full(len(line), unit * rng.uniform(0.8, 2.4)))]) * part
    shadow = (
        shifted(blur(alpha, 0.8), *(int(d) for d in rng.integers(-2, 3, 2)))
        * part
        * rng.uniform(0, 0.5)
    )
    colour = other_colour(rng, colour_at(picture, start), 0.25)
    return lay(picture * (1 - shadow[..., None]), alpha * rng.uniform(0.8, 1.0), colour)


@painter
def crease(rng: Generator, picture: np.ndarray, part: np.ndarray) -> np.ndarray | None:
    """A fold line, lit on one side and shaded on the other."""
    size, unit = part.shape[0], _unit(picture)
    start = some_point(rng, part)
    if start is None:
        return None
    line = path(rng, start, size * rng.uniform(0.25, 1.0), rng.uniform(0.05, 0.5))
    t = np.linspace(-1, 1, len(line))
    ridge = strokes(size, [(line, unit * rng.uniform(1.5, 5) * np.clip(1.2 - np.abs(t), 0.1, 1))])
    soft = blur(ridge, unit * rng.uniform(0.8, 2.2))
    heading = line[-1] - line[0]
    light = float(np.arctan2(heading[0], -heading[1])) + rng.normal(0, 0.4)
    shade = relief(soft, light) * rng.uniform(0.12, 0.4) + soft * rng.uniform(-0.15, 0.1)
    return picture + (shade * part)[..., None]


SURFACE_DEFECTS: dict[str, Painter] = {
    "scratch": scratch,
    "crack": crack,
    "hole": hole,
    "pit": pit,
    "dent": dent,
    "stain": stain,
    "discoloration": discoloration,
    "spot": spot,
    "contamination": contamination,
    "blowhole": blowhole,
    "cut": cut,
    "thread": thread,
    "crease": crease,
    "missing material": missing_material,
    "broken edge": broken_edge,
    "burr": burr,
    "extra material": extra_material,
}
