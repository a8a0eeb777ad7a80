"""Drawn printed circuits: routed copper, rendered as binary, gray or colour boards.

`draw_circuit` is the only entry. A board is planned on a square routing grid
(circuit_layout), drawn at twice the size (circuit_layers), then given a finish.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.ndimage import gaussian_filter

from .circuit_layers import Layers, draw_layers
from .noise import smooth_noise

__all__ = ["CIRCUIT_NOUN", "FINISHES", "draw_circuit"]

Finish = Callable[[np.random.Generator, Layers, np.ndarray], np.ndarray]

CIRCUIT_NOUN = "printed circuit"
BINARY_SHARE = 0.45
SOLDER_MASKS = (
    (0.05, 0.32, 0.14),
    (0.10, 0.42, 0.18),
    (0.02, 0.22, 0.12),
    (0.12, 0.50, 0.30),
    (0.03, 0.28, 0.36),
    (0.05, 0.16, 0.42),
    (0.45, 0.06, 0.07),
    (0.06, 0.06, 0.07),
    (0.28, 0.08, 0.35),
    (0.82, 0.83, 0.80),
    (0.55, 0.45, 0.08),
)
PLATINGS = ((0.85, 0.68, 0.30), (0.78, 0.78, 0.76), (0.93, 0.80, 0.48), (0.66, 0.66, 0.66))
LAMINATES = ((0.55, 0.42, 0.24), (0.70, 0.60, 0.38), (0.42, 0.28, 0.14), (0.62, 0.62, 0.42))


def draw_circuit(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw one window of a printed circuit board.

    Returns the picture, float32 [size, size, 3] in 0..1, and the copper mask, bool [size, size].
    The same generator state gives the same board.
    """
    layers = draw_layers(rng, size)
    copper = _rough_threshold(rng, layers.copper)
    if rng.random() < BINARY_SHARE:
        finish: Finish = _binary
    else:
        finish = FINISHES[int(rng.integers(len(FINISHES)))]
    picture = np.clip(finish(rng, layers, copper), 0.0, 1.0)
    turns, flip = int(rng.integers(4)), bool(rng.random() < 0.5)
    picture, copper = np.rot90(picture, turns), np.rot90(copper, turns)
    if flip:
        picture, copper = picture[:, ::-1], copper[:, ::-1]
    return np.ascontiguousarray(picture, dtype=np.float32), np.ascontiguousarray(copper)


def _rough_threshold(rng: np.random.Generator, coverage: np.ndarray) -> np.ndarray:
    """Binarise coverage [size, size] 0..1 with about one pixel of contour noise."""
    size = coverage.shape[0]
    strength = rng.choice([0.0, 0.08, 0.14, 0.22])
    noise = smooth_noise(rng, size, rng.uniform(1.0, 3.0)) * strength
    soft = gaussian_filter(coverage, rng.uniform(0.35, 0.7)) if strength else coverage
    return soft + noise * (soft > 0.08) * (soft < 0.92) > 0.5


def _as_rgb(gray: np.ndarray) -> np.ndarray:
    return np.repeat(gray[..., None].astype(np.float32), 3, axis=2)


def _paint(picture: np.ndarray, alpha: np.ndarray, colour: np.ndarray) -> np.ndarray:
    return picture + (colour - picture) * alpha[..., None]


def _jitter(rng: np.random.Generator, colour: tuple[float, ...]) -> np.ndarray:
    scaled = np.asarray(colour) * rng.uniform(0.7, 1.25) + rng.normal(0, 0.03, 3)
    return np.clip(scaled, 0.0, 1.0).astype(np.float32)


def _binary(rng: np.random.Generator, layers: Layers, copper: np.ndarray) -> np.ndarray:
    return _as_rgb(copper if rng.random() < 0.4 else ~copper)


