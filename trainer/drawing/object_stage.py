"""The stage on which objects.py draws: signed distances, layers, light and tray.

Lengths are in pixels; a signed distance is negative inside the shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter, shift

from .noise import smooth_noise

__all__ = ["ObjectStage", "Pose", "colour", "print_mask"]

LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"


def colour(
    rng: np.random.Generator, *choices: tuple[float, float, float], spread: float = 0.05
) -> np.ndarray:
    """One of the choices, jittered, float32 [3]; with no choice any vivid colour."""
    if choices:
        base = np.asarray(choices[int(rng.integers(len(choices)))])
    else:
        hue = rng.random() + np.array([0.0, 1 / 3, 2 / 3])
        vivid = 0.5 + 0.5 * np.cos(2 * np.pi * hue)
        base = rng.uniform(0.15, 1.0) * (1 - rng.uniform(0.2, 1.0) * (1 - vivid))
    jittered = base * rng.uniform(0.85, 1.12) + rng.normal(0, spread, 3)
    return np.clip(jittered, 0.0, 1.0).astype(np.float32)


@dataclass(frozen=True)
class Pose:
    """Where the object lies. x and y: float32 [size, size], rotated, in px from its
    centre; `radius`: half its greatest extent in px."""

    x: np.ndarray
    y: np.ndarray
    radius: float
    angle: float

    @classmethod
    def random(cls, rng: np.random.Generator, size: int) -> Pose:
        """Extent 35 to 95 % of the frame, wholly or nearly wholly inside."""
        radius = 0.5 * size * (0.95 - 0.6 * rng.random() ** 1.6)
        slack = max(0.0, 0.5 * size - radius) * 0.95
        centre_x, centre_y = size / 2 + rng.uniform(-slack, slack, 2)
        upright = rng.random() < 0.35
        angle = float(rng.integers(4)) * np.pi / 2 if upright else rng.uniform(0, 2 * np.pi)
        rows, columns = np.mgrid[0:size, 0:size].astype(np.float32)
        right, down = columns + 0.5 - centre_x, rows + 0.5 - centre_y
        c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        return cls(c * right + s * down, c * down - s * right, float(radius), float(angle))

    def r(self) -> np.ndarray:
        return np.hypot(self.x, self.y)

    def theta(self) -> np.ndarray:
        return np.arctan2(self.y, self.x)

    def circle(self, radius: float, x: float = 0.0, y: float = 0.0) -> np.ndarray:
        return np.hypot(self.x - x, self.y - y) - radius

    def box(
        self,
        half_w: float,
        half_h: float,
        corner: float = 0.0,
        x: float = 0.0,
        y: float = 0.0,
    ) -> np.ndarray:
        """Rounded rectangle centred on (x, y)."""
        over_x = np.abs(self.x - x) - (half_w - corner)
        over_y = np.abs(self.y - y) - (half_h - corner)
        outside = np.hypot(np.maximum(over_x, 0), np.maximum(over_y, 0))
        return outside + np.minimum(np.maximum(over_x, over_y), 0) - corner

    def regular(self, sides: int, inner_radius: float) -> np.ndarray:
        """Regular polygon by its inscribed circle."""
        step = 2 * np.pi / sides
        local = np.mod(self.theta() + step / 2, step) - step / 2
        return self.r() * np.cos(local) - inner_radius

    def segment(self, half_length: float, radius: float) -> np.ndarray:
        along = np.clip(self.x, -half_length, half_length)
        return np.hypot(self.x - along, self.y) - radius


class ObjectStage:
    """Layers laid on a tray: colour [size, size, 3], height, gloss, part [size, size]."""

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        self.rng = rng
        self.size = size
        self.albedo = np.zeros((size, size, 3), np.float32)
        self.height: np.ndarray = np.zeros((size, size), np.float32)
        self.gloss = np.zeros((size, size), np.float32)
        self.part: np.ndarray = np.zeros((size, size), np.float32)

    def add(
        self,
        distance: np.ndarray,
        tint: np.ndarray,
        *,
        lift: float = 0.0,
        bevel: float = 3.0,
        gloss: float = 0.2,
        relief: np.ndarray | float = 0.0,
    ) -> None:
        """Lay one shape: its top at lift + bevel px, its edge rounded over bevel px.

        `tint` is [3] or [size, size, 3]; `relief` is extra height in px.
        """
        alpha = np.clip(0.5 - distance, 0.0, 1.0)
        depth = np.clip(-distance / max(bevel, 1e-3), 0.0, 1.0)
        top = lift + bevel * np.sqrt(depth * (2 - depth)) + relief
        self.albedo += (tint - self.albedo) * alpha[..., None]
        self.height += (top - self.height) * alpha
        self.gloss += (gloss - self.gloss) * alpha
        self.part = np.maximum(self.part, alpha)

    def cut(self, distance: np.ndarray) -> None:
        """A through hole: the tray shows."""
        keep = np.clip(0.5 + distance, 0.0, 1.0)
        self.part = self.part * keep
        self.height = self.height * keep

    def stain(self, alpha: np.ndarray, tint: np.ndarray) -> None:
        """Colour only, alpha [size, size] in 0..1."""
        self.albedo += (tint - self.albedo) * alpha[..., None]

    def light(self) -> np.ndarray:
        """The lit picture, float32 [size, size, 3] in 0..1."""
        rng, size = self.rng, self.size
        angle, tilt = rng.uniform(0, 2 * np.pi), rng.uniform(0.25, 0.8)
        towards = np.array([np.cos(angle), np.sin(angle)]) * tilt
        down, right = np.gradient(gaussian_filter(self.height, 0.6))
        norm = 1 / np.sqrt(1 + right**2 + down**2)
        facing = (1 - towards[0] * right - towards[1] * down) * norm
        ambient = rng.uniform(0.25, 0.55)
        lit = ambient + (1 - ambient) * np.clip(facing, 0.0, 1.5)
        crevice = self.height - gaussian_filter(self.height, size / 45)
        lit *= 1 + np.clip(0.05 * crevice, -0.3, 0.12)
        # A glossy surface mirrors a room of a few soft bright bands.
        bands = np.sin(3.1 * right * norm + 2.3 * down * norm + rng.uniform(0, 6.28))
        half_way = towards / (1 + np.sqrt(1 + tilt**2))
        spot = (1 - 2 * (half_way[0] * right + half_way[1] * down)) * norm
        spark = np.clip(spot / np.sqrt(1 + 4 * half_way @ half_way), 0, 1) ** 60
        spark *= np.clip(3 * (1 - norm), 0.05, 1)
        lit *= 1 + 0.5 * self.gloss * bands
        picture = self.albedo * lit[..., None] + (0.7 * self.gloss * spark)[..., None]
        tray = self._tray() * self._shadow(-towards)[..., None]
        picture = tray + (picture - tray) * self.part[..., None]
        if rng.random() < 0.8:
            falloff = 1 + 0.07 * smooth_noise(rng, size, size * 0.8)
            picture = picture * (rng.uniform(0.85, 1.2) * falloff)[..., None]
            grain = rng.uniform(0, 0.02) * rng.standard_normal((size, size))
            picture = picture + grain[..., None].astype(np.float32)
        return np.clip(picture, 0.0, 1.0).astype(np.float32)

    def _shadow(self, away: np.ndarray) -> np.ndarray:
        """Light left on the tray, [size, size] in 0..1."""
        rng = self.rng
        if rng.random() < 0.2:
            return np.ones((self.size, self.size), np.float32)
        reach = self.size * rng.uniform(0.01, 0.06)
        cast = shift(self.part, away[::-1] * reach * 2, order=1)
        soft = gaussian_filter(cast, reach * rng.uniform(0.3, 0.8))
        contact = gaussian_filter(self.part, 1.5)
        return 1 - rng.uniform(0.25, 0.75) * soft - 0.2 * contact * (1 - soft)

    def _tray(self) -> np.ndarray:
        rng, size = self.rng, self.size
        kind = str(rng.choice(["black", "white", "dark", "light", "colour", "gray"]))
        if kind in ("black", "white"):
            level = rng.uniform(0, 0.03) if kind == "black" else rng.uniform(0.94, 1.0)
            return np.full((size, size, 3), level, np.float32)
        base = {
            "dark": colour(rng, (0.10, 0.10, 0.11), (0.16, 0.15, 0.13), spread=0.02),
            "light": colour(rng, (0.82, 0.82, 0.80), (0.75, 0.77, 0.8), spread=0.02),
            "gray": colour(rng, (0.45, 0.45, 0.45), (0.6, 0.6, 0.58), spread=0.02),
            "colour": colour(rng),
        }[kind]
        texture = 0.04 * smooth_noise(rng, size, rng.uniform(8, 60))
        surface = str(rng.choice(["plain", "grainy", "brushed", "weave", "ribbed"]))
        axis = np.arange(size) * (2 * np.pi / rng.uniform(3, 14))
        strength = rng.uniform(0.03, 0.12)
        if surface == "grainy":
            texture = texture + strength * rng.standard_normal((size, size))
        elif surface == "brushed":
            texture = texture + strength * rng.standard_normal((size, 1))
        elif surface == "weave":
            texture = texture + strength * np.sin(axis)[:, None] * np.sin(axis)
        elif surface == "ribbed":
            texture = texture + strength * np.sin(axis)[:, None]
        if surface in ("brushed", "ribbed") and rng.random() < 0.5:
            texture = texture.T
        return (base * (1 + texture)[..., None]).astype(np.float32)


@lru_cache(maxsize=32)
def _font(height: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(height)


def print_mask(
    rng: np.random.Generator, pose: Pose, height: float, x: float = 0.0, y: float = 0.0
) -> np.ndarray:
    """Printed letters centred on the pose's (x, y), float32 [size, size] in 0..1."""
    size = pose.x.shape[0]
    pixels = max(6, int(height))
    text = "".join(rng.choice(list(LETTERS), int(rng.integers(2, 5))))
    c, s = np.cos(pose.angle), np.sin(pose.angle)
    frame = Image.new("L", (size, size))
    ImageDraw.Draw(frame).text(
        (size / 2, size / 2), text, fill=255, font=_font(pixels), anchor="mm"
    )
    # transform() maps output pixels to input pixels: shift to the centre, then turn.
    origin_x = 0.5 - (c * pose.x[0, 0] - s * pose.y[0, 0])
    origin_y = 0.5 - (s * pose.x[0, 0] + c * pose.y[0, 0])
    offset_x = size / 2 - x - c * origin_x - s * origin_y
    offset_y = size / 2 - y + s * origin_x - c * origin_y
    turned = frame.transform(
        (size, size),
        Image.Transform.AFFINE,
        (c, s, offset_x, -s, c, offset_y),
        Image.Resampling.BILINEAR,
    )
    return np.asarray(turned, dtype=np.float32) / 255
