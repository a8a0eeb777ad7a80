"""Grounds: metals. Each function returns float32 ``[size, size, 3]`` in 0..1, RGB."""

from __future__ import annotations

import math

import numpy as np

from .noise import (
    Array,
    band_noise,
    chance,
    colour,
    coordinates,
    finished,
    line_noise,
    log_uniform,
    near_colour,
    shaded,
    smooth_field,
    smoothstep,
    spectral_noise,
    squash,
    tint,
    worley,
)


def metal_colour(rng: np.random.Generator) -> Array:
    """A metal's base colour ``[3]``: mostly gray, sometimes brass, copper or anodised."""
    pick = rng.random()
    if pick < 0.7:
        return colour(rng, "metal", "gray")
    return colour(rng, "brass") if pick < 0.9 else colour(rng, "vivid")


def brushed_metal(rng: np.random.Generator, size: int) -> Array:
    """Fine parallel streaks under a broad sheen."""
    angle = rng.uniform(0, math.pi) if chance(rng, 0.5) else rng.choice([0.0, math.pi / 2])
    streaks = spectral_noise(rng, size, rng.uniform(0.3, 1.4), log_uniform(rng, 12, 80), angle)
    light = 1 + log_uniform(rng, 0.03, 0.35) * streaks
    _, across = coordinates(size, angle)
    sheen = np.cos(across / size * rng.uniform(1, 5) + rng.uniform(0, 6))
    light = light * (1 + rng.uniform(0, 0.3) * sheen)
    light += rng.uniform(0, 0.04) * rng.standard_normal((size, size), dtype=np.float32)
    return finished(metal_colour(rng) * light[..., None])


def ground_metal(rng: np.random.Generator, size: int) -> Array:
    """Sintered grain crossed by grinding lines: dull, often dark, lines of uneven depth."""
    base = colour(rng, "gray", "metal", "metal", "stone") * rng.uniform(0.5, 1.0)
    light = 1 + log_uniform(rng, 0.03, 0.22) * spectral_noise(rng, size, rng.uniform(0.0, 1.2))
    light += log_uniform(rng, 0.02, 0.15) * band_noise(rng, size, log_uniform(rng, 2.5, 9), 0.6)
    if chance(rng, 0.8):
        angle = rng.choice([0.0, math.pi / 2]) + rng.normal(0, 0.06)
        if chance(rng, 0.3):
            angle = rng.uniform(0, math.pi)
        along, across = coordinates(size, angle)
        bend = along**2 * rng.normal(0, 0.0006)
        lines = line_noise(rng, across + bend, rng.uniform(1, 4), rng.uniform(0, 1.2))
        depth = log_uniform(rng, 0.02, 0.22) * (0.3 + smooth_field(rng, size, 4))
        light += depth * lines
        light += 0.5 * depth * spectral_noise(rng, size, 0.8, rng.uniform(5, 25), angle)
    light *= 1 + rng.uniform(0, 0.35) * (smooth_field(rng, size, 2) - 0.5)
    return finished(base * light[..., None])


def casting(rng: np.random.Generator, size: int) -> Array:
    """A sand-cast or die-cast skin: small bumps lit from one side, sometimes a round boss."""
    beta = rng.uniform(0.8, 2.6)
    height = spectral_noise(rng, size, beta) + rng.uniform(0, 0.6) * band_noise(
        rng, size, log_uniform(rng, 3, 12), 0.4
    )
    light_angle = rng.uniform(0, 2 * math.pi)
    light = shaded(height, light_angle, log_uniform(rng, 0.1, 0.7))
    light *= 1 + rng.uniform(0.02, 0.12) * spectral_noise(rng, size, rng.uniform(1, 2))
    if chance(rng, 0.4):
        x, y = coordinates(size)
        radius = np.hypot(x - rng.normal(0, size / 4), y - rng.normal(0, size / 4))
        for _ in range(int(rng.integers(1, 5))):
            edge, soft = rng.uniform(0.1, 0.7) * size, log_uniform(rng, 1, 8)
            light *= 1 + rng.uniform(-0.4, 0.4) * smoothstep(radius, edge - soft, edge + soft)
            rim = np.exp(-(((radius - edge) / soft) ** 2))
            light *= 1 + rng.uniform(-0.3, 0.4) * rim
    base = metal_colour(rng)
    return finished(base * light[..., None])


