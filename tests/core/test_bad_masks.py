"""Masks that are something else, or the other way round: refused by name, or read right."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter
from scipy import ndimage

from bgdefect_core.errors import MaskError
from bgdefect_core.pictures.mask_reading import read_mask

from .test_bad_pictures import tiff

SIDE = 96


def spot() -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[30:44, 50:62] = True
    return mask


def save(path: Path, values: np.ndarray, **options: object) -> Path:
    Image.fromarray(values).save(path, **options)
    return path


def white(mask: np.ndarray) -> np.ndarray:
    return np.where(mask, np.uint8(255), np.uint8(0))


def test_one_is_the_defect_and_255_an_ignored_edge(tmp_path: Path) -> None:
    values = spot().astype(np.uint8)
    values[ndimage.binary_dilation(spot()) & ~spot()] = 255
    with pytest.raises(MaskError, match=r"the values 0, 1, 255, which look .*1 is the defect"):
        read_mask(save(tmp_path / "m.png", values))


@pytest.mark.parametrize("values", [(0, 1, 2), (0, 1, 2, 255), (0, 127, 255), (0, 85, 170, 255)])
def test_classes_are_listed(tmp_path: Path, values: tuple[int, ...]) -> None:
    classes = np.zeros((SIDE, SIDE), np.uint8)
    for number, value in enumerate(values):
        classes[20:40, 20 * number : 20 * number + 12] = value
    with pytest.raises(MaskError, match=f"the values {', '.join(map(str, values))}, which look"):
        read_mask(save(tmp_path / "m.png", classes))


@pytest.mark.parametrize("gray", [64, 127, 128, 200])
@pytest.mark.parametrize("width", [1, 2])
def test_one_gray_along_white_is_an_edge_to_be_ignored(
    gray: int, width: int, tmp_path: Path
) -> None:
    values = white(spot())
    values[ndimage.binary_dilation(spot(), iterations=width) & ~spot()] = gray
    with pytest.raises(MaskError, match=f"the values 0, {gray}, 255, which look.*such as 255"):
        read_mask(save(tmp_path / "m.png", values))


@pytest.mark.parametrize("gray", [64, 127, 128, 191])
@pytest.mark.parametrize("sides", ["left", "left, right", "top", "diagonal"])
def test_one_gray_at_straight_sides_of_white_is_an_edge_between_pixels(
    gray: int, sides: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    values = white(spot())
    if "left" in sides:
        values[30:44, 49] = gray
    if "right" in sides:
        values[30:44, 62] = gray
    if sides == "top":
        values[29, 50:62] = gray
    if sides == "diagonal":  # scaled down by half: every second step of a stair is a gray one
        rows = np.arange(30)
        values[:30, :60] = np.where(np.arange(60)[None] < rows[:, None], 255, 0)
        values[rows, rows] = gray
        values[30, :31] = 0
    mask = read_mask(save(tmp_path / "m.png", values))
    assert (mask == (values > 127)).all()
    assert "grayish pixels: thresholded at 127" in caplog.text


def test_one_gray_that_lies_apart_from_white_is_a_class(tmp_path: Path) -> None:
    lines = white(spot())
    lines[60, 20:50] = 128  # a scratch of one pixel's width
    patch = white(spot())
    patch[30:44, 62:65] = 128  # beside white, but not thin
    ring = white(spot())
    ring[ndimage.binary_dilation(spot()) & ~spot()] = 128
    ring[60:64, 20:50] = 255  # another defect, of which nothing is to be ignored
    for values in (lines, patch, ring):
        with pytest.raises(MaskError, match="the values 0, 128, 255, which look like classes"):
            read_mask(save(tmp_path / "m.png", values))


@pytest.mark.parametrize("quality", [40, 60, 80])
def test_gray_classes_of_a_compressed_file(quality: int, tmp_path: Path) -> None:
    values = white(spot())
    values[60:80, 20:50] = 128
    path = save(tmp_path / "m.jpg", values, quality=quality)
    with pytest.raises(MaskError, match="which look like classes.*save it without loss"):
        read_mask(path)


def test_the_class_that_is_named_as_an_example_is_the_largest(tmp_path: Path) -> None:
    values = white(spot())
    values[60:80, 20:50] = 128
    path = save(tmp_path / "m.jpg", values, quality=90)
    with pytest.raises(MaskError, match="and [0-9]+ more, which look.*without loss"):
        read_mask(path)
    values = np.where(values == 128, 2, spot()).astype(np.uint8)
    with pytest.raises(MaskError, match="such as 2"):
        read_mask(save(tmp_path / "m.png", values))


@pytest.mark.parametrize("quality", [30, 50, 75, 90, 95])
def test_ringing_of_jpeg_stays_accepted(tmp_path: Path, quality: int) -> None:
    shapes = [spot(), ndimage.binary_dilation(spot(), iterations=9)]
    line = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(line).line((10, 20, 80, 70), fill=255, width=5)
    shapes.append(np.asarray(line) > 0)
    for shape in shapes:
        file = io.BytesIO()
        Image.fromarray(white(shape)).save(file, "JPEG", quality=quality)
        values = np.asarray(Image.open(file))
        mask = read_mask(save(tmp_path / "m.png", values))  # even when saved again without loss
        assert (mask != shape).mean() < 0.01


@pytest.mark.parametrize("quality", [30, 50, 80])
def test_ringing_of_webp_stays_accepted(tmp_path: Path, quality: int) -> None:
    Image.fromarray(white(spot())).save(tmp_path / "m.webp", quality=quality)
    assert np.array_equal(read_mask(tmp_path / "m.webp"), spot())


@pytest.mark.parametrize("value", [100, 128, 200])
def test_two_values_without_white_are_to_be_scaled(tmp_path: Path, value: int) -> None:
    values = spot().astype(np.uint8) * value
    with pytest.raises(MaskError, match=f"has the values 0, {value};.*scale its values to 0"):
        read_mask(save(tmp_path / "m.png", values))


def test_smooth_edges_are_thresholded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    hairline = Image.new("L", (4 * SIDE, 4 * SIDE))
    ImageDraw.Draw(hairline).line((40, 60, 300, 200), fill=255, width=9)
    thin = Image.new("L", (4 * SIDE, 4 * SIDE))
    ImageDraw.Draw(thin).line((40, 60, 300, 200), fill=255, width=4)
    smooth = {
        "scaled": hairline.resize((SIDE, SIDE), Image.Resampling.BICUBIC),
        "thin": thin.resize((SIDE, SIDE), Image.Resampling.BILINEAR),
        "blurred": Image.fromarray(white(spot())).filter(ImageFilter.GaussianBlur(1.5)),
    }
    for name, image in smooth.items():
        values = np.asarray(image)
        mask = read_mask(save(tmp_path / f"{name}.png", values))
        assert np.array_equal(mask, values > 127)
        assert f"{name}.png has " in caplog.text and "thresholded at 127" in caplog.text


def test_a_picture_given_for_a_mask_is_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    column = np.arange(SIDE)
    tray = np.zeros((SIDE, SIDE))
    tray[20:60, 20:60] = 180  # a gray part on a black tray
    for name, values in {
        "texture": np.tile(110 + 20 * np.sin(column / 5), (SIDE, 1)),
        "light": np.tile(np.linspace(0, 255, SIDE), (SIDE, 1)),
        "tray": tray,
    }.items():
        noisy = (values + rng.normal(0, 6, values.shape)).clip(0, 255).astype(np.uint8)
        with pytest.raises(MaskError, match="is no mask: .*this is not the picture itself"):
            read_mask(save(tmp_path / f"{name}.png", noisy))


def test_the_other_way_round_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MaskError, match=r"m\.png is white on 98% .*; swap black and white"):
        read_mask(save(tmp_path / "m.png", white(~spot())))


@pytest.mark.parametrize("frame", [1, 2])
def test_the_other_way_round_within_a_black_frame(frame: int, tmp_path: Path) -> None:
    """As programs leave it that trace outlines, or blur."""
    values = np.zeros((SIDE, SIDE), np.uint8)
    values[frame:-frame, frame:-frame] = white(~spot())[frame:-frame, frame:-frame]
    with pytest.raises(MaskError, match="swap black and white"):
        read_mask(save(tmp_path / "m.png", values))


def test_large_defects_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    large = np.zeros((SIDE, SIDE), np.bool_)
    large[5:90, 5:90] = True
    assert np.array_equal(read_mask(save(tmp_path / "m.png", white(large))), large)
    assert "m.png marks 78% of the picture as defect" in caplog.text


def test_bilevel_tiffs_of_label_arrays(tmp_path: Path) -> None:
    """Some libraries write a bool array's bits as they are, under a tag that says 0 is white."""
    path = tmp_path / "m.tif"
    path.write_bytes(tiff(spot(), 1, 0))
    assert np.array_equal(read_mask(path), spot())
    path.write_bytes(tiff(~spot(), 1, 0))  # a fax program's white defect on black
    assert np.array_equal(read_mask(path), spot())
    Image.fromarray(spot()).save(path)
    assert np.array_equal(read_mask(path), spot())


