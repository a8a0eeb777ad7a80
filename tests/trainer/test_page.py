"""The contact sheet and the page: self-contained, escaped, complete, the same bytes each time."""

from __future__ import annotations

import io
import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

import numpy as np
import pytest
from PIL import Image

from bgdefect_core.errors import DataError, OutputError
from bgdefect_core.pictures.overlay import outlined, warmed
from bgdefect_core.pictures.picture import Picture
from bgdefect_core.pictures.reading import read_picture
from bgdefect_core.pictures.writing import ImageFormat, write_picture
from bgdefect_core.records.dataset import DatasetWriter
from bgdefect_core.records.decisions import Decision, DecisionLog
from bgdefect_core.records.sample import Sample, SampleFacts
from trainer.generation.page import write_page
from trainer.generation.review_command import review
from trainer.review.config import ReviewConfig
from trainer.review.session import Session
from trainer.review.site import Site

QUALITY = {
    "strength": 0.5,
    "contrast": 3.0,
    "fill": 0.25,
    "background_psnr": 100.0,
    "background_max": 0.0,
    "latent_background_psnr": 42.5,
}


class Links(HTMLParser):
    def __init__(self, page: Path) -> None:
        super().__init__()
        self.files: list[str] = []
        self.tags: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href") and value and value[0] != "#" and value != "data:,":
                self.files.append(value)


@pytest.fixture
def data_set(tmp_path: Path) -> Path:
    """Two accepted samples and one rejected attempt without a heat map, in a folder with a
    difficult name."""
    root = tmp_path / "a set"
    source = tmp_path / "good <b>.png"
    write_picture(source, np.full((80, 120, 3), 100, np.uint8))
    with DatasetWriter(
        root, "nut & bolt", "scratch #1", {"prompt": "<script>alert(1)</script>", "empty": None}
    ) as writer:
        for index, attempt, accepted in ((0, 0, True), (1, 0, False), (1, 1, True)):
            picture, mask = np.full((80, 120, 3), 100, np.uint8), np.zeros((80, 120), bool)
            mask[40:46, 60:70] = True
            picture[mask] = (200, 30, 30)
            heat = None if not accepted else mask.astype(np.float32)
            verdict = "good" if accepted else "no visible defect"
            label = mask & accepted
            facts = SampleFacts(index, attempt, source, {}, 7, QUALITY, verdict, accepted)
            writer.add(Sample(facts, Picture(picture), label, mask, heat))
    return root


def data_in(page: Path) -> dict[str, Any]:
    """What the page's script shows."""
    (text,) = re.findall(
        r'<script type="application/json" id="data">(.*?)</script>',
        page.read_text(encoding="utf-8"),
        re.DOTALL,
    )
    data: dict[str, Any] = json.loads(text)
    return data


def test_page_shows_every_sample_with_working_links(data_set: Path) -> None:
    sheet, page = write_page(data_set, "nut & bolt", "scratch #1")
    links = Links(page)
    data = data_in(page)
    files = list(links.files)
    for row in data["rows"]:
        files += row["files"].values()
    assert len(files) == 2 + 3 * 5 + 2  # sheet, manifest; kinds of each attempt; two heat maps
    for file in files:
        assert (page.parent / unquote(file)).resolve().is_file(), file
        assert "://" not in file and not file.startswith("/")
    text = page.read_text(encoding="utf-8")
    assert links.tags.count("script") == 2 and "<script>alert" not in text
    assert "&lt;script&gt;" in text and "nut &amp; bolt" in text
    rows = {row["name"]: row for row in data["rows"]}
    assert rows["00001_0"]["verdict"] == "no visible defect" and not rows["00001_0"]["accepted"]
    assert rows["00001_1"]["source"] == "good <b>.png" and data["readOnly"]
    assert rows["00000_0"]["figures"]["before stitching dB"] == "42.5"
    assert data["command"] == "bgdefect review FOLDER, with the folder of this data set"
    box = rows["00000_0"]["detail"]["box"]
    assert box["left"] <= 60 and box["left"] + box["side"] >= 70 and box["side"] == 48
    assert read_picture(sheet).shape[1] > 1000


def test_no_text_of_a_sample_ends_the_script(data_set: Path) -> None:
    """A verdict from a manifest of elsewhere stays data."""
    manifest = data_set / "extras/nut & bolt/scratch #1/manifest.jsonl"
    evil = "</script><script>alert(1)</script><!--"
    manifest.write_text(manifest.read_text().replace("no visible defect", evil))
    _, page = write_page(data_set, "nut & bolt", "scratch #1")
    assert Links(page).tags.count("script") == 2
    assert [row["verdict"] for row in data_in(page)["rows"]].count(evil) == 1


def test_page_says_what_a_person_decided(data_set: Path) -> None:
    """Before and after the decisions are applied; the command writes the page anew."""
    folder = data_set / "extras/nut & bolt/scratch #1"
    with DecisionLog(folder) as log:
        log.add(Decision(0, 0, "", "reject", "wrong place"))
    _, page = write_page(data_set, "nut & bolt", "scratch #1")
    for _ in range(2):
        row = next(row for row in data_in(page)["rows"] if row["name"] == "00000_0")
        assert (row["decision"], row["reason"]) == ("reject", "wrong place")
        assert not row["accepted"] and row["byVerdict"]
        assert (page.parent / unquote(row["files"]["result"])).is_file()
        said = review(ReviewConfig(data_set, apply=True), lambda line: None)
    assert said == "nut & bolt / scratch #1: 0 moved in, 0 moved out, 0 labels changed"


def test_same_data_same_bytes(data_set: Path) -> None:
    first = [path.read_bytes() for path in write_page(data_set, "nut & bolt", "scratch #1")]
    assert [path.read_bytes() for path in write_page(data_set, "nut & bolt", "scratch #1")] == first


