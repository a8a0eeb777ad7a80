"""The one decoder of picture and mask files.

A file's metadata never decides about its pixels: only the orientation is used, and metadata that
cannot be read is left out with a logged warning. Whatever a decoder raises becomes an error of
ours.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from ..errors import BGDefectError, MaskError
from ..paths import system_errors
from .bare_files import without_metadata
from .deep_colour import deep_pixels, is_deep_colour, set_to_low_bytes
from .jpeg_colour import corrected_jpeg
from .unknown_files import unknown_format

__all__ = [
    "Decoded",
    "bits_in_use",
    "decode",
    "holds_sixteen_bits",
    "is_plain_png",
    "orientation_of",
]

logger = logging.getLogger(__name__)

_ORIENTATION = 0x0112
_PHOTOMETRIC = 262
_MIN_IS_WHITE = 0
_BITS, _PLANES = 258, 284
_SEPARATE = 2
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ALPHA_MODES = ("LA", "La", "PA", "RGBA", "RGBa")


@dataclass(frozen=True, eq=False)
class Decoded:
    """What a file holds, turned upright."""

    pixels: NDArray[Any]
    """uint8 or uint16 ``[H, W, 3]``, or ``[H, W]`` where it is gray. Transparency is composited on
    black; an alpha channel of one value hides nothing."""
    orientation: int
    """EXIF orientation, 1 to 8; 1: the file is stored upright."""
    colours: NDArray[np.uint8] | None
    """Of a palette file: the colours of its indices as they are shown, ``[256, 3]``."""
    indices: NDArray[np.uint8] | None
    """Of a palette file: the index of each pixel, ``[H, W]``."""
    alpha_varies: bool
    """Whether an alpha channel holds more than one value."""
    white_is_zero: bool
    """A bilevel TIFF whose tag says that 0 is white. Libraries also write it for label arrays, in
    which 0 is the background."""


def decode(path: Path, error: type[BGDefectError]) -> Decoded:
    """Read the pixels of a file.

    Args:
        path: a picture or mask file; of several frames the first is read, with a logged warning.
        error: ``PictureError`` or ``MaskError``.

    Raises:
        BGDefectError: of the kind ``error``: missing, damaged, above Pillow's size limit, 32-bit or
            floating-point.
    """
    with system_errors(error, "a picture file"):
        is_file = path.is_file()
        is_empty = is_file and path.stat().st_size == 0
    if not is_file:
        raise error(f"{path} is not a file", "a picture file", "check the path")
    if is_empty:
        raise error(f"{path} is empty (0 bytes)", "a picture file", "copy or export it again")
    with _decoder_errors(path, error):
        image, orientation = _load(path)
        return _decoded(path, image, orientation, error)


@contextmanager
def _decoder_errors(path: Path, error: type[BGDefectError]) -> Iterator[None]:
    """Within it, whatever a decoder raises is ``error``, and its warnings are logged."""
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        try:
            yield
        except BGDefectError:
            raise
        except Image.DecompressionBombError as reason:
            limit = "the size limit of Pillow's guard against decompression bombs"
            came = f"{path} is above {limit} ({reason})"
            raise error(
                came, "a smaller picture", "cut it into parts, or scale it down"
            ) from reason
        except UnidentifiedImageError as reason:
            raise unknown_format(path, error) from reason
        # Decoders raise nearly every type of exception for a damaged file. Nothing else runs here:
        # no callback, hence no cancellation, which is an Exception in ComfyUI.
        except Exception as reason:
            came = f"{path} cannot be read ({reason or type(reason).__name__})"
            raise error(came, "an intact picture file", "export it again") from reason
    for note in notes:
        logger.warning("%s: %s", path, note.message)


def _load(path: Path) -> tuple[Image.Image, int]:
    """The file's first frame, turned upright, and the orientation in which it is stored."""
    content = _jpeg_content(path)
    try:
        return _load_file(path, content)
    except Image.DecompressionBombError:
        raise
    except Exception as reason:  # metadata may be what is damaged: see _decoder_errors
        pixels_only, exif = without_metadata(content or path.read_bytes())
        if not pixels_only:
            raise
        try:
            image, orientation = _load_file(path, pixels_only)
        except Exception:
            raise reason from None
        logger.warning("%s: read without its metadata (%s)", path, reason)
        if not exif:
            return image, orientation
        stored = Image.Exif()
        stored.load(exif)
        orientation = _orientation(path, stored)
        return _upright(image, orientation), orientation


def _jpeg_content(path: Path) -> bytes:
    """The content of a JPEG, whose colour markers are made to fit its channels; empty for other
    formats."""
    with path.open("rb") as file:
        if file.read(2) != b"\xff\xd8":
            return b""
    content, note = corrected_jpeg(path.read_bytes())
    if note:
        logger.warning("%s: %s", path, note)
    return content


def _load_file(path: Path, content: bytes) -> tuple[Image.Image, int]:
    """As :func:`_load`, from the content where there is one, else from the file."""

    def source() -> Path | IO[bytes]:
        return io.BytesIO(content) if content else path

    with Image.open(source()) as file:
        low = _low_bytes(source()) if is_deep_colour(file) else None
        frames = getattr(file, "n_frames", 1)
        if frames > 1:
            logger.warning("%s has %d frames: only the first is read", path, frames)
        tags = file.tag_v2 if isinstance(file, TiffImageFile) else {}
        stored = tags.get(_ORIENTATION)
        file.load()  # turns a TIFF by itself, and removes its orientation then
        try:
            exif = file.getexif()
        except Exception as reason:  # see _decoder_errors
            logger.warning("%s: its EXIF data cannot be read (%s)", path, reason)
            exif = Image.Exif()
        image = file.copy()
        image.info["min_is_white"] = tags.get(_PHOTOMETRIC) == _MIN_IS_WHITE
        bits: Any = tags.get(_BITS, (1,))
        image.info["deep_planes"] = max(bits) > 8 and tags.get(_PLANES) == _SEPARATE
        orientation = _orientation(path, exif)
        if low is not None:
            image.info["low_bytes"] = _upright(low, orientation)
        return _upright(image, orientation), stored if stored in _TURNS else orientation