def _gray(rng: np.random.Generator, layers: Layers, copper: np.ndarray) -> np.ndarray:
    """A gray camera's or an X-ray's view: antialiased, faint texture."""
    size = copper.shape[0]
    dark, light = rng.uniform(0.0, 0.35), rng.uniform(0.6, 1.0)
    level = gaussian_filter(copper.astype(np.float32), rng.uniform(0.4, 0.9))
    if rng.random() < 0.5:
        level = 1 - level
    gray = dark + (light - dark) * level
    gray += 0.03 * smooth_noise(rng, size, rng.uniform(20, 60))
    gray += rng.uniform(0, 0.03) * rng.standard_normal((size, size))
    return _as_rgb(gray)


def _solder_mask(rng: np.random.Generator, layers: Layers, copper: np.ndarray) -> np.ndarray:
    """Coloured lacquer over the copper, plated pads laid bare, white print."""
    size = copper.shape[0]
    lacquer = _jitter(rng, SOLDER_MASKS[int(rng.integers(len(SOLDER_MASKS)))])
    over_copper = np.clip(lacquer * rng.uniform(1.2, 1.7) + rng.uniform(0.0, 0.08), 0, 1)
    if rng.random() < 0.2:
        lacquer, over_copper = over_copper, lacquer
    soft = gaussian_filter(copper.astype(np.float32), rng.uniform(0.35, 0.8))
    picture = lacquer + (over_copper - lacquer) * soft[..., None]
    # The lacquer rises over a trace's edge: a lit and a dark flank.
    picture = picture + rng.uniform(0.05, 0.25) * _flank(rng, soft)[..., None]
    plating = _jitter(rng, PLATINGS[int(rng.integers(len(PLATINGS)))])
    sheen = 1 + 0.10 * smooth_noise(rng, size, rng.uniform(4, 30))
    picture = _paint(picture, layers.pads, plating * sheen[..., None])
    picture = picture + 0.25 * _flank(rng, layers.pads)[..., None]
    picture = _paint(picture, layers.holes, _jitter(rng, (0.05, 0.05, 0.05)))
    picture = _paint(picture, layers.silk * (1 - layers.pads), _jitter(rng, (0.92, 0.92, 0.88)))
    return _camera(rng, picture)


def _bare_laminate(rng: np.random.Generator, layers: Layers, copper: np.ndarray) -> np.ndarray:
    """Copper-coloured traces on brown or yellow glass-fibre laminate."""
    size = copper.shape[0]
    laminate = _jitter(rng, LAMINATES[int(rng.integers(len(LAMINATES)))])
    metal = _jitter(rng, (0.78, 0.47, 0.28) if rng.random() < 0.7 else (0.8, 0.78, 0.72))
    period = rng.uniform(2.5, 6.0)
    axis = np.arange(size, dtype=np.float32) * (2 * np.pi / period)
    weave = 0.04 * (np.sin(axis)[:, None] * np.sin(axis)[None, :])
    picture = laminate * (1 + weave + 0.06 * smooth_noise(rng, size, 12))[..., None]
    brushed = smooth_noise(rng, size, 25) + 0.6 * rng.standard_normal((size, 1))
    soft = gaussian_filter(copper.astype(np.float32), rng.uniform(0.3, 0.7))
    shine = metal * (1 + 0.06 * brushed + 0.03 * rng.standard_normal((size, size)))[..., None]
    picture = _paint(picture, soft, shine)
    picture = picture + rng.uniform(0.1, 0.4) * _flank(rng, soft)[..., None]
    picture = _paint(picture, layers.holes, _jitter(rng, (0.08, 0.06, 0.05)))
    return _camera(rng, picture)


FINISHES: tuple[Finish, ...] = (
    _gray,
    _solder_mask,
    _solder_mask,
    _solder_mask,
    _bare_laminate,
)


def _flank(rng: np.random.Generator, level: np.ndarray) -> np.ndarray:
    """Signed slope of a layer along one random light direction, [size, size]."""
    down, right = np.gradient(level)
    angle = rng.uniform(0, 2 * np.pi)
    return np.cos(angle) * right + np.sin(angle) * down


def _camera(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Uneven light, fine grain."""
    size = picture.shape[0]
    light = 1 + 0.08 * smooth_noise(rng, size, size * 0.7)
    grain = rng.uniform(0.0, 0.025) * rng.standard_normal((size, size))
    return picture * light[..., None] + grain[..., None]
