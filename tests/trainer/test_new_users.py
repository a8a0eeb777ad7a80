"""What a new user's folders hold, and what the log says of them: nothing that would make a person
think that labels are lost, and nothing left out without a word."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest

from bgdefect_core.errors import DataError
from trainer.data.check import CheckConfig, check
from trainer.data.layouts import find_examples, layout_of

from .annotated_sets import labelme_nut, plain_picture, relative_corners

ROBOFLOW = "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n"


def roboflow(root: Path) -> Path:
    """An export with two sides; ``data.yaml`` names a third, which is empty and not there."""
    for number, side in enumerate(("train", "valid")):
        plain_picture(root / side / "images" / f"{side}.png", 90 + number)
        (root / side / "labels").mkdir()
        (root / side / "labels" / f"{side}.txt").write_text(f"0 {relative_corners()}\n")
    for name in ("README.roboflow.txt", "README.dataset.txt"):
        (root / name).write_text("exported\n")
    (root / "data.yaml").write_text(f"{ROBOFLOW}nc: 1\nnames: ['cut']\n")
    return root


def test_a_side_that_is_not_there_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = roboflow(tmp_path / "nut")
    assert [example.image.name for example in find_examples(root)] == ["train.png", "valid.png"]
    assert "../test/images (test) does not exist: passed over" in caplog.text
    assert "no picture" not in caplog.text  # the two texts are no labels
    for text in ("train: ../tran/images", "train: ../train/images\nval: ../vald/images"):
        (root / "data.yaml").write_text(f"{text}\nnames: [cut]\n")
        with pytest.raises(DataError, match="(tran|vald)/images"):  # the others must be there
            find_examples(root)
    outside = ROBOFLOW.replace("../test/images", "../../..")
    (root / "data.yaml").write_text(f"{outside}names: [cut]\n")
    with pytest.raises(DataError, match="leads out"):
        find_examples(root)


@pytest.mark.parametrize("train", ["../train/images", "train.txt"])
def test_a_val_side_that_was_never_there(
    train: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """All pictures are on train: nothing is lost without val."""
    root = roboflow(tmp_path / "nut")
    (root / "train.txt").write_text("train/images/train.png\n")
    text = f"train: {train}\nval: ../valid/images\nnames: [cut]\n"
    (root / "data.yaml").write_text(text.replace("valid", "vald"))
    with pytest.raises(DataError, match=r"vald/images \(val\).*valid\.png is on no side"):
        find_examples(root)
    shutil.rmtree(root / "valid")
    (root / "data.yaml").write_text(text)
    assert [example.image.name for example in find_examples(root)] == ["train.png"]
    assert "../valid/images (val) does not exist: passed over" in caplog.text
    (root / "data.yaml").write_text("val: ../a\ntest: ../b\nnames: [cut]\n")
    with pytest.raises(DataError, match=r"\.\./a \(val\) does not exist"):
        find_examples(root)


def test_sides_without_a_yaml_are_yolo_too(tmp_path: Path) -> None:
    root = roboflow(tmp_path / "nut")
    (root / "data.yaml").unlink()
    assert layout_of(root).name == "yolo"
    assert [example.defect for example in find_examples(root)] == ["class0"] * 2


def test_files_of_labels_are_not_called_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    roots = [labelme_nut(tmp_path / "bolt"), roboflow(tmp_path / "nut")]
    (roots[0] / "notes.md").write_text("mine\n")
    for root in roots:
        check(CheckConfig(root))
    lines = [text for text in caplog.messages if "passed over" in text and "(test)" not in text]
    assert len(lines) == 1 and lines[0].endswith("passed over: notes.md (no picture)")


def test_a_folder_in_which_nothing_is_found_is_no_data_set(tmp_path: Path) -> None:
    plain_picture(tmp_path / "nut" / "train" / "a.png")
    with pytest.raises(DataError, match="holds no picture as mvtec has it"):
        check(CheckConfig(tmp_path / "nut"))


def test_an_entry_that_stands_twice_is_refused(tmp_path: Path) -> None:
    root = roboflow(tmp_path / "yolo")
    with (root / "data.yaml").open("a") as file:
        file.write("names: ['dent']\n")
    with pytest.raises(DataError, match=r"data\.yaml holds 'names' twice"):
        find_examples(root)
    root = labelme_nut(tmp_path / "labelme")
    file = next(root.glob("*.json"))
    file.write_text(file.read_text().replace('"shapes":', '"shapes": [], "shapes":', 1))
    with pytest.raises(DataError, match="'shapes' stands twice"):
        find_examples(root)
