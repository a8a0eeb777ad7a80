"""Colour files of 16 bits a channel, of which Pillow loads the high bytes alone.

Cameras write values of 10, 12 or 14 bits into such files: of 12 bits, the high bytes reach 15 of
255. The low bytes come from a second pass of the same decoder, which is told that the file has the
other byte order.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["deep_pixels", "is_deep_colour", "set_to_low_bytes"]

_OTHER_ORDER = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
_GRAY_AND_ALPHA = "LA;16B"
"""Of PNG; its four bytes a pixel are read as four channels."""
_FOUR_BYTES = "RGBA"


def is_deep_colour(file: Image.Image) -> bool:
    """Whether an opened file, not loaded yet, has 16 bits a channel and more than one channel."""
    mode = _raw_mode(file)
    return mode[:-1].endswith(";16") and not mode.startswith(("I", "L;", "CMYK"))


def set_to_low_bytes(file: Image.Image) -> None:
    """Let an opened deep colour file load its low bytes, or for gray with alpha all four."""
    other = _OTHER_ORDER[_raw_mode(file)[-1]]
    tiles = []
    for tile in file.tile:  # type: ignore[attr-defined]
        is_text = isinstance(tile.args, str)
        mode = tile.args if is_text else tile.args[0]
        low = _FOUR_BYTES if mode == _GRAY_AND_ALPHA else mode[:-1] + other
        file.info["gray_and_alpha"] = mode == _GRAY_AND_ALPHA
        tiles.append(tile._replace(args=low if is_text else (low, *tile.args[1:])))
    file.tile = tiles  # type: ignore[attr-defined]


def _raw_mode(file: Image.Image) -> str:
    tiles: list[Any] = getattr(file, "tile", [])
    if not tiles:
        return ""
    args = tiles[0].args
    mode = args if isinstance(args, str) else args[0] if args else ""
    return str(mode or "")


def deep_pixels(high: Image.Image, low: Image.Image) -> tuple[NDArray[np.uint16], bool]:
    """The values of a deep colour file on black.

    Args:
        high, low: the file as Pillow loads it, and after ``set_to_low_bytes``.

    Returns:
        uint16 ``[H, W, 3]``, and whether an alpha channel varies.
    """
    upper, lower = np.asarray(high).astype(np.uint16), np.asarray(low).astype(np.uint16)
    if high.mode == "RGBA" and low.info.get("gray_and_alpha"):
        gray, alpha = _joined(lower[..., 0], lower[..., 1]), _joined(lower[..., 2], lower[..., 3])
        colours = np.repeat(gray[..., None], 3, axis=2)
        return _on_black(colours, alpha)
    values = _joined(upper, lower)
    if high.mode == "RGBA":
        return _on_black(values[..., :3], values[..., 3])
    if high.mode == "RGBa":  # on black already
        return values[..., :3].copy(), bool(np.ptp(values[..., 3]))
    transparent = high.info.get("transparency")
    if isinstance(transparent, tuple) and len(transparent) == 3:
        values[(values == np.array(transparent)).all(axis=2)] = 0
    return values, False


def _joined(upper: NDArray[np.uint16], lower: NDArray[np.uint16]) -> NDArray[np.uint16]:
    return (upper << 8 | lower).astype(np.uint16)


def _on_black(
    colours: NDArray[np.uint16], alpha: NDArray[np.uint16]
) -> tuple[NDArray[np.uint16], bool]:
    """An alpha channel that is the same everywhere says nothing about its white level: it counts as
    opaque."""
    low, high = int(alpha.min()), int(alpha.max())
    if low == high:
        return colours, False
    share = alpha[..., None] / np.float64(high)
    return (colours * share).round().astype(np.uint16), True
