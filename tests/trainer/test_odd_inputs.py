"""Kinds of inputs that were read as something else without a word, or refused although they say
what is meant."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bgdefect_core.errors import DataError, MaskError
from bgdefect_core.pictures.writing import write_mask
from trainer.data.convert import ConvertConfig, convert
from trainer.data.examples import load_example, load_others
from trainer.data.layouts import find_examples, good_examples, good_pictures, layout_of

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
from .public_sets import real_iad_nut, split_table, visa_nut
from .tool_exports import cvat_nut, label_studio_nut, labelme_xml_nut, masks

BOX = "0 0.25 0.2 0.25 0.2"
CUT = {"shape_type": "polygon", "points": pairs(CORNERS)}


def area_of(root: Path) -> int:
    """Pixels of the only example."""
    (example,) = find_examples(root)
    return int(load_example(example)[1].sum())


# --- classes


@pytest.mark.parametrize("name", ["background", "Background", "_background_", "BG"])
def test_regions_of_the_background_are_no_defects(name: str, tmp_path: Path) -> None:
    root = labelme_nut(tmp_path / "nut")
    labelme(root, "003", [CUT | {"label": name}])
    labelme(root, "000", [CUT, CUT | {"label": name}])
    examples = find_examples(root)
    assert {example.defect for example in examples} == {"cut"}
    assert load_others(examples[0], (HEIGHT, WIDTH)) is None
    assert len(good_examples(root, "nut")) == 2


def test_classes_that_are_numbers(tmp_path: Path) -> None:
    root = labelme(tmp_path / "nut", "0", [CUT | {"label": 1}])
    assert [example.defect for example in find_examples(root)] == ["1"]
    root = coco(tmp_path / "bolt", [{"segmentation": [CORNERS]}], categories=[2])  # type: ignore[list-item]
    assert [example.defect for example in find_examples(root)] == ["2"]


def test_names_that_yaml_reads_as_something_else(tmp_path: Path) -> None:
    root = yolo_nut(tmp_path / "nut")
    for word in ("on", "no", "~", "[a]"):
        (root / "data.yaml").write_text(f"train: images/train\nnames: [{word}]\n")
        with pytest.raises(DataError, match="names the class '0'.*in quotes"):
            find_examples(root)
    (root / "data.yaml").write_text("train: images/train\nnames: {'0': 'on'}\n")
    assert {example.defect for example in find_examples(root)} == {"on"}


# --- COCO


@pytest.mark.parametrize("empty", [[], [[]], {}, "", None])
def test_an_empty_segmentation_leaves_the_box(empty: Any, tmp_path: Path) -> None:
    root = coco(tmp_path / "nut", [{"segmentation": empty, "bbox": [3, 2, 6, 4]}])
    assert area_of(root) == 24


def test_empty_polygons_among_others_are_none(tmp_path: Path) -> None:
    assert area_of(coco(tmp_path / "nut", [{"segmentation": [[], CORNERS, []]}])) == 24


# --- masks beside labelled pictures


@pytest.mark.parametrize("build", [labelme_nut, labelme_xml_nut, yolo_nut])
def test_a_mask_beside_a_labelled_picture_is_no_good_picture(
    build: Callable[[Path], Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = build(tmp_path / "nut")
    place = min(root.rglob("000.png")).parent
    write_mask(place / "000_mask.png", masks()["Cut"])
    write_mask(place / "other_mask.png", masks()["Cut"])  # of no picture: it is one itself
    names = [example.image.name for example in good_examples(root, "nut")]
    assert names == ["003.png", "004.png", "other_mask.png"]
    assert "taken for masks, not for pictures: 000_mask.png" in caplog.text


def test_a_picture_with_labels_is_no_mask_whatever_its_name(tmp_path: Path) -> None:
    root = yolo_nut(tmp_path / "nut")
    plain_picture(root / "images/train/000_mask.png")
    (root / "labels/train/000_mask.txt").write_text(BOX)
    assert [example.image.stem for example in find_examples(root)][1] == "000_mask"
    root = labelme_nut(tmp_path / "bolt")
    labelme(root, "000_mask", [CUT])
    assert [example.image.stem for example in find_examples(root)][1] == "000_mask"


@pytest.mark.parametrize("build", [labelme_nut, yolo_nut, coco_nut, cvat_nut])
def test_folders_of_pictures_in_no_annotation_are_named(
    build: Callable[[Path], Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = build(tmp_path / "nut")
    plain_picture(root / "more/good/9.png", 70)
    plain_picture(root / "masks/000.png")
    assert len(good_examples(root, "nut")) == 2
    assert "no picture in more/good stands in an annotation: not used" in caplog.text


# --- folders that were plain ones


def test_yolo_labels_beside_pictures_without_a_list_of_names(tmp_path: Path) -> None:
    for number in range(3):
        plain_picture(tmp_path / f"nut/{number}.png", 90 + number)
    for text, layout in (("a photo of 3 nuts", "plain"), ("", "plain"), (BOX, "yolo")):
        (tmp_path / "nut/1.txt").write_text(text)
        assert layout_of(tmp_path / "nut").name == layout
    assert [example.defect for example in find_examples(tmp_path / "nut")] == ["class0"]
    assert [path.name for path in good_pictures(tmp_path / "nut")] == ["0.png", "2.png"]


@pytest.mark.parametrize("name", ["tasks.json", "0.xml", "list.csv"])
def test_files_beside_good_pictures_that_may_be_labels_are_named(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plain_picture(tmp_path / "nut/0.png")
    (tmp_path / "nut" / name).write_text("<annotation><object><bndbox/></object></annotation>")
    assert len(good_pictures(tmp_path / "nut")) == 1
    assert f"all pictures are taken for good ones; if {name} hold labels" in caplog.text


@pytest.mark.parametrize("ending", ["_GT", "_label", "-mask", ".seg"])
def test_pictures_with_names_of_masks_are_named(
    ending: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plain_picture(tmp_path / "nut/0.png")
    plain_picture(tmp_path / "nut/1_label.png")  # of no picture beside it
    write_mask(tmp_path / f"nut/0{ending}.png", masks()["Cut"])
    assert len(good_pictures(tmp_path / "nut")) == 3
    assert f"taken for pictures: 0{ending}.png; if these are the masks" in caplog.text


# --- public layouts


def test_good_pictures_of_visa_where_no_row_of_the_split_is_a_test(tmp_path: Path) -> None:
    """They were on neither side."""
    root = visa_nut(tmp_path / "nut")
    split_table(root, ["nut,train,normal,nut/Data/Images/Normal/0000.JPG,"])
    assert len(good_examples(root, "nut")) == 2 and not good_examples(root, "nut", "test")


def test_two_entries_of_a_picture_in_real_iad(tmp_path: Path) -> None:
    root = real_iad_nut(tmp_path / "nut")
    (path,) = root.rglob("*.json")
    content = json.loads(path.read_text())
    content["train"].append(content["test"][0])
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="stands there twice"):
        find_examples(root)


@pytest.mark.parametrize("word", ["NG", "defect"])
def test_a_picture_that_is_called_bad_as_a_whole_is_no_good_one(
    word: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = labelme_nut(tmp_path / "nut")
    labelme(root, "003", [], flags={word: True, "blurred": True})
    labelme(root, "004", [], flags={word: False, "blurred": True})
    assert [example.image.name for example in good_examples(root, "nut")] == ["004.png"]
    assert "1 pictures are called bad by flags alone" in caplog.text
    root = cvat_nut(tmp_path / "bolt")
    path = root / "annotations.xml"
    tag = f'<tag label="{word}" source="manual"></tag></image></annotations>'
    path.write_text(path.read_text().replace("</image></annotations>", tag))
    assert [example.image.name for example in good_examples(root, "bolt")] == ["003.png"]
    assert "1 pictures are called bad by tags alone" in caplog.text


# --- CVAT and Label Studio


def test_sizes_of_0_in_cvat_are_not_known(tmp_path: Path) -> None:
    root = cvat_nut(tmp_path / "nut")
    path = root / "annotations.xml"
    path.write_text(path.read_text().replace('width="24" height="20"', 'width="0" height="0"'))
    assert load_example(find_examples(root)[0])[1].sum() == 24


@pytest.mark.parametrize("with_images", [True, False])
def test_tracks_of_cvat_are_not_passed_over(with_images: bool, tmp_path: Path) -> None:
    root = cvat_nut(tmp_path / "nut")
    path = root / "annotations.xml"
    track = '<track id="0" label="cut"><box frame="0" xtl="1" ytl="1" xbr="5" ybr="5"/></track>'
    text = path.read_text() if with_images else "<annotations></annotations>"
    path.write_text(text.replace("</annotations>", f"{track}</annotations>"))
    with pytest.raises(DataError, match="holds tracks of a video; .*CVAT for images"):
        find_examples(root)


def changed_task(root: Path, number: int, **entries: Any) -> Path:
    tasks = json.loads((root / "tasks.json").read_text())
    tasks[number] |= entries
    (root / "tasks.json").write_text(json.dumps(tasks))
    return root


def test_a_draft_of_label_studio_makes_no_picture_good(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = changed_task(label_studio_nut(tmp_path / "nut"), 3, drafts=[{"result": [{}]}])
    assert [example.image.name for example in good_examples(root, "nut")] == ["004.png"]
    assert "1 tasks have predictions or drafts alone: not read" in caplog.text


def test_several_annotations_of_a_task_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = label_studio_nut(tmp_path / "nut")
    annotations = json.loads((root / "tasks.json").read_text())[0]["annotations"]
    changed_task(root, 0, annotations=annotations * 2)
    changed_task(root, 1, annotations=[*annotations, {"result": []}])
    assert len(find_examples(root)) == 3
    assert "1 tasks were annotated several times: all of their shapes count" in caplog.text


@pytest.mark.parametrize("prefix", ["", "0a1b2c3d-"])
def test_escaped_names_of_uploaded_pictures(prefix: str, tmp_path: Path) -> None:
    root = label_studio_nut(tmp_path / "nut")
    (root / "000.png").rename(root / "한 0.png")
    changed_task(root, 0, data={"image": f"/data/upload/1/{prefix}%ED%95%9C%200.png"})
    assert "한 0.png" in [example.image.name for example in find_examples(root)]


# --- csv


def csv_nut(root: Path, *rows: str) -> Path:
    for number in range(2):
        plain_picture(root / f"p/{number}.png", 90 + number)
        write_mask(root / f"m/{number}.png", masks()["Cut"])
    (root / "manifest.csv").write_text("\n".join(["image,mask,class,defect", *rows]) + "\n")
    return root


def test_a_picture_that_is_good_in_one_row_and_shows_a_defect_in_another(tmp_path: Path) -> None:
    rows = ["p/0.png,m/0.png,nut,cut", "p/0.png,,nut,good"]
    with pytest.raises(DataError, match=r"lists 0\.png as good, and with the defect cut"):
        find_examples(csv_nut(tmp_path / "nut", *rows))
    root = csv_nut(tmp_path / "bolt", "p/0.png,m/0.png,nut,ignore", "p/0.png,,nut,good", rows[0])
    with pytest.raises(DataError, match="as good"):
        good_pictures(root)
    csv_nut(tmp_path / "bolt", "p/0.png,m/0.png,nut,ignore", "p/1.png,m/1.png,nut,background")
    assert find_examples(csv_nut(tmp_path / "bolt", rows[0], "p/1.png,m/1.png,nut,background"))


@pytest.mark.parametrize("afar", ["/home/me/nut", "C:\\nut"])
def test_csv_paths_of_another_machine(
    afar: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = csv_nut(tmp_path / "nut", f"{afar}/p/0.png,{afar}/m/0.png,nut,cut")
    (example,) = find_examples(root)
    assert example.image == root / "p/0.png" and example.masks == (root / "m/0.png",)
    assert "names files by paths that are not on this machine" in caplog.text
    csv_nut(tmp_path / "nut", f"{afar}/q/0.png,m/0.png,nut,cut")
    with pytest.raises(DataError, match="does not exist"):
        find_examples(root)


# --- masks without names of classes


def test_a_mask_file_that_will_be_taken_for_an_inverted_one_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = coco(tmp_path / "nut", [{"bbox": [0, 0, WIDTH, HEIGHT - 1]}])
    for name in ("csv", "mvtec", "coco"):
        caplog.clear()
        convert(ConvertConfig(root, tmp_path / name, (name,)))
        named = "000_mask.png covers 95% of its picture and its border" in caplog.text
        assert named == (name != "coco")


def mask_folders(root: Path, values: np.ndarray, ending: str = ".png") -> Path:
    plain_picture(root / "images/0.png")
    (root / "masks").mkdir(parents=True)
    Image.fromarray(values).save(root / f"masks/0{ending}")
    return root


def test_white_masks_in_folders_are_read_as_everywhere(tmp_path: Path) -> None:
    """Every value but 0 counted: what JPEG leaves beside an edge, soft edges, edges to ignore."""
    cut = masks()["Cut"]
    white = np.where(cut, np.uint8(255), np.uint8(0))
    root = mask_folders(tmp_path / "nut", np.kron(white, np.ones((8, 8), np.uint8)), ".jpg")
    plain_picture(root / "images/0.png", size=(8 * HEIGHT, 8 * WIDTH))
    assert area_of(root) == 64 * 24
    for other in (1, 128):
        values = white.copy()
        values[10:14, 10:14] = other
        with pytest.raises(MaskError, match=f"the values 0, {other}, 255, which look like classes"):
            area_of(mask_folders(tmp_path / f"{other}", values))
    assert area_of(mask_folders(tmp_path / "numbers", cut.astype(np.uint8) * 3)) == 24


def test_yolo_boxes_keep_their_classes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    root = yolo(tmp_path / "nut", [BOX])
    assert area_of(root) == 24 and not caplog.text
