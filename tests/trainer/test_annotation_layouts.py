"""Reading COCO, YOLO and LabelMe: what each form of a label comes to, groups, and what is refused:
files that nobody vouches for."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bgdefect_core.errors import BGDefectError, DataError, MaskError, SettingError
from trainer.data.annotations import reading as reading_files
from trainer.data.annotations.run_lengths import packed, runs_of_mask
from trainer.data.examples import load_example, validate
from trainer.data.layouts import (
    ReadingSettings,
    all_good_examples,
    find_class,
    find_examples,
    good_examples,
    good_pictures,
    layout_of,
)
from trainer.data.splits import split_halves

from .annotated_sets import (
    CORNERS,
    HEIGHT,
    WIDTH,
    coco,
    coco_nut,
    labelme,
    labelme_nut,
    pairs,
    plain_picture,
    yolo,
    yolo_nut,
)

CUT = np.zeros((HEIGHT, WIDTH), bool)
CUT[2:6, 3:9] = True
OUTSIDE = ReadingSettings(outside_files=True)


def masks_of(root: Path, defect: str = "cut") -> list[np.ndarray]:
    return [load_example(example)[1] for example in find_examples(root, defect=defect)]


# --- COCO


@pytest.mark.parametrize(
    "label",
    [
        {"segmentation": [CORNERS]},
        {"segmentation": CORNERS},
        {"segmentation": [CORNERS[:4] + [9, 4, 3, 4], [3, 4, 9, 4, 9, 6, 3, 6]]},
        {"segmentation": {"size": [HEIGHT, WIDTH], "counts": runs_of_mask(CUT)}},
        {"segmentation": {"size": [HEIGHT, WIDTH], "counts": packed(runs_of_mask(CUT))}},
        {"bbox": [3, 2, 6, 4]},
        {"segmentation": [], "bbox": [3, 2, 6, 4], "iscrowd": 0},
    ],
    ids=["polygon", "flat polygon", "two polygons", "runs", "packed", "box", "empty polygon"],
)
def test_every_form_of_a_coco_label_gives_the_same_mask(label: Any, tmp_path: Path) -> None:
    (mask,) = masks_of(coco(tmp_path / "nut", [label]))
    assert (mask == CUT).all()


@pytest.mark.parametrize("place", ["labels.json", "annotations/a.json", "train/_coco.json"])
def test_coco_files_are_read_wherever_they_usually_lie(place: str, tmp_path: Path) -> None:
    root = coco(tmp_path / "nut", [{"segmentation": [CORNERS]}], place=place)
    assert layout_of(root).name == "coco"
    assert len(masks_of(root)) == 1
    if not place.startswith("train"):
        assert find_examples(root / place)[0].object == "nut"


def test_coco_ids_may_be_texts(tmp_path: Path) -> None:
    """Of images and categories, in annotations too; 2 and "2" are one id."""
    labels = [
        {"id": "a", "image_id": "board-1", "category_id": "cut", "segmentation": [CORNERS]},
        {"id": "a", "image_id": "2", "category_id": 7.0, "bbox": [1, 1, 4, 4]},
    ]
    root = coco(tmp_path / "nut", labels, pictures=3)
    (path,) = root.glob("annotations/*.json")
    content = json.loads(path.read_text())
    for image, id in zip(content["images"], ("board-1", 2, "c"), strict=True):
        image["id"] = id
    content["categories"] = [{"id": "cut", "name": "cut"}, {"id": "7", "name": "dent"}]
    path.write_text(json.dumps(content))
    found = [(example.defect, example.image.name) for example in find_examples(root)]
    assert found == [("cut", "000.png"), ("dent", "001.png")]
    assert [example.image.name for example in good_examples(root, "nut")] == ["002.png"]


def test_several_files_and_pictures_beside_each(tmp_path: Path) -> None:
    root = tmp_path / "nut"
    for side in ("train", "valid"):
        coco(root / side, [{"segmentation": [CORNERS]}], place="_annotations.coco.json")
        (root / side / "images/000.png").rename(root / side / "000.png")
        (root / side / "images").rmdir()
    parts = [example.image.parent.name for example in find_examples(root)]
    assert parts == ["train", "valid"]


def test_classes_of_one_picture_are_masks_of_their_own(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    labels = [
        {"segmentation": [CORNERS]},
        {"category_id": 2, "bbox": [12, 8, 4, 5]},
        {"category_id": 2, "bbox": [18, 14, 2, 2]},
        {"category_id": 3, "image_id": 2, "bbox": [1, 1, 4, 4]},
    ]
    root = coco(tmp_path / "nut", labels, pictures=3, categories=("cut", "dent", "good"))
    cut, dent = find_examples(root)
    assert (cut.defect, dent.defect) == ("cut", "dent") and cut.image == dent.image
    assert (load_example(cut)[1] == CUT).all()
    assert load_example(dent)[1].sum() == 4 * 5 + 2 * 2
    names = [example.image.name for example in good_examples(root, "nut")]
    assert names == ["001.png", "002.png"]  # a good place is no defect
    assert "boxes alone of dent" in caplog.text and "boxes alone of cut" not in caplog.text
    assert "1 pictures show several classes" in caplog.text
    assert "coco, 3 pictures" in caplog.text and "cut (1), dent (2)" in caplog.text
    with pytest.raises(DataError, match="2 classes"):
        find_class(root)


def test_a_picture_of_another_size_than_its_annotation_is_refused(tmp_path: Path) -> None:
    root = coco(tmp_path / "nut", [{"segmentation": [CORNERS]}])
    plain_picture(root / "images/000.png", size=(WIDTH, HEIGHT))
    with pytest.raises(DataError, match="20 x 24 pixels; expected 24 x 20, as its annotation"):
        validate(find_examples(root))


def test_a_region_that_is_changed_is_another_input(tmp_path: Path) -> None:
    (before,) = find_examples(coco(tmp_path / "nut", [{"segmentation": [CORNERS]}]))
    moved = [number + 1 for number in CORNERS]
    (after,) = find_examples(coco(tmp_path / "nut", [{"segmentation": [moved]}]))
    assert before.regions_digest != after.regions_digest
    (again,) = find_examples(coco(tmp_path / "bolt", [{"segmentation": [moved]}]))
    assert again.regions_digest == after.regions_digest  # wherever it lies
    assert (load_example(before)[1] == CUT).all()
    assert (load_example(after)[1][3:7, 4:10]).all()


# --- YOLO


def test_yolo_boxes_and_polygons(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    box = f"1 {6 / WIDTH} {4 / HEIGHT} {6 / WIDTH} {4 / HEIGHT}"
    root = yolo(tmp_path / "nut", [box, "", f"{box} 0.9"], names=("cut", "dent"), good=1)
    assert layout_of(root).name == "yolo"
    assert all((mask == CUT).all() for mask in masks_of(root, "dent"))
    assert len(masks_of(root, "dent")) == 2
    assert [path.name for path in good_pictures(root)] == ["001.png", "003.png"]
    assert "boxes alone of dent" in caplog.text


def test_yolo_lists_names_and_places_of_other_tools(tmp_path: Path) -> None:
    root = yolo_nut(tmp_path / "nut")
    listed = [f"./images/train/{number:03d}.png" for number in range(4)]
    (root / "train.txt").write_text("\n".join(listed))
    (root / "data.yaml").write_text("train: train.txt\nval: ../images/none\nnames: [cut]\n")
    with pytest.raises(DataError, match=r"\.\./images/none"):
        find_examples(root)
    (root / "data.yaml").write_text("train: train.txt\nval: ../images/train\nnames: [cut]\n")
    assert len(find_examples(root)) == 3 and len(all_good_examples(root, "nut")) == 2
    (root / "data.yaml").write_text("train: train.txt\nnames: [cut]\n")
    assert len(find_examples(root)) == 3 and len(good_pictures(root)) == 1
    (root / "data.yaml").unlink()
    assert find_examples(root)[0].defect == "class0"
    (root / "classes.txt").write_text("bend\ncut\n")
    assert find_examples(root)[0].defect == "bend"


# --- LabelMe


def test_labelme_shapes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    shapes = [
        {"label": "a", "shape_type": "rectangle", "points": [[9, 6], [3, 2]]},
        {"label": "b", "shape_type": "polygon", "points": pairs(CORNERS)},
        {"label": "c", "shape_type": "line", "points": [[3, 4], [9, 4]]},
        {"label": "d", "shape_type": "circle", "points": [[12, 10], [12, 15]]},
        {"label": "e", "shape_type": "point", "points": [[3, 4]]},
        {"label": "__ignore__", "shape_type": "rectangle", "points": [[1, 1], [5, 5]]},
        {"label": "f", "shape_type": "linestrip", "points": [[3, 4], [9, 4]], "line_width": 4},
    ]
    root = labelme(tmp_path / "nut", "000", shapes)
    examples = find_examples(root, reading=ReadingSettings(line_width=2))
    found = {example.defect: load_example(example)[1] for example in examples}
    assert sorted(found) == ["a", "b", "c", "d", "f"]
    assert (found["a"] == CUT).all() and (found["b"] == CUT).all()
    assert found["c"][3:5, 3:9].all() and not found["c"][5:].any()
    assert abs(int(found["d"].sum()) - np.pi * 25) < 8
    assert found["f"][2:6, 3:9].all()
    assert "1 shapes are points" in caplog.text


def test_labelme_pictures_in_a_folder_of_their_own(tmp_path: Path) -> None:
    root = labelme_nut(tmp_path / "nut")
    (root / "json").mkdir()
    (root / "pictures").mkdir()
    for path in sorted(root.glob("*.png")):
        path.rename(root / "pictures" / path.name)
    for path in sorted(root.glob("*.json")):
        content = json.loads(path.read_text())
        content["imagePath"] = f"..\\pictures\\{path.stem}.png"
        (root / "json" / path.name).write_text(json.dumps(content))
        path.unlink()
    assert len(find_examples(root)) == 3 and len(good_pictures(root)) == 2


# --- options


def test_groups_by_a_pattern_keep_a_part_on_one_side(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "nut"
    for name in ("b1_0", "b1_1", "b2_0", "b2_1", "loose"):
        labelme(root, name, [{"shape_type": "polygon", "points": pairs(CORNERS)}])
    plain_picture(root / "b3_0.png")
    reading = ReadingSettings(group_pattern=r"^(b\d+)_")
    examples = find_examples(root, reading=reading)
    assert [example.group for example in examples] == ["b1", "b1", "b2", "b2", ""]
    assert "does not match loose.png" in caplog.text
    assert [good.group for good in good_examples(root, "nut", reading=reading)] == ["b3"]
    split = split_halves(examples)
    assert not {e.group for e in split.train} & {e.group for e in split.held_out}
    with pytest.raises(DataError, match="matches no file name"):
        find_examples(root, reading=ReadingSettings(group_pattern="^(x)"))
    for pattern in ("(b", "b", "(b)(1)"):
        with pytest.raises(SettingError, match="group_pattern"):
            find_examples(root, reading=ReadingSettings(group_pattern=pattern))


def _slips_in_coco(root: Path) -> None:
    boxes = [[3, 2, 6, 4], [3, 2, 0, 4]]
    coco(root, [{"image_id": n + 1, "bbox": box} for n, box in enumerate(boxes)], pictures=3)


def _slips_in_yolo(root: Path) -> None:
    yolo(root, ["0 0.5 0.5 0.2 0.2", "0 0.5 0.5 0.2 0"], good=1)


def _slips_in_labelme(root: Path) -> None:
    for number, last in enumerate(([9, 6], [9, 2])):
        labelme(root, f"{number}", [{"shape_type": "rectangle", "points": [[3, 2], last]}])
    plain_picture(root / "2.png")


@pytest.mark.parametrize("write", [_slips_in_coco, _slips_in_yolo, _slips_in_labelme])
def test_a_click_without_a_drag_is_passed_over_and_makes_no_picture_good(
    write: Callable[[Path], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "nut")
    assert len(find_examples(tmp_path / "nut")) == 1
    assert len(good_examples(tmp_path / "nut", "nut")) == 1
    assert "1 labels have no area, not read" in caplog.text
    assert "1 pictures have nothing but labels that are not read" in caplog.text


def test_a_coco_outline_of_two_corners_gives_way_to_its_box(tmp_path: Path) -> None:
    label = {"segmentation": [[0, 0, 5, 5]], "bbox": [3, 2, 6, 4]}
    assert np.array_equal(masks_of(coco(tmp_path / "nut", [label]))[0], CUT)


def test_a_layout_can_be_forced(tmp_path: Path) -> None:
    root = labelme_nut(tmp_path / "nut")
    yolo_nut(root)
    assert layout_of(root).name == "yolo"
    forced = ReadingSettings(layout="labelme")
    assert layout_of(root, forced).name == "labelme"
    assert find_examples(root, reading=forced)[0].image.parent == root
    with pytest.raises(DataError, match="has not the layout csv"):
        find_examples(root, reading=ReadingSettings(layout="csv"))


# --- files that nobody vouches for

DEEP = "[" * 100_000


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ({"segmentation": [[0, 0, float("nan"), 1, 5, 5]]}, "NaN"),
        ({"segmentation": [[0, 0, float("inf"), 1, 5, 5]]}, "Infinity"),
        ({"segmentation": [[0, 0, 10**400, 1, 5, 5]]}, "finite"),
        ({"segmentation": [[0, 0, "1,5", 1, 5, 5]]}, "numbers alone"),
        ({"segmentation": [[0, 0, True, 1, 5, 5]]}, "numbers alone"),
        ({"segmentation": [[0, 0, 5, 5, 3]]}, "5 coordinates"),
        ({"segmentation": "x"}, "no list"),
        ({"segmentation": [[0, 0, 1e9, 1, 5, 5]]}, "point 1e"),
        ({"segmentation": {"size": [HEIGHT, WIDTH], "counts": "o" * 99}}, "packed"),
        ({"segmentation": {"size": [HEIGHT, WIDTH], "counts": [10**9] * 9}}, "out of range"),
        ({"segmentation": {"size": [10**6, 10**6], "counts": [0, 10**12]}}, "1000000 x 1000000"),
        ({"segmentation": {"size": [1], "counts": [1]}}, "size"),
        ({"segmentation": {}, "bbox": None}, "bbox"),
        ({"bbox": [1, 2, -3, 4]}, "none below 0"),
        ({"bbox": [1, 2, 3]}, "none below 0"),
        ({"bbox": {"x": 1}}, "bbox"),
        ({}, "bbox is not there"),
        ({"bbox": [1, 2, 3, 4], "image_id": 9}, "image 9"),
        ({"bbox": [1, 2, 3, 4], "image_id": "board 1"}, "image board 1"),
        ({"bbox": [1, 2, 3, 4], "image_id": True}, "image_id"),
        ({"bbox": [1, 2, 3, 4], "image_id": 1.5}, "image_id"),
        ({"bbox": [1, 2, 3, 4], "image_id": " "}, "image_id"),
        ({"bbox": [1, 2, 3, 4], "category_id": 9}, "category 9"),
        ({"bbox": [1, 2, 3, 4], "category_id": [1]}, "category_id"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_hostile_coco_label_is_refused_by_name(label: Any, text: str, tmp_path: Path) -> None:
    root = coco(tmp_path / "nut", [label])
    with pytest.raises(DataError, match=text):
        validate(find_examples(root))


@pytest.mark.parametrize(
    "content",
    [
        '{"images": [], "categories": ' + DEEP,
        '{"images": 3, "annotations": [], "categories": []}',
        '{"images": [3], "annotations": [], "categories": []}',
        '{"images": [{"id": 1}], "annotations": [], "categories": []}',
        '{"images": [], "annotations": 7, "categories": []}',
        '{"images": [{"id": 1, "file_name": ["a"]}], "annotations": [], "categories": []}',
        '{"images": [], "annotations": [], "categories": [{"id": 1}]}',
        '{"images": [], "categories": [{"id":1,"name":"a"},{"id":1,"name":"b"}]}',
        '{"images": [], "categories": [{"id": 1e400, "name": "a"}]}',
        '{"images": [], "categories": [{"id": 1, "name": "a"}, {"id": "1", "name": "b"}]}',
        '["images": , "categories": ]',
        '{"images": [], "categories": [], "x": 1' + "0" * 5000 + "}",
    ],
    ids=range(12),
)
def test_a_coco_file_of_wrong_types_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text(content)
    with pytest.raises(DataError):
        find_examples(tmp_path)


def test_a_class_that_cannot_be_a_folder_is_refused(tmp_path: Path) -> None:
    root = coco(tmp_path / "nut", [{"bbox": [1, 2, 3, 4]}], categories=("../cut",))
    with pytest.raises(DataError, match=r"\.\./cut"):
        find_examples(root)


def test_a_file_that_is_too_large_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = coco_nut(tmp_path / "nut")
    with open(root / "annotations/instances_train.json", "r+b") as file:
        file.truncate(reading_files.LARGEST + 1)  # no room is taken
    with pytest.raises(DataError, match="160 MB; expected at most 160"):
        find_examples(root)


def leave_nut(root: Path, name: str) -> Path:
    """A COCO set whose only picture is named as given."""
    coco(root, [{"segmentation": [CORNERS]}])
    path = root / "annotations/instances_train.json"
    content = json.loads(path.read_text())
    content["images"][0]["file_name"] = name
    path.write_text(json.dumps(content))
    return root


def test_pictures_outside_the_folder_are_read_only_where_the_user_allows(tmp_path: Path) -> None:
    secret = plain_picture(tmp_path / "elsewhere/secret.png")
    climbing = leave_nut(tmp_path / "climbing", "../../elsewhere/secret.png")
    absolute = leave_nut(tmp_path / "absolute", str(secret))
    linked = leave_nut(tmp_path / "linked", "link.png")
    (linked / "images/link.png").symlink_to(secret)
    for root in (climbing, absolute, linked):
        with pytest.raises(DataError, match="leads out of.*--outside-files"):
            find_examples(root)
        (example,) = find_examples(root, reading=OUTSIDE)
        assert (load_example(example)[1] == CUT).all()


def test_yolo_places_outside_the_folder_are_refused(tmp_path: Path) -> None:
    outside = yolo_nut(tmp_path / "elsewhere")
    root = yolo_nut(tmp_path / "nut")
    for place in ("../elsewhere/images/train", str(outside / "images/train")):
        (root / "data.yaml").write_text(f"train: {place}\nnames: [cut]\n")
        with pytest.raises(DataError, match="leads out"):
            find_examples(root)
        assert len(find_examples(root, reading=OUTSIDE)) == 3
    (root / "data.yaml").write_text("train: train.txt\nnames: [cut]\n")
    (root / "train.txt").write_text("../elsewhere/images/train/000.png\n")
    with pytest.raises(DataError, match="leads out"):
        find_examples(root)
    (root / "data.yaml").write_text("path: ../elsewhere\ntrain: images/train\nnames: [cut]\n")
    assert find_examples(root)[0].image.is_relative_to(root)  # path is passed over
    (root / "labels/train/000.txt").unlink()
    (root / "labels/train/000.txt").symlink_to(outside / "labels/train/000.txt")
    with pytest.raises(DataError, match=r"000\.txt leads out"):
        find_examples(root)


@pytest.mark.parametrize(
    "line",
    ["0 nan 0.5 0.1 0.1", "0 0.5 0.5 inf 0.1", "0 a b c d", "9 0.5 0.5 0.1 0.1", "0 0.5 0.5 0 0.1"]
    + ["0 0.1 0.1 0.5", "0.5 0.5 0.5 0.1 0.1", "0 0.1 0.1 1e9 0.1 0.5 0.5", "-1 0.5 0.5 0.1 0.1"]
    + ["1e400 0.5 0.5 0.1 0.1"],
)
def test_a_hostile_yolo_line_is_refused(line: str, tmp_path: Path) -> None:
    root = yolo(tmp_path / "nut", [line])
    with pytest.raises((DataError, MaskError)):
        validate(find_examples(root))


@pytest.mark.parametrize(
    "text",
    ["names: 3\ntrain: images\n", "names: []\ntrain: images\n", "names: {a: b}\ntrain: images\n"]
    + ["names: [cut]\ntrain: {a: b}\n", "names: [cut]\ntrain: [3]\n", "names: [[a]]\ntrain: x\n"]
    + ["names: [cut]\ntrain: 2020-01-01\n"],
)
def test_a_yaml_of_wrong_types_is_refused(text: str, tmp_path: Path) -> None:
    root = yolo_nut(tmp_path / "nut")
    (root / "data.yaml").write_text(text)
    with pytest.raises(DataError):
        find_examples(root)


@pytest.mark.parametrize(
    "shape",
    [
        {"shape_type": "polygon", "points": [[1, 2], [3, 4]]},
        {"shape_type": "polygon", "points": [[1], [3, 4], [5, 6]]},
        {"shape_type": "polygon", "points": "abc"},
        {"shape_type": "polygon", "points": []},
        {"shape_type": "hexagon", "points": [[1, 2], [3, 4]]},
        {"shape_type": 3, "points": [[1, 2], [3, 4]]},
        {"shape_type": "circle", "points": [[1, 2], [1, 2]]},
        {"shape_type": "circle", "points": [[1, 2], [1e300, 2]]},
        {"shape_type": "line", "points": [[1, 2], [3, 4]], "line_width": -1},
        {"shape_type": "mask", "points": [[1, 2], [3, 4]], "mask": "!!"},
        {"shape_type": "mask", "points": [[1, 2], [3, 4]]},
        {"shape_type": "mask", "points": [[1e18, 2], [3, 4]], "mask": "!!"},
        {"shape_type": "rectangle", "points": [[1, 2], [3, 4]], "label": None},
    ],
    ids=range(13),
)
def test_a_hostile_labelme_shape_is_refused(shape: Any, tmp_path: Path) -> None:
    root = labelme(tmp_path / "nut", "000", [shape])
    with pytest.raises(BGDefectError):
        validate(find_examples(root))


def test_labelme_pictures_outside_are_refused_and_doubles_named(tmp_path: Path) -> None:
    secret = plain_picture(tmp_path / "secret.png")
    shape = {"shape_type": "polygon", "points": pairs(CORNERS)}
    root = labelme(tmp_path / "nut", "000", [shape], imagePath=str(secret))
    with pytest.raises(DataError, match="leads out"):
        find_examples(root)
    (root / "000.json").unlink()
    labelme(root, "000", [shape])
    labelme(root, "001", [shape], imagePath="000.png")
    with pytest.raises(DataError, match="second file of labels"):
        find_examples(root)


def test_a_union_over_all_of_the_picture_is_refused(tmp_path: Path) -> None:
    root = coco(tmp_path / "nut", [{"bbox": [0, 0, WIDTH, HEIGHT]}])
    (example,) = find_examples(root)
    with pytest.raises(MaskError, match="is full"):
        load_example(example)
    with pytest.raises(MaskError, match="no pixel in its 24 x 20"):
        load_example(replace(example, regions=example.regions[:0] or _far(example.regions)))


def _far(regions: Any) -> Any:
    from trainer.data.annotations.shapes import Box

    return tuple(replace(region, shape=Box(40, 40, 44, 44)) for region in regions)
