"""Pictures from files, at their depth or as 8 bits."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BGDefectError, PictureError
from ..paths import system_errors
from .decoding import bits_in_use, decode, holds_sixteen_bits
from .listing import picture_files
from .picture import Picture, Pixels

__all__ = [
    "MIN_SIDE",
    "folder_white_level",
    "load_picture",
    "read_of_folder",
    "read_picture",
    "white_level",
]

logger = logging.getLogger(__name__)

MIN_SIDE = 16
"""The shortest side, in pixels, of a usable picture."""
_OF_EACH = 64
_SPLITS = ("train", "test")


def read_picture(path: str | Path, white: int | None = None) -> Pixels:
    """The picture of ``load_picture`` as 8 bits: uint8 ``[H, W, 3]``, its own writable array."""
    return load_picture(path, white).eight_bit()


def load_picture(path: str | Path, white: int | None = None) -> Picture:
    """Read any common picture file.

    8 and 16 bits, gray (all channels equal), palette, CMYK; turned upright by its EXIF orientation.
    Transparency is composited on black: the colour of most inspection trays, and what lies under
    alpha 0 in most exports. Files of 16 bits, gray or colour, keep their values.

    Args:
        path: the file.
        white: ``white_level`` of the set of pictures that it belongs to. None: a 16-bit file
            decides by its own highest value, with a logged warning where that is below 16 bits.

    Raises:
        PictureError: missing, damaged, 32-bit or floating-point, or under 16 pixels on a side; the
            message names the file.
    """
    path = Path(path)
    pixels = decode(path, PictureError).pixels
    height, width = pixels.shape[:2]
    if min(height, width) < MIN_SIDE:
        expected = f"at least {MIN_SIDE} on each side"
        raise PictureError(f"{path} is {width} x {height} pixels", expected, "leave it out")
    if pixels.dtype == np.uint16:
        highest = int(pixels.max())
        bits = bits_in_use(highest if white is None else white)
        if white is None and bits < 16:
            text = "%s holds 16-bit numbers up to %d: taken for %d bits"
            logger.warning(text, path, highest, bits)
        level = 2**bits - 1
        return Picture(_three_channels(np.minimum(pixels, level)), level)
    return Picture(_three_channels(pixels).astype(np.uint8, copy=False))


def _three_channels(pixels: NDArray[Any]) -> NDArray[Any]:
    """``[H, W]`` or ``[H, W, 3]`` as a new ``[H, W, 3]``."""
    return np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels.copy()


def white_level(paths: Iterable[Path]) -> int | None:
    """The white level of a set of pictures: 255, 1023, 4095, 16383 or 65535, by the highest value
    of all its 16-bit files, gray or colour. A dark picture of a 12-bit camera so counts as 12 bits
    as the others do.

    Only 16-bit files are read for it. None: there are none, or none that can be read.
    """
    highest = None
    for path in paths:
        if not holds_sixteen_bits(path):
            continue
        try:
            pixels = decode(path, PictureError).pixels
        except BGDefectError:
            continue  # said when the picture is read
        highest = max(highest or 0, int(pixels.max()))
    if highest is None:
        return None
    bits = bits_in_use(highest)
    text = "16-bit pictures reach %d: all of them are taken for %d bits"
    logger.info(text, highest, bits)
    return int(2**bits - 1)


@lru_cache(maxsize=1024)
@system_errors(PictureError, "a folder that can be read")
def folder_white_level(folder: Path) -> int | None:
    """``white_level`` of the pictures that lie in a folder; decided once a process.

    In the folders of MVTec's layout the first ``_OF_EACH`` pictures of each other folder of the
    object count too: a class of dark defects is as deep as its good pictures.
    """
    if not folder.is_dir():
        return None
    pictures = picture_files(folder)
    for other in _folders_beside(folder):
        pictures += picture_files(other)[:_OF_EACH]
    return white_level(pictures)


def _folders_beside(folder: Path) -> list[Path]:
    """The other folders of pictures of an object: OBJECT/train/* and OBJECT/test/*."""
    if folder.parent.name.lower() not in _SPLITS:
        return []
    others: list[Path] = []
    for split in sorted(folder.parent.parent.iterdir()):
        if split.name.lower() in _SPLITS and split.is_dir():
            others += [entry for entry in sorted(split.iterdir()) if entry.is_dir()]
    return [entry for entry in others if entry != folder]


def read_of_folder(path: Path) -> Pixels:
    """``read_picture`` of a file that belongs to one set with the other pictures of its folder:
    their white level is its own.

    Raises:
        PictureError: as :func:`load_picture`, and for a folder that cannot be listed.
    """
    return read_picture(path, folder_white_level(path.parent))
