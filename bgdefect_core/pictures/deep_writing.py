"""PNG files with 16 bits of colour, which Pillow cannot write.

The core needs only what ComfyUI ships; of that, no library that it depends on writes such files. A
PNG of one kind is four chunks and the zlib of Python, and every reader of PNG reads it. Tests read
it back with other decoders.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

__all__ = ["png_of_deep_colour"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_DEPTH, _RGB = 16, 2
_UP = 2
"""Filter of a row: differences to the row above, byte by byte."""
_COMPRESSION = 1


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


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)
