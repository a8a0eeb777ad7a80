"""Rasterise a planned board into coverage layers: copper, pads, holes, print."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .circuit_layout import BoardWindow, CircuitBoard, Point, plan_board

__all__ = ["Layers", "draw_layers"]

SCALE = 2  # supersampling of the drawing
LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789+-"


@dataclass(frozen=True)
class Layers:
    """Coverage of each layer, float32 [size, size] in 0..1 (copper excludes holes)."""

    copper: np.ndarray
    pads: np.ndarray
    holes: np.ndarray
    silk: np.ndarray


@lru_cache(maxsize=32)
def _font(height: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's built-in face at `height` px."""
    return ImageFont.load_default(height)


def draw_layers(rng: np.random.Generator, size: int) -> Layers:
    """Plan one random board and draw it at SCALE times the size, then reduce."""
    board, window = plan_board(rng, size)
    window = window.scaled(SCALE)
    big, pitch = size * SCALE, window.pitch
    copper = _draw_copper(board, window, big)
    if rng.random() < 0.35:
        gap = max(SCALE * 1.5, (1 - board.width) * 0.5 * pitch * rng.uniform(0.8, 1.3))
        pour = np.asarray(_pour_area(rng, big, pitch)).copy()
        pour[np.asarray(_draw_copper(board, window, big, gap)) > 127] = 0
        copper = Image.fromarray(np.maximum(np.asarray(copper), pour))
    pads = Image.new("L", (big, big))
    _draw_pads(ImageDraw.Draw(pads), board, window)
    holes = _draw_holes(board, window, big)
    silk = _print_marks(rng, big, pitch)
    if rng.random() < 0.12:  # letters etched in copper
        _write(rng, ImageDraw.Draw(copper), big, pitch, int(rng.choice([0, 255])))
    hole_cover = _coverage(holes)
    return Layers(
        copper=_coverage(copper) * (1 - hole_cover),
        pads=_coverage(pads),
        holes=hole_cover,
        silk=_coverage(silk),
    )


def _coverage(layer: Image.Image) -> np.ndarray:
    """A drawn layer at the picture's size, float32 in 0..1."""
    return np.asarray(layer.reduce(SCALE), dtype=np.float32) / 255


def _draw_copper(
    board: CircuitBoard, window: BoardWindow, big: int, grow: float = 0.0
) -> Image.Image:
    """The traces and pads, `grow` px larger on all sides."""
    image = Image.new("L", (big, big))
    draw = ImageDraw.Draw(image)
    for trace in board.traces:
        thick = max(2, round(trace.width * window.pitch + 2 * grow))
        points = _corners_only(window.pixels(trace.path))
        draw.line(points, fill=255, width=thick, joint="curve")
        for x, y in (points[0], points[-1]):
            r = (thick - 1) / 2
            draw.ellipse((x - r, y - r, x + r, y + r), fill=255)
    _draw_pads(draw, board, window, grow)
    return image


def _draw_pads(
    draw: ImageDraw.ImageDraw, board: CircuitBoard, window: BoardWindow, grow: float = 0.0
) -> None:
    """Draw every pad, `grow` px larger on all sides."""
    for pad in board.pads:
        ((x, y),) = window.pixels([(pad.x, pad.y)])
        w = pad.design.half_width * window.pitch + grow
        h = pad.design.half_height * window.pitch + grow
        box = (x - w, y - h, x + w, y + h)
        if pad.design.is_round:
            draw.rounded_rectangle(box, radius=min(w, h), fill=255)
        else:
            draw.rectangle(box, fill=255)


def _draw_holes(board: CircuitBoard, window: BoardWindow, big: int) -> Image.Image:
    """The holes of the pads; those below 1.5 px are left out."""
    image = Image.new("L", (big, big))
    draw = ImageDraw.Draw(image)
    for pad in board.pads:
        ((x, y),) = window.pixels([(pad.x, pad.y)])
        r = pad.design.hole * window.pitch
        if r >= 1.5:
            draw.ellipse((x - r, y - r, x + r, y + r), fill=255)
    return image


def _corners_only(points: list[Point]) -> list[Point]:
    """Drop the points in the middle of straight runs."""
    corners = [points[0]]
    for before, point, after in zip(points, points[1:], points[2:], strict=False):
        cross = (point[0] - before[0]) * (after[1] - point[1]) - (point[1] - before[1]) * (
            after[0] - point[0]
        )
        if abs(cross) > 1e-3:
            corners.append(point)
    return [*corners, points[-1]]


def _pour_area(rng: np.random.Generator, big: int, unit: float) -> Image.Image:
    """The board's copper-area outline: the whole window or a chamfered box, or hatch."""
    area = Image.new("L", (big, big))
    draw = ImageDraw.Draw(area)
    if rng.random() < 0.4:
        draw.rectangle((0, 0, big, big), fill=255)
    else:
        x0, y0 = rng.uniform(-0.3, 0.6, 2) * big
        x1, y1 = (x0, y0) + rng.uniform(0.35, 0.9, 2) * big
        cut = rng.uniform(0, 0.12) * big
        corners = [(x0 + cut, y0), (x1, y0), (x1, y1 - cut), (x1 - cut, y1)]
        draw.polygon([*corners, (x0, y1), (x0, y0 + cut)], fill=255)
    if rng.random() < 0.15:  # hatched copper
        step = max(8.0, unit * rng.uniform(0.8, 1.4))
        bar = max(2, int(step * rng.uniform(0.25, 0.5)))
        for at in np.arange(-big, 2 * big, step):
            draw.line((at, 0, at + big, big), fill=0, width=bar)
            draw.line((at, big, at + big, 0), fill=0, width=bar)
    return area


def _print_marks(rng: np.random.Generator, big: int, unit: float) -> Image.Image:
    """Silk-screen print: outlines, letters, dots."""
    silk = Image.new("L", (big, big))
    draw = ImageDraw.Draw(silk)
    pen = int(rng.integers(2, 5))
    for _ in range(int(rng.integers(0, 4))):
        x, y = rng.uniform(-0.1, 0.9, 2) * big
        w, h = rng.uniform(0.1, 0.5, 2) * big
        if rng.random() < 0.6:
            draw.rectangle((x, y, x + w, y + h), outline=255, width=pen)
        else:
            draw.ellipse((x, y, x + w, y + w), outline=255, width=pen)
    for _ in range(int(rng.integers(0, 4))):
        _write(rng, draw, big, unit, 255)
    return silk


def _write(
    rng: np.random.Generator, draw: ImageDraw.ImageDraw, big: int, unit: float, ink: int
) -> None:
    height = int(np.clip(unit * rng.uniform(0.8, 2.0), 16, 80)) // 4 * 4
    text = "".join(rng.choice(list(LETTERS), int(rng.integers(2, 6))))
    x, y = rng.uniform(0, 0.85, 2) * big
    draw.text((x, y), text, fill=ink, font=_font(height))
