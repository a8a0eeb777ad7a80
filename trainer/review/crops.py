"""The part of a picture that matters: the surroundings of the defect."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from bgdefect_core.pictures.crop import Crop, crop_box, take
from bgdefect_core.pictures.masks import Mask
from bgdefect_core.pictures.overlay import GREEN, outlined
from bgdefect_core.pictures.picture import Pixels

THUMBNAIL = 96
"""Side in pixels."""


def crop_of(requested: Mask) -> Crop:
    """The square around a sample's requested mask."""
    whole = requested if requested.any() else np.ones_like(requested)
    return crop_box(whole, 96, "defect")


def detail(requested: Mask) -> dict[str, Any]:
    """Size of the picture, and the square that the page shows first, in pixels."""
    height, width = requested.shape
    crop = crop_of(requested)
    box = {"left": crop.left, "top": crop.top, "side": crop.side}
    return {"width": width, "height": height, "box": box}


def thumbnail(picture: Pixels, requested: Mask, label: Mask) -> bytes:
    """The surroundings of a defect with the outline of its label, as a PNG."""
    crop = crop_of(requested)
    square = outlined(take(picture, crop, THUMBNAIL), take(label, crop, THUMBNAIL), GREEN)
    return png_of(square)


def png_of(pixels: Pixels) -> bytes:
    """The file of a picture."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
