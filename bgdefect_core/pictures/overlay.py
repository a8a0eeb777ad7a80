"""Masks and heat maps drawn over a picture, for people to look at."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .masks import Mask
from .picture import Pixels

GREEN, CYAN = (60, 255, 60), (0, 220, 255)
"""The refined mask's colour, and the requested one's."""


def outlined(picture: Pixels, mask: Mask, colour: tuple[int, int, int]) -> Pixels:
    """The picture with a line of one pixel just around the mask, so that nothing of the defect is
    covered."""
    line = ndimage.binary_dilation(mask, np.ones((3, 3))) & ~mask
    drawn = picture.copy()
    drawn[line] = colour
    return drawn


def warmed(picture: Pixels, heat: Pixels) -> Pixels:
    """A dimmed gray picture with ``heat`` (uint8 ``[H, W]``) from red to yellow over it."""
    share = heat[..., None].astype(np.float32) / 255
    green = 255 * np.clip(2 * share - 1, 0, 1)
    colour = np.concatenate([np.full_like(share, 255), green, np.zeros_like(share)], axis=2)
    ground = np.repeat(picture.mean(axis=2, keepdims=True) * 0.5, 3, axis=2)
    weight = np.clip(2 * share, 0, 0.9)
    mixed: Pixels = np.rint(weight * colour + (1 - weight) * ground).astype(np.uint8)
    return mixed
