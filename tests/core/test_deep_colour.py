"""Colour files of 16 bits a channel keep their values, and share the white level of their set."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bgdefect_core.errors import PictureError
from bgdefect_core.pictures.decoding import decode, is_plain_png
from bgdefect_core.pictures.mask_reading import read_mask
from bgdefect_core.pictures.reading import folder_white_level, load_picture, white_level

from .test_bad_pictures import png_chunk

RNG = np.random.default_rng(0)
SHADES = RNG.integers(0, 256, (24, 32, 3)).astype(np.uint16)
SHADES[0, 0] = 255
_PNG_TYPES = {2: 4, 3: 2, 4: 6}


def deep_png(path: Path, pixels: np.ndarray, interlaced: bool = False) -> Path:
    """A PNG of 16 bits: ``[H, W, 3]`` is RGB, with 4 channels RGBA, with 2 gray and alpha."""
    height, width, channels = pixels.shape
    parts = [pixels]
    if interlaced:  # Adam7: the passes one after another
        starts = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4))
        starts += ((2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
        parts = [pixels[top::down, left::right] for top, left, down, right in starts]
    rows = []
    for part in parts:
        for number, row in enumerate(part.astype(">u2")):
            line = np.frombuffer(row.tobytes(), np.uint8)
            before = np.concatenate([np.zeros(2 * channels, np.uint8), line[: -2 * channels]])
            rows.append(b"\1" + (line - before).tobytes() if number % 2 else b"\0" + line.tobytes())
    kind = _PNG_TYPES[channels]
    header = struct.pack(">LLBBBBB", width, height, 16, kind, 0, 0, int(interlaced))
    content = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header)
    content += png_chunk(b"IDAT", zlib.compress(b"".join(rows))) + png_chunk(b"IEND", b"")
    path.write_bytes(content)
    return path


def deep_tiff(path: Path, pixels: np.ndarray, order: str = "<", orientation: int = 1) -> Path:
    """An uncompressed RGB TIFF of 16 bits in two strips, in either byte order."""
    height, width = pixels.shape[:2]
    data = pixels.astype(f"{order}u2").tobytes()
    half = height // 2 * width * 6
    extra = struct.pack(f"{order}3H2L2L", 16, 16, 16, 0, 0, half, len(data) - half)
    entries = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 3, 0), (259, 3, 1, 1)]
    entries += [(262, 3, 1, 2), (273, 4, 2, 0), (274, 3, 1, orientation), (277, 3, 1, 3)]
    entries += [(278, 4, 1, height // 2), (279, 4, 2, 0)]
    at = 8 + 2 + 12 * len(entries) + 4
    places = {258: at, 273: at + 6, 279: at + 14}
    start = at + len(extra)
    extra = extra[:6] + struct.pack(f"{order}2L", start, start + half) + extra[14:]
    fields = b""
    for tag, kind, count, value in entries:
        value = places.get(tag, value)
        is_short = kind == 3 and tag not in places
        text = struct.pack(f"{order}HH", value, 0) if is_short else struct.pack(f"{order}L", value)
        fields += struct.pack(f"{order}HHL", tag, kind, count) + text
    mark = b"II*\0" if order == "<" else b"MM\0*"
    directory = struct.pack(f"{order}LH", 8, len(entries)) + fields + bytes(4)
    path.write_bytes(mark + directory + extra + data)
    return path


def compressed_tiff(path: Path, pixels: np.ndarray) -> Path:
    """An LZW file, whose decoder gives values in this machine's byte order."""
    plain = deep_tiff(path.with_suffix(".plain"), pixels).read_bytes()
    packed = zlib.compress(plain[-pixels.nbytes :])
    content = plain[: -pixels.nbytes].replace(
        struct.pack("<HHLHH", 259, 3, 1, 1, 0), struct.pack("<HHLHH", 259, 3, 1, 8, 0)
    )
    content = content.replace(
        struct.pack("<HHLL", 278, 4, 1, 12), struct.pack("<HHLL", 278, 4, 1, 24)
    )
    for tag in (273, 279):
        field = struct.pack("<HHL", tag, 4, 2)
        place = content.index(field)
        value = len(content) if tag == 273 else len(packed)
        content = content[:place] + struct.pack("<HHLL", tag, 4, 1, value) + content[place + 12 :]
    path.write_bytes(content + packed)
    return path


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("name", ["a.png", "i.png", "a.tif", "b.tif", "z.tif"])
def test_values_of_any_depth_are_scaled_to_white(tmp_path: Path, bits: int, name: str) -> None:
    pixels = (SHADES << (bits - 8)) | (SHADES >> (16 - bits))
    path = tmp_path / name
    if name.endswith("png"):
        deep_png(path, pixels, interlaced=name == "i.png")
    elif name == "z.tif":
        compressed_tiff(path, pixels)
    else:
        deep_tiff(path, pixels, "<" if name == "a.tif" else ">")
    assert np.array_equal(decode(path, PictureError).pixels, pixels)
    picture = load_picture(path)
    assert np.array_equal(picture.pixels, pixels) and picture.bits == bits
    assert np.array_equal(picture.eight_bit(), SHADES)
    assert not is_plain_png(path)


