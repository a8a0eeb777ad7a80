"""Brushes that the drawn defects share: strokes, rough blobs, relief, and the mask of what changed.

Not from the paper: part of the project's own drawn pictures for pretraining.
Pictures are float32 [S, S, 3] in 0..1; alphas are float32 [S, S] in 0..1; points are (x, y) in
pixels.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw
from scipy import ndimage

Painter = Callable[[Generator, np.ndarray, np.ndarray], "tuple[np.ndarray, np.ndarray] | None"]
Trial = Callable[[Generator, np.ndarray, np.ndarray], "np.ndarray | None"]

ATTEMPTS = 4
VISIBLE_CHANGE = 0.04  # of 1.0, in the channel that changed most
SMALLEST_SHARE, LARGEST_SHARE = 0.0005, 0.12
_OVERSAMPLING = 3


def painter(attempt: Trial) -> Painter:
    """Turn one attempt into a painter: it tries a few times and answers None when nothing visible
    came out.

    The painter maps (rng, picture [S, S, 3] in 0..1, area bool [S, S]) to
    (picture with the defect, mask bool [S, S]), or to None; the mask is never empty.
    """

    def paint(
        rng: Generator, picture: np.ndarray, area: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray] | None:
        for _ in range(ATTEMPTS):
            changed = attempt(rng, picture, area)
            if changed is None:
                continue
            changed = np.clip(changed, 0.0, 1.0).astype(np.float32)
            mask = changed_pixels(picture, changed)
            if SMALLEST_SHARE <= mask.mean() <= LARGEST_SHARE:
                return np.where(mask[..., None], changed, picture), mask
        return None

    paint.__doc__ = attempt.__doc__
    return paint


def changed_pixels(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """The visibly changed pixels, bool [S, S], without single ones that have no changed neighbour.

    Pixels between visible ones belong too where they changed at all: the line of no shading across
        a dent.
    """
    change = np.abs(after - before).max(axis=2)
    mask = change > VISIBLE_CHANGE
    neighbours = ndimage.uniform_filter(mask.astype(np.float32), 3, mode="constant") * 9.0
    mask &= neighbours > 2.5
    reach = max(2, round(mask.shape[0] / 60))
    near = ndimage.maximum_filter(mask, 2 * reach + 1)
    between = ndimage.minimum_filter(near, 2 * reach + 1)
    return mask | (between & (change > 0.0))


def some_radius(rng: Generator, size: int, smallest: float = 0.001, largest: float = 0.10) -> float:
    """Radius in pixels of a disc whose share of the picture is log-uniform between the two
    shares."""
    share = np.exp(rng.uniform(np.log(smallest), np.log(largest)))
    return float(size * np.sqrt(share / np.pi))


def some_point(rng: Generator, where: np.ndarray) -> np.ndarray | None:
    """A random (x, y) float64 [2] inside the bool mask [S, S]; None when the mask is empty."""
    inside = np.flatnonzero(where)
    if inside.size == 0:
        return None
    y, x = divmod(int(inside[rng.integers(inside.size)]), where.shape[1])
    return np.array([x, y], dtype=np.float64)


def noise(rng: Generator, size: int, cell: float) -> np.ndarray:
    """Smooth noise float32 [S, S], about standard normal, with bumps of `cell` pixels."""
    coarse = max(2, round(size / max(cell, 1.0)))
    field = Image.fromarray(rng.standard_normal((coarse, coarse)).astype(np.float32))
    return np.asarray(field.resize((size, size), Image.Resampling.BICUBIC))


def path(
    rng: Generator, start: np.ndarray, length: float, bend: float, jitter: float = 0.0
) -> np.ndarray:
    """A wandering path float64 [N, 2] of `length` pixels that turns by about `bend` radians over
    its length."""
    steps = max(6, int(length / 3))
    turn = rng.normal(0.0, bend) / steps + rng.normal(0.0, bend / steps**0.5, steps) * 0.5
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(turn) + rng.normal(0.0, jitter, steps)
    moves = np.stack([np.cos(heading), np.sin(heading)], axis=1) * (length / steps)
    points = np.cumsum(moves, axis=0)
    return points - points[steps // 2] + start


def strokes(size: int, lines: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Antialiased alpha [S, S] of lines, each (points [N, 2], widths [N] in pixels)."""
    k = _OVERSAMPLING
    canvas = Image.new("L", (size * k, size * k))
    pen = ImageDraw.Draw(canvas)
    for points, widths in lines:
        scaled = (points + 0.5) * k
        for (x0, y0), (x1, y1), width in zip(scaled[:-1], scaled[1:], widths, strict=False):
            pen.line((x0, y0, x1, y1), fill=255, width=max(1, round(width * k)))
            r = width * k / 2
            if r > 1:
                pen.ellipse((x1 - r, y1 - r, x1 + r, y1 + r), fill=255)
    return np.asarray(canvas.reduce(k), dtype=np.float32) / 255.0


def polygons(size: int, outlines: list[np.ndarray]) -> np.ndarray:
    """Antialiased alpha [S, S] of filled outlines, each [N, 2]."""
    k = _OVERSAMPLING
    canvas = Image.new("L", (size * k, size * k))
    pen = ImageDraw.Draw(canvas)
    for outline in outlines:
        pen.polygon([tuple(p) for p in (outline + 0.5) * k], fill=255)
    return np.asarray(canvas.reduce(k), dtype=np.float32) / 255.0


