"""Pictures of two tones, such as thresholded ones: what is painted into one keeps to its tones.

A decoder gives soft edges and grays. A gray pixel among black and white ones gives a sample away,
to an eye as to the detector that learns from it. Not from the paper.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .masks import Mask
from .picture import DeepPixels, Pixels

__all__ = ["LEAST_APART", "change", "lighter_tone", "nearest_tone", "two_tones"]

LEAST_APART = 64
"""Smallest difference of the tones in the channel that differs most, of 255: a flat part with a few
odd pixels is not thresholded."""


def two_tones(pixels: DeepPixels, white: int = 255) -> DeepPixels | None:
    """The two colours of which the whole picture consists.

    Args:
        pixels: ``[H, W, 3]``.
        white: its white level.

    Returns:
        ``[2, 3]`` in the picture's type; None: one colour, more than two, or two that are alike.
    """
    first = pixels[0, 0]
    step = max(1, min(pixels.shape[:2]) // 64)
    for looked_at in (pixels[::step, ::step], pixels):  # few pixels rule most pictures out
        others = looked_at[(looked_at != first).any(axis=2)]
        if len(others) and (others != others[0]).any():
            return None
    if not len(others):
        return None
    tones = np.stack([first, others[0]])
    apart = np.ptp(tones.astype(np.int32), axis=0).max()
    return tones if 255 * apart >= LEAST_APART * white else None


def lighter_tone(colours: NDArray[np.float32]) -> Mask | None:
    """Where the lighter of the two tones lies of which a part of a picture consists.

    Args:
        colours: float ``[h, w, C]``; NaN where the picture has ended.

    Returns:
        bool ``[h, w]``, False where it has ended; None: one tone, or more than two.
    """
    inside = np.isfinite(colours[..., 0])
    values = np.where(inside, np.nan_to_num(colours).mean(axis=2), 0)
    tones = np.unique(values[inside])
    if len(tones) != 2:
        return None
    light: Mask = inside & (values > tones.mean())
    return light


def nearest_tone(pixels: NDArray[np.float32], tones: DeepPixels, white: int = 255) -> DeepPixels:
    """The nearer tone of each pixel.

    Args:
        pixels: float32 ``[h, w, 3]`` in 0..1.
        tones: ``[2, 3]`` in 0..white.
        white: white level of the tones.

    Returns:
        ``[h, w, 3]`` in the type of the tones.
    """
    distances = []
    for tone in tones:
        distances.append(np.square(pixels - tone / np.float32(white)).sum(axis=2))
    is_second = distances[1] < distances[0]
    nearest: DeepPixels = tones[is_second.astype(np.intp)]
    return nearest


def change(picture: Pixels, result: Pixels) -> NDArray[np.float32]:
    """How much each pixel changed, in the channel that changed most: float32 ``[H, W]`` in 0..1."""
    largest = (np.maximum(picture, result) - np.minimum(picture, result)).max(axis=2)
    changed: NDArray[np.float32] = np.divide(largest, 255, dtype=np.float32)
    return changed