def _low_bytes(source: Path | IO[bytes]) -> Image.Image:
    """The low bytes of a file of 16-bit colour, turned as a TIFF turns itself."""
    with Image.open(source) as file:
        set_to_low_bytes(file)
        return file.copy()


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    info = image.info
    turned = image.transpose(_TURNS[orientation]) if orientation in _TURNS else image
    turned.info = info
    return turned


def _orientation(path: Path, exif: Image.Exif) -> int:
    try:
        orientation = exif.get(_ORIENTATION, 1)
    except Exception as reason:  # see _decoder_errors
        logger.warning("%s: its EXIF orientation cannot be read (%s)", path, reason)
        return 1
    return orientation if orientation in _TURNS else 1


def _decoded(
    path: Path, image: Image.Image, orientation: int, error: type[BGDefectError]
) -> Decoded:
    min_is_white = bool(image.info["min_is_white"])
    colours = indices = None
    pixels: NDArray[Any]
    alpha_varies = False
    low = image.info.get("low_bytes")
    if image.info["deep_planes"] and len(image.getbands()) > 1:  # Pillow gives other values
        came = f"{path} is a TIFF of 16 bits that stores each channel apart (PlanarConfiguration 2)"
        raise error(came, "the channels of a pixel together", "save it so, or as a 16-bit PNG")
    if low is not None:
        pixels, alpha_varies = deep_pixels(image, low)
    elif image.mode.startswith("I"):  # 16 bit gray: "I;16...", or "I" of 32 bits
        pixels = _sixteen_bits(path, image, min_is_white, error)
    elif image.mode == "F":
        do = "convert it to 16 bits"
        if error is MaskError:
            do = "save it as 8 bits with 0 and 255"
        raise error(f"{path} holds floating-point numbers", "8 or 16 bits a channel", do)
    elif image.mode in ("1", "L") and "transparency" not in image.info:
        pixels = np.asarray(image.convert("L"))
    elif image.mode in _ALPHA_MODES or "transparency" in image.info:
        pixels, alpha_varies = _on_black(path, image.convert("RGBA"))
    else:
        pixels = np.asarray(image.convert("RGB"))
    if image.mode == "P":
        indices = np.asarray(image)
        colours = np.zeros((256, 3), np.uint8)
        colours[indices] = pixels
    bilevel_white_is_zero = image.mode == "1" and min_is_white
    return Decoded(pixels, orientation, colours, indices, alpha_varies, bilevel_white_is_zero)


def _on_black(path: Path, rgba: Image.Image) -> tuple[NDArray[np.uint8], bool]:
    """The colours, uint8 ``[H, W, 3]``, and whether the alpha channel varies. One of a single
    value holds no shape, and often nothing at all: programs leave its bytes unset."""
    pixels = np.asarray(rgba)
    alpha = int(pixels[0, 0, 3])
    if (pixels[..., 3] == alpha).all():
        if alpha < 255:
            logger.warning("%s: its alpha channel is %d everywhere: not used", path, alpha)
        return pixels[..., :3], False
    black = Image.new("RGBA", rgba.size, (0, 0, 0, 255))
    return np.asarray(Image.alpha_composite(black, rgba).convert("RGB")), True


def _sixteen_bits(
    path: Path, image: Image.Image, min_is_white: bool, error: type[BGDefectError]
) -> NDArray[np.uint16]:
    stored = np.asarray(image)
    if stored.min() < 0 or stored.max() > 65535:
        came = f"{path} holds numbers from {stored.min()} to {stored.max()}"
        raise error(came, "0 to 65535: 8 or 16 bits a channel", "convert it to 16 bits")
    values = stored.astype(np.uint16)
    if min_is_white:  # Pillow inverts such files of up to 8 bits by itself
        return 65535 - values
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        values[values == transparent] = 0
    return values


def orientation_of(path: Path) -> int:
    """EXIF orientation of a file that ``decode`` reads: 1 to 8."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as file:
                return _orientation(path, file.getexif())
    except Exception:  # see _decoder_errors
        return decode(path, MaskError).orientation


def holds_sixteen_bits(path: Path) -> bool:
    """Whether a file has 16 bits a channel, gray or colour; False for one that cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as file:
                return file.mode.startswith("I") or is_deep_colour(file)
    except Exception:  # see _decoder_errors
        return False


def is_plain_png(path: Path) -> bool:
    """Whether any reader gives the pixels that ``decode`` gives: an upright PNG of 8 bits, RGB or
    gray, without transparency or damaged metadata."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as file:
                is_plain = file.format == "PNG" and file.mode in ("RGB", "L")
                is_plain = is_plain and not is_deep_colour(file)
                is_opaque = "transparency" not in file.info
                return is_plain and is_opaque and _orientation(path, file.getexif()) == 1
    except Exception:  # see _decoder_errors
        return False


def bits_in_use(highest: int) -> int:
    """Bits of a 16-bit file by its highest value: 8; 10, 12 or 14, as many cameras write them; or
    16."""
    for bits in (8, 10, 12, 14):
        if highest < 2**bits:
            return bits
    return 16
