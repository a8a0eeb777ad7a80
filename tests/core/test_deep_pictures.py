"""Pictures of more than 8 bits keep their depth and white level in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bgdefect_core.errors import PictureError
from bgdefect_core.pictures.crop import Crop, crop_box, take, take_picture
from bgdefect_core.pictures.masks import feather
from bgdefect_core.pictures.picture import Picture
from bgdefect_core.pictures.pixels import to_pixels
from bgdefect_core.pictures.reading import load_picture
from bgdefect_core.pictures.stitching import stitch
from bgdefect_core.pictures.tones import nearest_tone, two_tones
from bgdefect_core.pictures.writing import write_picture

DEPTHS = [(255, np.uint8), (1023, np.uint16), (4095, np.uint16), (65535, np.uint16)]
SIZE = (90, 120)


def noise(white: int, kind: type, size: tuple[int, int] = SIZE) -> Picture:
    pixels = np.random.default_rng(0).integers(0, white + 1, (*size, 3))
    return Picture(pixels.astype(kind), white)


def spot(size: tuple[int, int] = SIZE) -> np.ndarray:
    mask = np.zeros(size, np.bool_)
    mask[30:50, 40:70] = True
    return mask


@pytest.mark.parametrize(("white", "kind"), DEPTHS)
def test_stitching_keeps_all_bits_outside_and_the_scale_inside(white: int, kind: type) -> None:
    picture, mask = noise(white, kind), spot()
    before = picture.pixels.copy()
    crop = crop_box(mask, 64, "defect")
    result = stitch(picture, np.full((64, 64, 3), 0.7, np.float32), mask, crop, 6)
    assert result.white == white and result.pixels.dtype == kind
    band = feather(mask, 6)
    assert np.array_equal(result.pixels[band == 0], before[band == 0])
    assert np.array_equal(picture.pixels, before)
    assert (result.pixels[mask] == round(np.float32(0.7) * white)).all()
    row, column = 27, 50  # in the seam: by hand
    share = float(band[row, column])
    blended = share * 0.7 * white + (1 - share) * before[row, column]
    assert 0 < share < 1
    assert np.abs(result.pixels[row, column] - blended).max() <= 1


@pytest.mark.parametrize(("white", "kind"), DEPTHS)
def test_detail_comes_back_in_all_bits(white: int, kind: type) -> None:
    picture, mask = noise(white, kind), spot()
    crop = crop_box(mask, 64, "defect")
    normal = np.full((64, 64, 3), 0.4, np.float32)
    result = stitch(picture, normal, mask, crop, normal=normal)
    difference = result.pixels.astype(np.int64) - picture.pixels
    assert np.abs(difference).max() <= white >> 16  # the rounding of 32-bit floats


@pytest.mark.parametrize(("white", "kind"), DEPTHS)
def test_two_tones_and_gray_at_any_white_level(white: int, kind: type) -> None:
    pixels = np.full((*SIZE, 3), white, kind)
    pixels[20:60] = white // 10
    tones = two_tones(pixels, white)
    assert tones is not None and tones.dtype == kind
    square = np.random.default_rng(0).random((64, 64, 3), np.float32)
    result = stitch(Picture(pixels, white), square, spot(), crop_box(spot(), 64, "defect"))
    assert set(np.unique(result.pixels)) == {white // 10, white}
    assert np.array_equal(nearest_tone(np.float32([[[1, 1, 1]]]), tones, white)[0, 0], tones[0])
    pixels[20:60] = white - white // 5  # alike: less than 64 of 255 apart
    assert two_tones(pixels, white) is None
    gray = Picture(np.repeat(noise(white, kind).pixels[..., :1], 3, axis=2), white)
    stitched = stitch(gray, square, spot(), crop_box(spot(), 64, "defect")).pixels
    assert (stitched == stitched[..., :1]).all()


@pytest.mark.parametrize(("white", "kind"), DEPTHS)
@pytest.mark.parametrize("resolution", [32, 48, 64])
def test_a_crop_has_the_depth_of_its_picture(white: int, kind: type, resolution: int) -> None:
    picture, crop = noise(white, kind), Crop(-4, 10, 48)
    square = take_picture(picture, crop, resolution)
    assert square.white == white and square.pixels.dtype == kind
    assert square.pixels.max() <= white
    eight = take(picture.eight_bit(), crop, resolution)
    # Pillow rounds and clips between the two directions for 8 bits
    assert np.abs(square.eight_bit().astype(int) - eight).mean() <= 1
    pixels = to_pixels([square])
    assert pixels.shape == (1, 3, resolution, resolution)
    assert np.allclose(pixels[0].permute(1, 2, 0), square.pixels / (white / 2) - 1, atol=1e-6)


def test_the_eight_bit_view_holds_the_high_bits() -> None:
    for white, kind in DEPTHS:
        picture = noise(white, kind)
        assert picture.bits == white.bit_length() and picture.size == SIZE
        view = picture.eight_bit()
        assert view.dtype == np.uint8
        assert np.array_equal(view, picture.pixels >> (picture.bits - 8))
    picture = noise(255, np.uint8)
    assert picture.eight_bit() is picture.pixels


def test_what_is_no_picture_is_refused() -> None:
    pixels = np.zeros((20, 20, 3))
    for array, white in (
        (pixels, 255),
        (pixels[..., 0].astype(np.uint8), 255),
        (pixels.astype(np.uint8), 4095),
        (pixels.astype(np.uint16), 100),
    ):
        with pytest.raises(PictureError, match="white at"):
            Picture(array, white)  # type: ignore[arg-type]


def test_deep_gray_is_written_in_sixteen_bits(tmp_path: Path) -> None:
    gray = Picture(np.repeat(noise(4095, np.uint16).pixels[..., :1], 3, axis=2), 4095)
    write_picture(tmp_path / "a.png", gray)
    with Image.open(tmp_path / "a.png") as file:
        assert np.array_equal(np.asarray(file), gray.pixels[..., 0])
    for white in (1023, 4095, 65535):
        colour = noise(white, np.uint16)
        write_picture(tmp_path / "b.png", colour)
        again = load_picture(tmp_path / "b.png", white)
        assert again.white == white and np.array_equal(again.pixels, colour.pixels)


def test_deep_gray_of_a_portable_graymap(tmp_path: Path) -> None:
    """PGM, as industrial cameras write it: 12 bits in 16, the high byte first."""
    levels = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    path = tmp_path / "deep.pgm"
    path.write_bytes(b"P5\n64 64\n4095\n" + levels.astype(">u2").tobytes())
    picture = load_picture(path)
    assert picture.white == 65535  # the file's own white level, as Pillow scales it
    assert np.array_equal(picture.pixels[..., 0], np.rint(levels / 4095 * 65535))
    assert np.array_equal(picture.pixels[..., 0], picture.pixels[..., 2])
