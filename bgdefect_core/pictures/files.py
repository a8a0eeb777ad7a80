"""Picture and mask files in and out.

In memory a picture is ``uint8 [H, W, 3]`` (RGB) and a mask ``bool [H, W]`` (True = defect). Every
file is written under a temporary name first, so that a killed run leaves either the old file or the
new one, never half of one.
"""

from __future__ import annotations

import logging
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from ..errors import BGDefectError, MaskError, PictureError
from ..files import atomic_write as atomic_write
from ..paths import system_errors
from .listing import PICTURE_SUFFIXES as PICTURE_SUFFIXES
from .masks import Mask, check_mask

logger = logging.getLogger(__name__)

Picture = NDArray[np.uint8]

MIN_SIDE = 16
"""The shortest side, in pixels, of a usable picture."""

_THRESHOLD = 127
_GRAYISH = (32, 223)
_GRAYISH_SHARE = 0.2
_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error)


def _decode(path: Path, error: type[BGDefectError]) -> NDArray[Any]:
    """The file's pixels, upright: uint8 [H, W, 3], or uint8 or uint16 [H, W] where it is gray."""
    with system_errors(error, "a picture file"):
        there = path.is_file()
    if not there:
        raise error(f"{path} is not a file", "a picture file", "check the path")
    try:
        with Image.open(path) as file:
            file.load()
            image = ImageOps.exif_transpose(file)
    except Image.DecompressionBombError as reason:
        came = f"{path} is above the size limit of Pillow's guard against decompression bombs ({reason})"
        raise error(came, "a smaller picture", "cut it into parts, or scale it down") from reason
    except _UNREADABLE as reason:
        raise error(
            f"{path} cannot be read ({reason})", "an intact picture file", "export it again"
        ) from reason
    if image.mode.startswith("I"):  # 16 bit gray: "I;16..." or, from older Pillow, "I"
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise error(
                f"{path} holds 32-bit numbers", "8 or 16 bits a channel", "convert it to 16 bits"
            )
        return values.astype(np.uint16)
    if image.mode == "F":
        raise error(
            f"{path} holds floating-point numbers",
            "8 or 16 bits a channel",
            "convert it to 16 bits",
        )
    if image.mode in ("1", "L") and "transparency" not in image.info:
        return np.asarray(image.convert("L"))
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        pixels = image.convert("RGBA")
        return np.asarray(
            Image.alpha_composite(Image.new("RGBA", pixels.size, (0, 0, 0, 255)), pixels).convert(
                "RGB"
            )
        )
    return np.asarray(image.convert("RGB"))


def _bits(pixels: NDArray[Any]) -> int:
    """Bits of a file's values: 8; of a file of 16 what it really holds, by its highest value: 8, 12
    (as many cameras write them) or 16."""
    if pixels.dtype != np.uint16:
        return 8
    highest = int(pixels.max())
    return 16 if highest > 4095 else 12 if highest > 255 else 8