def test_a_picture_whose_alpha_channel_is_the_mask_is_named(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).normal(120, 6, (SIDE, SIDE, 4)).astype(np.uint8)
    large = ndimage.binary_dilation(spot(), iterations=9)
    for alpha in (large, ~large):
        pixels[..., 3] = white(alpha)
        with pytest.raises(MaskError, match="where its alpha channel is the mask, save that"):
            read_mask(save(tmp_path / "m.png", pixels))


def test_an_alpha_channel_of_one_value_hides_no_mask(tmp_path: Path) -> None:
    pixels = np.repeat(white(spot())[..., None], 4, axis=2)
    for alpha in (0, 1, 128):
        pixels[..., 3] = alpha
        assert np.array_equal(read_mask(save(tmp_path / "m.png", pixels)), spot())


def test_a_shape_in_the_alpha_channel_is_named(tmp_path: Path) -> None:
    pixels = np.zeros((SIDE, SIDE, 4), np.uint8)
    pixels[..., 3] = white(spot())
    for name in ("m.png", "m.tif", "m.webp"):
        options = {"lossless": True} if name.endswith("webp") else {}
        with pytest.raises(MaskError, match="only its alpha channel holds a shape"):
            read_mask(save(tmp_path / name, pixels, **options))
    pixels[..., :3] = 255
    assert np.array_equal(read_mask(save(tmp_path / "m.png", pixels)), spot())