def test_the_set_decides_for_gray_and_colour_alike(tmp_path: Path) -> None:
    folder = tmp_path / "good"
    folder.mkdir()
    deep_png(folder / "bright.png", SHADES << 4)
    dark = deep_png(folder / "dark.png", SHADES)  # reaches 255 of 4095
    gray = np.full((24, 32), 100, np.uint16)
    Image.fromarray(gray).save(folder / "gray.png")
    assert white_level([dark, folder / "gray.png"]) == 255
    assert folder_white_level(folder) == 4095
    assert np.array_equal(load_picture(dark, 4095).eight_bit(), SHADES >> 4)
    assert load_picture(folder / "gray.png", 4095).eight_bit().max() == 100 >> 4


def test_transparency_of_deep_files_is_black(tmp_path: Path) -> None:
    alpha = np.zeros((24, 32, 1), np.uint16)
    alpha[8:] = 65535
    expected = SHADES.copy()
    expected[:8] = 0
    path = deep_png(tmp_path / "a.png", np.concatenate([SHADES << 4, alpha], axis=2))
    assert np.array_equal(load_picture(path, 4095).eight_bit(), expected)
    gray = SHADES[..., :1]
    path = deep_png(tmp_path / "g.png", np.concatenate([gray << 4, alpha], axis=2))
    assert np.array_equal(load_picture(path, 4095).eight_bit()[..., 1:2], expected[..., :1])


def test_a_deep_file_is_turned_with_its_orientation(tmp_path: Path) -> None:
    path = deep_tiff(tmp_path / "a.tif", SHADES << 4, orientation=6)
    turned = np.rot90(SHADES, -1)
    assert np.array_equal(load_picture(path, 4095).pixels, turned << 4)


def test_masks_of_deep_colour(tmp_path: Path) -> None:
    spot = np.zeros((24, 32), np.bool_)
    spot[5:12, 8:20] = True
    path = deep_png(tmp_path / "m.png", np.where(spot[..., None], 4095, np.zeros(3, np.uint16)))
    assert np.array_equal(read_mask(path), spot)


def test_a_class_of_dark_defects_is_as_deep_as_its_good_pictures(tmp_path: Path) -> None:
    """All folders of an object are one set."""
    dark, good = tmp_path / "nut" / "test" / "pit", tmp_path / "nut" / "train" / "good"
    for folder, value in ((dark, 600), (good, 4000)):
        folder.mkdir(parents=True)
        Image.fromarray(np.full((32, 32), value, np.uint16)).save(folder / "000.png")
    assert folder_white_level(dark) == folder_white_level(good) == 4095
    alone = tmp_path / "pictures"
    alone.mkdir()
    Image.fromarray(np.full((32, 32), 600, np.uint16)).save(alone / "000.png")
    assert folder_white_level(alone) == 1023
