"""Kinds of odd label files that once made pictures good, or masks wrong, without a word."""

from __future__ import annotations

from pathlib import Path

import pytest

from bgdefect_core.errors import DataError
from trainer.data.examples import load_example
from trainer.data.layouts import find_examples, good_pictures

from .annotated_sets import CORNERS, coco, labelme, pairs, plain_picture, yolo


@pytest.mark.parametrize("content", [b"", b"[]", b'{"version": 5}', b"\xff\xfe{\0"])
def test_a_json_that_holds_no_labels_makes_no_picture_good(content: bytes, tmp_path: Path) -> None:
    root = labelme(tmp_path / "nut", "a", [{"shape_type": "polygon", "points": pairs(CORNERS)}])
    plain_picture(root / "b.png", 120)
    (root / "b.json").write_bytes(content)
    with pytest.raises(DataError, match=r"b\.json"):
        good_pictures(root)


def test_endings_of_labels_in_upper_case(tmp_path: Path) -> None:
    root = yolo(tmp_path / "nut", ["0 0.5 0.5 0.2 0.2", ""])
    label = min(root.glob("labels/train/*.txt"))
    label.rename(label.with_suffix(".TXT"))
    assert len(find_examples(root)) == 1 and len(good_pictures(root)) == 1


def test_key_points_are_no_polygon(tmp_path: Path) -> None:
    """A line of YOLO pose: class, box, then x, y and visibility of each point."""
    line = "0 0.5 0.5 0.25 0.2 0.5 0.5 2 0.4 0.4 2"
    root = yolo(tmp_path / "nut", [line])
    path = root / "data.yaml"
    path.write_text(path.read_text() + "kpt_shape: [2, 3]\n")
    (example,) = find_examples(root)
    assert load_example(example)[1].sum() == 6 * 4
    assert example.regions[0].is_loose


def test_a_broken_data_yaml_is_not_passed_over(tmp_path: Path) -> None:
    root = yolo(tmp_path / "nut", ["0 0.5 0.5 0.2 0.2"])
    (root / "data.yaml").write_text("train:\timages/train\nnames: [cut]\n")
    with pytest.raises(DataError, match=r"data\.yaml cannot be read"):
        find_examples(root)


def test_coco_without_annotations_is_not_all_good(tmp_path: Path) -> None:
    root = coco(tmp_path / "nut", [], pictures=2)
    assert len(good_pictures(root)) == 2
    root = coco(tmp_path / "bolt", [], pictures=2)
    (path,) = root.glob("annotations/*.json")
    path.write_text(path.read_text().replace('"annotations": []', '"annotations": null'))
    with pytest.raises(DataError, match="annotations is not there"):
        good_pictures(root)


def test_classes_that_differ_in_case_alone(tmp_path: Path) -> None:
    shapes = [{"label": label, "points": pairs(CORNERS)} for label in ("cut", "Cut")]
    root = labelme(tmp_path / "nut", "a", shapes)
    with pytest.raises(DataError, match="'Cut' and 'cut'"):
        find_examples(root)


def test_a_name_that_no_file_system_takes(tmp_path: Path) -> None:
    root = labelme(tmp_path / "nut", "a", [{"label": "결" * 70, "points": pairs(CORNERS)}])
    with pytest.raises(DataError, match="at most 200 bytes"):
        find_examples(root)


def test_half_a_character_is_refused(tmp_path: Path) -> None:
    """JSON's escapes can write a half of a pair; a whole pair is a character."""
    shape = {"label": "cut \U0001f600", "points": pairs(CORNERS)}
    root = labelme(tmp_path / "nut", "a", [shape])
    text = (root / "a.json").read_text()
    assert "\\ud83d\\ude00" in text
    assert [example.defect for example in find_examples(root)] == ["cut \U0001f600"]
    (root / "a.json").write_text(text.replace("\\ude00", "?"))
    with pytest.raises(DataError, match=r"a\.json cannot be read.*can't encode"):
        find_examples(root)
    root = yolo(tmp_path / "bolt", ["0 0.5 0.5 0.2 0.2"])
    (root / "data.yaml").write_text('train: images/train\nnames: ["\\uD83D"]\n')
    with pytest.raises(DataError, match=r"data\.yaml cannot be read"):
        find_examples(root)
