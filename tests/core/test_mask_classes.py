"""Masks of several classes are refused with their values and numbers of pixels; named values are
read; one colour on a constant background is the defect."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter
from scipy import ndimage

from bgdefect_core.errors import MaskError, SettingError
from bgdefect_core.pictures.area_reading import read_area
from bgdefect_core.pictures.mask_files import read_library
from bgdefect_core.pictures.mask_reading import read_mask
from bgdefect_core.pictures.mask_values import NONZERO, WHITE, MaskValues

SIDE = 96
RED, GREEN, BLUE, YELLOW = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)
BLACK, WHITE_COLOUR, MAROON, OLIVE = (0, 0, 0), (255, 255, 255), (128, 0, 0), (128, 128, 0)
Colour = tuple[int, int, int]


def block(top: int = 30, left: int = 50, height: int = 14, width: int = 12) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[top : top + height, left : left + width] = True
    return mask


FIRST, SECOND = block(), block(60, 10, 20, 9)


def painted(background: Colour, *areas: tuple[np.ndarray, Colour]) -> np.ndarray:
    pixels = np.full((SIDE, SIDE, 3), background, np.uint8)
    for mask, colour in areas:
        pixels[mask] = colour
    return pixels


def save(path: Path, values: np.ndarray, **options: object) -> Path:
    Image.fromarray(values).save(path, **options)
    return path


@pytest.mark.parametrize("background", [BLACK, WHITE_COLOUR, (70, 70, 70)])
@pytest.mark.parametrize("colours", [(RED, GREEN), (MAROON, OLIVE), (RED, YELLOW)])
def test_colours_of_classes_are_refused_with_their_pixels(
    tmp_path: Path, background: Colour, colours: tuple[Colour, Colour]
) -> None:
    pixels = painted(background, (FIRST, colours[0]), (SECOND, colours[1]))
    names = ["#{:02x}{:02x}{:02x}".format(*colour) for colour in colours]
    expected = f"{names[1]}: 180 pixels, {names[0]}: 168 pixels.*mask_values, such as {names[1]}"
    with pytest.raises(MaskError, match=expected):
        read_mask(save(tmp_path / "m.png", pixels))
    values = MaskValues.parse(names[0])
    assert np.array_equal(read_mask(tmp_path / "m.png", values=values), FIRST)
    both = MaskValues.parse(", ".join(names).upper())
    assert np.array_equal(read_mask(tmp_path / "m.png", values=both), FIRST | SECOND)


@pytest.mark.parametrize("quality", [50, 75, 95])
@pytest.mark.parametrize("colours", [(RED, GREEN), (RED, BLUE), (BLUE, YELLOW)])
def test_classes_of_a_compressed_file(
    tmp_path: Path, quality: int, colours: tuple[Colour, Colour]
) -> None:
    pixels = painted(BLACK, (FIRST, colours[0]), (SECOND, colours[1]))
    with pytest.raises(MaskError, match="which look like classes"):
        read_mask(save(tmp_path / "m.jpg", pixels, quality=quality))


def test_thin_lines_of_two_classes(tmp_path: Path) -> None:
    image = Image.new("RGB", (SIDE, SIDE))
    ImageDraw.Draw(image).line((5, 10, 80, 20), fill=RED)
    ImageDraw.Draw(image).line((5, 50, 80, 70), fill=BLUE)
    with pytest.raises(MaskError, match=r"#0000ff: \d+ pixels"):
        read_mask(save(tmp_path / "m.png", np.asarray(image)))


@pytest.mark.parametrize("background", [BLACK, WHITE_COLOUR, (0, 0, 90)])
@pytest.mark.parametrize("colour", [RED, MAROON, (255, 128, 0)])
def test_one_colour_is_the_defect_on_any_constant_background(
    tmp_path: Path, background: Colour, colour: Colour, caplog: pytest.LogCaptureFixture
) -> None:
    exact = painted(background, (FIRST, colour))
    with caplog.at_level(logging.WARNING):
        assert np.array_equal(read_mask(save(tmp_path / "m.png", exact)), FIRST)
    assert ("that colour is taken for the defect" in caplog.text) == (background != BLACK)
    image = Image.fromarray(exact)
    image.quantize(8).save(tmp_path / "p.png")
    assert np.array_equal(read_mask(tmp_path / "p.png"), FIRST)
    for quality in (50, 75, 95):
        mask = read_mask(save(tmp_path / "m.jpg", exact, quality=quality))
        assert (mask != FIRST).mean() < 0.01
    for radius in (1, 3):
        smooth = np.asarray(image.filter(ImageFilter.GaussianBlur(radius)))
        assert (read_mask(save(tmp_path / "s.png", smooth)) != FIRST).mean() < 0.01


def test_smooth_lines_of_one_colour_are_no_classes(tmp_path: Path) -> None:
    for background in (BLACK, WHITE_COLOUR):
        large = Image.new("RGB", (4 * SIDE, 4 * SIDE), background)
        ImageDraw.Draw(large).line((40, 60, 300, 200), fill=RED, width=9)
        values = np.asarray(large.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
        for name in ("m.png", "m.jpg"):
            mask = read_mask(save(tmp_path / name, values))
            assert 0.01 < mask.mean() < 0.03


def test_a_coloured_picture_given_for_a_mask_is_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    part = painted((40, 90, 140), (block(20, 20, 50, 50), (180, 120, 60)))
    noisy = (part + rng.normal(0, 6, part.shape)).clip(0, 255).astype(np.uint8)
    for name in ("photo.png", "photo.jpg"):
        with pytest.raises(MaskError, match="is no mask: .*this is not the picture itself"):
            read_mask(save(tmp_path / name, noisy))
    noisy[~block(20, 20, 50, 50)] = 0  # cut out
    with pytest.raises(MaskError, match="this is not the picture itself"):
        read_mask(save(tmp_path / "cut.png", noisy))


@pytest.mark.parametrize("small", [1, 3])
def test_a_small_class_beside_an_ignored_edge(tmp_path: Path, small: int) -> None:
    values = np.zeros((SIDE, SIDE), np.uint8)
    values[ndimage.binary_dilation(SECOND, iterations=6) & ~SECOND] = 255
    values[62:65, 12:16] = small
    text = rf"look like classes \(0: \d+ pixels, {small}: 12, 255: \d+\).*mask_values"
    with pytest.raises(MaskError, match=text):
        read_mask(save(tmp_path / "m.png", values))
    mask = read_mask(tmp_path / "m.png", values=MaskValues.parse(str(small)))
    assert np.array_equal(mask, values == small)


def test_named_values_of_palettes_grays_and_deep_files(tmp_path: Path) -> None:
    classes = FIRST.astype(np.uint8)
    classes[SECOND] = 3
    image = Image.fromarray(classes, "P")
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 0, 0, 128])
    image.save(tmp_path / "p.png")
    two = MaskValues.parse("3")
    assert np.array_equal(read_mask(tmp_path / "p.png", values=two), SECOND)
    assert np.array_equal(read_mask(save(tmp_path / "g.png", classes), values=two), SECOND)
    deep = classes.astype(np.uint16)
    assert np.array_equal(read_mask(save(tmp_path / "d.png", deep), values=two), SECOND)
    assert np.array_equal(read_mask(tmp_path / "g.png", values=NONZERO), FIRST | SECOND)
    missing = r"no pixel of the mask values 2; it holds 0: 8868 pixels, 1: 168, 3: 180"
    for name in ("p.png", "g.png", "d.png"):
        with pytest.raises(MaskError, match=missing):
            read_mask(tmp_path / name, values=MaskValues.parse("2"))


def test_mask_values_as_users_write_them() -> None:
    assert MaskValues.parse(None) == MaskValues.parse(" ") == WHITE
    assert MaskValues.parse("1, 2") == MaskValues((1, 2))
    assert MaskValues.parse("#FF8000") == MaskValues(colours=((255, 128, 0),))
    assert MaskValues.parse("Nonzero") == NONZERO
    for text in ("red", "-1", "70000", "#ff00", "1;2"):
        with pytest.raises(SettingError, match="mask_values names"):
            MaskValues.parse(text)


def test_a_library_of_one_class(tmp_path: Path) -> None:
    folder = tmp_path / "masks"
    folder.mkdir()
    save(folder / "0.png", painted(BLACK, (FIRST, RED), (SECOND, GREEN)))
    with pytest.raises(MaskError, match=r"0\.png holds several colours"):
        read_library(folder)
    library = read_library(folder, values=MaskValues.parse("#00ff00"))
    assert [patch.shape for patch in library.patches] == [(20, 9)]


def test_gray_in_a_colour_file_is_gray(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.fromarray(np.where(FIRST, 255, 0).astype(np.uint8)).convert("RGB").save(
        file, "JPEG", quality=60
    )
    (tmp_path / "m.jpg").write_bytes(file.getvalue())
    assert np.array_equal(read_mask(tmp_path / "m.jpg"), FIRST)


def test_gray_on_white_is_named(tmp_path: Path) -> None:
    values = np.where(FIRST, np.uint8(200), np.uint8(255))
    with pytest.raises(MaskError, match=r"lowest is 200 of 255\).*mask_values, such as 200"):
        read_mask(save(tmp_path / "m.png", values))
    mask = read_mask(tmp_path / "m.png", values=MaskValues.parse("200"))
    assert np.array_equal(mask, FIRST)


def test_an_area_in_one_colour(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", painted(WHITE_COLOUR, (FIRST, RED)))
    assert np.array_equal(read_area(path, (SIDE, SIDE)), FIRST)
    save(path, painted(BLACK, (FIRST, RED), (SECOND, GREEN)))
    with pytest.raises(MaskError, match="several colours"):
        read_area(path, (SIDE, SIDE))


@pytest.mark.parametrize("kind", ["alpha", "palette", "one", "half"])
def test_an_area_of_which_nothing_is_white_is_refused(kind: str, tmp_path: Path) -> None:
    """It would forbid nothing, or allow nothing, without a word."""
    shape = FIRST.astype(np.uint8)
    images = {
        "alpha": Image.fromarray(np.dstack([np.zeros((SIDE, SIDE, 3), np.uint8), shape * 255])),
        "palette": Image.fromarray(shape, "L").convert("P"),
        "one": Image.fromarray(shape),
        "half": Image.fromarray(shape * 127),
    }
    if kind == "palette":
        images[kind].putpalette([0] * 6)
    images[kind].save(tmp_path / "a.png")
    with pytest.raises(MaskError, match=r"a\.png (is black: only|has no value above 127)"):
        read_area(tmp_path / "a.png", (SIDE, SIDE))
    Image.fromarray(shape * 0).save(tmp_path / "a.png")
    assert not read_area(tmp_path / "a.png", (SIDE, SIDE)).any()  # nothing may be meant


def test_white_of_lossy_webp_is_no_class(tmp_path: Path) -> None:
    values = np.where(FIRST, np.uint8(255), np.uint8(0))
    values[30:40, 50:62] = 252
    values[30, 50] = 254
    assert np.array_equal(read_mask(save(tmp_path / "m.png", values)), FIRST)
    values[60:70, 10:20] = 240
    with pytest.raises(MaskError, match="0, 240, 252"):
        read_mask(save(tmp_path / "m.png", values))


def test_palettes_of_blacks_and_with_transparency(tmp_path: Path) -> None:
    """Classes are told apart by their indices, however they are shown."""
    palette = Image.fromarray(FIRST.astype(np.uint8) + 2 * SECOND.astype(np.uint8), "L")
    for name, colours in (("black", [0] * 9), ("shown", [0, 0, 0, 255, 0, 0, 0, 0, 255])):
        image = palette.convert("P")
        image.putpalette(colours)
        image.save(tmp_path / f"{name}.png", transparency=0)
        assert np.array_equal(
            read_mask(tmp_path / f"{name}.png", values=MaskValues.parse("2")), SECOND
        )
        with pytest.raises(MaskError, match=r"indices .*mask_values, such as [12]"):
            read_mask(tmp_path / f"{name}.png")


@pytest.mark.parametrize("white", [1, 255])
def test_inverted_masks_of_values_but_0_are_refused(white: int, tmp_path: Path) -> None:
    path = save(tmp_path / "m.png", np.where(FIRST, 0, white).astype(np.uint8))
    with pytest.raises(MaskError, match="white on 98% .* give the mask_values 0"):
        read_mask(path, values=NONZERO)
    assert np.array_equal(read_mask(path, values=MaskValues.parse("0")), FIRST)
