"""Annotations as other tools and other machines leave them: names that no longer fit, pictures that
were turned, labels that say nothing of a shape."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bgdefect_core.errors import DataError, MaskError
from bgdefect_core.pictures.listing import report_once
from bgdefect_core.pictures.reading import read_picture
from trainer.data.check import CheckConfig, check
from trainer.data.examples import load_example
from trainer.data.layouts import find_examples, good_examples

from .annotated_sets import (
    CORNERS,
    HEIGHT,
    WIDTH,
    coco_nut,
    labelme,
    labelme_nut,
    pairs,
    plain_picture,
    relative_corners,
    yolo_nut,
)
from .tool_exports import label_studio_nut


@pytest.fixture(autouse=True)
def everything_is_said_anew() -> None:
    report_once.cache_clear()


def coco_file(root: Path) -> Path:
    return root / "annotations/instances_train.json"


def changed(path: Path, **entries: Any) -> None:
    """Give each image of a COCO file other entries; ``{}`` in a text is its number."""
    content = json.loads(path.read_text())
    for number, image in enumerate(content["images"]):
        for name, value in entries.items():
            image[name] = value.format(number) if isinstance(value, str) else value
    path.write_text(json.dumps(content))


def test_sizes_of_0_are_not_known(tmp_path: Path) -> None:
    root = coco_nut(tmp_path / "nut")
    changed(coco_file(root), width=0, height=0)
    examples = find_examples(root)
    assert len(examples) == 3
    assert load_example(examples[0])[1].sum() == 24
    labelme(tmp_path / "bolt", "0", [rectangle()], imageHeight=0, imageWidth=0)
    (example,) = find_examples(tmp_path / "bolt")
    assert load_example(example)[1].any()


def rectangle() -> dict[str, Any]:
    return {"shape_type": "rectangle", "points": [[3, 2], [9, 6]]}


def test_names_as_in_a_web_address(tmp_path: Path) -> None:
    root = coco_nut(tmp_path / "nut")
    for path in sorted((root / "images").iterdir()):
        path.rename(path.with_name(f"part {path.name}"))
    changed(coco_file(root), file_name="part%20{:03d}.png")
    assert [example.image.name for example in find_examples(root)][0] == "part 000.png"


@pytest.mark.parametrize("name", ["{:03d}.jpg", "{:03d}"])
def test_pictures_that_were_converted_after_they_were_labelled(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = coco_nut(tmp_path / "nut")
    changed(coco_file(root), file_name=name)
    assert len(find_examples(root)) == 3
    assert "those that end in .png are read" in caplog.text
    bolt = labelme(tmp_path / "bolt", "0", [rectangle()], imagePath="0.jpg")
    assert len(find_examples(bolt)) == 1
    bolt = labelme(tmp_path / "two", "0", [rectangle()], imagePath="0.jpg")
    plain_picture(bolt / "0.bmp")  # two of the name: nobody knows which
    with pytest.raises(DataError, match=r"its picture 0\.jpg does not exist"):
        find_examples(bolt)


def test_a_picture_in_two_files_names_both(tmp_path: Path) -> None:
    root = coco_nut(tmp_path / "nut")
    coco_file(root).with_name("all.json").write_text(coco_file(root).read_text())
    with pytest.raises(DataError, match=r"all\.json and .*_train\.json both have .*move one"):
        find_examples(root)


@pytest.mark.parametrize("build", [coco_nut, yolo_nut])
def test_pictures_in_no_annotation_are_said(
    build: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = build(tmp_path / "nut")
    if build is yolo_nut:
        (root / "train.txt").write_text("images/train/000.png\nimages/train/001.png\n")
        (root / "data.yaml").write_text("train: train.txt\nval: train.txt\nnames: [cut]\n")
    else:
        plain_picture(root / "images/more.png")
    report = check(CheckConfig(root))
    count = "1" if build is coco_nut else "3"
    assert any(f"{count} pictures stand in no annotation and are not used" in x for x in report.odd)


@pytest.mark.parametrize("encoding", ["gbk", "utf-16"])
def test_another_encoding_is_named_with_what_to_do(encoding: str, tmp_path: Path) -> None:
    root = labelme_nut(tmp_path / "nut")
    text = (root / "000.json").read_text().replace('"cut"', '"划痕"')
    (root / "000.json").write_bytes(text.encode(encoding))
    with pytest.raises(DataError, match=r"000\.json is not in UTF-8 .*save it again in UTF-8"):
        find_examples(root)


def turned_picture(path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(read_picture(path)).save(path, exif=exif)


def test_a_quarter_turn_that_the_annotation_lacks_is_named(tmp_path: Path) -> None:
    root = coco_nut(tmp_path / "nut")
    turned_picture(root / "images/000.png", 6)
    with pytest.raises(MaskError, match="turned by its EXIF orientation 6; expected 24 x 20"):
        load_example(find_examples(root)[0])


@pytest.mark.parametrize(("build", "orientation"), [(coco_nut, 3), (yolo_nut, 3), (yolo_nut, 6)])
def test_a_turn_that_the_annotation_may_lack_is_warned_of(
    build: Any, orientation: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = build(tmp_path / "nut")
    example = find_examples(root)[0]
    turned_picture(example.image, orientation)
    load_example(example)
    assert f"turned by its EXIF orientation {orientation}: check that its labels" in caplog.text


def test_a_turn_that_the_annotation_has_is_no_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = coco_nut(tmp_path / "nut")
    turned_picture(root / "images/000.png", 6)
    changed(coco_file(root), height=WIDTH, width=HEIGHT)
    assert load_example(find_examples(root)[0])[0].shape == (WIDTH, HEIGHT, 3)
    assert "EXIF" not in caplog.text


def test_x_anylabelings_turned_rectangles(tmp_path: Path) -> None:
    shape = {"shape_type": "rotation", "points": pairs(CORNERS), "direction": 0.0}
    (example,) = find_examples(labelme(tmp_path / "nut", "0", [shape]))
    assert load_example(example)[1].sum() == 24


def test_two_pictures_of_the_name_of_one_json(tmp_path: Path) -> None:
    root = labelme_nut(tmp_path / "nut")
    plain_picture(root / "000.bmp")
    with pytest.raises(DataError, match=r"000\.json has the name of .*000\.bmp, but is about"):
        find_examples(root)


@pytest.mark.parametrize(("label", "good"), [("_background_", 3), ("good", 3), ("ignore", 2)])
def test_places_that_are_no_defect_leave_a_picture_good(
    label: str, good: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    root = labelme_nut(tmp_path / "nut")
    labelme(root, "003", [rectangle() | {"label": label}])
    plain_picture(root / "005.png")
    assert len(good_examples(root, "nut")) == good
    assert f"6 pictures, {good} of them good" in caplog.text
    assert ("regions are to be ignored" in caplog.text) == (label == "ignore")


def test_yolo_folders_in_capitals(tmp_path: Path) -> None:
    root = yolo_nut(tmp_path / "nut")
    (root / "images").rename(root / "Images")
    (root / "labels").rename(root / "Labels")
    (root / "data.yaml").write_text("train: Images/train\nval: Images/train\nnames: [cut]\n")
    assert len(find_examples(root)) == 3


def test_labelimg_writes_the_names_beside_the_labels(tmp_path: Path) -> None:
    root = yolo_nut(tmp_path / "nut")
    (root / "data.yaml").unlink()
    (root / "labels/train/classes.txt").write_text("cut\n")
    assert {example.defect for example in find_examples(root)} == {"cut"}
    plain_picture(root / "images/val/9.png")
    (root / "labels/val").mkdir()
    (root / "labels/val/classes.txt").write_text("dent\ncut\n")
    with pytest.raises(DataError, match="name different classes"):
        find_examples(root)


def test_yolo_without_any_label_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = yolo_nut(tmp_path / "nut")
    (root / "labels").rename(tmp_path / "labels")
    assert len(good_examples(root, "nut")) == 5
    assert "no picture has a label" in caplog.text


def test_two_yaml_files_with_names(tmp_path: Path) -> None:
    root = yolo_nut(tmp_path / "nut")
    (root / "a.yaml").write_text("train: images/train\nval: images/train\nnames: [dent]\n")
    assert {example.defect for example in find_examples(root)} == {"cut"}  # data.yaml counts
    (root / "data.yaml").rename(root / "b.yaml")
    with pytest.raises(DataError, match=r"a\.yaml and .*b\.yaml both have names"):
        find_examples(root)
    assert {example.defect for example in find_examples(root / "b.yaml")} == {"cut"}


def test_yolo_labels_in_pixels(tmp_path: Path) -> None:
    root = yolo_nut(tmp_path / "nut")
    (root / "labels/train/000.txt").write_text("0 12 14 80 14 80 60\n")
    with pytest.raises(DataError, match="in pixels; expected shares"):
        find_examples(root)
    (root / "labels/train/000.txt").write_text(f"0 {relative_corners()} 1.2 1.1\n")
    find_examples(root)  # a little beyond the picture is cut off


NO_SHAPES: dict[str, tuple[dict[str, Any], bool]] = {
    "cancelled": ({"annotations": [{"result": [], "was_cancelled": True}]}, False),
    "predicted": ({"annotations": [], "predictions": [{"result": []}]}, False),
    "bad": ({"annotations": [{"result": [{"value": {"choices": ["NG"]}}]}]}, False),
    "good": ({"annotations": [{"result": [{"value": {"choices": ["OK"]}}]}]}, True),
    "no label": ({"annotations": [{"result": [{"value": {"x": 1, "y": 1}}]}]}, False),
}


@pytest.mark.parametrize("name", NO_SHAPES)
def test_what_is_not_read_makes_no_picture_of_label_studio_good(name: str, tmp_path: Path) -> None:
    root = label_studio_nut(tmp_path / "nut")
    tasks = json.loads((root / "tasks.json").read_text())
    entries, is_good = NO_SHAPES[name]
    tasks[3] |= entries
    (root / "tasks.json").write_text(json.dumps(tasks))
    good = [example.image.name for example in good_examples(root, "nut")]
    assert good == (["003.png", "004.png"] if is_good else ["004.png"])


def test_labels_and_turns_of_label_studio_that_are_not_used_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = label_studio_nut(tmp_path / "nut")
    tasks = json.loads((root / "tasks.json").read_text())
    result = tasks[0]["annotations"][0]["result"][0]
    result["value"]["polygonlabels"] = ["cut", "dent"]
    result["image_rotation"] = 90
    (root / "tasks.json").write_text(json.dumps(tasks))
    find_examples(root)
    assert "1 shapes have several labels: the first counts" in caplog.text
    assert "1 shapes were drawn on a picture that the tool had turned" in caplog.text
