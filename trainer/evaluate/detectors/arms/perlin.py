"""Perlin blends (DRAEM, Zavrtanik et al. 2021, as in anomalib): another texture shows through where
Perlin noise is high."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bgdefect_core.pictures.picture import Pixels

from ....drawing.grounds import draw_ground
from ..pictures import Pair, window
from .arm import Arm

_TEXTURES, _TEXTURE_SIDE = 64, 256
_TEXTURE_SEED = 19
_SMALLEST_CELL = 8
"""Smallest side in pixels of a cell of the noise: DRAEM's 32 cells on 256 pixels."""
_THRESHOLD = 0.5


def perlin_blend(good: Pixels, texture: Pixels, rng: np.random.Generator) -> Pair:
    """A good crop with a half-transparent texture where Perlin noise exceeds a threshold.

    Args:
        good: uint8 ``[S, S, 3]``. texture: uint8 of the same size; its colours are permuted and may
            be inverted.
    """
    side = good.shape[0]
    octaves = max(side // _SMALLEST_CELL, 1).bit_length()
    rows, columns = (int(2 ** rng.integers(octaves)) for _ in range(2))
    noise = perlin(side, side, (rows, columns), rng)
    if noise.max() <= _THRESHOLD:  # few cells often stay below it; anomalib rescales them, too
        noise = 2 * (noise - noise.min()) / max(np.ptp(noise), 1e-12) - 1
    mask = np.rot90(noise > _THRESHOLD, int(rng.integers(4)))

    turned = np.rot90(texture, 2)[..., rng.permutation(3)]
    if rng.integers(2):
        turned = 255 - turned
    opacity = rng.uniform(0.2, 1.0)
    blend = opacity * turned + (1 - opacity) * good.astype(np.float32)
    picture = np.where(mask[..., None], blend, good).astype(np.uint8)
    return picture, np.ascontiguousarray(mask)


def perlin(
    height: int, width: int, cells: tuple[int, int], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Perlin's gradient noise: float ``[height, width]``, about -1..1.

    Args:
        cells: rows and columns of the grid of gradients.
    """
    angles = rng.uniform(0, 2 * np.pi, (cells[0] + 1, cells[1] + 1))
    gradients = np.stack([np.sin(angles), np.cos(angles)], axis=-1)
    y = np.arange(height)[:, None] * cells[0] / height
    x = np.arange(width)[None, :] * cells[1] / width
    row, column = np.broadcast_arrays(y.astype(int), x.astype(int))
    fade_y, fade_x = _fade(y - row), _fade(x - column)

    def corner(down: int, right: int) -> NDArray[np.float64]:
        gradient = gradients[row + down, column + right]
        offset_y, offset_x = y - row - down, x - column - right
        value: NDArray[np.float64] = gradient[..., 0] * offset_y + gradient[..., 1] * offset_x
        return value

    upper = corner(0, 0) * (1 - fade_x) + corner(0, 1) * fade_x
    lower = corner(1, 0) * (1 - fade_x) + corner(1, 1) * fade_x
    noise: NDArray[np.float64] = np.sqrt(2) * (upper * (1 - fade_y) + lower * fade_y)
    return noise


def _fade(t: NDArray[np.float64]) -> NDArray[np.float64]:
    """Perlin's smooth step from 0 to 1."""
    smooth: NDArray[np.float64] = t**3 * (t * (6 * t - 15) + 10)
    return smooth


@lru_cache(maxsize=1)
def _textures(side: int) -> tuple[Pixels, ...]:
    """The drawn grounds that textures are cropped from; they are the same in every process."""
    textures = []
    for index in range(_TEXTURES):
        ground = draw_ground(np.random.default_rng((_TEXTURE_SEED, index)), side)[0]
        textures.append(np.rint(np.clip(ground, 0, 1) * 255).astype(np.uint8))
    return tuple(textures)


def texture(side: int, rng: np.random.Generator) -> Pixels:
    """A crop of a drawn ground that has nothing to do with the part: uint8 ``[side, side, 3]``."""
    textures = _textures(max(side, _TEXTURE_SIDE))
    ground = textures[int(rng.integers(len(textures)))]
    return window(ground, np.zeros(ground.shape[:2], np.bool_), side, rng, on_defect=False)[0]


def perlin_defect(good: Pixels, other: Pixels, rng: np.random.Generator) -> Pair:
    """A Perlin blend of a good crop with a drawn texture; the other good crop is not used."""
    return perlin_blend(good, texture(good.shape[0], rng), rng)


PERLIN = Arm(
    "real+perlin",
    "the known real defects and Perlin blends of good pictures with drawn textures",
    maker=perlin_defect,
    rival="Perlin",
)
