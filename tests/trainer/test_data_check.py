"""``bgdefect data check``: figures by hand, and bad files that are listed in place of a stop."""

from __future__ import annotations

from pathlib import Path

from trainer.data.check import CheckConfig, check, lines

from .annotated_sets import coco, coco_nut


def test_what_a_good_data_set_holds(tmp_path: Path) -> None:
    text = "\n".join(lines(check(CheckConfig(coco_nut(tmp_path / "nut")))))
    assert "layout     coco" in text and "3 with defects, 2 good" in text
    assert "sizes      24 x 20 (5)" in text and "5 parts" in text
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
    assert "2 pictures have boxes alone" in text and "needs 4 parts" in text


def test_the_page_holds_everything_and_needs_no_other_file(tmp_path: Path) -> None:
    labels = [{"bbox": [2, 2, 8, 4]}, {"bbox": [12, 8, 4, 4], "category_id": 2}]
    root = coco(tmp_path / "nut", labels, pictures=3, categories=("cut", "dent"))
    report = check(CheckConfig(root, tmp_path / "check.html"))
    page = (tmp_path / "check.html").read_text()
    assert page.count('<img src="data:image/jpeg;base64,') == 4 and "http" not in page
    for text in ("nut / cut", "nut / dent", "1 of them show other classes", "32 to 63", "Nothing"):
        assert text in page
    assert report.classes["nut", "cut"].histogram == [("32 to 63", 1)]
    assert "areas    16 to 31: 1" in "\n".join(lines(report))


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