def palette(path: Path, indices: np.ndarray, colours: list[int]) -> Path:
    image = Image.fromarray(indices.astype(np.uint8), "P")
    image.putpalette(colours)
    image.save(path)
    return path


def test_palettes(tmp_path: Path) -> None:
    voc = [0, 0, 0, 128, 0, 0, 0, 128, 0]
    path = palette(tmp_path / "m.png", spot(), voc)
    assert np.array_equal(read_mask(path), spot())  # black and one colour
    classes = spot().astype(np.uint8)
    classes[70:80, 10:30] = 2
    with pytest.raises(MaskError, match="is a palette file with the indices 0, 1, 2, which"):
        read_mask(palette(path, classes, voc))
    grays = [value for value in range(256) for _ in range(3)]
    assert np.array_equal(read_mask(palette(path, white(spot()), grays)), spot())


def test_floats_are_named(tmp_path: Path) -> None:
    with pytest.raises(MaskError, match="floating-point numbers; .*save it as 8 bits"):
        read_mask(save(tmp_path / "m.tif", spot().astype(np.float32)))


def turned_picture(path: Path, orientation: int, size: tuple[int, int]) -> Path:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return save(path, np.zeros((*size, 3), np.uint8), exif=exif)


def test_a_quarter_turn_that_the_mask_lacks_is_named(tmp_path: Path) -> None:
    picture = turned_picture(tmp_path / "a.jpg", 6, (48, 64))
    mask = np.zeros((48, 64), np.bool_)
    mask[10:20, 10:30] = True
    path = save(tmp_path / "m.png", white(mask))
    with pytest.raises(MaskError, match=r"64 x 48 pixels, but .*a\.jpg is turned by its EXIF.* 6"):
        read_mask(path, (64, 48), picture=picture)
    path = save(tmp_path / "turned.png", white(np.rot90(mask, -1)))
    assert read_mask(path, (64, 48), picture=picture).shape == (64, 48)


@pytest.mark.parametrize(("orientation", "size"), [(3, (48, 64)), (2, (48, 64)), (6, (64, 64))])
def test_a_turn_that_keeps_the_size_is_warned_of(
    tmp_path: Path, orientation: int, size: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    picture = turned_picture(tmp_path / "a.jpg", orientation, size)
    mask = np.zeros(size, np.bool_)
    mask[10:20, 10:30] = True
    with caplog.at_level(logging.WARNING):
        read_mask(save(tmp_path / "m.png", white(mask)), size, picture=picture)
    assert f"turned by its EXIF orientation {orientation}, its mask" in caplog.text
    caplog.clear()
    exif = Image.Exif()
    exif[0x0112] = orientation
    read_mask(save(tmp_path / "e.png", white(mask), exif=exif), size, picture=picture)
    assert not caplog.records
