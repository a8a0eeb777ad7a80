"""``bgdefect data check``: figures by hand, and bad files that are listed in place of a stop."""

from __future__ import annotations

from pathlib import Path

from trainer.data.check import CheckConfig, check

from .annotated_sets import coco, coco_nut


def test_what_a_good_data_set_holds(tmp_path: Path) -> None:
    text = "\n".join(check(CheckConfig(coco_nut(tmp_path / "nut"))))
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
    text = "\n".join(check(CheckConfig(root)))
    assert "odd        3" in text
    assert "a defect of 9 pixels" in text and "is full" in text and "has the content of" in text
    assert "2 pictures have boxes alone" in text and "needs 4 parts" in text
