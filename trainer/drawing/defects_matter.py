"""Drawn defects of something that lies on the part: stains, discoloration, spots, contamination.

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
    shadow_of,
    some_point,
    some_radius,
)


@painter
def stain(rng: Generator, picture: np.ndarray, part: np.ndarray) -> np.ndarray | None:
    """A soft blotch of liquid or dirt."""
    radius = some_radius(rng, part.shape[0], 0.003, 0.06)
    softness, hue = rng.uniform(0.04, 0.3), rng.choice([0.05, 0.25])
    return _stained(rng, picture, part, radius, softness, hue)


@painter
def discoloration(rng: Generator, picture: np.ndarray, part: np.ndarray) -> np.ndarray | None:
    """A wide soft change of colour."""
    radius = some_radius(rng, part.shape[0], 0.01, 0.09)
    softness, hue = rng.uniform(0.15, 0.4), rng.uniform(0.15, 0.5)
    return _stained(rng, picture, part, radius, softness, hue)


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
    outlines: list[np.ndarray] = []
    for number in range(int(rng.integers(1, 4))):
        middle = centre + rng.normal(0, 0.6 * radius, 2) * (number > 0)
        stretch = rng.uniform(1, 2)
        outlines.append(blob_outline(rng, middle, radius / (1 + 0.5 * number), 0.3, stretch))
    sharp = polygons(size, outlines)
    strength = np.clip(0.85 + 0.25 * noise(rng, size, radius / 2 + 2), 0.2, 1.1)
    alpha = blur(sharp, radius * softness + 0.6) * strength
    if rng.random() < 0.35:
        alpha = alpha + rng.uniform(0.2, 0.7) * sharp * np.clip(1 - blur(sharp, 1.5), 0, 1) * 2
    factor, lift = _tint(rng, picture, hue)
    return lay(picture, np.clip(alpha, 0, 1) * part, picture * factor + lift)


def _tint(rng: Generator, picture: np.ndarray, hue: float) -> tuple[np.ndarray, float]:
    """What a stain multiplies colours by, float32 [3], and what it adds to them."""
    tint = np.exp(rng.normal(0, hue, 3))
    is_darker = rng.random() < 0.75 or picture.mean() > 0.7
    brightness = rng.uniform(0.35, 0.88) if is_darker else rng.uniform(1.15, 1.6)
    factor = (tint / tint.mean() * brightness).astype(np.float32)
    return factor, 0.12 if brightness > 1 else 0.0


@painter
def spot(rng: Generator, picture: np.ndarray, part: np.ndarray) -> np.ndarray | None:
    """One to three opaque spots."""
    return _particles(rng, picture, part, int(rng.integers(1, 4)), 0.012, 0.06)


@painter
def contamination(rng: Generator, picture: np.ndarray, part: np.ndarray) -> np.ndarray | None:
    """A cluster of foreign particles."""
    return _particles(rng, picture, part, int(rng.integers(1, 24)), 0.02, rng.uniform(0.03, 0.15))


def _particles(
    rng: Generator, picture: np.ndarray, part: np.ndarray, count: int, largest: float, spread: float
) -> np.ndarray | None:
    """Opaque blobs of another colour with a shadow; ``spread`` is a share of the picture."""
    size = part.shape[0]
    centre = some_point(rng, part)
    if centre is None:
        return None
    outlines: list[np.ndarray] = []
    for number in range(count):
        middle = centre + rng.normal(0, spread * size, 2) * (number > 0)
        radius = some_radius(rng, size, 0.0002, largest)
        roughness, stretch = rng.uniform(0.05, 0.35), rng.uniform(1, 2.2)
        ragged = rng.uniform(0, 0.08)
        outlines.append(blob_outline(rng, middle, radius, roughness, stretch, None, ragged))
    alpha = polygons(size, outlines)
    ground = colour_at(picture, centre)
    light = rng.uniform(0, 2 * np.pi)
    plain = other_colour(rng, ground)
    body = plain + relief(blur(alpha, 1.0), light)[..., None] * rng.uniform(0, 0.2)
    shadow = np.clip(shadow_of(rng, alpha, 1.0) - alpha, 0, 1) * rng.uniform(0, 0.5)
    ground_in_shadow = picture * (1 - (shadow * part)[..., None])
    return lay(ground_in_shadow, alpha * part * rng.uniform(0.75, 1.0), body)
