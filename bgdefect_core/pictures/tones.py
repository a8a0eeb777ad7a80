"""Pictures of two tones, as lines that threshold their pictures have them: what is painted into one
keeps to these two.

A decoder gives soft edges and grays, and a gray pixel among black and white ones gives a sample
away, to an eye as to the detector that learns from it. Not from the paper.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .files import Picture

LEAST_APART = 64
"""How far apart the tones are at least, in the channel that differs most, 0..255: a flat part with
a few odd pixels is not thresholded."""


def two_tones(picture: Picture) -> NDArray[np.uint8] | None:
    """The two colours ``[2, 3]`` that all of a picture ``uint8 [H, W, 3]`` consists of; None: it
    has one, more, or two that are alike."""
    first = picture[0, 0]
    step = max(1, min(picture.shape[:2]) // 64)
    for pixels in (picture[::step, ::step], picture):  # few pixels rule most pictures out
        others = pixels[(pixels != first).any(axis=2)]
        if len(others) and (others != others[0]).any():
            return None
    if (
        not len(others)
        or np.ptp(np.stack([first, others[0]]).astype(np.int16), axis=0).max() < LEAST_APART
    ):
        return None
    return np.stack([first, others[0]])


def nearest_tone(pixels: NDArray[np.float32], tones: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Of ``tones`` ``[2, 3]`` the one that is nearer to each of ``pixels`` ``[h, w, 3]`` (0..1):
    uint8 ``[h, w, 3]``."""
    away = [np.square(pixels - tone / np.float32(255)).sum(axis=2) for tone in tones]
    nearest: NDArray[np.uint8] = tones[(away[1] < away[0]).astype(np.intp)]
    return nearest


def change(picture: Picture, result: Picture) -> NDArray[np.float32]:
    """How much each pixel changed, in the channel that changed most: float32 ``[H, W]`` in 0..1."""
    largest = (np.maximum(picture, result) - np.minimum(picture, result)).max(axis=2)
    changed: NDArray[np.float32] = np.divide(largest, 255, dtype=np.float32)
    return changed
