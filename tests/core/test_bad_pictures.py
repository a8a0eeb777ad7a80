"""Files of cameras and other programs that are odd or damaged: metadata never decides about
pixels, and nothing but our own errors comes out of the decoder."""

from __future__ import annotations

import io
import logging
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bgdefect_core.errors import BGDefectError, PictureError
from bgdefect_core.pictures import decoding
from bgdefect_core.pictures.reading import load_picture, read_picture, white_level

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
TURN = (0x0112, 3, 1, struct.pack("<HH", 6, 0))
AT = struct.pack("<L", 8 + 2 + 24 + 4)
BROKEN_EXIF = {
    "make_is_a_rational": ((0x010F, 5, 1, AT), struct.pack("<LL", 72, 1)),
    "resolution_is_bytes": ((0x011A, 7, 4, b"72/1"), b""),
    "resolution_is_negative": ((0x011A, 10, 1, AT), struct.pack("<ll", -72, 1)),
    "date_is_a_float": ((0x0132, 11, 1, struct.pack("<f", 1.5)), b""),
    "count_beyond_the_end": ((0x010F, 2, 0xFFFFFF, AT), b""),
}


def jpeg(pixels: np.ndarray = PIXELS, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=95, **options)
    return file.getvalue()


def with_exif(content: bytes, payload: bytes) -> bytes:
    segment = b"Exif\0\0" + payload
    return content[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + content[2:]


def exif_of(*entries: tuple[int, int, int, bytes], extra: bytes = b"") -> bytes:
    header = b"II*\0" + struct.pack("<LH", 8, len(entries))
    fields = b"".join(struct.pack("<HHL", *entry[:3]) + entry[3] for entry in entries)
    return header + fields + struct.pack("<L", 0) + extra


def png_chunk(kind: bytes, data: bytes, checksum: int | None = None) -> bytes:
    checksum = zlib.crc32(kind + data) if checksum is None else checksum
    return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", checksum)


def png(*chunks: bytes) -> bytes:
    """A picture with more chunks after its header."""
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "PNG")
    content = file.getvalue()
    return content[:33] + b"".join(chunks) + content[33:]


@pytest.mark.parametrize("name", BROKEN_EXIF)
def test_broken_exif_leaves_the_orientation(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.jpg"
    plain = with_exif(jpeg(), exif_of(TURN))
    path.write_bytes(plain)
    expected = read_picture(path)
    assert expected.shape == (32, 24, 3)
    entry, extra = BROKEN_EXIF[name]
    path.write_bytes(with_exif(jpeg(), exif_of(TURN, entry, extra=extra)))
    assert np.array_equal(read_picture(path), expected)


@pytest.mark.parametrize("payload", [b"", b"II*\0", b"garbage" * 100, b"\xff" * 60_000])
def test_exif_that_is_none_is_left_out(tmp_path: Path, payload: bytes) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg())
    expected = read_picture(path)
    path.write_bytes(with_exif(jpeg(), payload))
    assert np.array_equal(read_picture(path), expected)


def test_orientation_in_xmp_counts(tmp_path: Path) -> None:
    text = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    segment = b"http://ns.adobe.com/xap/1.0/\0" + text
    content = jpeg()
    marker = b"\xff\xe1" + struct.pack(">H", len(segment) + 2)
    (tmp_path / "a.jpg").write_bytes(content[:2] + marker + segment + content[2:])
    assert read_picture(tmp_path / "a.jpg").shape == (32, 24, 3)


@pytest.mark.parametrize(
    "chunk",
    [
        png_chunk(b"tEXt", b"a\0b", checksum=1),
        png_chunk(b"zTXt", b"a\0\0" + b"no zlib stream"),
        png_chunk(b"zTXt", b"a\0\0" + zlib.compress(b"x" * 70_000_000)),
        png_chunk(b"iCCP", b"a\0\0" + b"no zlib stream"),
        png_chunk(b"gAMA", b"\0\0\0\1"),
        png_chunk(b"pHYs", b"\0"),
        png_chunk(b"eXIf", b"no EXIF"),
    ],
    ids=["checksum", "not compressed", "bomb", "profile", "gamma", "short", "exif"],
)
def test_chunks_beside_the_pixels_do_not_matter(tmp_path: Path, chunk: bytes) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(chunk))
    assert np.array_equal(read_picture(path), PIXELS)
    decoding.is_plain_png(path)  # False or True, but no exception