def rolled_steel(rng: np.random.Generator, size: int) -> Array:
    """A strip with cloudy bands along the rolling direction, mill scale and faint rust."""
    angle = rng.choice([0.0, math.pi / 2]) + rng.normal(0, 0.03)
    base = colour(rng, "metal", "gray")
    clouds = spectral_noise(rng, size, rng.uniform(1.5, 2.6), rng.uniform(1.5, 8), angle)
    light = 1 + log_uniform(rng, 0.03, 0.25) * clouds
    light += log_uniform(rng, 0.01, 0.1) * spectral_noise(rng, size, rng.uniform(0, 0.8))
    _, across = coordinates(size, angle)
    light += log_uniform(rng, 0.01, 0.15) * line_noise(rng, across, rng.uniform(1, 6), 1.0)
    picture = base * light[..., None]
    if chance(rng, 0.45):
        cover = spectral_noise(rng, size, rng.uniform(1.2, 2.2), rng.uniform(1, 6), angle)
        edge = rng.uniform(0.2, 1.5)
        cover = smoothstep(cover, edge, edge + log_uniform(rng, 0.1, 1.0)) * rng.uniform(0.2, 0.9)
        scale = near_colour(rng, base * rng.uniform(0.4, 1.5), 0.05)
        if chance(rng, 0.4):
            scale = colour(rng, "brick", "wood") * rng.uniform(0.5, 1)
        picture = tint(cover, picture, scale * light[..., None])
    return finished(picture)


def turned_metal(rng: np.random.Generator, size: int) -> Array:
    """Concentric tool marks with a sheen that turns around the centre."""
    x, y = coordinates(size)
    x, y = x - rng.normal(0, size * 0.4), y - rng.normal(0, size * 0.4)
    radius, around = np.hypot(x, y), np.arctan2(y, x)
    light = 1 + log_uniform(rng, 0.03, 0.25) * line_noise(
        rng, radius, rng.uniform(1, 3), rng.uniform(0, 1.5)
    )
    sheen = np.cos(rng.integers(1, 4) * 2 * around + rng.uniform(0, 6))
    light *= 1 + rng.uniform(0.05, 0.4) * sheen * smoothstep(radius, 0, 20)
    light += rng.uniform(0, 0.05) * spectral_noise(rng, size, 0.3)
    if chance(rng, 0.4):
        edge = rng.uniform(0.05, 0.4) * size
        light *= 1 - rng.uniform(0.4, 1) * (1 - smoothstep(radius, edge, edge + rng.uniform(1, 5)))
    return finished(metal_colour(rng) * light[..., None])


def galvanised_metal(rng: np.random.Generator, size: int) -> Array:
    """Crystal spangles: angular cells of slightly different brightness."""
    warp = spectral_noise(rng, size, 3.0) * rng.uniform(0, 4)
    near, second, cell = worley(rng, size, log_uniform(rng, 5, 40), 1.0, warp)
    shade = rng.standard_normal(4096).astype(np.float32)[cell]
    light = 1 + log_uniform(rng, 0.04, 0.3) * shade
    light += rng.uniform(-0.1, 0.1) * (1 - smoothstep(second - near, 0, 0.15))
    light += rng.uniform(0, 0.08) * spectral_noise(rng, size, 0.7)
    light *= 0.9 + 0.2 * squash(spectral_noise(rng, size, 2.4))
    return finished(metal_colour(rng) * light[..., None])
