"""What the classical arms train on: augmentation, CutPaste, Perlin blends. Every function follows
from its generator alone."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from bgdefect_core.pictures.files import Picture
from bgdefect_core.pictures.masks import Mask

from ...drawing.grounds import draw_ground

Pair = tuple[Picture, Mask]
LEAST_CHANGE = 10
"""Gray levels of 255 by which a synthetic defect must differ from the good crop at its
strongest."""
_TEXTURES, _TEXTURE_SIDE = 64, 256
_FINEST = 8
"""Least side in pixels of a cell of the Perlin noise: DRAEM's 32 cells on 256 pixels."""


def window(
    picture: Picture, mask: Mask, side: int, rng: np.random.Generator, on_defect: bool
) -> Pair:
    """A random crop of ``side`` pixels; with ``on_defect`` it holds a defect pixel chosen at
    random."""
    height, width = mask.shape
    low, high = [0, 0], [height - side, width - side]
    if on_defect:
        pixels = np.argwhere(mask)
        place = pixels[int(rng.integers(len(pixels)))]
        low = [max(int(at) - side + 1, 0) for at in place]
        high = [min(int(at), last) for at, last in zip(place, high, strict=True)]
    top, left = (int(rng.integers(a, b + 1)) for a, b in zip(low, high, strict=True))
    return picture[top : top + side, left : left + side], mask[top : top + side, left : left + side]


def augmented(pair: Pair, rng: np.random.Generator) -> Pair:
    """Classical augmentation: a flip and quarter turns, brightness and contrast by up to 20 %, a
    little noise."""
    turns, flip = int(rng.integers(4)), bool(rng.integers(2))
    picture, mask = (np.rot90(array, turns) for array in pair)
    if flip:
        picture, mask = picture[:, ::-1], mask[:, ::-1]
    contrast, brightness = 1 + rng.uniform(-0.2, 0.2), 255 * rng.uniform(-0.2, 0.2)
    noisy = (picture.astype(np.float32) - 127.5) * contrast + 127.5 + brightness
    noisy += rng.normal(0, 255 * rng.uniform(0, 0.02), picture.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8), np.ascontiguousarray(mask)


def visible(good: Picture, made: Pair) -> bool:
    """Whether the change under the label reaches ``LEAST_CHANGE`` somewhere."""
    picture, mask = made
    change = np.abs(picture[mask].astype(np.int16) - good[mask])
    return bool(change.size and change.max() >= LEAST_CHANGE)


def cut_paste(good: Picture, other: Picture, rng: np.random.Generator) -> Pair:
    """CutPaste (Li et al. 2021): a patch of 2 to 15 % of the area, aspect 0.3 to 3.3, jittered,
    pasted at a random place.

    Args:
        good: uint8 ``[H, W, 3]``. other: uint8 of the same size, from which the patch comes.
    """
    height, width = good.shape[:2]
    area, aspect = (
        rng.uniform(0.02, 0.15) * height * width,
        float(np.exp(rng.uniform(np.log(0.3), np.log(1 / 0.3)))),
    )
    rows = int(np.clip(round((area / aspect) ** 0.5), 2, height - 1))
    columns = int(np.clip(round((area * aspect) ** 0.5), 2, width - 1))
    top, left, to_top, to_left = (
        int(rng.integers(span + 1)) for span in (height - rows, width - columns) * 2
    )
    picture, mask = good.copy(), np.zeros((height, width), np.bool_)
    place = slice(to_top, to_top + rows), slice(to_left, to_left + columns)
    picture[place], mask[place] = (
        jittered(other[top : top + rows, left : left + columns], rng),
        True,
    )
    return picture, mask


def jittered(patch: Picture, rng: np.random.Generator, reach: float = 0.1) -> Picture:
    """CutPaste's colour jitter: brightness, contrast and saturation by up to ``reach``, hue by up
    to ``reach`` of the circle."""
    image = Image.fromarray(np.ascontiguousarray(patch))
    for enhancer in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhancer(image).enhance(rng.uniform(1 - reach, 1 + reach))
    hue, saturation, value = image.convert("HSV").split()
    turned = (np.asarray(hue).astype(np.int16) + round(255 * rng.uniform(-reach, reach))) % 256
    found: Picture = np.asarray(
        Image.merge("HSV", (Image.fromarray(turned.astype(np.uint8)), saturation, value)).convert(
            "RGB"
        )
    )
    return found


@lru_cache(maxsize=1)
def _textures(side: int) -> tuple[Picture, ...]:
    """The bank that Perlin blends take their textures from: drawn grounds, the same in every
    process."""
    grounds = (
        draw_ground(np.random.default_rng((19, index)), side)[0] for index in range(_TEXTURES)
    )
    return tuple(np.rint(np.clip(ground, 0, 1) * 255).astype(np.uint8) for ground in grounds)


def texture(side: int, rng: np.random.Generator) -> Picture:
    """A crop of a drawn ground that has nothing to do with the part: uint8 ``[side, side, 3]``."""
    bank = _textures(max(side, _TEXTURE_SIDE))
    picture = bank[int(rng.integers(len(bank)))]
    return window(picture, np.zeros(picture.shape[:2], np.bool_), side, rng, on_defect=False)[0]


def perlin_blend(good: Picture, texture: Picture, rng: np.random.Generator) -> Pair:
    """Perlin blend (DRAEM, anomalib): thresholded Perlin noise says where another texture shows,
    half transparent.

    Args:
        good: uint8 ``[S, S, 3]``. texture: uint8 of the same size: another picture, whose colours
            are inverted or turned here.
    """
    side = good.shape[0]
    cells = [int(2 ** rng.integers(max(side // _FINEST, 1).bit_length())) for _ in range(2)]
    noise = perlin(side, side, (cells[0], cells[1]), rng)
    if noise.max() <= 0.5:  # few cells often stay below: as anomalib does
        noise = 2 * (noise - noise.min()) / max(np.ptp(noise), 1e-12) - 1
    mask = np.rot90(noise > 0.5, int(rng.integers(4)))
    other = np.rot90(texture, 2)[..., rng.permutation(3)]
    other = 255 - other if rng.integers(2) else other
    opacity = rng.uniform(0.2, 1.0)
    blended = np.where(
        mask[..., None], opacity * other + (1 - opacity) * good.astype(np.float32), good
    )
    return blended.astype(np.uint8), np.ascontiguousarray(mask)


def perlin(
    height: int, width: int, cells: tuple[int, int], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Perlin's gradient noise with ``cells`` gradients a side: float ``[height, width]``, about
    -1..1."""
    angles = rng.uniform(0, 2 * np.pi, (cells[0] + 1, cells[1] + 1))
    gradients = np.stack([np.sin(angles), np.cos(angles)], axis=-1)
    y = np.arange(height)[:, None] * cells[0] / height
    x = np.arange(width)[None, :] * cells[1] / width
    row, column = np.broadcast_arrays(y.astype(int), x.astype(int))
    fade_y, fade_x = (t**3 * (t * (6 * t - 15) + 10) for t in (y - row, x - column))

    def corner(down: int, right: int) -> NDArray[np.float64]:
        gradient = gradients[row + down, column + right]
        found: NDArray[np.float64] = gradient[..., 0] * (y - row - down) + gradient[..., 1] * (
            x - column - right
        )
        return found

    upper = corner(0, 0) * (1 - fade_x) + corner(0, 1) * fade_x
    lower = corner(1, 0) * (1 - fade_x) + corner(1, 1) * fade_x
    noise: NDArray[np.float64] = np.sqrt(2) * (upper * (1 - fade_y) + lower * fade_y)
    return noise
