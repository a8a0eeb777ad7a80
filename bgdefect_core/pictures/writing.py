"""Pictures to PNG or TIFF files, masks to PNG files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import PictureError
from ..files import atomic_write
from .deep_writing import png_of_deep_colour, tiff_of_deep_colour
from .masks import Mask
from .picture import Picture

__all__ = ["ENDINGS", "ImageFormat", "encode_mask", "encode_picture", "write_mask", "write_picture"]

ImageFormat = Literal["png", "tiff"]
ENDINGS: dict[ImageFormat, str] = {"png": ".png", "tiff": ".tif"}
"""Of the files' names."""
_COMPRESSION = 1
"""Of 9. Photographs take half the time that they take at Pillow's 6, and no more room."""


def encode_picture(
    picture: Picture | NDArray[np.uint8],
    name: str = "a file",
    image_format: ImageFormat = "png",
) -> bytes:
    """A picture as the bytes of a file; both formats give back its very values.

    Args:
        picture: a ``Picture``, or uint8 ``[H, W, 3]`` (RGB) or ``[H, W]`` (gray). One of more than
            8 bits is written with 16 bits and the values that it has; gray where its channels are
            equal.
        name: of the file, for messages.

    Raises:
        PictureError: another type or shape.
    """
    pixels = picture.pixels if isinstance(picture, Picture) else picture
    if isinstance(picture, Picture) and pixels.dtype == np.uint16:
        if (pixels != pixels[..., :1]).any():
            encode = png_of_deep_colour if image_format == "png" else tiff_of_deep_colour
            return encode(pixels.astype(np.uint16, copy=False))
        pixels = pixels[..., 0]
    elif pixels.dtype != np.uint8 or not _is_picture(pixels):
        came = f"{name} would hold {pixels.dtype} {list(pixels.shape)}"
        raise PictureError(came, "uint8 [H, W, 3] or [H, W]", "convert it first")
    file = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if image_format == "png":
        image.save(file, "PNG", compress_level=_COMPRESSION)
    else:
        image.save(file, "TIFF", compression="tiff_adobe_deflate")
    return file.getvalue()


def write_picture(
    path: str | Path,
    picture: Picture | NDArray[np.uint8],
    image_format: ImageFormat = "png",
) -> None:
    """Write a picture, atomically.

    Args:
        path: the file, whatever its ending. picture: as :func:`encode_picture`.

    Raises:
        PictureError: as there. OutputError: see ``atomic_write``.
    """
    content = encode_picture(picture, str(path), image_format)
    with atomic_write(path) as file:
        file.write(content)


def _is_picture(pixels: NDArray[np.generic]) -> bool:
    return pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)


def encode_mask(mask: Mask) -> bytes:
    """``bool [H, W]`` as the bytes of an 8-bit gray PNG of 0 and 255."""
    return encode_picture(np.where(mask, np.uint8(255), np.uint8(0)))


def write_mask(path: str | Path, mask: Mask) -> None:
    """Write ``bool [H, W]`` as an 8-bit gray PNG of 0 and 255, atomically. An empty label is
    written too.

    Raises:
        OutputError: see ``atomic_write``.
    """
    write_picture(path, np.where(mask, np.uint8(255), np.uint8(0)))
