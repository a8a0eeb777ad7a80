"""What the colour channels of a JPEG are, where its Adobe marker contradicts its frame.

The decoder believes the marker APP14 (or that of JFIF). A marker that a program changed, copied or
broke off turns a picture green, or into its negative. The frame itself shows what its channels are:
only chroma is subsampled, and only chroma has a quantisation table apart from luma.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

__all__ = ["corrected_jpeg"]

_APP0, _APP14 = 0xE0, 0xEE
_SCAN = 0xDA
_NOT_FRAMES = (0xC4, 0xC8, 0xCC)
_ADOBE, _WHOLE = b"Adobe", 12
_RGB_NAMES = (ord("R"), ord("G"), ord("B"))
_YCC_NAMES = (1, 2, 3)
Colours = Literal["RGB", "YCbCr", "CMYK", "YCCK", ""]
_TRANSFORMS: dict[Colours, int] = {"RGB": 0, "YCbCr": 1, "CMYK": 0, "YCCK": 2}


@dataclass
class _Header:
    """What stands before the first scan."""

    names: tuple[int, ...] = ()
    """Of the channels, as the frame numbers them."""
    sampling: tuple[int, ...] = ()
    tables: tuple[int, ...] = ()
    """Number of each channel's quantisation table."""
    has_jfif: bool = False
    has_adobe: bool = False
    """Also where it is broken off."""
    transform: int | None = None
    """The Adobe marker's; None: it has none that a decoder reads."""
    markers: list[tuple[int, int]] = field(default_factory=list)
    """Start and end of each marker that decides about colours."""


def corrected_jpeg(content: bytes) -> tuple[bytes, str]:
    """A JPEG file with a marker that says what its channels are.

    Args:
        content: of the file.

    Returns:
        The content, changed only where its markers contradict its frame, and what was wrong, for
        the log; empty where nothing was.
    """
    header = _read_header(content)
    if len(header.names) == 4:
        return _corrected_four(content, header)
    if len(header.names) != 3:
        return content, ""
    is_chroma = _is_chroma(header)
    taken = _as_taken(header)
    shown: Colours = ""
    if is_chroma:
        shown = "YCbCr"
    elif header.names == _RGB_NAMES and len(set(header.tables)) == 1:
        shown = "RGB"
    if shown and shown != taken:
        marker = "Adobe" if header.has_adobe else "JFIF"
        note = f"its {marker} marker means {taken}, its channels are {shown}: read as {shown}"
        return _with_marker(content, header, shown), note
    if header.has_adobe and header.transform not in (0, 1):
        return content, f"its Adobe marker is broken: its colours are read as {taken}"
    return content, ""


def _corrected_four(content: bytes, header: _Header) -> tuple[bytes, str]:
    shown: Colours = "YCCK" if _is_chroma(header) else ""
    if header.transform in (0, 2):
        taken: Colours = "YCCK" if header.transform == 2 else "CMYK"
        if not shown or shown == taken:
            return content, ""
        note = f"its Adobe marker means {taken}, its channels are {shown}: read as {shown}"
        return _with_marker(content, header, shown), note
    broken = "a broken" if header.has_adobe else "no"
    colours = shown or "CMYK"
    note = (
        f"{broken} Adobe marker in a JPEG of four channels: read as {colours}, inverted as Adobe "
        "writes it; if the picture is a negative, save it as RGB"
    )
    return _with_marker(content, header, colours), note


def _as_taken(header: _Header) -> Colours:
    """What libjpeg takes three channels for."""
    if header.has_jfif:
        return "YCbCr"
    if header.transform is not None:
        return "RGB" if header.transform == 0 else "YCbCr"
    return "RGB" if header.names == _RGB_NAMES else "YCbCr"


def _is_chroma(header: _Header) -> bool:
    """Whether the second and third channel are chroma."""
    subsampled = header.sampling[1] == header.sampling[2] != header.sampling[0]
    apart = header.tables[1] == header.tables[2] != header.tables[0]
    return subsampled or (apart and header.names[:3] == _YCC_NAMES)


def _read_header(content: bytes) -> _Header:
    header = _Header()
    start = 2
    while content[start : start + 1] == b"\xff":
        if content[start + 1 : start + 2] == b"\xff":  # padding
            start += 1
            continue
        marker = content[start + 1] if start + 1 < len(content) else _SCAN
        if marker == _SCAN:
            break
        end = start + 2 + int.from_bytes(content[start + 2 : start + 4], "big")
        payload = content[start + 4 : end]
        if marker == _APP0 and payload.startswith(b"JFIF\0"):
            header.has_jfif = True
            header.markers.append((start, end))
        elif marker == _APP14 and payload.startswith(_ADOBE):
            header.has_adobe = True
            header.transform = payload[_WHOLE - 1] if len(payload) >= _WHOLE else header.transform
            header.markers.append((start, end))
        elif 0xC0 <= marker <= 0xCF and marker not in _NOT_FRAMES and len(payload) >= 6:
            channels = payload[6 : 6 + 3 * payload[5]]
            header.names = tuple(channels[0::3])
            header.sampling = tuple(channels[1::3])
            header.tables = tuple(channels[2::3])
        start = end
    if not len(header.names) == len(header.sampling) == len(header.tables):
        header.names = ()
    return header


def _with_marker(content: bytes, header: _Header, colours: Colours) -> bytes:
    """The file with one Adobe marker in place of the markers that decide about its colours."""
    marker = b"\xff" + bytes([_APP14]) + (2 + _WHOLE).to_bytes(2, "big")
    marker += _ADOBE + (100).to_bytes(2, "big") + bytes(4) + bytes([_TRANSFORMS[colours]])
    parts = [content[:2], marker]
    rest = 2
    for start, end in header.markers:
        parts.append(content[rest:start])
        rest = end
    parts.append(content[rest:])
    return b"".join(parts)
