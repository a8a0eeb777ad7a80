from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bgdefect_core.errors import (
    BGDefectError,
    MaskError,
    OutputError,
    PictureError,
    SettingError,
    check_range,
)
from bgdefect_core.files import atomic_write
from bgdefect_core.pictures.mask_reading import read_mask
from bgdefect_core.pictures.mask_values import NONZERO
from bgdefect_core.pictures.reading import read_picture
from bgdefect_core.pictures.writing import write_mask, write_picture


def save(path: Path, array: np.ndarray, **options: object) -> Path:
    Image.fromarray(array).save(path, **options)
    return path


def spot(value: int = 255, size: int = 20) -> np.ndarray:
    mask = np.zeros((size, size), np.uint8)
    mask[5:10, 6:12] = value
    return mask


def test_message_reads_came_expected_do() -> None:
    error = SettingError("steps is 0", "1 to 1000", "set steps to 50")
    assert str(error) == "steps is 0; expected 1 to 1000; set steps to 50"
    assert str(PictureError("a.png is gone")) == "a.png is gone"
    assert isinstance(error, BGDefectError)
    with pytest.raises(SettingError, match="x is nan"):
        check_range("x", float("nan"), 0, 1)
    check_range("x", 1, 0, 1)


def test_round_trip_keeps_every_byte(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (20, 31, 3), np.uint8)
    write_picture(tmp_path / "new" / "a.png", picture)
    assert (read_picture(tmp_path / "new" / "a.png") == picture).all()
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["a.png"]
    write_mask(tmp_path / "m.png", spot() > 0)
    assert (read_mask(tmp_path / "m.png", (20, 20)) == (spot() > 0)).all()


def test_sixteen_bits_keep_the_high_byte(tmp_path: Path) -> None:
    values = np.arange(16 * 16, dtype=np.uint16).reshape(16, 16) * 256 + 77
    picture = read_picture(save(tmp_path / "a.png", values))
    assert picture.shape == (16, 16, 3) and picture.dtype == np.uint8
    assert (picture[..., 1] == np.arange(256).reshape(16, 16)).all()


@pytest.mark.parametrize("bits", [8, 12])
def test_fewer_bits_in_a_file_of_sixteen(
    tmp_path: Path, bits: int, caplog: pytest.LogCaptureFixture
) -> None:
    shades = np.arange(256, dtype=np.uint16).reshape(16, 16)
    with caplog.at_level(logging.WARNING):
        picture = read_picture(save(tmp_path / "a.png", shades << (bits - 8)))
    assert (picture == shades[..., None]).all()
    assert (
        f"a.png holds 16-bit numbers up to {255 << (bits - 8)}: taken for {bits} bits"
        in caplog.text
    )


