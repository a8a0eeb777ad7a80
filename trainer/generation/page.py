"""The finished data set to look at: a contact sheet (PNG) and a page (HTML), beside its manifest.
The page is that of ``bgdefect review``, as a file that can only be read.

ROOT/extras/OBJECT/DEFECT/sheet.png      zoomed crops of the first samples, with outlines
ROOT/extras/OBJECT/DEFECT/index.html     every sample, accepted or rejected
ROOT/extras/OBJECT/DEFECT/zoom/*.png     the zoomed crops of one sample side by side
ROOT/extras/OBJECT/DEFECT/shown/*.jpg    pictures that browsers show dark (10 to 16 bits) or not at
                                         all (TIFF), as 8 bits
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from PIL import Image, ImageDraw

from bgdefect_core.errors import DataError
from bgdefect_core.files import atomic_write
from bgdefect_core.pictures.crop import crop_box, take
from bgdefect_core.pictures.mask_reading import read_label
from bgdefect_core.pictures.overlay import CYAN, GREEN, outlined, warmed
from bgdefect_core.pictures.picture import Pixels
from bgdefect_core.pictures.reading import read_picture
from bgdefect_core.pictures.writing import write_picture
from bgdefect_core.records.dataset_place import extras_folder
from bgdefect_core.records.manifest import ManifestLine, read_manifest

from ..review.crops import detail
from ..review.document import About, read_only_document
from ..review.rows import Row, attempt_name, is_real, row_of
from ..review.shown import good_file, picture_of, write_shown
from .effect import effect_line
from .more_like import more_like_line
from .variety import variety_lines

_COMMAND = "bgdefect review FOLDER, with the folder of this data set"
"""No name of a folder: equal runs have equal pages."""
SHOWN = 200
"""Accepted samples, and rejected ones, whose surroundings are cut out for the page; of the others
it shows the whole pictures."""
_SHEET = {"accepted": 48, "rejected": 12}
_SIDE, _GAP, _TEXT = 144, 4, 30
TITLES = ("normal", "requested mask", "result", "refined mask", "heat map")


def write_page(root: str | Path, object: str, defect: str) -> tuple[Path, Path]:
    """Write the contact sheet and the page of a run; returns both paths. The same data set gives
    the same bytes.

    Raises:
        DataError: no such run, or one without samples. OutputError: the folder cannot be written
            to.
    """
    root = Path(root)
    folder = extras_folder(root, object, defect)
    records = sorted(
        read_manifest(folder / "manifest.jsonl"),
        key=lambda record: (record.index, record.attempt),
    )
    if not records:
        raise DataError(
            f"{folder} holds no samples",
            "a run with samples",
            "see which masks could not be placed",
        )
    shown = Counter[str]()
    rows: list[Row] = []
    tiles: dict[str, list[Pixels]] = {"accepted": [], "rejected": []}
    for record in records:
        kind = "accepted" if record.accepted else "rejected"
        row = row_of(record) | {"files": _files(root, folder, record)}
        if shown[kind] < SHOWN:
            shown[kind] += 1
            zoom = folder / "zoom" / f"{Path(record.file).stem}.png"
            strip = zoom_strip(root, record)
            write_picture(zoom, strip)
            row["files"]["thumbnail"] = _link(zoom, folder)
            row["detail"] = detail(read_label(root / record.requested))
            if len(tiles[kind]) < _SHEET[kind]:
                tiles[kind].append(_captioned(strip, _caption(record, attempt_name(record))))
        rows.append(row)
    sheet, page = folder / "sheet.png", folder / "index.html"
    write_picture(sheet, _sheet(f"{object} / {defect}", tiles))
    with atomic_write(page, "w") as file:
        file.write(_document(root, object, defect, records, rows))
    return sheet, page


def _document(
    root: Path, object: str, defect: str, records: Sequence[ManifestLine], rows: Sequence[Row]
) -> str:
    lines: list[str] = []
    for reason, count in _reasons(records).items():
        lines.append(f"{count} x {reason}")
    for note in (effect_line(records), more_like_line(records[0].settings)):
        if note:
            lines.append(note)
    lines += variety_lines(root, records)
    settings: dict[str, Any] = {}
    for name, value in records[0].settings.items():
        if value is not None:
            settings[name] = value
    links = {"Contact sheet": "sheet.png", "Manifest": "manifest.jsonl"}
    title = f"{object} / {defect}"
    return read_only_document(title, [title], rows, About(lines, settings, links), _COMMAND)


def _files(root: Path, folder: Path, line: ManifestLine) -> dict[str, str]:
    """Addresses of an attempt's pictures by kind."""
    shown, good = folder / "shown", good_file(root, line)
    good_name = f"good_{Path(good).stem}" if good != line.file else attempt_name(line)
    files = {
        "normal": write_shown(root, line, good, shown, good_name),
        "result": write_shown(root, line, line.file, shown, attempt_name(line)),
        "label": root / line.label,
        "requested": root / line.requested,
    }
    if line.heatmap is not None:
        files["heat"] = root / line.heatmap
    addresses: dict[str, str] = {}
    for kind, file in files.items():
        addresses[kind] = _link(file, folder)
    return addresses