def blob_outline(
    rng: Generator,
    centre: np.ndarray,
    radius: float,
    roughness: float = 0.25,
    stretch: float = 1.0,
    angle: float | None = None,
    raggedness: float = 0.0,
) -> np.ndarray:
    """Outline float64 [N, 2] of an organic blob of equal area to the disc.

    `stretch` is long over short axis, `angle` the long axis' direction (random when None),
    `roughness` the strength of slow bumps and `raggedness` of the fine ones, both as shares of the
    radius.
    """
    theta = np.linspace(0, 2 * np.pi, 56, endpoint=False)
    wave = np.zeros_like(theta)
    for order in range(2, 9):
        wave += rng.normal(0, 1.0 / order) * np.cos(order * theta + rng.uniform(0, 2 * np.pi))
    reach = radius * np.clip(
        1 + roughness * wave + raggedness * rng.normal(0, 1, theta.size), 0.25, 1.9
    )
    long = reach * np.cos(theta) * stretch**0.5
    short = reach * np.sin(theta) / stretch**0.5
    tilt = rng.uniform(0, np.pi) if angle is None else angle
    c, s = np.cos(tilt), np.sin(tilt)
    return np.stack([centre[0] + long * c - short * s, centre[1] + long * s + short * c], axis=1)


def blur(field: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of a float32 [S, S] field, `sigma` in pixels."""
    return ndimage.gaussian_filter(field, sigma, truncate=2.5)


def relief(height: np.ndarray, light: float) -> np.ndarray:
    """Shading in -1..1, float32 [S, S], of a height field lit from the angle `light` in radians."""
    dy, dx = np.gradient(height)
    shade = dx * np.float32(np.cos(light)) + dy * np.float32(np.sin(light))
    return shade / max(float(np.abs(shade).max()), 1e-6)


def shifted(field: np.ndarray, dx: int, dy: int) -> np.ndarray:
    """The field [S, S] moved by whole pixels; zeros come in at the frame. For shadows."""
    moved = np.zeros_like(field)
    height, width = field.shape
    moved[max(0, dy) : height + min(0, dy), max(0, dx) : width + min(0, dx)] = field[
        max(0, -dy) : height + min(0, -dy), max(0, -dx) : width + min(0, -dx)
    ]
    return moved


def rim_around(alpha: np.ndarray, part: np.ndarray, reach: float) -> np.ndarray:
    """Alpha [S, S] of what lies around a shape with this alpha, within about `reach` pixels."""
    return np.clip(blur(alpha, reach) * 2, 0, 1) * (1 - alpha) * part


def shadow_of(rng: Generator, alpha: np.ndarray, softness: float) -> np.ndarray:
    """Where a shape with this alpha throws its shadow, [S, S]: up to two pixels beside it."""
    dx, dy = rng.integers(-2, 3, 2).tolist()
    return shifted(blur(alpha, softness), dx, dy)


def lay(picture: np.ndarray, alpha: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """`colour` ([3] or [S, S, 3]) over the picture with `alpha` [S, S]."""
    return picture + alpha[..., None] * (np.asarray(colour, dtype=np.float32) - picture)


def colour_at(picture: np.ndarray, point: np.ndarray, reach: int = 6) -> np.ndarray:
    """Mean colour float32 [3] around the point."""
    limit = picture.shape[0] - 1
    x, y = np.clip(point, 0, limit).astype(int)
    window = picture[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1]
    return window.reshape(-1, 3).mean(axis=0)


def other_colour(rng: Generator, near: np.ndarray, least: float = 0.18) -> np.ndarray:
    """A muted random colour float32 [3] that differs from `near` by at least `least` in brightness
    or hue."""
    for _ in range(20):
        brightness = rng.uniform(0.03, 0.97)
        colour = np.clip(brightness + rng.normal(0, rng.choice([0.02, 0.15]), 3), 0, 1).astype(
            np.float32
        )
        if np.abs(colour - near).max() >= least:
            return colour
    return np.full(3, 0.05 if near.mean() > 0.5 else 0.95, dtype=np.float32)


def fill_from(picture: np.ndarray, source: np.ndarray, where: np.ndarray) -> np.ndarray | None:
    """The picture [S, S, 3] with the pixels of `where` taken from the nearest `source` material.

    Both are bool [S, S]. Each pixel is mirrored at the nearest source pixel, so that texture
    carries on. Answers None when there is no source nearby.
    """
    ys, xs = np.nonzero(where)
    if ys.size == 0:
        return None
    size, pad = picture.shape[0], picture.shape[0] // 6
    box = (
        slice(max(0, ys.min() - pad), min(size, ys.max() + pad + 1)),
        slice(max(0, xs.min() - pad), min(size, xs.max() + pad + 1)),
    )
    near = source[box]
    if near.sum() < 12:
        return None
    _, (iy, ix) = ndimage.distance_transform_edt(~near, return_indices=True)
    height, width = near.shape
    yy, xx = np.mgrid[:height, :width]
    my, mx = np.clip(2 * iy - yy, 0, height - 1), np.clip(2 * ix - xx, 0, width - 1)
    mirrored = near[my, mx]
    my, mx = np.where(mirrored, my, iy), np.where(mirrored, mx, ix)
    filled = picture.copy()
    filled[box] = np.where(where[box][..., None], picture[box][my, mx], picture[box])
    return filled
