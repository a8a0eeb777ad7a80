"""Grounds that teach edges and colour: flat sheets, dead leaves, shapes, tracks, noise.

Each function returns float32 ``[size, size, 3]`` in 0..1, RGB.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

from .noise import (
    Array,
    chance,
    colour,
    coordinates,
    finished,
    log_uniform,
    near_colour,
    palette,
    ramp,
    smooth_field,
    smoothstep,
    spectral_noise,
    squash,
    tint,
)

_FINER = 2  # shapes are drawn this many times larger, then averaged, for clean edges

Colour = tuple[int, int, int]


def _ink(value: Array) -> Colour:
    red, green, blue = (int(255 * channel + 0.5) for channel in np.clip(value, 0, 1))
    return red, green, blue


def _canvas(size: int, paper: Array) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGB", (size * _FINER, size * _FINER), _ink(paper))
    return image, ImageDraw.Draw(image)


def _drawn(image: Image.Image) -> Array:
    return np.asarray(image.reduce(_FINER), np.float32) / 255


def _polygon(
    rng: np.random.Generator, x: float, y: float, radius: float
) -> list[tuple[float, float]]:
    corners = int(rng.integers(3, 9))
    turns = np.sort(rng.uniform(0, 2 * math.pi, corners))
    reach = radius * rng.uniform(0.5, 1.1, corners)
    xs, ys = x + reach * np.cos(turns), y + reach * np.sin(turns)
    return list(zip(xs.tolist(), ys.tolist(), strict=True))


def flat_sheet(rng: np.random.Generator, size: int) -> Array:
    """One colour, perfectly flat or gently graded; pure white and pure black are common."""
    pick = rng.random()
    if pick < 0.12:
        return np.ones((size, size, 3), np.float32)
    if pick < 0.24:
        return np.zeros((size, size, 3), np.float32)
    base = colour(rng, "any", "gray", "pale", "dark", "vivid", "dough")
    if pick < 0.55:
        return finished(np.broadcast_to(base, (size, size, 3)))
    field = smooth_field(rng, size, int(rng.integers(1, 4)))
    end = colour(rng, "any") if chance(rng, 0.2) else near_colour(rng, base, 0.15)
    picture = tint(field, base, end)
    if chance(rng, 0.4):
        grain = spectral_noise(rng, size, rng.uniform(0, 1))
        picture = picture + (log_uniform(rng, 0.004, 0.03) * grain)[..., None]
    return finished(picture)


def dead_leaves(rng: np.random.Generator, size: int) -> Array:
    """Overlapping coloured shapes, many sizes (radius law 1/r^3), plain or textured."""
    scheme = str(rng.choice(["any", "any", "vivid", "stone", "gray", "wood"]))
    tones = palette(rng, scheme, 24)
    image, pen = _canvas(size, tones[0])
    depth = Image.new("L", image.size, 0)
    depth_pen = ImageDraw.Draw(depth)
    count, side = int(rng.integers(60, 500)), size * _FINER
    smallest, largest = log_uniform(rng, 2, 8) * _FINER, side * rng.uniform(0.15, 0.5)
    u = rng.random(count)
    radii = np.sort(1 / np.sqrt(u / smallest**2 + (1 - u) / largest**2))[::-1]
    if chance(rng, 0.5):
        radii = rng.permutation(radii)
    places, form = rng.uniform(0, side, (count, 2)), rng.integers(0, 4)
    for (x, y), radius in zip(places, radii, strict=True):
        ink = _ink(near_colour(rng, tones[int(rng.integers(24))], 0.04))
        grain = int(rng.integers(256))
        kind = int(rng.integers(3)) if form == 3 else int(form)
        if kind == 0:
            flat = radius * rng.uniform(0.4, 1)
            box = (x - radius, y - flat, x + radius, y + flat)
            pen.ellipse(box, fill=ink)
            depth_pen.ellipse(box, fill=grain)
        elif kind == 1:
            corners = _polygon(rng, x, y, radius)
            pen.polygon(corners, fill=ink)
            depth_pen.polygon(corners, fill=grain)
        else:
            flat = radius * rng.uniform(0.15, 1)
            box = (x - radius, y - flat, x + radius, y + flat)
            pen.rectangle(box, fill=ink)
            depth_pen.rectangle(box, fill=grain)
    picture = _drawn(image)
    if chance(rng, 0.6):
        amount = np.asarray(depth.reduce(_FINER), np.float32) / 255
        noise = spectral_noise(rng, size, rng.uniform(0, 1.8), rng.uniform(1, 6), rng.uniform(0, 3))
        picture = picture * (1 + rng.uniform(0.05, 0.3) * amount * noise)[..., None]
    return finished(picture)


def noise_field(rng: np.random.Generator, size: int) -> Array:
    """Random spectra in random colours, one shared field or one for each channel."""
    beta, stretch, angle = rng.uniform(0, 3.2), log_uniform(rng, 1, 8), rng.uniform(0, math.pi)
    field = squash(spectral_noise(rng, size, beta, stretch, angle) * rng.uniform(0.2, 1.6))
    if chance(rng, 0.6):
        base = colour(rng, "any")
        stops = palette(rng, "any", int(rng.integers(2, 6)))
        picture = ramp(field, base + rng.uniform(0.1, 1) * (stops - base))
    else:
        others = [spectral_noise(rng, size, rng.uniform(0.5, 3)) for _ in range(2)]
        layers = np.stack([field, *(squash(o) for o in others)], axis=-1)
        mix = rng.dirichlet(np.ones(3), 3).astype(np.float32)
        picture = 0.5 + rng.uniform(0.2, 1.2) * (layers @ mix.T - 0.5)
        picture = picture * (0.4 + 0.8 * colour(rng, "any"))
    return finished(picture)


def _glyph(
    rng: np.random.Generator,
    pen: ImageDraw.ImageDraw,
    x: float,
    y: float,
    h: float,
    ink: Colour,
    thick: int,
) -> None:
    """One letter-like mark: two to four strokes or arcs on a 2 x 3 lattice."""
    for _ in range(int(rng.integers(2, 5))):
        x0, x1 = x + h * 0.55 * rng.integers(0, 2, 2)
        y0, y1 = y + h * 0.5 * rng.integers(0, 3, 2)
        if chance(rng, 0.3):
            box = (x, min(y0, y1), x + h * 0.55, min(y0, y1) + h * 0.5)
            start = int(rng.integers(0, 4)) * 90
            pen.arc(box, start, start + int(rng.integers(1, 5)) * 90, fill=ink, width=thick)
        else:
            pen.line((x0, y0, x1, y1), fill=ink, width=thick)


def stripes_and_shapes(rng: np.random.Generator, size: int) -> Array:
    """Stripes, checks, sharp lines, polygons and rows of letter-like marks."""
    paper = colour(rng, "any", "pale", "dark", "gray")
    inks = palette(rng, str(rng.choice(["any", "vivid", "gray"])), 4)
    image, pen = _canvas(size, paper)
    side, kind = size * _FINER, rng.random()
    if kind < 0.35:
        u, v = coordinates(size, rng.uniform(0, math.pi))
        pitch = log_uniform(rng, 3, 50)
        wave = np.sin(u / pitch * 2 * math.pi)
        if chance(rng, 0.4):
            wave = wave * np.sin(v / pitch * 2 * math.pi)
        level = rng.uniform(-0.6, 0.6)
        field = smoothstep(wave, level - 2 / pitch, level + 2 / pitch)
        marks = tint(field, paper, inks[0])
        image = Image.fromarray((np.clip(marks, 0, 1) * 255).astype(np.uint8)).resize((side, side))
        pen = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(0, 14))):
        x, y = rng.uniform(0, side, 2)
        corners = _polygon(rng, x, y, log_uniform(rng, 6, side / 3))
        pen.polygon(corners, fill=_ink(inks[int(rng.integers(4))]))
    for _ in range(int(rng.integers(0, 16))):
        ends = rng.uniform(-0.2 * side, 1.2 * side, 4).tolist()
        pen.line(ends, fill=_ink(inks[int(rng.integers(4))]), width=int(log_uniform(rng, 1, 14)))
    if chance(rng, 0.55):
        ink, high = _ink(inks[1]), log_uniform(rng, 14, 70)
        thick = max(1, int(high * rng.uniform(0.06, 0.2)))
        for line in range(int(rng.integers(1, 5))):
            top = rng.uniform(0, side * 0.3) + line * high * 1.5
            for column in range(min(int(rng.integers(2, 14)), int(side / (high * 0.8)))):
                _glyph(rng, pen, 10 + column * high * 0.8, top, high, ink, thick)
    return finished(_drawn(image))


def _track(
    rng: np.random.Generator, x: float, pitch: float, side: float
) -> list[tuple[float, float]]:
    """Corners of a track from above the picture down, with sideways moves of 45 degrees."""
    y = -pitch
    path = [(x, y)]
    while y < side + pitch:
        y += pitch * rng.uniform(1, 8)
        path.append((x, y))
        if chance(rng, 0.15):
            break
        move = pitch * int(rng.integers(-2, 3))
        x, y = x + move, y + abs(move)
        path.append((x, y))
    return path


def _disc(pen: ImageDraw.ImageDraw, x: float, y: float, radius: float, ink: Colour) -> None:
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=ink)


def printed_tracks(rng: np.random.Generator, size: int) -> Array:
    """Conductor-like tracks with 45 degree bends, round pads and drilled holes."""
    board = colour(rng, "vivid", "dark", "dark", "pale") * rng.uniform(0.4, 1)
    copper = colour(rng, "brass", "pale", "metal", "vivid")
    if chance(rng, 0.3):
        board, copper = np.zeros(3, np.float32), np.ones(3, np.float32)
    if chance(rng, 0.3):
        board, copper = copper, board
    image, pen = _canvas(size, board)
    side, ink = size * _FINER, _ink(copper)
    pitch = log_uniform(rng, 14, 60)
    width = max(2, int(pitch * rng.uniform(0.2, 0.6)))
    sideways = chance(rng, 0.5)
    for lane in np.arange(-2, side / pitch + 2):
        if chance(rng, 0.25):
            continue
        path = _track(rng, lane * pitch, pitch, side)
        if sideways:
            path = [(y, x) for x, y in path]
        pen.line(path, fill=ink, width=width, joint="curve")
        for x, y in path[1:]:
            if chance(rng, 0.4):
                radius = width * rng.uniform(0.8, 1.3)
                _disc(pen, x, y, radius, ink)
                if chance(rng, 0.6):
                    _disc(pen, x, y, radius * rng.uniform(0.3, 0.6), _ink(board))
    picture = _drawn(image)
    if chance(rng, 0.5):
        grain = spectral_noise(rng, size, rng.uniform(0, 1.5))
        picture = picture * (1 + log_uniform(rng, 0.01, 0.12) * grain)[..., None]
    return finished(picture)
