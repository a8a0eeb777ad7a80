"""Grounds: wood, stone, ceramic, glass, brick, mesh.

Each function returns float32 ``[size, size, 3]`` in 0..1, RGB.
"""

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
    log_uniform,
    near_colour,
    palette,
    ramp,
    shaded,
    smooth_field,
    smoothstep,
    spectral_noise,
    squash,
    tint,
    worley,
)

_TURN = 2 * math.pi


def wood(rng: np.random.Generator, size: int) -> Array:
    """Growth rings cut along the trunk, pores along the grain, sometimes planks."""
    angle = rng.choice([0.0, math.pi / 2]) + rng.normal(0, 0.1)
    u, v = coordinates(size, angle)
    base = colour(rng, "wood", "wood", "wood", "leather", "any")
    plank_light: Array | float = 1.0
    if chance(rng, 0.25):
        width = rng.uniform(20, 70)
        plank = np.floor(v / width + 50).astype(int) % 64
        u = u + rng.uniform(-400, 400, 64).astype(np.float32)[plank]
        gap = smoothstep(np.abs((v / width) % 1 - 0.5), 0.5 - 1.5 / width, 0.5)
        shade = rng.uniform(0.8, 1.1, 64).astype(np.float32)[plank]
        plank_light = shade * (1 - rng.uniform(0.3, 0.9) * gap)
    bend = spectral_noise(rng, size, 4.2, rng.uniform(2, 6), angle) * rng.uniform(1, 12)
    knot = np.hypot((u - rng.normal(0, size / 2)) * 0.35, v - rng.normal(0, size / 2))
    distance = np.hypot(u * rng.uniform(0.02, 0.15), v + bend + rng.normal(0, size))
    distance += rng.uniform(0, 25) * np.exp(-((knot / rng.uniform(8, 25)) ** 2))
    phase = (distance / log_uniform(rng, 5, 30)) % 1
    ring = phase ** rng.uniform(0.7, 3) * (1 - smoothstep(phase, 0.88, 1.0))
    dark = near_colour(rng, base * rng.uniform(0.35, 0.8), 0.03)
    picture = tint(ring * rng.uniform(0.5, 1), base, dark)
    pores = spectral_noise(rng, size, rng.uniform(0.3, 1.2), rng.uniform(10, 40), angle)
    light = 1 + log_uniform(rng, 0.02, 0.13) * pores
    return finished(picture * (light * plank_light)[..., None])


def stone(rng: np.random.Generator, size: int) -> Array:
    """Granite (mineral grains), marble (veins) or layered sandstone."""
    kind = rng.random()
    base = colour(rng, "stone", "stone", "pale", "gray", "any")
    if kind < 0.4:
        spacing = log_uniform(rng, 2.5, 14)
        warp = spectral_noise(rng, size, 2.4) * spacing * 0.5
        cell = worley(rng, size, spacing, 1.0, warp).number
        minerals = np.concatenate(
            [np.stack([near_colour(rng, base, 0.15) for _ in range(4)]), palette(rng, "stone", 2)]
        )
        picture = minerals[rng.integers(0, 6, 4096)][cell]
        picture = tint(np.full((size, size), rng.uniform(0.2, 1)), base, picture)
    elif kind < 0.75:
        beta, stretch, angle = rng.uniform(2.4, 3.6), rng.uniform(1, 3), rng.uniform(0, math.pi)
        field = spectral_noise(rng, size, beta, stretch, angle)
        vein = np.exp(-np.abs(field) * log_uniform(rng, 3, 30))
        picture = tint(squash(spectral_noise(rng, size, 2.2)), base, near_colour(rng, base, 0.1))
        picture = tint(vein * rng.uniform(0.2, 0.9), picture, colour(rng, "stone", "dark", "pale"))
    else:
        angle = rng.uniform(0, math.pi)
        layers = spectral_noise(rng, size, rng.uniform(1.5, 2.4), rng.uniform(3, 12), angle)
        stops = np.stack([near_colour(rng, base, 0.15) for _ in range(4)])
        picture = ramp(squash(layers), stops)
    light = 1 + log_uniform(rng, 0.02, 0.15) * spectral_noise(rng, size, rng.uniform(0.2, 1.2))
    return finished(picture * light[..., None])


