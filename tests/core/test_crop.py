from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from bgdefect_core.errors import MaskError, PictureError, SettingError
from bgdefect_core.pictures import stitching
from bgdefect_core.pictures.crop import Crop, crop_box, default_feather, put_back, take
from bgdefect_core.pictures.masks import bounding_box, feather
from bgdefect_core.pictures.picture import Picture, Pixels

SIZES = [(1216, 1616), (3000, 4096), (300, 130), (130, 300), (64, 64)]


def stitch(picture: Pixels, *arguments: Any, **options: Any) -> Pixels:
    """``stitching.stitch`` of a picture of 8 bits."""
    result = stitching.stitch(Picture(picture), *arguments, **options)
    assert result.white == 255 and result.pixels.dtype == np.uint8
    return result.eight_bit()


def box(shape: tuple[int, int], top: int, left: int, height: int, width: int) -> np.ndarray:
    mask = np.zeros(shape, np.bool_)
    mask[top : top + height, left : left + width] = True
    return mask


def test_whole_is_the_centred_square() -> None:
    assert crop_box(box((100, 160), 0, 0, 3, 3), 64, "whole") == Crop(-30, 0, 160)
    assert crop_box(np.zeros((160, 101), np.bool_), 64, "whole") == Crop(0, -30, 160)


def test_defect_by_hand() -> None:
    # Longest side 41: ceil(2.5 * 41) = 103; centre row 100 + 10, column 200 + 20.5.
    assert crop_box(box((400, 500), 100, 200, 20, 41), 64, "defect") == Crop(58, 169, 103)
    # A small one: not below half the resolution. At the corner: slid inside.
    assert crop_box(box((400, 500), 398, 0, 2, 2), 128, "defect") == Crop(336, 0, 64)
    # A large one: not above the longer side of the picture; then it is the whole square.
    assert crop_box(box((100, 160), 5, 5, 80, 80), 64, "defect") == crop_box(
        box((100, 160), 5, 5, 80, 80), 64, "whole"
    )
    # Longer than the picture is high: the picture stands in the middle.
    assert crop_box(box((100, 300), 10, 250, 60, 20), 64, "defect") == Crop(-25, 150, 150)
    # A resolution far above the picture.
    assert crop_box(box((40, 50), 1, 1, 2, 2), 512, "defect") == Crop(-5, 0, 50)


def test_crop_refuses() -> None:
    empty = np.zeros((50, 50), np.bool_)
    with pytest.raises(MaskError):
        crop_box(empty, 64, "defect")
    with pytest.raises(SettingError, match="zoom"):
        crop_box(~empty, 64, "half")  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="resolution"):
        crop_box(~empty, 0, "whole")
    with pytest.raises(PictureError):
        take(np.zeros((50, 50), np.uint8), Crop(0, 0, 50), 64)


