"""PNG and TIFF files with 16 bits of colour, which Pillow cannot write.

The core needs only what ComfyUI ships; of that, no library that it depends on writes such files. A
PNG of one kind is four chunks and the zlib of Python, a TIFF of one kind a strip and Pillow's own
directory of tags, and every reader reads them. Tests read them back with other decoders.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL.TiffImagePlugin import ImageFileDirectory_v2

__all__ = ["png_of_deep_colour", "tiff_of_deep_colour"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_DEPTH, _RGB = 16, 2
_UP = 2
"""Filter of a row: differences to the row above, byte by byte."""
_COMPRESSION = 1
_TIFF_HEADER = 8
"""Bytes before the directory."""
_WIDTH, _HEIGHT, _BITS, _PACKED, _PHOTOMETRIC = 256, 257, 258, 259, 262
_STRIP_BEGIN, _SAMPLES, _STRIP_ROWS, _STRIP_BYTES, _PREDICTOR = 273, 277, 278, 279, 317
_DEFLATE, _DIFFERENCES, _LONG = 8, 2, 4


def png_of_deep_colour(pixels: NDArray[np.uint16]) -> bytes:
    """A PNG file of uint16 ``[H, W, 3]``, RGB."""
    height, width = pixels.shape[:2]
    rows = pixels.astype(">u2").reshape(height, 3 * width).view(np.uint8)
    above = np.concatenate([np.zeros((1, rows.shape[1]), np.uint8), rows[:-1]])
    filters = np.full((height, 1), _UP, np.uint8)
    lines = np.concatenate([filters, rows - above], axis=1)
    header = struct.pack(">IIBBBBB", width, height, _DEPTH, _RGB, 0, 0, 0)
    content = zlib.compress(lines.tobytes(), _COMPRESSION)
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", content) + _chunk(b"IEND", b"")
    return _SIGNATURE + chunks


def tiff_of_deep_colour(pixels: NDArray[np.uint16]) -> bytes:
    """A TIFF file of uint16 ``[H, W, 3]``, RGB: one strip, packed as PNG packs, each value as the
    difference to the one at its left."""
    height, width = pixels.shape[:2]
    left = np.concatenate([np.zeros_like(pixels[:, :1]), pixels[:, :-1]], axis=1)
    content = zlib.compress((pixels - left).astype("<u2").tobytes(), _COMPRESSION)
    tags = ImageFileDirectory_v2()
    for number, value in (
        (_WIDTH, width),
        (_HEIGHT, height),
        (_BITS, (_DEPTH,) * 3),
        (_PACKED, _DEFLATE),
        (_PHOTOMETRIC, _RGB),
        (_STRIP_BEGIN, 0),  # behind the directory, says Pillow
        (_SAMPLES, 3),
        (_STRIP_ROWS, height),
        (_STRIP_BYTES, len(content)),
        (_PREDICTOR, _DIFFERENCES),
    ):
        tags[number] = value
    tags.tagtype[_STRIP_BEGIN] = _LONG
    return struct.pack("<2sHI", b"II", 42, _TIFF_HEADER) + tags.tobytes(_TIFF_HEADER) + content


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)
