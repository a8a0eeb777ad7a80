"""Grounds: cloth, leather, rubber, plastic, paint, paper, foam, food-like crumb.

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
    line_noise,
    log_uniform,
    near_colour,
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


def woven_fabric(rng: np.random.Generator, size: int) -> Array:
    """Plain weave, twill or satin of round threads, with uneven yarn."""
    angle = rng.normal(0, 0.05) if chance(rng, 0.6) else rng.uniform(0, math.pi)
    pitch = log_uniform(rng, 3.0, 22)
    u, v = coordinates(size, angle)
    sway = rng.uniform(0, 0.25) * pitch
    u = (u + sway * spectral_noise(rng, size, 3.8)) / pitch + 500
    v = (v + sway * spectral_noise(rng, size, 3.8)) / (pitch * rng.uniform(0.7, 1.4)) + 500
    column, row = np.floor(u), np.floor(v)
    repeat, step = [(2, 1), (3, 1), (4, 1), (5, 2)][int(rng.integers(4))]
    warp_on_top = ((column + step * row) % repeat) < max(1, repeat // 2)
    across_warp, across_weft = u - column - 0.5, v - row - 0.5
    across = np.where(warp_on_top, across_warp, across_weft)
    along = np.where(warp_on_top, across_weft, across_warp)
    roundness = rng.uniform(0.3, 1.0)
    light = 1 - roundness * 2.4 * across**2 - rng.uniform(0, 1.0) * along**2
    light += log_uniform(rng, 0.02, 0.15) * spectral_noise(rng, size, rng.uniform(0, 1))
    yarn = rng.normal(0, rng.uniform(0, 0.12), (2, 1024)).astype(np.float32)
    light += np.where(warp_on_top, yarn[0][column.astype(int)], yarn[1][row.astype(int)])
    first = colour(rng, "any", "any", "gray", "pale", "leather")
    second = colour(rng, "any") if chance(rng, 0.3) else near_colour(rng, first, 0.08)
    picture = tint(warp_on_top.astype(np.float32), first, second)
    if chance(rng, 0.2):
        band = np.sin(column * rng.uniform(0.1, 0.8)) > rng.uniform(-0.3, 0.9)
        picture = tint(band * rng.uniform(0.3, 1.0), picture, colour(rng, "any"))
    return finished(picture * np.maximum(light, 0.08)[..., None])


def carpet(rng: np.random.Generator, size: int) -> Array:
    """Tufts and loose fibres, speckled with a few yarn colours."""
    spacing = log_uniform(rng, 2.5, 12)
    warp = spectral_noise(rng, size, 2.5) * spacing * 0.4
    near, _, cell = worley(rng, size, spacing, 0.9, warp)
    base = colour(rng, "any", "any", "leather", "gray")
    yarns = np.stack([near_colour(rng, base, rng.uniform(0.02, 0.3)) for _ in range(4)])
    picture = yarns[rng.integers(0, 4, 4096)][cell]
    light = 1.15 - rng.uniform(0.3, 0.9) * near
    fibres = band_noise(rng, size, rng.uniform(2.2, 4), 0.5, rng.uniform(1, 4), rng.uniform(0, 3))
    light += log_uniform(rng, 0.05, 0.3) * fibres
    light *= 1 + rng.uniform(0, 0.15) * spectral_noise(rng, size, 2.2)
    return finished(picture * np.maximum(light, 0.05)[..., None])


def leather(rng: np.random.Generator, size: int) -> Array:
    """Pebbled skin: cells with creases, lit from one side."""
    spacing = log_uniform(rng, 3.5, 20)
    warp = spectral_noise(rng, size, 3.2) * spacing * rng.uniform(0.2, 0.9)
    near, second, cell = worley(rng, size, spacing, 1.0, warp, rng.uniform(1, 1.8))
    crease = smoothstep(second - near, 0, rng.uniform(0.2, 0.6))
    height = crease * spacing * 0.3 + spectral_noise(rng, size, 1.6) * rng.uniform(0, 0.5)
    light = shaded(height, rng.uniform(0, _TURN), log_uniform(rng, 0.08, 0.6))
    light *= 1 - rng.uniform(0.05, 0.5) * (1 - crease)
    light *= 1 + rng.uniform(0, 0.08) * rng.standard_normal(4096).astype(np.float32)[cell]
    base = colour(rng, "leather", "leather", "wood", "dark", "any")
    mottled = tint(squash(spectral_noise(rng, size, 2.0)), base, near_colour(rng, base, 0.08))
    light += rng.uniform(0, 0.05) * rng.standard_normal((size, size), dtype=np.float32)
    return finished(mottled * light[..., None])


def rubber(rng: np.random.Generator, size: int) -> Array:
    """Matte, mostly dark; plain, ribbed or studded."""
    base = colour(rng, "dark", "dark", "gray", "vivid") * rng.uniform(0.6, 1.0) + 0.03
    light = 1 + log_uniform(rng, 0.03, 0.2) * spectral_noise(rng, size, rng.uniform(0, 1.2))
    angle = rng.uniform(0, math.pi)
    u, v = coordinates(size, angle)
    pitch, kind = log_uniform(rng, 7, 50), rng.random()
    if kind < 0.3:
        ridge = np.tanh(3 * np.sin(v / pitch * _TURN)) * pitch * 0.1
        light *= shaded(ridge, rng.uniform(0, _TURN), rng.uniform(0.3, 1.0))
    elif kind < 0.6:
        du, dv = (u / pitch) % 1 - 0.5, (v / pitch) % 1 - 0.5
        stud = smoothstep(-np.hypot(du, dv), -0.36, -0.28) * pitch * 0.1
        light *= shaded(stud, rng.uniform(0, _TURN), rng.uniform(0.5, 1.5))
    light += rng.uniform(0, 0.5) * smooth_field(rng, size, 2)
    return finished(base * light[..., None])


def foam(rng: np.random.Generator, size: int) -> Array:
    """Round open bubbles of two sizes in a pale or coloured body."""
    base = colour(rng, "pale", "any", "dough", "gray")
    light = np.ones((size, size), np.float32)
    for spacing in (log_uniform(rng, 4, 10), log_uniform(rng, 8, 30)):
        warp = spectral_noise(rng, size, 3.6) * spacing * 0.3
        near, second, cell = worley(rng, size, spacing, 1.0, warp)
        radius = rng.uniform(0.1, 0.55, 4096).astype(np.float32)[cell]
        hollow = np.clip(1 - (near / radius) ** 2, 0, 1)
        light *= 1 - rng.uniform(0.1, 0.6) * np.sqrt(hollow)
        light *= shaded(-hollow * spacing * 0.25, rng.uniform(0, _TURN), rng.uniform(0.1, 0.4))
    light += rng.uniform(0.01, 0.07) * spectral_noise(rng, size, 0.6)
    return finished(base * light[..., None])


def paper(rng: np.random.Generator, size: int) -> Array:
    """Fibrous sheet or cardboard, sometimes corrugated, ruled or flecked."""
    base = colour(rng, "pale", "pale", "dough", "wood", "any")
    fibres = spectral_noise(rng, size, rng.uniform(0.4, 1.6), rng.uniform(1, 4), rng.uniform(0, 3))
    light = 1 + log_uniform(rng, 0.008, 0.1) * fibres
    _, v = coordinates(size, rng.uniform(0, math.pi))
    if chance(rng, 0.3):
        light += rng.uniform(0.01, 0.08) * np.sin(v / rng.uniform(4, 16) * _TURN)
    picture = base * light[..., None]
    if chance(rng, 0.3):
        fleck = band_noise(rng, size, rng.uniform(3, 7), 0.4, rng.uniform(1, 5), rng.uniform(0, 3))
        spots = smoothstep(fleck, 1.8, 2.6) * rng.uniform(0.2, 0.8)
        picture = tint(spots, picture, colour(rng, "any"))
    if chance(rng, 0.2):
        line = smoothstep(np.abs((v / rng.uniform(8, 30)) % 1 - 0.5), 0.44, 0.48)
        picture = tint(line * rng.uniform(0.3, 1), picture, colour(rng, "vivid", "dark"))
    return finished(picture)


def plastic(rng: np.random.Generator, size: int) -> Array:
    """A moulded part: even colour, fine texture, a soft gloss."""
    base = colour(rng, "vivid", "vivid", "any", "pale", "dark")
    height = band_noise(rng, size, log_uniform(rng, 2.5, 10), 0.5)
    light = shaded(height, rng.uniform(0, _TURN), log_uniform(rng, 0.01, 0.3))
    light *= 0.8 + 0.4 * smooth_field(rng, size, 2)
    picture = base * light[..., None]
    if chance(rng, 0.6):
        x, y = coordinates(size, rng.uniform(0, math.pi))
        x, y = x - rng.normal(0, size / 3), y - rng.normal(0, size / 3)
        away = (x / rng.uniform(0.1, 1.0)) ** 2 + (y / rng.uniform(0.05, 0.3)) ** 2
        gloss = rng.uniform(0.1, 0.8) * np.exp(-away / size**2) * (0.8 + 0.2 * light)
        picture = tint(gloss, picture, np.ones(3, np.float32))
    return finished(picture)


def painted_surface(rng: np.random.Generator, size: int) -> Array:
    """Orange peel or brush strokes in one or two colours, sometimes metallic flakes."""
    base = colour(rng, "any", "vivid", "pale", "gray")
    angle = rng.uniform(0, math.pi)
    stretch = 1.0 if chance(rng, 0.5) else rng.uniform(4, 20)
    height = band_noise(rng, size, log_uniform(rng, 3, 14), 0.5, stretch, angle)
    light = shaded(height, rng.uniform(0, _TURN), log_uniform(rng, 0.02, 0.4))
    mottle = squash(spectral_noise(rng, size, rng.uniform(1.4, 2.6), min(stretch, 5), angle))
    picture = tint(mottle, base, near_colour(rng, base, rng.uniform(0, 0.15)))
    if chance(rng, 0.25):
        flakes = rng.standard_normal((size, size, 3), dtype=np.float32)
        picture = picture * (1 + rng.uniform(0.03, 0.2) * flakes)
    if chance(rng, 0.25):
        old = spectral_noise(rng, size, rng.uniform(1.6, 2.8))
        edge = rng.uniform(-0.5, 1.5)
        picture = tint(smoothstep(old, edge, edge + 0.15), picture, colour(rng, "any", "stone"))
    return finished(picture * light[..., None])


def baked_crumb(rng: np.random.Generator, size: int) -> Array:
    """A baked or granular skin: browned bumps, pores, cracks and darker bits."""
    tones = np.sort(rng.uniform(0.25, 1.05, 4))[:, None].astype(np.float32)
    tones = tones * colour(rng, "dough", "dough", "wood", "leather", "any")
    tones = np.clip(tones * (1 + rng.normal(0, 0.06, (4, 3))), 0, 1)
    height = spectral_noise(rng, size, rng.uniform(1.4, 2.4))
    height += rng.uniform(0, 0.5) * band_noise(rng, size, log_uniform(rng, 3, 12), 0.5)
    picture = ramp(squash(height * rng.uniform(0.3, 1.0)), tones)
    light = shaded(height, rng.uniform(0, _TURN), log_uniform(rng, 0.15, 1.2))
    pores = smoothstep(band_noise(rng, size, log_uniform(rng, 3, 12), 0.5), 1.2, 2.4)
    light *= 1 - rng.uniform(0, 0.7) * pores
    if chance(rng, 0.5):
        spacing = log_uniform(rng, 10, 50)
        warp = spectral_noise(rng, size, 3.0) * spacing * 0.15
        near, second, cell = worley(rng, size, spacing, 1.0, warp)
        bit = rng.uniform(-0.4, 0.35, 4096).astype(np.float32)[cell]
        inside = smoothstep(bit - near, 0, 0.06) * rng.uniform(0.6, 1)
        picture = tint(inside, picture, colour(rng, "dark", "leather", "pale", "any"))
    light += rng.uniform(0, 0.06) * rng.standard_normal((size, size), dtype=np.float32)
    return finished(picture * light[..., None])


def felt(rng: np.random.Generator, size: int) -> Array:
    """Felt: crossing fibre layers in close colours."""
    base = colour(rng, "any", "gray", "dough")
    light = np.ones((size, size), np.float32)
    for _ in range(3):
        angle, wavelength = rng.uniform(0, math.pi), rng.uniform(2.5, 6)
        fibres = band_noise(rng, size, wavelength, 0.4, rng.uniform(5, 15), angle)
        light += log_uniform(rng, 0.03, 0.2) * fibres
    _, v = coordinates(size, rng.uniform(0, math.pi))
    light += rng.uniform(0, 0.05) * line_noise(rng, v, 2.0, 1.0)
    second = near_colour(rng, base, 0.12)
    picture = tint(squash(spectral_noise(rng, size, 1.8)), base, second)
    return finished(picture * np.maximum(light, 0.05)[..., None])