def zoom_strip(root: Path, record: ManifestLine) -> Pixels:
    """The surroundings of the mask, five times: normal, requested outline, result, refined outline,
    heat map."""
    result = picture_of(root, record, record.file)
    normal = picture_of(root, record, good_file(root, record))
    requested, refined = read_label(root / record.requested), read_label(root / record.label)
    heat = np.zeros(requested.shape, np.uint8)
    if record.heatmap is not None:
        heat = _gray(root / record.heatmap)
    heat = np.repeat(heat[..., None], 3, axis=2)
    crop = crop_box(requested, 96, "defect")
    before, after = take(normal, crop, _SIDE), take(result, crop, _SIDE)
    squares = (
        before,
        outlined(before, take(requested, crop, _SIDE), CYAN),
        after,
        outlined(after, take(refined, crop, _SIDE), GREEN),
        warmed(after, take(heat, crop, _SIDE)[..., 0]),
    )
    framed: list[Pixels] = []
    for square in squares:
        framed.append(np.pad(square, ((0, 0), (0, _GAP), (0, 0)), constant_values=255))
    return np.concatenate(framed, axis=1)[:, :-_GAP]


def _gray(path: Path) -> Pixels:
    return read_picture(path)[..., 0].copy()


def _link(path: Path, folder: Path) -> str:
    """The relative address of a file, byte for byte: names need not be text."""
    return quote(os.fsencode(Path(os.path.relpath(path, folder)).as_posix()))


def _reasons(lines: Sequence[ManifestLine]) -> dict[str, int]:
    counts = Counter(line.verdict for line in lines)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _caption(record: ManifestLine, name: str) -> str:
    quality = record.quality
    figures = f"strength {quality['strength']:.2f}  fill {quality['fill']:.2f}"
    return f"{name}: {record.verdict}{_started(record)}\n{figures}"


def _started(record: ManifestLine) -> str:
    """The start, where it is a real defect."""
    if record.start is None or not is_real(record):
        return ""
    return f", {record.start['kind']} at {record.start['level']:.2f}"


def _captioned(strip: Pixels, text: str) -> Pixels:
    image = Image.new("RGB", (strip.shape[1], strip.shape[0] + _TEXT), "white")
    image.paste(Image.fromarray(strip), (0, _TEXT))
    ImageDraw.Draw(image).text((2, 1), _drawable(text), fill="black")
    return np.asarray(image).copy()


def _sheet(title: str, tiles: dict[str, list[Pixels]]) -> Pixels:
    """All strips, two side by side, the rejected ones below under their own heading."""
    width = 2 * (5 * (_SIDE + _GAP) - _GAP) + 8 * _GAP
    bands = [_heading(f"{title}: {', '.join(TITLES)} (zoomed to the mask)", width)]
    for kind, strips in tiles.items():
        if strips:
            bands.append(_heading(kind, width))
        for first in range(0, len(strips), 2):
            height = strips[first].shape[0]
            band = np.full((height + 2 * _GAP, width, 3), 255, np.uint8)
            left = 0
            for strip in strips[first : first + 2]:
                band[:height, left : left + strip.shape[1]] = strip[:, : width - left]
                left += strip.shape[1] + 8 * _GAP
            bands.append(band)
    return np.concatenate(bands)


def _heading(text: str, width: int) -> Pixels:
    image = Image.new("RGB", (width, 24), "white")
    ImageDraw.Draw(image).text((2, 6), _drawable(text), fill="black")
    return np.asarray(image).copy()


def _drawable(text: str) -> str:
    """The text in the letters that Pillow's own font has."""
    return text.encode("latin-1", "replace").decode("latin-1")
