"""What a file is that no decoder reads: the error about it names its format where it is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL.TiffImagePlugin import ImageFileDirectory_v2

from ..errors import BGDefectError

__all__ = ["unknown_format"]

_BITS, _CHANNELS, _NUMBER_KIND = 258, 277, 339
_NUMBERS = {2: ", signed", 3: ", floating-point", 5: ", complex", 6: ", complex"}
_NO_PICTURES = (
    (b"version https://git-lfs", "a Git LFS pointer", "run `git lfs pull` in its repository"),
    (b"<!doctype", "a web page under this name", "download the file itself"),
    (b"<html", "a web page under this name", "download the file itself"),
    (b"\0\5\x16\7", "a file that macOS writes beside the real one", "leave it out"),
    (b"ftyphei", "a HEIC picture", "save it as PNG, or as JPEG of high quality"),
    (b"ftypmif1", "a HEIC picture", "save it as PNG, or as JPEG of high quality"),
    (b"%pdf", "a PDF file", "export its picture as PNG"),
    (b"8bps", "a Photoshop file", "export it as PNG"),
    (b"<svg", "an SVG drawing", "export it as PNG"),
    (b"<?xml", "an XML file under this name", "download or export the picture itself"),
    (b'{"', "a JSON file under this name", "download or export the picture itself"),
    (b"pk\3\4", "a ZIP archive", "unpack it"),
    (b"\x1f\x8b\x08", "a gzip archive", "unpack it"),
    (bytes(20), "a file of zeros, as a copy that broke off leaves it", "copy it again"),
)
"""What a file begins with, at its start or after four bytes; what it is, and what to do."""


def unknown_format(path: Path, error: type[BGDefectError]) -> BGDefectError:
    """The error about a file of a format that is not read; it names the format where it is
    known."""
    with path.open("rb") as file:
        start = file.read(24)
    expected = "an intact PNG, JPEG, BMP, TIFF or WebP of 8 or 16 bits a channel"
    for begin, kind, do in _NO_PICTURES:
        if start.lower().startswith(begin) or start[4:].lower().startswith(begin):
            return error(f"{path} is {kind}", expected, do)
    if start.startswith((b"II*\0", b"MM\0*")):
        return error(_tiff_shown(path), expected, "convert it to a PNG or TIFF of 16 bits")
    came = f"{path} cannot be read: its format is unknown, or it is damaged"
    came += f" (it begins with {start!r})"
    return error(came, expected, "convert it, or export it again")


def _tiff_shown(path: Path) -> str:
    """What a TIFF holds that no decoder reads, by its tags."""
    try:
        with path.open("rb") as file:
            tags = ImageFileDirectory_v2(file.read(8))
            file.seek(tags.next)
            tags.load(file)
        bits: Any = max(tags[_BITS])
        kind: Any = tags.get(_NUMBER_KIND, (1,))[0]
        channels = int(tags.get(_CHANNELS, 1))
    except Exception:  # Pillow raises nearly every type for damaged tags
        return f"{path} begins as a TIFF, but its tags cannot be read"
    numbers = f"channels: {channels}, bits: {bits}{_NUMBERS.get(kind, '')}"
    return f"{path} is a TIFF of a kind that is not read ({numbers})"