def test_orientation_survives_other_damaged_metadata(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.png"
    broken = png_chunk(b"tEXt", b"a\0b", checksum=1)
    path.write_bytes(png(png_chunk(b"eXIf", exif_of(TURN)), broken))
    assert np.array_equal(read_picture(path), np.rot90(PIXELS, -1))
    assert "a.png: read without its metadata" in caplog.text


@pytest.mark.parametrize("reason", [TypeError, AttributeError, RuntimeError, KeyError, MemoryError])
def test_whatever_a_decoder_raises_is_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: type[Exception]
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png())

    def fail(*_: object) -> None:
        raise reason("no reason")

    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(PictureError, match=r"a\.png cannot be read \(.*no reason"):
        read_picture(path)


def test_cancelling_passes_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png())

    def cancel(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Image, "open", cancel)
    with pytest.raises(KeyboardInterrupt):
        read_picture(path)


def test_files_that_are_no_pictures(tmp_path: Path) -> None:
    contents = {
        "text": b"hello",
        "cut png": png()[:400],
        "cut jpeg": jpeg()[:300],
        "header": png()[:20],
        "jpeg header": b"\xff\xd8\xff",
        "flipped": png()[:200] + bytes(64) + png()[264:],
    }
    for name, content in contents.items():
        path = tmp_path / f"{name}.png"
        path.write_bytes(content)
        with pytest.raises(PictureError, match=f"{name}.png cannot be read"):
            read_picture(path)
    (tmp_path / "empty.png").touch()
    with pytest.raises(PictureError, match=r"empty\.png is empty \(0 bytes\)"):
        read_picture(tmp_path / "empty.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(PictureError, match=r"folder\.png is not a file"):
        read_picture(tmp_path / "folder.png")


def test_modes_of_other_programs(tmp_path: Path) -> None:
    upright = Image.fromarray(PIXELS)
    for mode in ("CMYK", "YCbCr", "LAB", "L", "LA", "RGBA", "P", "1"):
        try:
            upright.convert(mode).save(tmp_path / f"{mode}.tif")
        except (OSError, ValueError):
            continue
        try:
            assert read_picture(tmp_path / f"{mode}.tif").shape == PIXELS.shape
        except BGDefectError as error:
            assert mode in ("LAB", "YCbCr") and "cannot be read" in str(error)  # by Pillow
    cmyk = io.BytesIO()
    upright.convert("CMYK").save(cmyk, "JPEG", quality=98)
    (tmp_path / "a.jpg").write_bytes(cmyk.getvalue())
    assert np.abs(read_picture(tmp_path / "a.jpg").astype(int) - PIXELS).mean() < 20


def test_a_transparent_palette_is_on_black(tmp_path: Path) -> None:
    image = Image.fromarray(np.tile(np.uint8([0, 1]), (16, 8)), "P")
    image.putpalette([200, 100, 50, 10, 20, 30])
    image.save(tmp_path / "a.png", transparency=0)
    picture = read_picture(tmp_path / "a.png")
    assert picture[0, 0].tolist() == [0, 0, 0] and picture[0, 1].tolist() == [10, 20, 30]
    values = np.full((16, 16), 60_000, np.uint16)
    values[0, 0] = 50_000
    Image.fromarray(values).save(tmp_path / "deep.png", transparency=50_000)
    deep = read_picture(tmp_path / "deep.png")
    assert deep[0, 0].tolist() == [0, 0, 0] and deep[1, 1, 0] == 60_000 >> 8


@pytest.mark.parametrize("name", ["a.tif", "a.webp", "a.png"])
@pytest.mark.parametrize("alpha", [0, 1, 255])
def test_an_alpha_channel_of_one_value_hides_nothing(
    name: str, alpha: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Cameras and clipboards leave the fourth byte of a pixel as it is, often 0."""
    pixels = np.dstack([PIXELS, np.full(PIXELS.shape[:2], alpha, np.uint8)])
    options = {"lossless": True, "exact": True} if name.endswith("webp") else {}
    Image.fromarray(pixels).save(tmp_path / name, **options)
    assert np.array_equal(read_picture(tmp_path / name), PIXELS)
    said = f"{name}: its alpha channel is {alpha} everywhere: not used" in caplog.text
    assert said == (alpha < 255)


@pytest.mark.parametrize("name", ["a.tif", "a.webp", "a.gif", "a.png"])
def test_frames_that_are_not_read_are_said(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    frames = [Image.fromarray(PIXELS), Image.fromarray(255 - PIXELS)]
    options = {"lossless": True} if name.endswith("webp") else {}
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], **options)
    assert read_picture(tmp_path / name).shape == PIXELS.shape
    assert f"{name} has 2 frames: only the first is read" in caplog.text


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["tif", "png"])
def test_every_orientation_of_every_format(tmp_path: Path, orientation: int, ending: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{ending}"
    Image.fromarray(PIXELS).save(path, exif=exif)
    turned = {
        1: PIXELS,
        2: PIXELS[:, ::-1],
        3: PIXELS[::-1, ::-1],
        4: PIXELS[::-1],
        5: PIXELS.transpose(1, 0, 2),
        6: np.rot90(PIXELS, -1),
        7: PIXELS[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(PIXELS, 1),
    }
    assert np.array_equal(read_picture(path), turned[orientation])
    assert decoding.orientation_of(path) == orientation
    assert decoding.decode(path, PictureError).orientation == orientation
    assert decoding.is_plain_png(path) == (ending == "png" and orientation == 1)


def tiff(values: np.ndarray, bits: int, photometric: int) -> bytes:
    """An uncompressed gray TIFF, as little-endian."""
    height, width = values.shape[:2]
    data = np.packbits(values, axis=1) if bits == 1 else values
    strip = data.tobytes()
    tags = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, bits),
        (259, 3, 1),
        (262, 3, photometric),
        (273, 4, 8),
        (277, 3, 1),
        (278, 4, height),
        (279, 4, len(strip)),
    ]
    strip += b"\0" * (len(strip) % 2)
    fields = b"".join(struct.pack("<HHLL", tag, kind, 1, value) for tag, kind, value in tags)
    header = b"II*\0" + struct.pack("<L", 8 + len(strip))
    return header + strip + struct.pack("<H", len(tags)) + fields + struct.pack("<L", 0)


@pytest.mark.parametrize("deflated", [False, True])
def test_deep_channels_in_planes_are_refused(deflated: bool, tmp_path: Path) -> None:
    """Pillow reads bytes of other pixels, or the high bytes twice."""
    deep = np.random.default_rng(0).integers(0, 4096, (3, 24, 32)).astype("<u2")
    planes = [plane.tobytes() for plane in deep]
    planes = [zlib.compress(plane) for plane in planes] if deflated else planes
    offsets = [8, 8 + len(planes[0]), 8 + len(planes[0]) + len(planes[1])]
    end = offsets[2] + len(planes[2])
    lists = struct.pack("<3H3L3L", 16, 16, 16, *offsets, *map(len, planes))
    tags = [
        (256, 4, 1, 32),
        (257, 4, 1, 24),
        (258, 3, 3, end),
        (259, 3, 1, 8 if deflated else 1),
        (262, 3, 1, 2),
        (273, 4, 3, end + 6),
        (277, 3, 1, 3),
        (278, 4, 1, 24),
        (279, 4, 3, end + 18),
        (284, 3, 1, 2),
    ]
    fields = b"".join(struct.pack("<HHLL", *tag) for tag in tags)
    directory = struct.pack("<H", len(tags)) + fields + bytes(4)
    header = b"II*\0" + struct.pack("<L", end + len(lists))
    (tmp_path / "a.tif").write_bytes(header + b"".join(planes) + lists + directory)
    with pytest.raises(PictureError, match="stores each channel apart.*16-bit PNG"):
        read_picture(tmp_path / "a.tif")


def test_a_tiff_of_a_kind_that_is_not_read_is_described(tmp_path: Path) -> None:
    content = bytearray(tiff(PIXELS[..., 0].astype("<f8"), 64, 1))
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(PictureError, match=r"not read \(channels: 1, bits: 64\).*convert it to"):
        read_picture(tmp_path / "a.tif")
    (tmp_path / "a.tif").write_bytes(content[:200])
    with pytest.raises(PictureError, match="its tags cannot be read"):
        read_picture(tmp_path / "a.tif")


@pytest.mark.parametrize("tag", [(700, 4, 1, 7), (270, 2, 9999, 99999), (282, 5, 1, 99999)])
def test_tiff_tags_that_describe_decide_nothing(
    tmp_path: Path, tag: tuple[int, int, int, int]
) -> None:
    """XMP that is a number; a description and a resolution beyond the end of the file."""
    content = tiff(PIXELS[..., 0], 8, 1)
    start = int.from_bytes(content[4:8], "little")
    count = int.from_bytes(content[start : start + 2], "little")
    entries = []
    for place in range(start + 2, start + 2 + 12 * count, 12):
        entries.append(content[place : place + 12])
    entries += [struct.pack("<HHLHH", 0x0112, 3, 1, 3, 0), struct.pack("<HHLL", *tag)]
    entries.sort(key=lambda entry: int.from_bytes(entry[:2], "little"))
    tags = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    path = tmp_path / "a.tif"
    path.write_bytes(content[:start] + tags)
    assert np.array_equal(read_picture(path)[..., 0], PIXELS[::-1, ::-1, 0])


@pytest.mark.parametrize("start", [b"AC1015 drawing", b"\x93NUMPY", b"\0ftypqt"])
def test_another_format_is_shown(tmp_path: Path, start: bytes) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(start + bytes(200))
    words = re.escape(repr(start)[2:-1])
    with pytest.raises(PictureError, match=f"begins with b'{words}.*expected an intact PNG"):
        read_picture(path)


def test_white_is_zero_at_every_depth(tmp_path: Path) -> None:
    gray = PIXELS[..., 0]
    for bits, values in (
        (1, gray > 127),
        (8, gray),
        (16, gray.astype("<u2") * 257),
    ):
        shown = []
        for photometric in (0, 1):
            path = tmp_path / f"{bits}-{photometric}.tif"
            path.write_bytes(tiff(values, bits, photometric))
            shown.append(read_picture(path))
        assert np.array_equal(shown[0], 255 - shown[1])


def test_the_white_level_is_that_of_the_set(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paths = [tmp_path / name for name in ("dark.png", "light.png", "broken.png", "eight.png")]
    for path, highest in zip(paths, (200, 4000), strict=False):
        values = np.full((16, 16), highest // 2, np.uint16)
        values[0, 0] = highest
        Image.fromarray(values).save(path)
    paths[2].write_bytes(b"\x89PNG")
    Image.fromarray(PIXELS).save(paths[3])
    with caplog.at_level(logging.INFO):
        white = white_level(paths)
    assert white == 4095 and "reach 4000: all of them are taken for 12 bits" in caplog.text
    caplog.clear()
    assert read_picture(paths[0], white)[0, 0, 0] == 200 >> 4
    assert read_picture(paths[1], white)[0, 0, 0] == 4000 >> 4
    assert np.array_equal(read_picture(paths[3], white), PIXELS)
    assert not caplog.records
    assert read_picture(paths[0])[0, 0, 0] == 200  # alone it decides by its own
    assert white_level(paths[2:]) is None
    assert load_picture(paths[3]).white == 255


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer; .*git lfs pull"),
        (b"<!DOCTYPE html>", "is a web page under this name; .*download the file itself"),
        (b"\0\5\x16\7" + bytes(40), "macOS writes beside the real one; .*leave it out"),
        (b"\0\0\0\x18ftypheic" + bytes(40), "is a HEIC picture; .*save it as PNG"),
        (b'<?xml version="1.0"?><Error>', "is an XML file under this name"),
        (b'{"message": "not found"}', "is a JSON file under this name"),
        (b"PK\3\4" + bytes(40), "is a ZIP archive; .*unpack it"),
        (bytes(4096), "is a file of zeros.*copy it again"),
    ],
)
def test_files_that_are_no_pictures_are_called_what_they_are(
    tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(PictureError, match=rf"a\.jpg {words}" if words[0] == "i" else words):
        read_picture(path)
