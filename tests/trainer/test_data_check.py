"""``bgdefect data check``: figures by hand, and bad files that are listed in place of a stop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bgdefect_core.pictures.listing import report_once
from bgdefect_core.pictures.writing import write_picture
from trainer.data.check import CheckConfig, check, lines
from trainer.data.examples import validate
from trainer.data.layouts import find_examples

from .annotated_sets import HEIGHT, WIDTH, coco, coco_nut, plain_picture, yolo


def test_what_a_good_data_set_holds(tmp_path: Path) -> None:
    text = "\n".join(lines(check(CheckConfig(coco_nut(tmp_path / "nut")))))
    assert "layout     coco" in text and "3 with defects, 2 good" in text
    assert "sizes      24 x 20 (5)" in text and "cannot be used" not in text
    assert "5 parts: no picture names its own, so each counts as one" in text
    assert "nut / cut" in text and "pictures 3 of 3 parts" in text
    assert "24 to 24 pixels, median 24 (5 % of the picture)" in text
    assert "odd        nothing" in text


def test_what_is_odd_is_listed(tmp_path: Path) -> None:
    labels = [
        {"bbox": [2, 2, 3, 3]},
        {"bbox": [0, 0, 24, 20], "image_id": 2},
        {"bbox": [2, 2, 8, 8], "image_id": 3},
    ]
    root = coco(tmp_path / "nut", labels, pictures=4)
    (root / "images/003.png").write_bytes((root / "images/000.png").read_bytes())
    text = "\n".join(lines(check(CheckConfig(root))))
    assert "odd        3" in text
    assert "a defect of 9 pixels" in text and "is full" in text and "has the content of" in text
    assert "2 pictures have boxes alone" in text
    assert "not evaluate: that takes 4 parts with the defect (here 2) and 4 good" in text
    assert "2 with defects, 1 good, 1 that cannot be used" in text


def test_the_page_holds_everything_and_needs_no_other_file(tmp_path: Path) -> None:
    labels = [{"bbox": [2, 2, 8, 4]}, {"bbox": [12, 8, 4, 4], "category_id": 2}]
    root = coco(tmp_path / "nut", labels, pictures=3, categories=("cut", "dent"))
    report = check(CheckConfig(root, tmp_path / "check.html"))
    page = (tmp_path / "check.html").read_text()
    assert page.count('<img src="data:image/jpeg;base64,') == 4 and "http" not in page
    for text in ("nut / cut", "nut / dent", "1 of them show other classes", "32 to 63", "Nothing"):
        assert text in page
    assert report.classes["nut", "cut"].histogram == [("32 to 63", 1)]
    text = "\n".join(lines(report))
    assert "areas    16 to 31: 1" in text and f"page       {tmp_path / 'check.html'}" in text


def test_names_are_written_as_text(tmp_path: Path) -> None:
    root = coco(tmp_path / "<i>nut", [{"bbox": [2, 2, 8, 4]}], pictures=2)
    check(CheckConfig(root, tmp_path / "check.html"))
    page = (tmp_path / "check.html").read_text()
    assert "<i>" not in page and "&lt;i&gt;nut" in page


def test_a_good_picture_that_is_a_defect_too(tmp_path: Path) -> None:
    root = coco(tmp_path / "nut", [{"bbox": [2, 2, 8, 4]}], pictures=2)
    (root / "images/001.png").write_bytes((root / "images/000.png").read_bytes())
    (odd,) = check(CheckConfig(root)).odd
    assert odd.endswith("000.png, which shows a defect")


def test_labels_beyond_their_pictures_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """By how much, in which pictures; a pixel is rounding. One label lies outside altogether."""
    report_once.cache_clear()
    labels = [
        {"bbox": [-1, 15, 8, 6]},
        {"bbox": [20, 4, 10.5, 4], "image_id": 2},
        {"segmentation": [[4, 4, 9, 4, 9, 22.5, 4, 22.5]], "image_id": 3},
        {"bbox": [30, 4, 3, 3], "image_id": 3},
        {"segmentation": [[2, 2, 9, 2, 9, 9, 2, 9]], "image_id": 4},
    ]
    root = coco(tmp_path / "nut", labels, pictures=4)
    reach, unfilled = check(CheckConfig(root)).odd
    text = "labels of 2 pictures reach beyond them and are cut off: "
    assert reach == text + "002.png by 9 pixels, 001.png by 6.5 pixels"
    assert unfilled == "1 labels have no pixel in their picture: 002.png"
    validate(find_examples(root))
    assert reach in caplog.text


def test_shares_of_the_picture_reach_beyond_it_too(tmp_path: Path) -> None:
    root = yolo(tmp_path / "nut", ["0 0.9 0.5 0.5 0.5", "0 0.97 0.5 0.14 0.6", "0 0.5 0.5 0.4 0.4"])
    (odd,) = check(CheckConfig(root)).odd
    assert odd.endswith("cut off: 000.png by 3.6 pixels")


def test_labels_outside_alone_are_named_as_such(tmp_path: Path) -> None:
    root = coco(tmp_path / "nut", [{"bbox": [40, 4, 6, 6]}], pictures=2)
    (odd,) = check(CheckConfig(root)).odd
    assert "000.png have no pixel in its 24 x 20" in odd and "coordinates" in odd


def test_what_readers_warn_of_is_odd_and_said_once(tmp_path: Path) -> None:
    """Soft edges of every mask, a turned picture, a picture that is passed over."""
    report_once.cache_clear()
    root = tmp_path / "nut"
    for number in range(3):
        plain_picture(root / f"test/cut/{number}.png", 90 + number)
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[5:9, 5:11], mask[5, 5] = 255, 100
        write_picture(root / f"ground_truth/cut/{number}_mask.png", mask)
    plain_picture(root / "train/good/0.png", 80)
    (root / "train/good/1.ppm").write_bytes(b"P6 1 1 255 abc")
    turn = Image.Exif()
    turn[0x112] = 3
    Image.open(root / "test/cut/2.png").save(root / "test/cut/2.png", exif=turn)
    odd = check(CheckConfig(root)).odd
    assert len(odd) == 3
    for words in ("1 grayish pixels", "(and 2 more of this kind)", "orientation 3", "1.ppm"):
        assert len([line for line in odd if words in line]) == 1
