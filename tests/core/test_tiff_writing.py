"""TIFF files hold the very values of pictures of any depth. The tests read them with a decoder
written out here; once, by hand, tifffile 2026 and OpenCV 4 read the same."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bgdefect_core.errors import PictureError
from bgdefect_core.pictures.decoding import decode
from bgdefect_core.pictures.picture import Picture
from bgdefect_core.pictures.reading import load_picture
from bgdefect_core.pictures.writing import encode_picture, write_picture

SIZE = (37, 53)


def noise(white: int) -> Picture:
    kind = np.uint8 if white == 255 else np.uint16
    pixels = np.random.default_rng(white).integers(0, white + 1, (*SIZE, 3)).astype(kind)
    return Picture(pixels, white)


def decoded_by_hand(content: bytes) -> np.ndarray:
    """A little-endian file of one strip of 16-bit RGB, packed by deflate, with differences."""
    mark, version, place = struct.unpack_from("<2sHI", content)
    assert (mark, version) == (b"II", 42)
    (count,) = struct.unpack_from("<H", content, place)
    tags: dict[int, int] = {}
    for number in range(count):
        tag, kind, length, value = struct.unpack_from("<HHII", content, place + 2 + 12 * number)
        tags[tag] = value if kind == 4 or length > 1 else value & 0xFFFF
    assert struct.unpack_from("<3H", content, tags[258]) == (16, 16, 16)
    assert (tags[259], tags[262], tags[277], tags[317]) == (8, 2, 3, 2)
    strip = content[tags[273] : tags[273] + tags[279]]
    shape = (tags[257], tags[256], 3)
    differences = np.frombuffer(zlib.decompress(strip), "<u2").reshape(shape)
    return np.cumsum(differences, axis=1, dtype=np.uint16)


@pytest.mark.parametrize("white", [255, 1023, 4095, 65535])
@pytest.mark.parametrize("image_format", ["png", "tiff"])
def test_colour_comes_back_in_all_bits(white: int, image_format: str, tmp_path: Path) -> None:
    picture = noise(white)
    path = tmp_path / f"a.{image_format}"
    write_picture(path, picture, image_format)  # type: ignore[arg-type]
    back = load_picture(path, white)
    assert back.white == white and back.pixels.dtype == picture.pixels.dtype
    assert np.array_equal(back.pixels, picture.pixels)
    with Image.open(path) as file:
        assert file.format == image_format.upper()


def test_deep_colour_by_hand() -> None:
    picture = noise(65535)
    assert np.array_equal(decoded_by_hand(encode_picture(picture, "a", "tiff")), picture.pixels)


def test_gray_stays_gray(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 4096, SIZE).astype(np.uint16)
    write_picture(tmp_path / "a.tif", Picture(np.repeat(values[..., None], 3, 2), 4095), "tiff")
    assert np.array_equal(decode(tmp_path / "a.tif", PictureError).pixels, values)
    with Image.open(tmp_path / "a.tif") as file:  # as any reader gets it
        assert np.array_equal(np.asarray(file), values)