def concrete(rng: np.random.Generator, size: int) -> Array:
    """Mottled cement with sand grain, pits and faint stains."""
    base = colour(rng, "gray", "stone", "stone")
    stain = squash(spectral_noise(rng, size, rng.uniform(1.8, 2.8)))
    picture = tint(stain, base, near_colour(rng, base, rng.uniform(0.03, 0.1)))
    light = 1 + log_uniform(rng, 0.03, 0.2) * spectral_noise(rng, size, rng.uniform(0.3, 1.3))
    near, _, cell = worley(rng, size, log_uniform(rng, 8, 30))
    pit = rng.uniform(-0.3, 0.22, 4096).astype(np.float32)[cell]
    inside = smoothstep(pit - near, 0, 0.05)
    light *= 1 - rng.uniform(0, 0.7) * inside
    light *= shaded(-inside * 2, rng.uniform(0, _TURN), rng.uniform(0, 0.6))
    return finished(picture * light[..., None])


def _laid(
    rng: np.random.Generator, size: int, width: float, height: float, shift: float, joint: float
) -> tuple[Array, Array]:
    """Rectangles laid in rows: (0..1 field that is 0 in the joint, number of each piece)."""
    u, v = coordinates(size, rng.normal(0, 0.03) + rng.choice([0.0, math.pi / 2]))
    wobble = spectral_noise(rng, size, 2.6) * rng.uniform(0, 1.0)
    v = (v + wobble) / height + 100 + rng.random()
    row = np.floor(v)
    u = (u + wobble) / width + row * shift + 100 + rng.random()
    column = np.floor(u)
    edge_u = (0.5 - np.abs(u - column - 0.5)) * width
    edge_v = (0.5 - np.abs(v - row - 0.5)) * height
    body = smoothstep(np.minimum(edge_u, edge_v), joint * 0.5, joint * 0.5 + 1.5)
    return body, ((row * 37 + column * 11) % 512).astype(int)


def ceramic_tile(rng: np.random.Generator, size: int) -> Array:
    """Glazed tiles with grout, or one large glaze, plain, clouded or speckled."""
    base = colour(rng, "any", "pale", "vivid", "stone")
    picture = tint(
        squash(spectral_noise(rng, size, rng.uniform(1.5, 3))),
        base,
        near_colour(rng, base, rng.uniform(0.01, 0.2)),
    )
    if chance(rng, 0.5):
        fleck = band_noise(rng, size, log_uniform(rng, 2.5, 7), 0.6)
        edge = rng.uniform(1.0, 2.2)
        picture = tint(smoothstep(fleck, edge, edge + 0.4), picture, colour(rng, "any", "dark"))
    if chance(rng, 0.6):
        side, joint = log_uniform(rng, 14, 110), log_uniform(rng, 1, 5)
        body, piece = _laid(rng, size, side, side * rng.choice([1.0, 1.0, 0.5]), 0.0, joint)
        tone = 1 + rng.normal(0, rng.uniform(0, 0.12), 512).astype(np.float32)[piece]
        grout = colour(rng, "gray", "stone", "pale")
        picture = tint(body, grout, picture * tone[..., None])
        picture = picture * shaded(body * 2, rng.uniform(0, _TURN), rng.uniform(0, 0.4))[..., None]
    light = 1 + 0.3 * (smooth_field(rng, size, 2) - 0.5)
    light += rng.uniform(0, 0.02) * spectral_noise(rng, size, 0.3)
    return finished(picture * light[..., None])


