"""A simulated camera: uneven light, exposure, white balance, blur, noise, artefacts.

``draw_camera`` draws the settings, ``photograph`` applies them: the same settings on a good
picture and on its defect twin give the same light and the same noise.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter1d


@dataclass(frozen=True)
class CameraSettings:
    """Plain numbers; 0 (or 1 for a factor) is neutral.

    Angles are radians, positions are fractions of the side, blur is in pixels, noise is in
    units of the 0..1 range, ``jpeg_quality`` 0 means none.
    """

    gradient: float = 0.0
    gradient_angle: float = 0.0
    vignette: float = 0.0
    spot: float = 0.0
    spot_x: float = 0.5
    spot_y: float = 0.5
    spot_radius: float = 0.3
    exposure: float = 1.0
    gamma: float = 1.0
    contrast: float = 1.0
    red: float = 1.0
    blue: float = 1.0
    blur: float = 0.0
    noise: float = 0.0
    shot_noise: float = 0.0
    noise_gray: bool = False
    noise_seed: int = 0
    jpeg_quality: int = 0
    gray: bool = False


def draw_camera(rng: np.random.Generator) -> CameraSettings:
    """Random settings: mostly mild, 25 % gray, 40 % blurred a little, 8 % with JPEG blocks."""

    def sometimes(probability: float, value: float) -> float:
        return value if rng.random() < probability else 0.0

    return CameraSettings(
        gradient=sometimes(0.5, abs(rng.normal(0, 0.25))),
        gradient_angle=rng.uniform(0, 2 * math.pi),
        vignette=sometimes(0.35, rng.uniform(0.05, 0.55)),
        spot=sometimes(0.2, rng.uniform(0.05, 0.5)),
        spot_x=rng.uniform(0, 1),
        spot_y=rng.uniform(0, 1),
        spot_radius=rng.uniform(0.12, 0.6),
        exposure=math.exp(rng.normal(0, 0.14)),
        gamma=math.exp(rng.normal(0, 0.16)),
        contrast=math.exp(rng.normal(0, 0.14)),
        red=math.exp(rng.normal(0, 0.05)),
        blue=math.exp(rng.normal(0, 0.06)),
        blur=sometimes(0.4, rng.uniform(0.3, 1.1)),
        noise=sometimes(0.7, min(abs(rng.normal(0, 0.012)), 0.04)),
        shot_noise=sometimes(0.4, min(abs(rng.normal(0, 0.015)), 0.05)),
        noise_gray=bool(rng.random() < 0.5),
        noise_seed=int(rng.integers(2**31)),
        jpeg_quality=int(rng.integers(45, 92)) if rng.random() < 0.08 else 0,
        gray=bool(rng.random() < 0.25),
    )


def _light(height: int, width: int, settings: CameraSettings) -> np.ndarray:
    """The light on the picture, ``[H, W]``, about 1."""
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(0, 1, width, dtype=np.float32)[None, :]
    along = (x - 0.5) * math.cos(settings.gradient_angle) + (y - 0.5) * math.sin(
        settings.gradient_angle
    )
    light = 1 + settings.gradient * along
    light = light * (1 - settings.vignette * 1.4 * ((x - 0.5) ** 2 + (y - 0.5) ** 2))
    if settings.spot:
        away = (x - settings.spot_x) ** 2 + (y - settings.spot_y) ** 2
        light = light + settings.spot * np.exp(-away / (2 * settings.spot_radius**2))
    return np.maximum(light, 0.05).astype(np.float32)


def photograph(picture: np.ndarray, settings: CameraSettings) -> np.ndarray:
    """The picture as the camera sees it.

    Args:
        picture: float32 ``[H, W, 3]`` in 0..1, not changed.
        settings: from ``draw_camera``; equal settings and pictures give equal results.

    Returns:
        float32 ``[H, W, 3]`` in 0..1.
    """
    height, width = picture.shape[:2]
    balance = np.array([settings.red, 1.0, settings.blue], np.float32) * settings.exposure
    photo = picture * _light(height, width, settings)[..., None] * balance.astype(np.float32)
    photo = np.clip(photo, 0, 1)
    if settings.gray:
        gray = photo @ np.array([0.299, 0.587, 0.114], np.float32)
        photo = gray[..., None]
    if settings.gamma != 1:
        photo = photo ** np.float32(settings.gamma)
    photo = (photo - 0.5) * np.float32(settings.contrast) + 0.5
    if settings.blur:
        for axis in (0, 1):
            photo = gaussian_filter1d(photo, settings.blur, axis=axis, truncate=2.5)
    if settings.noise or settings.shot_noise:
        channels = 1 if settings.noise_gray or settings.gray else 3
        rng = np.random.default_rng(settings.noise_seed)
        grain = rng.standard_normal((height, width, channels), dtype=np.float32)
        variance = np.float32(settings.noise**2) + np.float32(settings.shot_noise**2) * np.clip(
            photo, 0, 1
        )
        photo = photo + grain * np.sqrt(variance)
    photo = np.clip(photo, 0, 1)
    if photo.shape[2] == 1:
        photo = np.repeat(photo, 3, axis=2)
    if settings.jpeg_quality:
        buffer = io.BytesIO()
        Image.fromarray((photo * 255 + 0.5).astype(np.uint8)).save(
            buffer, "JPEG", quality=settings.jpeg_quality
        )
        photo = np.asarray(Image.open(buffer), np.float32) / 255
    return np.ascontiguousarray(photo, dtype=np.float32)