@pytest.mark.parametrize("shape", SIZES)
def test_the_crop_holds_the_mask_wherever_it_lies(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    for _ in range(10):
        height, width = int(rng.integers(1, shape[0])), int(rng.integers(1, shape[1]))
        top, left = (
            int(rng.integers(0, shape[0] - height + 1)),
            int(rng.integers(0, shape[1] - width + 1)),
        )
        crop = crop_box(box(shape, top, left, height, width), 128, "defect")
        assert crop.top <= top and top + height <= crop.top + crop.side
        assert crop.left <= left and left + width <= crop.left + crop.side
        for start, length in ((crop.top, shape[0]), (crop.left, shape[1])):
            assert 0 <= start <= length - crop.side or crop.side > length


def test_take_mirrors_as_numpy_pads() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    padded = np.pad(picture, ((70, 70), (70, 70), (0, 0)), "symmetric")
    for crop in (Crop(-5, 0, 30), Crop(-50, -60, 130), Crop(3, 4, 10), Crop(15, 25, 40)):
        expected = padded[crop.top + 70 :, crop.left + 70 :][: crop.side, : crop.side]
        assert (take(picture, crop, crop.side) == expected).all()
        assert (take(picture[..., 0] > 128, crop, crop.side) == (expected[..., 0] > 128)).all()


def test_take_gives_its_own_array() -> None:
    picture = np.zeros((20, 20, 3), np.uint8)
    take(picture, Crop(0, 0, 20), 20)[:] = 9
    assert picture.sum() == 0


def test_take_resizes_with_the_stated_filters() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    small = Image.fromarray(picture).resize((20, 20), Image.Resampling.LANCZOS)
    large = Image.fromarray(picture).resize((100, 100), Image.Resampling.BICUBIC)
    assert (take(picture, Crop(0, 0, 64), 20) == np.asarray(small)).all()
    assert (take(picture, Crop(0, 0, 64), 100) == np.asarray(large)).all()


@pytest.mark.parametrize(
    ("side", "resolution"), [(4096, 128), (300, 128), (129, 128), (100, 128), (7, 3)]
)
def test_no_mask_pixel_is_lost(side: int, resolution: int) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        row, column = (int(value) for value in rng.integers(0, side, 2))
        taken = take(box((side, side), row, column, 1, 1), Crop(0, 0, side), resolution)
        rows = [
            i
            for i in range(resolution)
            if i * side < (row + 1) * resolution and (i + 1) * side > row * resolution
        ]
        assert np.flatnonzero(taken.any(axis=1)).tolist() == rows
        columns = [
            i
            for i in range(resolution)
            if i * side < (column + 1) * resolution and (i + 1) * side > column * resolution
        ]
        assert np.flatnonzero(taken.any(axis=0)).tolist() == columns


@pytest.mark.parametrize("zoom", ["whole", "defect"])
@pytest.mark.parametrize("shape", SIZES)
def test_outside_the_band_nothing_changes_and_inside_only_the_painting_shows(
    shape: tuple[int, int], zoom: str
) -> None:
    picture = np.random.default_rng(0).integers(0, 200, (*shape, 3), np.uint8)
    before = picture.copy()
    mask = box(shape, shape[0] - 9, shape[1] // 2, 6, 11)
    crop = crop_box(mask, 64, zoom)  # type: ignore[arg-type]
    width = default_feather(crop, mask)
    result = stitch(picture, np.full((64, 64, 3), 250 / 255, np.float32), mask, crop)
    band = feather(mask, width) > 0
    assert (result[~band] == picture[~band]).all() and (picture == before).all()
    assert (result[mask] == 250).all()
    assert (result[band & ~mask] >= picture[band & ~mask]).all()
    if width > 2:
        assert (result[band & ~mask] > picture[band & ~mask]).any()


def test_the_seam_is_thin_around_thin_masks() -> None:
    size = (600, 800)
    for mask, width in (
        (box(size, 100, 100, 1, 200), 2),
        (box(size, 100, 100, 200, 3), 2),
        (box(size, 100, 100, 40, 200), 8),
    ):
        assert default_feather(Crop(0, 0, 400), mask) == width
    assert (
        default_feather(Crop(0, 0, 400), box(size, 100, 100, 200, 300)) == 12
    )  # a 32nd of the square
    assert default_feather(Crop(0, 0, 64), box(size, 10, 10, 20, 20)) == 2


def test_stitch_of_the_crop_itself_is_the_picture() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (80, 90, 3), np.uint8)
    mask = box((80, 90), 30, 40, 10, 10)
    crop = crop_box(mask, 25, "defect")
    painted = take(picture, crop, crop.side).astype(np.float32) / 255
    assert (stitch(picture, painted, mask, crop, 3) == picture).all()


@pytest.mark.parametrize("resolution", [16, 50, 128])
def test_only_a_window_is_resized_with_the_values_of_the_whole(resolution: int) -> None:
    painted = np.random.default_rng(0).random((resolution, resolution, 3), dtype=np.float32)
    picture = np.zeros((60, 60, 3), np.uint8)
    picture[..., 0] = 1  # not gray: a gray one would stay gray
    mask = box((60, 60), 21, 13, 9, 20)
    method = Image.Resampling.LANCZOS if resolution > 60 else Image.Resampling.BICUBIC
    whole = np.stack(
        [np.asarray(Image.fromarray(painted[..., c]).resize((60, 60), method)) for c in range(3)],
        axis=2,
    )
    expected = np.rint(np.clip(whole, 0, 1) * 255)[mask]
    result = stitch(picture, painted, mask, Crop(0, 0, 60), 0)
    assert np.abs(result[mask] - expected).max() <= 1
    assert (result[~mask] == picture[~mask]).all()


@pytest.mark.parametrize("coloured", [False, True])
def test_a_gray_picture_stays_gray(coloured: bool) -> None:
    picture = np.full((40, 40, 3), 90, np.uint8)
    picture[0, 0, 2] += coloured  # one pixel makes it a colour picture
    mask = box((40, 40), 10, 10, 12, 12)
    painted = np.broadcast_to(np.float32([0.2, 0.6, 0.1]), (16, 16, 3)).copy()
    result = stitch(picture, painted, mask, Crop(4, 4, 24), 0)
    assert result[15, 15].tolist() == (
        [51, 153, 26] if coloured else [76, 76, 76]
    )  # 0.3 * 255 = 76.5


def test_stitch_refuses() -> None:
    picture, painted = np.zeros((40, 40, 3), np.uint8), np.zeros((16, 16, 3), np.float32)
    mask = box((40, 40), 10, 10, 4, 4)
    with pytest.raises(MaskError, match="out of the crop"):
        stitch(picture, painted, mask, Crop(12, 0, 20))
    with pytest.raises(MaskError, match="expected 40 x 40"):
        stitch(picture, painted, mask[:20], Crop(0, 0, 40))
    with pytest.raises(MaskError, match="empty"):
        stitch(picture, painted, mask & False, Crop(0, 0, 40))
    with pytest.raises(PictureError, match="NaN"):
        stitch(picture, painted * np.float32("nan"), mask, Crop(0, 0, 40))


def test_put_back() -> None:
    heat = np.random.default_rng(0).random((32, 32), dtype=np.float32)
    placed = put_back(heat, Crop(4, 6, 32), (50, 60))
    assert (placed[4:36, 6:38] == heat).all() and np.isclose(placed.sum(), heat.sum(), rtol=1e-5)
    placed = put_back(heat, Crop(-10, 0, 60), (40, 60))
    whole = np.asarray(Image.fromarray(heat).resize((60, 60), Image.Resampling.BILINEAR))
    assert placed.shape == (40, 60) and placed.dtype == np.float32
    assert np.allclose(placed, whole[10:50], atol=1e-5)
    assert placed.max() <= heat.max() and placed.min() >= heat.min()
    assert put_back(heat, Crop(100, 100, 20), (40, 60)).sum() == 0


def test_a_defect_comes_back_to_where_it_was() -> None:
    mask = box((200, 300), 150, 20, 30, 24)
    crop = crop_box(mask, 64, "defect")
    back = put_back(take(mask, crop, 64).astype(np.float32), crop, (200, 300)) > 0.5
    for got, expected in zip(bounding_box(back), (150, 20, 30, 24), strict=True):
        assert abs(got - expected) <= 2