def brick_wall(rng: np.random.Generator, size: int) -> Array:
    """Bricks or blocks in running bond, each its own tone, rough, with sunk mortar."""
    height = log_uniform(rng, 8, 45)
    body, piece = _laid(
        rng, size, height * rng.uniform(1.6, 3.5), height, 0.5, height * rng.uniform(0.08, 0.25)
    )
    base = colour(rng, "brick", "brick", "stone", "any")
    tones = np.stack([near_colour(rng, base, 0.1) for _ in range(8)])
    picture = tint(body, colour(rng, "stone", "gray", "pale"), tones[piece % 8])
    rough = spectral_noise(rng, size, rng.uniform(0.6, 1.6))
    relief = body * rng.uniform(1, 4) + rough * rng.uniform(0.1, 0.5)
    light = shaded(relief, rng.uniform(0, _TURN), rng.uniform(0.1, 0.5))
    light *= 1 + log_uniform(rng, 0.03, 0.15) * rough
    return finished(picture * light[..., None])


def glass(rng: np.random.Generator, size: int) -> Array:
    """Smooth and pale or dark, with soft reflections; sometimes ribbed or frosted."""
    first, second = colour(rng, "pale", "dark", "any"), colour(rng, "pale", "metal", "any")
    second = first + rng.uniform(0.1, 0.8) * (second - first)
    picture = tint(smooth_field(rng, size, int(rng.integers(1, 5))), first, second)
    _, v = coordinates(size, rng.uniform(0, math.pi))
    for _ in range(int(rng.integers(0, 4))):
        middle, width = rng.normal(0, size / 3), log_uniform(rng, 2, 40)
        streak = smoothstep(-np.abs(v - middle), -width, -width + rng.uniform(1, width))
        picture = tint(streak * rng.uniform(0.03, 0.4), picture, np.ones(3, np.float32))
    if chance(rng, 0.3):
        ribs = 1 + rng.uniform(0.02, 0.2) * np.sin(v / log_uniform(rng, 5, 30) * _TURN)
        picture = picture * ribs[..., None]
    if chance(rng, 0.3):
        frost = spectral_noise(rng, size, rng.uniform(0, 1.2))
        picture = picture * (1 + log_uniform(rng, 0.01, 0.12) * frost)[..., None]
    return finished(picture)


def grid(rng: np.random.Generator, size: int) -> Array:
    """Wire mesh, square or diamond, or a sheet with rows of round holes."""
    pitch = log_uniform(rng, 6, 45)
    angle = rng.choice([0.0, math.pi / 4]) + rng.normal(0, 0.05)
    u, v = coordinates(size, angle)
    wobble = spectral_noise(rng, size, 3.4) * rng.uniform(0, 1.0)
    u, v = (u + wobble) / pitch + 100 + rng.random(), (v - wobble) / pitch + 100 + rng.random()
    back = colour(rng, "dark", "pale", "gray", "any")
    front = colour(rng, "metal", "gray", "any", "brass", "pale")
    if chance(rng, 0.35):
        u = u + 0.5 * (np.floor(v) % 2)
        hole = np.hypot(u % 1 - 0.5, v % 1 - 0.5)
        radius, soft = rng.uniform(0.2, 0.42), 1.0 / pitch
        solid = smoothstep(hole, radius - soft, radius + soft)
        light = shaded(solid * 2, rng.uniform(0, _TURN), rng.uniform(0, 0.6))
    else:
        half, soft = rng.uniform(0.06, 0.25), 0.7 / pitch
        du, dv = np.abs(u % 1 - 0.5), np.abs(v % 1 - 0.5)
        over = (np.floor(u) + np.floor(v)) % 2 < 1
        wire_u, wire_v = (1 - smoothstep(d, half - soft, half + soft) for d in (du, dv))
        solid = np.maximum(wire_u, wire_v)
        top = np.where(over, np.where(wire_u > 0.5, du, dv), np.where(wire_v > 0.5, dv, du))
        light = 1.1 - rng.uniform(0.2, 0.9) * (top / half).clip(0, 1) ** 2
    light *= 1 + rng.uniform(0.01, 0.1) * spectral_noise(rng, size, rng.uniform(0.2, 1.5))
    grain = 1 + rng.uniform(0, 0.1) * spectral_noise(rng, size, 1.0)
    return finished(tint(solid, back * grain[..., None], front * light[..., None]))