@pytest.mark.parametrize("white", [255, 4095, 65535])
def test_masks_of_sixteen_bits(tmp_path: Path, white: int) -> None:
    assert (
        read_mask(save(tmp_path / "m.png", spot(1).astype(np.uint16) * white)) == (spot() > 0)
    ).all()
    dark = rf"highest is {white // 12} of {white}\); expected {white}"
    if white > 255:  # 16-bit values count by the highest one: these are as dark in fewer bits
        dark = f"has the values 0, {white // 12};.*scale its values"
    with pytest.raises(MaskError, match=dark):
        read_mask(save(tmp_path / "dark.png", spot(1).astype(np.uint16) * (white // 12)))


def test_the_size_limit_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.png", spot())
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(
        PictureError, match=r"a\.png is above the size limit .*400 pixels.*; cut it into parts"
    ):
        read_picture(path)


def test_gray_alpha_and_palette(tmp_path: Path) -> None:
    gray = read_picture(save(tmp_path / "gray.png", np.full((16, 17), 90, np.uint8)))
    assert gray.shape == (16, 17, 3) and (gray == 90).all()
    rgba = np.full((16, 16, 4), 200, np.uint8)
    rgba[0, 0, 3], rgba[1, 1, 3] = 0, 255
    picture = read_picture(save(tmp_path / "rgba.png", rgba))
    assert (picture[0, 0] == 0).all() and (picture[1, 1] == 200).all()  # composited on black
    assert (np.abs(picture[2, 2].astype(int) - 200 * 200 / 255) <= 1).all()
    palette = Image.new("P", (16, 16), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    palette.save(tmp_path / "palette.png")
    assert read_picture(tmp_path / "palette.png")[3, 3].tolist() == [10, 20, 30]
    read_picture(tmp_path / "gray.png")[0, 0] = 1  # the caller's own, writable


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    array = np.zeros((16, 24, 3), np.uint8)
    array[0, 0] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned a quarter clockwise
    picture = read_picture(save(tmp_path / "a.png", array, exif=exif))
    assert picture.shape == (24, 16, 3)
    assert picture[0, 15].tolist() == [255, 255, 255] and picture.sum() == 3 * 255


@pytest.mark.parametrize("size", [(1, 1), (15, 40), (40, 15)])
def test_too_small_is_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    path = save(tmp_path / "tiny.png", np.zeros((*size, 3), np.uint8))
    with pytest.raises(PictureError, match=r"tiny\.png .*at least 16"):
        read_picture(path)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    whole = save(tmp_path / "good.png", noise).read_bytes()
    middle = len(whole) // 2
    broken = {
        "cut": whole[:middle],
        "flipped": whole[:middle]
        + bytes(byte ^ 255 for byte in whole[middle : middle + 40])
        + whole[middle + 40 :],
        "text": b"hello",
        "empty": b"",
    }
    for name, content in broken.items():
        path = tmp_path / f"{name}.png"
        path.write_bytes(content)
        with pytest.raises(PictureError, match=f"{name}.png"):
            read_picture(path)
        with pytest.raises(MaskError, match=f"{name}.png"):
            read_mask(path)
    with pytest.raises(PictureError, match="nowhere"):
        read_picture(tmp_path / "nowhere.png")
    with pytest.raises(PictureError, match="floating"):
        read_picture(save(tmp_path / "float.tif", np.full((16, 16), np.nan, np.float32)))


def test_mask_threshold_and_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    soft = spot()
    soft[5, 6], soft[5, 7] = 127, 128  # 2 of 30 pixels: 7 %
    with caplog.at_level(logging.WARNING):
        mask = read_mask(save(tmp_path / "soft.png", soft))
    assert not mask[5, 6] and mask[5, 7] and mask.sum() == 29
    assert "soft.png has 2 grayish pixels" in caplog.text
    caplog.clear()
    read_mask(save(tmp_path / "hard.png", spot()))
    assert not caplog.records


def test_share_of_grayish_pixels_decides(tmp_path: Path) -> None:
    """Above 20 % they must be edges: thin lines, on a picture that is mostly black."""
    six, edge = spot(), spot()
    six[5, 6:12] = 100  # 6 of 30 = 20 %: not over
    edge[5, 6:12], edge[6, 6] = 100, 223
    assert read_mask(save(tmp_path / "six.png", six)).sum() == 24
    assert read_mask(save(tmp_path / "edge.png", edge)).sum() == 24
    area = np.tile(np.linspace(60, 200, 20).astype(np.uint8), (20, 1))
    area[:, :8] = 0
    with pytest.raises(MaskError, match="area.png is no mask: 100%"):
        read_mask(save(tmp_path / "area.png", area))


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((20, 20), np.uint8), "is empty"),
        (np.full((20, 20), 255, np.uint8), "is full"),
        (spot(1), "highest is 1 of 255"),
        (spot(size=21), "21 x 21 pixels; expected 20 x 20"),
    ],
)
def test_bad_masks(tmp_path: Path, array: np.ndarray, words: str) -> None:
    with pytest.raises(MaskError, match=f"bad.png.*{words}"):
        read_mask(save(tmp_path / "bad.png", array), (20, 20))


def test_loco_masks_count_every_value_but_zero(tmp_path: Path) -> None:
    loco = spot(100)
    loco[5, 6] = 1
    path = save(tmp_path / "000.png", loco)
    assert (read_mask(path, values=NONZERO) == (loco > 0)).all()
    with pytest.raises(MaskError, match="no mask"):
        read_mask(path)


def test_coloured_and_transparent_masks(tmp_path: Path) -> None:
    red = np.zeros((20, 20, 3), np.uint8)
    red[..., 0] = spot()
    assert (
        read_mask(save(tmp_path / "red.png", red)).sum() == 30
    )  # by its luma, 76, it would be grayish
    sheet = np.full((20, 20, 4), 255, np.uint8)
    sheet[..., 3] = spot()
    assert read_mask(save(tmp_path / "sheet.png", sheet)).sum() == 30


def test_atomic_write_keeps_the_old_file_on_failure(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic_write(path, "w") as file:
        file.write("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    with atomic_write(path, "w") as file:
        file.write("new\n")
    assert path.read_bytes() == b"new\n" and list(tmp_path.iterdir()) == [path]


def test_unwritable_places(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot be written"):
        write_mask(tmp_path / "file" / "m.png", spot() > 0)
    with pytest.raises(OutputError, match="No space left"), atomic_write(tmp_path / "b"):
        raise OSError(28, "No space left on device")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    with pytest.raises(PictureError, match="float64"):
        write_picture(tmp_path / "c.png", np.zeros((20, 20)))  # type: ignore[arg-type]
