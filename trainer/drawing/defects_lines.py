"""Drawn defects along a line: scratches, cracks, cuts, threads, creases.

Not from the paper: part of the project's own drawn pictures for pretraining.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from .defect_tools import (
    blur,
    colour_at,
    lay,
    noise,
    other_colour,
    painter,
    path,
    relief,
    rim_around,
    shadow_of,
    some_point,
    strokes,
)

LINE_COUNTS, LINE_SHARES = (1, 2, 3, 5), (0.6, 0.2, 0.12, 0.08)
"""Lines of a scratch, and how often it has so many."""


def _unit(picture: np.ndarray) -> float:
    """Scale of thin things: 1 at 160 pixels."""
    return picture.shape[0] / 160


def _tone(rng: Generator, ground: np.ndarray, least: float, most: float) -> np.ndarray:
    """The colour of the ground, made clearly darker or lighter, float32 [3]; towards the side that
    has room."""
    step = rng.uniform(least, most)
    lighter = rng.random() < 1 - ground.mean()
    return np.clip(ground + (step if lighter else -step), 0, 1).astype(np.float32)


def _tapered(steps: int, least: float, slope: float) -> np.ndarray:
    """Shares of a width along a line, float64 [N]: thin at both ends."""
    rising = np.linspace(least, slope, steps)
    return np.minimum(rising, rising[::-1]).clip(0, 1)


@painter
def scratch(rng: Generator, picture: np.ndarray, part: np.ndarray) -> np.ndarray | None:
    """One or a few thin curved lines, brighter or darker, of varying width, broken in places."""
    size, unit = part.shape[0], _unit(picture)
    start = some_point(rng, part)
    if start is None:
        return None
    alpha = strokes(size, _scratch_lines(rng, start, size, unit)) * part
    if rng.random() < 0.5:
        alpha = alpha * np.clip(0.7 + 0.6 * noise(rng, size, 8 * unit), 0, 1)
    ground = colour_at(picture, start)
    scored = lay(picture, alpha, picture + (_tone(rng, ground, 0.12, 0.6) - ground))
    if rng.random() < 0.5:
        light = relief(blur(alpha, 0.8), rng.uniform(0, 2 * np.pi)) * part
        scored = scored + light[..., None] * rng.uniform(0.05, 0.25)
    return scored


def _scratch_lines(
    rng: Generator, start: np.ndarray, size: int, unit: float
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Lines with their widths: the first one, and parts of it beside it."""
    line = path(rng, start, size * rng.uniform(0.12, 0.9), rng.uniform(0.05, 0.7))
    widths = unit * rng.uniform(0.5, 2.0) * _tapered(len(line), 0.1, 3)
    lines: list[tuple[np.ndarray, np.ndarray]] = []
    for number in range(int(rng.choice(LINE_COUNTS, p=LINE_SHARES))):
        is_first = number == 0
        offset = rng.normal(0, 4 * unit, 2) * (not is_first)
        begin = int(rng.integers(0, max(1, len(line) // 2))) * (not is_first)
        uneven = widths * rng.uniform(0.6, 1.3, len(line))
        lines.append(((line + offset)[begin:], uneven[begin:]))
    return lines


@painter
def crack(rng: Generator, picture: np.ndarray, part: np.ndarray) -> np.ndarray | None:
    """A dark branching random walk of varying thickness, with faint relief along it."""
    size, unit = part.shape[0], _unit(picture)
    start = some_point(rng, part)
    if start is None:
        return None
    alpha = strokes(size, _crack_lines(rng, start, size, unit)) * part
    ground = colour_at(picture, start)
    if ground.mean() > 0.15:
        deep = ground * rng.uniform(0.05, 0.55)
    else:
        deep = ground + rng.uniform(0.15, 0.4)
    cracked = lay(picture, alpha * rng.uniform(0.65, 1.0), deep)
    soft = blur(alpha, 1.3 * unit)
    lips = relief(soft, rng.uniform(0, 2 * np.pi)) * part * (1 - alpha)
    return cracked + lips[..., None] * rng.uniform(0, 0.15)


def _crack_lines(
    rng: Generator, start: np.ndarray, size: int, unit: float
) -> list[tuple[np.ndarray, np.ndarray]]:
    """The main line and its branches, with their widths."""
    length, bend, jitter = rng.uniform(0.15, 0.9), rng.uniform(0.2, 0.9), rng.uniform(0.25, 0.6)
    main = path(rng, start, size * length, bend, jitter)
    width = unit * rng.uniform(0.7, 2.4)
    lines = [(main, _crack_widths(rng, len(main), width))]
    for _ in range(int(rng.poisson(1.6))):
        trunk, widths = lines[int(rng.integers(len(lines)))]
        root = int(rng.integers(len(trunk)))
        branch = path(rng, trunk[root], size * rng.uniform(0.05, 0.3), 0.5, 0.45)
        thinner = np.linspace(1, 0.25, len(branch)) * widths[root] * rng.uniform(0.5, 0.9)
        lines.append((branch - branch[0] + trunk[root], thinner))
    return lines


def _crack_widths(rng: Generator, steps: int, width: float) -> np.ndarray:
    wander = np.exp(np.cumsum(rng.normal(0, 0.15, steps)))
    return width * np.clip(wander, 0.4, 1.8) * _tapered(steps, 0.3, 4)


@painter
def cut(rng: Generator, picture: np.ndarray, part: np.ndarray) -> np.ndarray | None:
    """A nearly straight tapered gash, dark inside, with lit lips."""
    size, unit = part.shape[0], _unit(picture)
    centre = some_point(rng, part)
    if centre is None:
        return None
    line = path(rng, centre, size * rng.uniform(0.1, 0.5), rng.uniform(0.02, 0.25))
    along = np.linspace(-1, 1, len(line))
    widths = unit * rng.uniform(1.5, 6.0) * np.clip(1 - along**2, 0.1, 1)
    alpha = strokes(size, [(line, widths)]) * part
    ground = colour_at(picture, centre)
    inside = ground * rng.uniform(0.1, 0.5) if ground.mean() > 0.2 else other_colour(rng, ground)
    lips = rim_around(alpha, part, 1.1 * unit)
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
    widths = np.full(len(line), unit * rng.uniform(0.8, 2.4))
    alpha = strokes(size, [(line, widths)]) * part
    shadow = shadow_of(rng, alpha, 0.8) * part * rng.uniform(0, 0.5)
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
    along = np.linspace(-1, 1, len(line))
    widths = unit * rng.uniform(1.5, 5) * np.clip(1.2 - np.abs(along), 0.1, 1)
    soft = blur(strokes(size, [(line, widths)]), unit * rng.uniform(0.8, 2.2))
    heading = line[-1] - line[0]
    light = float(np.arctan2(heading[0], -heading[1])) + rng.normal(0, 0.4)
    shade = relief(soft, light) * rng.uniform(0.12, 0.4) + soft * rng.uniform(-0.15, 0.1)
    return picture + (shade * part)[..., None]