def test_zoom_shows_a_small_defect_large(data_set: Path) -> None:
    """A mask of 10 x 6 in 120 x 80 pixels: the crop is 48 pixels wide, three times as large on the
    page."""
    write_page(data_set, "nut & bolt", "scratch #1")
    strip = read_picture(data_set / "extras" / "nut & bolt" / "scratch #1" / "zoom" / "00000.png")
    result = strip[:, 2 * 148 : 2 * 148 + 144].astype(int)
    red = (result[..., 0] - result[..., 1] > 100).sum()
    assert 0.8 < red / (60 * 9) < 1.2


def test_no_samples(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path, "nut", "scratch", {}):
        pass
    with pytest.raises(DataError, match="no samples"):
        write_page(tmp_path, "nut", "scratch")


def test_outline_leaves_the_defect_uncovered() -> None:
    picture, mask = np.zeros((9, 9, 3), np.uint8), np.zeros((9, 9), bool)
    mask[3:6, 3:6] = True
    drawn = outlined(picture, mask, (1, 2, 3))
    assert (
        not drawn[mask].any()
        and (drawn[2, 2:7] == (1, 2, 3)).all()
        and (drawn.any(axis=2)).sum() == 16
    )


def test_heat_runs_from_gray_to_yellow() -> None:
    picture = np.full((1, 3, 3), 80, np.uint8)
    shown = warmed(picture, np.array([[0, 128, 255]], np.uint8))
    assert (
        (shown[0, 0] == 40).all()
        and shown[0, 1, 0] > 220
        and shown[0, 1, 1] < 20
        and shown[0, 2, 1] > 220
    )


def test_names_that_are_no_text_are_shown_with_the_replacement_character(tmp_path: Path) -> None:
    """A byte that is not UTF-8, letters that the sheet's font lacks, a line end."""
    plain, mask = np.full((40, 48, 3), 100, np.uint8), np.zeros((40, 48), bool)
    mask[10:16, 10:16] = True
    source = tmp_path / "f\udcfcr\n한국.png"
    try:
        write_picture(source, plain)
    except OutputError:
        pytest.skip("the file system holds only text")
    root = tmp_path / "caf\udce9"
    with DatasetWriter(root, "부품", "spot", {"prompt": "\udce9"}) as writer:
        facts = SampleFacts(0, 0, source, {}, 7, QUALITY, "good", True)
        writer.add(Sample(facts, Picture(plain), mask, mask, None))
    _, page = write_page(root, "부품", "spot")
    text = page.read_text(encoding="utf-8")
    (row,) = data_in(page)["rows"]
    assert row["source"] == "f\ufffdr\n한국.png" and "부품" in text
    for file in [*Links(page).files, *row["files"].values()]:
        assert os.path.isfile(os.path.join(os.fsencode(page.parent), unquote_to_bytes(file)))


@pytest.mark.parametrize("image_format", ["png", "tiff"])
def test_deep_pictures_are_shown_at_their_white_level(
    image_format: ImageFormat, tmp_path: Path
) -> None:
    """12 bits in files of 16: browsers show them 16 times too dark, and TIFF not at all. The
    rejected sample is dark: it lies among masks alone, and its run says what white is."""
    root, source = tmp_path / "set", tmp_path / "good.png"
    good = np.full((40, 60, 3), 1600, np.uint16)
    write_picture(source, Picture(good, 4095))
    mask = np.zeros((40, 60), bool)
    mask[10:14, 20:30] = True
    dark = np.repeat(np.where(mask, 160, 480).astype(np.uint16)[..., None], 3, axis=2)
    with DatasetWriter(root, "nut", "pit", {}, white=4095, image_format=image_format) as writer:
        for index, (pixels, accepted) in enumerate(((good, True), (dark, False))):
            facts = SampleFacts(index, 0, source, {}, 7, QUALITY, "good", accepted)
            writer.add(Sample(facts, Picture(pixels.copy(), 4095), mask, mask, None))
    _, page = write_page(root, "nut", "pit")
    rows = data_in(page)["rows"]
    for row, value in zip(rows, (1600, 480), strict=True):
        for kind, expected in (("normal", 1600), ("result", value)):
            file = page.parent / row["files"][kind]
            assert file.parent.name == "shown" and file.suffix == ".jpg"
            shown = np.asarray(Image.open(file))
            assert abs(int(shown[30, 50, 0]) - (expected >> 4)) <= 2
        zoom = read_picture(page.parent / row["files"]["thumbnail"])
        assert abs(int(zoom[0, 0, 0]) - (1600 >> 4)) <= 2
        assert abs(int(zoom[0, 2 * 148, 0]) - (value >> 4)) <= 2
    times = [path.stat().st_mtime_ns for path in sorted((page.parent / "shown").iterdir())]
    write_page(root, "nut", "pit")
    assert len(times) == 3  # two samples, one good picture
    again = sorted((page.parent / "shown").iterdir())
    assert [path.stat().st_mtime_ns for path in again] == times
    with Session(root) as session:
        site = Site(session)
        for name, value in (("00000_0", 1600), ("00001_0", 480)):
            for kind, expected in (("result", value), ("normal", 1600)):
                answer = site.get(f"{kind}/0/{name}")
                assert answer.status == 200
                pixels = np.asarray(Image.open(io.BytesIO(answer.body)))
                assert int(pixels[30, 50, 0]) == expected >> 4
            thumbnail = np.asarray(Image.open(io.BytesIO(site.get(f"thumbnail/0/{name}").body)))
            assert abs(int(thumbnail[0, 0, 0]) - (value >> 4)) <= 1
