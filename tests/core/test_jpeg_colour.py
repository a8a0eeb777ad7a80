"""JPEG files whose Adobe marker is wrong or broken are read by what their channels are."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bgdefect_core.pictures.reading import read_picture

COLUMNS = np.linspace(0, 255, 64).astype(np.uint8)
PIXELS = np.stack(
    [np.tile(COLUMNS, (48, 1)), np.full((48, 64), 60), np.tile(COLUMNS[::-1], (48, 1))], axis=2
).astype(np.uint8)


def adobe(transform: int | None) -> bytes:
    """The marker APP14; None: broken off."""
    payload = b"Adobe" + bytes([0, 100]) + bytes(4)
    payload += b"" if transform is None else bytes([transform])
    return b"\xff\xee" + (2 + len(payload)).to_bytes(2, "big") + payload


def jpeg(image: Image.Image, **options: object) -> bytes:
    """Without any marker that decides about colours."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=95, **options)
    content = file.getvalue()
    for mark in (b"\xff\xe0", b"\xff\xee"):
        place = content.find(mark, 0, 40)
        if place > 0:
            length = int.from_bytes(content[place + 2 : place + 4], "big")
            content = content[:place] + content[place + 2 + length :]
    return content


def read(path: Path, content: bytes, *markers: bytes) -> np.ndarray:
    path.write_bytes(content[:2] + b"".join(markers) + content[2:])
    return read_picture(path)


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
@pytest.mark.parametrize("transform", [0, 1, 7, None])
def test_chroma_is_chroma_whatever_the_marker_says(
    tmp_path: Path, subsampling: str, transform: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    content = jpeg(Image.fromarray(PIXELS), subsampling=subsampling)
    path = tmp_path / "a.jpg"
    expected = read(path, content, adobe(1))
    assert np.abs(expected.astype(int) - PIXELS).mean() < 3
    assert not caplog.records
    assert np.array_equal(read(path, content, adobe(transform)), expected)
    assert ("Adobe marker" in caplog.text) == (transform != 1)


def test_rgb_channels_stay_rgb(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = jpeg(Image.fromarray(PIXELS), keep_rgb=True)
    path = tmp_path / "a.jpg"
    expected = read(path, content, adobe(0))
    assert np.abs(expected.astype(int) - PIXELS).mean() < 3 and not caplog.records
    assert np.array_equal(read(path, content, adobe(1)), expected)
    assert "its Adobe marker means YCbCr, its channels are RGB: read as RGB" in caplog.text


def test_four_channels_without_a_marker_are_said_to_be_inverted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = jpeg(Image.fromarray(PIXELS).convert("CMYK"))
    path = tmp_path / "a.jpg"
    expected = read(path, content, adobe(0))
    assert np.abs(expected.astype(int) - PIXELS).mean() < 4 and not caplog.records
    for markers, word in (((), "no Adobe marker"), ((adobe(None),), "a broken Adobe marker")):
        assert np.array_equal(read(path, content, *markers), expected)
        assert f"{word} in a JPEG of four channels" in caplog.text
