"""The table of grounds (surfaces to draw on), and the draw of one of them.

``GROUNDS`` maps the caption's noun to a function (generator, size) that returns float32
``[size, size, 3]`` in 0..1, RGB: a new random instance at each call.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from . import grounds_abstract as abstract
from . import grounds_hard as hard
from . import grounds_metal as metal
from . import grounds_soft as soft
from .noise import (
    Array,
    chance,
    colour,
    coordinates,
    finished,
    log_uniform,
    smoothstep,
    spectral_noise,
    tint,
)

Ground = Callable[[np.random.Generator, int], np.ndarray]

_BODIES: tuple[Ground, ...] = (
    soft.baked_crumb,
    soft.baked_crumb,
    soft.plastic,
    soft.painted_surface,
    soft.rubber,
    soft.foam,
    hard.wood,
    hard.stone,
    metal.casting,
    metal.turned_metal,
    metal.brushed_metal,
)


def _outline(rng: np.random.Generator, size: int) -> tuple[Array, float]:
    """A signed field (pixels, positive inside) of one compact object, and its radius."""
    u, v = coordinates(size, rng.uniform(0, math.pi))
    u, v = u - rng.normal(0, size * 0.06), v - rng.normal(0, size * 0.06)
    radius = rng.uniform(0.22, 0.47) * size
    if chance(rng, 0.7):
        around = np.arctan2(v, u)
        reach = np.full_like(u, radius)
        for order in range(2, 9):
            wobble = rng.normal(0, rng.uniform(0, 0.08)) / order
            reach += radius * wobble * np.cos(order * around + rng.uniform(0, 6))
        return reach - np.hypot(u, v * rng.uniform(1, 1.6)), radius
    half_u, half_v, corner = radius, radius * rng.uniform(0.3, 1), radius * rng.uniform(0.02, 0.3)
    qu, qv = np.abs(u) - half_u + corner, np.abs(v) - half_v + corner
    outside = np.hypot(np.maximum(qu, 0), np.maximum(qv, 0))
    return corner - outside - np.minimum(np.maximum(qu, qv), 0), radius


def object_on_a_sheet(rng: np.random.Generator, size: int) -> Array:
    """One textured, rounded object with its shadow on a plain, mostly dark, ground."""
    inside, radius = _outline(rng, size)
    inside = inside + rng.uniform(0, 1.5) * spectral_noise(rng, size, 2.8)
    sheet = colour(rng, "dark", "dark", "pale", "any") * (not chance(rng, 0.15))
    grain = spectral_noise(rng, size, rng.uniform(0, 2))
    back = sheet * (1 + log_uniform(rng, 0.005, 0.15) * grain)[..., None]
    angle, away = rng.uniform(0, 2 * math.pi), rng.uniform(0.02, 0.1) * size
    moved = np.roll(inside, (int(away * math.sin(angle)), int(away * math.cos(angle))), axis=(0, 1))
    back = back * (1 - rng.uniform(0, 0.7) * smoothstep(moved, -away, away))[..., None]
    body = _BODIES[int(rng.integers(len(_BODIES)))](rng, size)
    u, _ = coordinates(size, angle)
    dome = np.sqrt(np.clip(inside / radius, 0, 1) * rng.uniform(1, 6)).clip(0, 1)
    light = 1 - rng.uniform(0.1, 0.7) * (1 - dome) - rng.uniform(0, 0.25) * u / radius
    edge = log_uniform(rng, 0.5, 1.5)
    return finished(tint(smoothstep(inside, -edge, edge), back, body * light[..., None]))


GROUNDS: dict[str, Ground] = {
    "brushed metal": metal.brushed_metal,
    "ground metal": metal.ground_metal,
    "casting": metal.casting,
    "rolled steel": metal.rolled_steel,
    "turned metal": metal.turned_metal,
    "galvanised metal": metal.galvanised_metal,
    "woven fabric": soft.woven_fabric,
    "carpet": soft.carpet,
    "felt": soft.felt,
    "leather": soft.leather,
    "rubber": soft.rubber,
    "foam": soft.foam,
    "paper": soft.paper,
    "plastic": soft.plastic,
    "painted surface": soft.painted_surface,
    "baked crumb": soft.baked_crumb,
    "wood": hard.wood,
    "ceramic tile": hard.ceramic_tile,
    "glass": hard.glass,
    "stone": hard.stone,
    "concrete": hard.concrete,
    "brick wall": hard.brick_wall,
    "grid": hard.grid,
    "flat sheet": abstract.flat_sheet,
    "dead leaves": abstract.dead_leaves,
    "noise field": abstract.noise_field,
    "stripes and shapes": abstract.stripes_and_shapes,
    "printed tracks": abstract.printed_tracks,
    "object on a sheet": object_on_a_sheet,
}

_WEIGHTS: dict[str, float] = {
    "ground metal": 2.0,
    "casting": 1.5,
    "flat sheet": 1.5,
    "dead leaves": 2.0,
    "stripes and shapes": 1.5,
    "printed tracks": 1.5,
    "object on a sheet": 3.0,
}  # every other ground weighs 1

_NAMES = tuple(GROUNDS)
_CHANCES = np.array([_WEIGHTS.get(name, 1.0) for name in _NAMES])
_CHANCES /= _CHANCES.sum()


def draw_ground(rng: np.random.Generator, size: int) -> tuple[np.ndarray, str]:
    """A random ground: (float32 ``[size, size, 3]`` in 0..1, its noun in ``GROUNDS``)."""
    name = _NAMES[int(rng.choice(len(_NAMES), p=_CHANCES))]
    return GROUNDS[name](rng, size), name