def _eight_bits(pixels: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """What is above 8 bits loses its low ones, as Pillow itself reads 16-bit colour."""
    return (pixels >> (bits - 8) if bits > 8 else pixels).astype(np.uint8)


def read_picture(path: str | Path) -> Picture:
    """Read any common picture file.

    8 and 16 bits, gray (all channels equal), palette, CMYK; turned upright by its EXIF orientation.
    Transparency is composited on black: the colour of most inspection trays, and what lies under
    alpha 0 in most exports. A 16-bit gray file without a value above 4095 is taken for 12 bits, one
    without a value above 255 for 8, with a logged warning.

    Returns:
        uint8 [H, W, 3], its own writable array.

    Raises:
        PictureError: missing, damaged, 32-bit or floating-point, or under 16 pixels on a side; the
            message names the file.
    """
    path = Path(path)
    pixels = _decode(path, PictureError)
    height, width = pixels.shape[:2]
    if min(height, width) < MIN_SIDE:
        expected = f"at least {MIN_SIDE} on each side"
        raise PictureError(f"{path} is {width} x {height} pixels", expected, "leave it out")
    bits = _bits(pixels)
    if pixels.dtype == np.uint16 and bits < 16:
        logger.warning(
            "%s holds 16-bit numbers up to %d: taken for %d bits", path, pixels.max(), bits
        )
    pixels = _eight_bits(pixels, bits)
    return np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels


def read_mask(
    path: str | Path, size: tuple[int, int] | None = None, *, nonzero: bool = False
) -> Mask:
    """Read a mask file: white = defect, black = background.

    Values above 127 are defect, with a logged warning where grayish ones (32 to 223) occur. A
    colour counts by its strongest channel, transparency as black. 16-bit files may hold 8, 12 or 16
    bits, as for ``read_picture``.

    Args:
        path: the mask file.
        size: (height, width) of its picture; None: any.
        nonzero: MVTec LOCO's definition: every value but 0 is defect (there the value names the
            defect's entry in ``defects_config.json``).

    Returns:
        bool [H, W], with at least one pixel of either kind.

    Raises:
        MaskError: missing, damaged, of another size, empty, full, or no mask at all (over 20 % of
            its non-zero pixels are grayish); the message names the file.
    """
    path = Path(path)
    pixels = _decode(path, MaskError)
    if pixels.ndim == 3:
        pixels = pixels.max(axis=2)
    if nonzero:
        mask = pixels > 0
    else:
        bits = _bits(pixels)
        values = _eight_bits(pixels, bits)
        mask = values > _THRESHOLD
        _warn_if_grayish(path, values)
        if pixels.any() and not mask.any() and (size is None or mask.shape == tuple(size)):
            most = 2**bits - 1
            came = f"{path} has no value in the upper half (its highest is {int(pixels.max())} of {most})"
            raise MaskError(
                came, f"{most} where the defect is", f"scale its values to 0 and {most}"
            )
    check_mask(mask, size, str(path))
    return mask


def _warn_if_grayish(path: Path, values: NDArray[np.uint8]) -> None:
    """Refuse a photograph given for a mask; warn of soft edges."""
    grayish = int(np.count_nonzero((values >= _GRAYISH[0]) & (values <= _GRAYISH[1])))
    share = grayish / max(int(np.count_nonzero(values)), 1)
    if share > _GRAYISH_SHARE:
        came = f"{path} is no mask: {share:.0%} of its non-zero pixels lie between {_GRAYISH[0]} and {_GRAYISH[1]}"
        raise MaskError(came, "black and white", "check that this is not the picture itself")
    if grayish:
        logger.warning("%s has %d grayish pixels: thresholded at %d", path, grayish, _THRESHOLD)


def read_masks(
    paths: Sequence[str | Path],
    name: str,
    size: tuple[int, int] | None = None,
    *,
    nonzero: bool = False,
) -> Mask:
    """The union of a defect's mask files, one or more.

    Args:
        paths, size, nonzero: as for :func:`read_mask`; without ``size`` the first file's is asked
            of the others.
        name: of the union, in its error.

    Raises:
        MaskError: as :func:`read_mask`, and where the union is no mask: it may be full.
    """
    union = read_mask(paths[0], size, nonzero=nonzero)
    for path in paths[1:]:
        union |= read_mask(path, (union.shape[0], union.shape[1]), nonzero=nonzero)
    check_mask(union, size, name)
    return union


def write_picture(path: str | Path, picture: NDArray[np.uint8]) -> None:
    """Write ``uint8 [H, W, 3]`` (RGB) or ``[H, W]`` (gray) as PNG, atomically.

    Raises:
        PictureError: another type or shape. OutputError: see ``atomic_write``.
    """
    if picture.dtype != np.uint8 or not (
        picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] == 3)
    ):
        came = f"{path} would hold {picture.dtype} {list(picture.shape)}"
        raise PictureError(came, "uint8 [H, W, 3] or [H, W]", "convert it first")
    with atomic_write(path) as file:
        Image.fromarray(np.ascontiguousarray(picture)).save(file, format="PNG")


def write_mask(path: str | Path, mask: Mask) -> None:
    """Write ``bool [H, W]`` as an 8-bit gray PNG of 0 and 255, atomically. An empty label is
    written too.

    Raises:
        OutputError: see ``atomic_write``.
    """
    write_picture(path, np.where(mask, np.uint8(255), np.uint8(0)))
