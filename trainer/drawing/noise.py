"""Drawing primitives: noise fields, cells, relief shading and colours.

Every field is float32 ``[size, size]``; every colour is float32 ``[3]`` in 0..1 (RGB).
All randomness comes from the generator that is passed in.
"""

from __future__ import annotations

import colorsys
import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy import fft
from scipy.ndimage import zoom

Array = np.ndarray

# material -> (hue low, hue high, saturation low, saturation high, value low, value high)
_MATERIALS: dict[str, tuple[float, float, float, float, float, float]] = {
    "metal": (0.50, 0.68, 0.0, 0.10, 0.20, 0.85),
    "brass": (0.06, 0.14, 0.25, 0.65, 0.35, 0.90),
    "wood": (0.04, 0.11, 0.25, 0.75, 0.25, 0.90),
    "leather": (0.00, 0.10, 0.20, 0.80, 0.10, 0.70),
    "stone": (0.02, 0.16, 0.0, 0.30, 0.20, 0.90),
    "dough": (0.05, 0.12, 0.30, 0.75, 0.40, 0.90),
    "brick": (0.98, 1.08, 0.30, 0.75, 0.30, 0.75),
    "dark": (0.0, 1.0, 0.0, 0.30, 0.0, 0.22),
    "pale": (0.0, 1.0, 0.0, 0.20, 0.75, 1.0),
    "gray": (0.0, 1.0, 0.0, 0.04, 0.05, 0.95),
    "vivid": (0.0, 1.0, 0.50, 1.0, 0.30, 1.0),
    "any": (0.0, 1.0, 0.0, 1.0, 0.05, 1.0),
}


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """One number in low..high (both > 0), even in its logarithm."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def chance(rng: np.random.Generator, probability: float) -> bool:
    """True with the given probability (0..1)."""
    return bool(rng.random() < probability)


@lru_cache(maxsize=8)
def _frequencies(size: int) -> tuple[Array, Array]:
    fy = np.fft.fftfreq(size).astype(np.float32)[:, None]
    fx = np.fft.rfftfreq(size).astype(np.float32)[None, :]
    return fy, fx


@lru_cache(maxsize=8)
def _pixels(size: int) -> tuple[Array, Array]:
    line = np.arange(size, dtype=np.float32) - (size - 1) / 2
    return np.meshgrid(line, line)


def coordinates(size: int, angle: float = 0.0) -> tuple[Array, Array]:
    """Pixel coordinates (u along ``angle`` in radians, v across it), 0 at the middle."""
    x, y = _pixels(size)
    c, s = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    return x * c + y * s, y * c - x * s


def normalised(field: Array) -> Array:
    """The field at mean 0 and standard deviation 1 (a constant one becomes 0)."""
    field = field - field.mean()
    return (field / (field.std() + 1e-8)).astype(np.float32)


def unit(field: Array) -> Array:
    """The field stretched to 0..1."""
    low, high = float(field.min()), float(field.max())
    return ((field - low) / (high - low + 1e-8)).astype(np.float32)


def squash(field: Array) -> Array:
    """A mean 0, std 1 field bent softly into 0..1."""
    return 0.5 + 0.5 * np.tanh(field * np.float32(0.7))


def smoothstep(field: Array, low: float, high: float) -> Array:
    """0 below low, 1 above high, a smooth ramp between."""
    t = np.clip((field - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _filtered(rng: np.random.Generator, size: int, amplitude: Array) -> Array:
    white = rng.standard_normal((size, size), dtype=np.float32)
    return normalised(fft.irfft2(fft.rfft2(white) * amplitude, s=(size, size)))


def _radius(size: int, stretch: float, angle: float) -> Array:
    fy, fx = _frequencies(size)
    along = fx * math.cos(angle) + fy * math.sin(angle)
    across = fy * math.cos(angle) - fx * math.sin(angle)
    return np.sqrt((along * stretch) ** 2 + across**2).astype(np.float32)


def spectral_noise(
    rng: np.random.Generator, size: int, beta: float, stretch: float = 1.0, angle: float = 0.0
) -> Array:
    """Noise whose power falls as 1/f^beta, mean 0 and std 1 (beta 4: smooth hills).

    Features are ``stretch`` times longer along ``angle`` (radians) than across it.
    """
    radius = np.maximum(_radius(size, stretch, angle), np.float32(0.5 / size))
    amplitude = radius ** np.float32(-beta / 2)
    amplitude[0, 0] = 0
    return _filtered(rng, size, amplitude)


def band_noise(
    rng: np.random.Generator,
    size: int,
    wavelength: float,
    width: float = 0.35,
    stretch: float = 1.0,
    angle: float = 0.0,
) -> Array:
    """Noise of about one wavelength (pixels), mean 0 and std 1; ``width`` is relative."""
    radius = _radius(size, stretch, angle) * np.float32(wavelength)
    return _filtered(rng, size, np.exp(-0.5 * ((radius - 1) / width) ** 2))


def smooth_field(rng: np.random.Generator, size: int, cells: int = 3) -> Array:
    """A very smooth random field, 0..1, with about ``cells`` hills a side."""
    coarse = rng.standard_normal((cells + 2, cells + 2)).astype(np.float32)
    wide = zoom(coarse, (size + 1) / (cells + 1), order=3, mode="nearest", grid_mode=True)
    return unit(wide[:size, :size])


def smooth_noise(rng: np.random.Generator, size: int, cell: float) -> Array:
    """Interpolated noise, mean 0, of about unit variance, with features of about `cell` pixels, 1
    or more."""
    points = max(3, int(np.ceil(size / max(cell, 1.0))) + 2)
    coarse = Image.fromarray(rng.standard_normal((points, points)).astype(np.float32))
    return np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC))


def line_noise(rng: np.random.Generator, position: Array, finest: float, beta: float) -> Array:
    """One-dimensional 1/f^beta noise, looked up at ``position`` (pixels), about std 1."""
    low = float(position.min())
    count = max(int((float(position.max()) - low) / finest) + 3, 8)
    f = np.maximum(np.fft.rfftfreq(2 * count), 0.5 / count)
    profile = np.fft.irfft(np.fft.rfft(rng.standard_normal(2 * count)) * f ** (-beta / 2))[:count]
    where = (position - low) / finest
    return (
        np.interp(where.ravel(), np.arange(count), normalised(profile))
        .reshape(position.shape)
        .astype(np.float32)
    )


class Cells(NamedTuple):
    """Worley noise, each ``[size, size]``."""

    nearest: Array
    """Distance to the nearest point, in units of the spacing."""
    second: Array
    """To the second nearest."""
    number: Array
    """int: of the cell, an index of a table of 4096 random values."""


def worley(
    rng: np.random.Generator,
    size: int,
    spacing: float,
    jitter: float = 1.0,
    warp: Array | None = None,
    stretch: float = 1.0,
) -> Cells:
    """Cells around jittered points about ``spacing`` pixels apart.

    ``warp`` shifts both coordinates (pixels); ``stretch`` lengthens the cells along x.
    """
    x, y = _pixels(size)
    x, y = x / (spacing * stretch) + 500, y / spacing + 500
    if warp is not None:
        x, y = x + warp / spacing, y + np.roll(warp, size // 3, axis=0).T / spacing
    jitter_x, jitter_y = rng.random((2, 64, 64), dtype=np.float32) * jitter + (1 - jitter) / 2
    column, row = np.floor(x).astype(np.int32), np.floor(y).astype(np.int32)
    near = np.full((size, size), 9, np.float32)
    second = near.copy()
    cell = np.zeros((size, size), np.int32)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            c, r = column + dx, row + dy
            number = (r & 63) * 64 + (c & 63)
            distance = (c + jitter_x.ravel()[number] - x) ** 2 + (
                r + jitter_y.ravel()[number] - y
            ) ** 2
            closer = distance < near
            second = np.where(closer, near, np.minimum(second, distance))
            near = np.where(closer, distance, near)
            cell = np.where(closer, number, cell)
    return Cells(np.sqrt(near).astype(np.float32), np.sqrt(second).astype(np.float32), cell)


def shaded(height: Array, light_angle: float, strength: float) -> Array:
    """Brightness factor (about 1, 0.1..2) of a relief lit from ``light_angle`` (radians)."""
    gy, gx = np.gradient(height)
    slope = gx * math.cos(light_angle) + gy * math.sin(light_angle)
    return (1 + 0.9 * np.tanh(slope * strength)).astype(np.float32)


def palette(rng: np.random.Generator, material: str, count: int = 1) -> Array:
    """``count`` colours of a material, float32 ``[count, 3]``.

    Raises:
        KeyError: the material is unknown.
    """
    h0, h1, s0, s1, v0, v1 = _MATERIALS[material]
    return np.array(
        [
            colorsys.hsv_to_rgb(rng.uniform(h0, h1) % 1, rng.uniform(s0, s1), rng.uniform(v0, v1))
            for _ in range(count)
        ],
        np.float32,
    )


def colour(rng: np.random.Generator, *materials: str) -> Array:
    """One colour, float32 ``[3]``, of one of the materials (drawn evenly)."""
    return palette(rng, materials[int(rng.integers(len(materials)))])[0]


def near_colour(rng: np.random.Generator, base: Array, spread: float = 0.1) -> Array:
    """A colour close to ``base``: brightness and hue moved by about ``spread``."""
    # The hue moves less in dark colours: otherwise black would turn to coloured speckle.
    hue = spread * 0.45 * (0.1 + base.max()) * rng.standard_normal(3)
    moved = base * (1 + spread * 1.5 * rng.standard_normal()) + hue
    return np.clip(moved, 0, 1).astype(np.float32)


def tint(field: Array, colour_a: Array, colour_b: Array) -> Array:
    """Mix two colours by a 0..1 field: ``[H, W, 3]``; 0 is colour_a.

    The colours may be pictures ``[H, W, 3]`` as well.
    """
    return colour_a + np.clip(field, 0, 1)[..., None] * (colour_b - colour_a)


def ramp(field: Array, colours: Array) -> Array:
    """Colours ``[n, 3]`` at even stops, looked up by a 0..1 field: ``[H, W, 3]``."""
    table = np.stack(
        [np.interp(np.linspace(0, 1, 256), np.linspace(0, 1, len(colours)), c) for c in colours.T],
        axis=1,
    ).astype(np.float32)
    return table[(np.clip(field, 0, 1) * 255).astype(np.uint8)]


def finished(picture: Array) -> Array:
    """The picture as contiguous float32 in 0..1."""
    return np.ascontiguousarray(np.clip(picture, 0, 1), dtype=np.float32)
