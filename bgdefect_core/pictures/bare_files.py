"""Picture files without their metadata, for files whose metadata is what is damaged."""

from __future__ import annotations

from typing import Literal

__all__ = ["without_metadata"]

_TIFF_METADATA = frozenset({269, 270, 271, 272, 282, 283, 285, 296, 305, 306, 315, 316, 333, 337})
"""Tags that describe a TIFF: texts and the print resolution."""
_LAST_PIXEL_TAG = 532
"""Tags of TIFF beyond it are metadata too, such as EXIF, XMP and colour profiles."""


def without_metadata(content: bytes) -> tuple[bytes, bytes]:
    """The bytes of a PNG, JPEG or TIFF with all that decides about its pixels, and the EXIF data of
    the first two. Empty: of another format, or broken off."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return _png_without_metadata(content)
    if content.startswith(b"\xff\xd8"):
        return _jpeg_without_metadata(content)
    if content.startswith((b"II*\0", b"MM\0*")):
        return _tiff_without_metadata(content), b""
    return b"", b""


def _png_without_metadata(content: bytes) -> tuple[bytes, bytes]:
    pixels, exif = content[:8], b""
    start = 8
    while start + 12 <= len(content):
        end = start + 12 + int.from_bytes(content[start : start + 4], "big")
        kind = content[start + 4 : start + 8]
        is_critical = kind[:1].isupper()
        if is_critical or kind == b"tRNS":
            pixels += content[start:end]
        elif kind == b"eXIf":
            exif = content[start + 8 : end - 4]
        start = end
    return pixels, exif


def _jpeg_without_metadata(content: bytes) -> tuple[bytes, bytes]:
    pixels, exif = content[:2], b""
    start = 2
    while content[start : start + 1] == b"\xff":
        marker = content[start + 1]
        if marker == 0xDA:  # the scan: pixels up to the end
            return pixels + content[start:], exif
        end = start + 2 + int.from_bytes(content[start + 2 : start + 4], "big")
        is_metadata = 0xE1 <= marker <= 0xED or marker in (0xEF, 0xFE)
        if not is_metadata:
            pixels += content[start:end]
        elif content[start + 4 : start + 10] == b"Exif\0\0":
            exif = content[start + 4 : end]
        start = end
    return b"", b""


def _tiff_without_metadata(content: bytes) -> bytes:
    """The first picture of a TIFF, whose list of tags is written again at its place. Its
    orientation stays."""
    order: Literal["little", "big"] = "little" if content.startswith(b"II") else "big"
    start = int.from_bytes(content[4:8], order)
    count = int.from_bytes(content[start : start + 2], order)
    entries = b""
    for place in range(start + 2, start + 2 + 12 * count, 12):
        entry = content[place : place + 12]
        tag = int.from_bytes(entry[:2], order)
        if tag <= _LAST_PIXEL_TAG and tag not in _TIFF_METADATA:
            entries += entry
    no_further_picture = bytes(4)
    tags = (len(entries) // 12).to_bytes(2, order) + entries + no_further_picture
    return content[:start] + tags + content[start + len(tags) :]
