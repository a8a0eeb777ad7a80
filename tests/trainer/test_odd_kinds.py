"""Kinds of input that were read wrongly, or passed over without a word: slips of every shape,
outlines as pairs, links and names that lead elsewhere, pictures that a word calls defective."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bgdefect_core.errors import DataError
from trainer.data.annotations.layers import Ellipse, RowRuns
from trainer.data.annotations.run_lengths import packed
from trainer.data.annotations.shapes import Disc, Polygons, RunLengths
from trainer.data.examples import load_example, validate
from trainer.data.layouts import (
    ReadingSettings,
    find_examples,
    good_examples,
    good_pictures,
)

from .annotated_sets import (
    CORNERS,
    HEIGHT,
    WIDTH,
    coco,
    labelme,
    labelme_nut,
    pairs,
    plain_picture,
    voc,
    voc_object,
    yolo,
)
from .test_odd_inputs import changed_task
from .tool_exports import cvat_nut, label_studio_nut, labelme_xml_nut

CUT = np.zeros((HEIGHT, WIDTH), bool)
CUT[2:6, 3:9] = True


# --- slips


@pytest.mark.parametrize(
    ("shape", "has_area"),
    [
        (Polygons((tuple(CORNERS),)), True),
        (Polygons(((1, 1, 5, 5, 5, 1, 1, 5),)), True),  # crosses itself: its signed area is 0
        (Polygons(((1, 1, 1, 1, 1, 1),)), False),
        (Polygons(((0.1, 0.1, 0.2, 0.2, 0.3, 0.3),), relative=True), False),
        (Polygons(((1, 1, 5, 1, 3, 1), (1, 1, 5, 1, 3, 2))), True),
        (RunLengths((480,), (HEIGHT, WIDTH)), False),
        (RunLengths((0, 4, 476), (HEIGHT, WIDTH)), True),
        (RunLengths(packed([480]), (HEIGHT, WIDTH)), False),
        (RunLengths(packed([0, 480]), (HEIGHT, WIDTH)), True),
        (Disc(3, 4, 0), False),
        (Disc(3, 4, 2), True),
        (Ellipse(3, 4, 0, 2), False),
        (RowRuns((24,), 3, 2, 6, 4), False),
        (RowRuns((0, 24), 3, 2, 6, 4), True),
    ],
    ids=str,
)
def test_which_shapes_have_an_area(shape: Any, has_area: bool) -> None:
    assert shape.has_area == has_area


def _slip_in_labelme(root: Path) -> None:
    labelme(root, "000", [{"points": pairs(CORNERS)}])
    labelme(root, "001", [{"points": [[3, 2]] * 3}])
    labelme(root, "002", [{"shape_type": "circle", "points": [[3, 2]] * 2}])


def _slip_in_coco(root: Path) -> None:
    flat = {"image_id": 2, "segmentation": [[3, 2, 9, 2, 5, 2]]}
    empty = {"image_id": 3, "segmentation": {"size": [HEIGHT, WIDTH], "counts": [480]}}
    coco(root, [{"segmentation": [CORNERS]}, flat, empty], pictures=3)


def _slip_in_yolo(root: Path) -> None:
    yolo(root, ["0 0.5 0.5 0.2 0.2", "0 0.1 0.1 0.5 0.1 0.3 0.1", "0 0.1 0.1 0.1 0.1 0.1 0.1"])


@pytest.mark.parametrize("write", [_slip_in_coco, _slip_in_yolo, _slip_in_labelme])
def test_outlines_without_an_area_are_slips(
    write: Callable[[Path], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """They made the whole class unusable."""
    write(tmp_path / "nut")
    examples = find_examples(tmp_path / "nut")
    assert [example.image.name for example in examples] == ["000.png"]
    validate(examples)
    with pytest.raises(DataError):
        good_pictures(tmp_path / "nut")
    assert "2 labels have no area, not read" in caplog.text


# --- COCO


@pytest.mark.parametrize("nested", [False, True])
def test_outlines_as_pairs_of_x_and_y(nested: bool, tmp_path: Path) -> None:
    """With a bbox beside them, the box was read in their place."""
    corners = pairs(CORNERS)
    label = {"segmentation": [corners] if nested else corners, "bbox": [1, 1, 12, 9]}
    (example,) = find_examples(coco(tmp_path / "nut", [label]))
    assert (load_example(example)[1] == CUT).all() and not example.regions[0].is_loose


def test_a_polygon_of_two_corners_is_named_as_such(tmp_path: Path) -> None:
    root = coco(tmp_path / "nut", [{"segmentation": [[3, 2, 9, 6]]}])
    with pytest.raises(DataError, match="annotation 0: a polygon of less than 3 corners"):
        find_examples(root)


def test_a_name_that_leads_out_is_not_called_a_conversion(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = coco(tmp_path / "nut", [])
    plain_picture(tmp_path / "secret.png")
    (path,) = root.rglob("*.json")
    path.write_text(path.read_text().replace("000.png", "../../secret.jpg"))
    with pytest.raises(DataError, match="leads out of"):
        find_examples(root)
    assert "annotations name pictures that end in" not in caplog.text


# --- links, aliases, roots


def test_a_yolo_label_that_leads_out_makes_no_picture_good(tmp_path: Path) -> None:
    root = yolo(tmp_path / "nut", ["0 0.5 0.5 0.2 0.2", "0 0.5 0.5 0.2 0.2"])
    label = root / "labels/train/001.txt"
    label.rename(tmp_path / "elsewhere.txt")
    os.symlink(tmp_path / "elsewhere.txt", label)
    with pytest.raises(DataError, match=r"001\.txt leads out of"):
        good_pictures(root)


def test_aliases_of_yaml_that_grow_without_end(tmp_path: Path) -> None:
    root = yolo(tmp_path / "nut", ["0 0.5 0.5 0.2 0.2"])
    lines = ["l0: &l0 [x]"]
    for number in range(1, 40):
        lines.append(f"l{number}: &l{number} [{', '.join([f'*l{number - 1}'] * 9)}]")
    (root / "data.yaml").write_text("\n".join([*lines, "train: images/train", "names: [*l39]"]))
    with pytest.raises(DataError, match="holds aliases"):
        find_examples(root)


def test_xml_of_another_root_makes_no_picture_good(tmp_path: Path) -> None:
    """In a namespace no object was found, so that the picture was good."""
    root = voc(tmp_path / "nut", "a", voc_object())
    path = root / "Annotations/a.xml"
    path.write_text(path.read_text().replace("<annotation>", '<annotation xmlns="http://x">'))
    with pytest.raises(DataError, match=r"the root of .*a\.xml is \{http://x\}annotation"):
        good_pictures(root)
    root = labelme_xml_nut(tmp_path / "bolt")
    path = root / "000.xml"
    text = path.read_text().replace("<annotation>", "<labels><annotation>")
    path.write_text(text + "</labels>")
    with pytest.raises(DataError, match="is labels; expected annotation"):
        good_pictures(root)


def test_objects_in_a_list_of_their_own(tmp_path: Path) -> None:
    root = voc(tmp_path / "nut", "a", f"<objects>{voc_object()}</objects>")
    assert len(find_examples(root)) == 1


def test_pictures_of_the_folder_itself_are_not_passed_over_without_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    labelme(tmp_path / "nut/part", "a", [{"points": pairs(CORNERS)}])
    plain_picture(tmp_path / "nut/b.png")
    assert len(find_examples(tmp_path / "nut")) == 1
    assert "no picture in nut stands in an annotation: not used" in caplog.text


def test_labels_of_two_tools_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = labelme(tmp_path / "nut", "a", [{"points": pairs(CORNERS)}])
    (root / "a.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    assert [example.defect for example in find_examples(root)] == ["class0"]
    assert "read as yolo; it holds labels of labelme too, which are not read" in caplog.text
    reading = ReadingSettings(layout="labelme")
    assert [example.defect for example in find_examples(root, reading=reading)] == ["cut"]


# --- words for whole pictures


def test_a_picture_called_by_the_name_of_a_defect_is_no_good_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = labelme_nut(tmp_path / "nut")
    labelme(root, "003", [], flags={"Cut": True})
    labelme(root, "004", [], flags={"Cut": False, "blurred": True})
    assert [example.image.name for example in good_examples(root, "nut")] == ["004.png"]
    root = cvat_nut(tmp_path / "bolt")
    path = root / "annotations.xml"
    tag = '<tag label="cut" source="manual"></tag></image></annotations>'
    path.write_text(path.read_text().replace("</image></annotations>", tag))
    assert [example.image.name for example in good_examples(root, "bolt")] == ["003.png"]
    assert "1 pictures are called by the name of a defect, but show none: 004.png" in caplog.text


# --- names of another machine, in another case, and in large folders


def test_absolute_names_in_cvat_are_those_of_another_machine(tmp_path: Path) -> None:
    root = cvat_nut(tmp_path / "nut")
    path = root / "annotations.xml"
    path.write_text(path.read_text().replace('name="', 'name="/home/x/parts/'))
    assert len(find_examples(root)) == 3


def test_a_folder_is_listed_once_for_all_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each name in another case listed the folder anew: thousands took minutes."""
    root = coco(tmp_path / "nut", [{"segmentation": [CORNERS]}], pictures=30)
    (path,) = root.rglob("*.json")
    path.write_text(path.read_text().replace(".png", ".PNG"))
    for folder in (root, *(entry for entry in root.rglob("*") if entry.is_dir())):
        os.utime(folder, (1e9, 1e9))
    listed: list[Path] = []
    original = Path.iterdir

    def counted(self: Path) -> Any:
        listed.append(self)
        return original(self)

    monkeypatch.setattr(Path, "iterdir", counted)
    assert len(find_examples(root)) == 1
    assert listed.count(root / "images") < 20


def test_many_good_pictures_of_labelme_list_their_folder_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = labelme(tmp_path / "nut", "a", [{"points": pairs(CORNERS)}])
    for number in range(100):
        plain_picture(root / f"{number}.png")
    listed: list[Path] = []
    original = Path.iterdir

    def counted(self: Path) -> Any:
        listed.append(self)
        return original(self)

    monkeypatch.setattr(Path, "iterdir", counted)
    assert len(good_pictures(root)) == 100
    assert listed.count(root) < 60


# --- Label Studio


def test_tasks_that_nobody_annotated_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = label_studio_nut(tmp_path / "nut")
    assert len(good_pictures(root)) == 2
    assert "2 tasks have no annotation: taken for good pictures" in caplog.text


def test_shares_of_a_picture_of_unknown_size_are_no_slips(tmp_path: Path) -> None:
    root = label_studio_nut(tmp_path / "nut")
    tasks = json.loads((root / "tasks.json").read_text())
    annotations = tasks[0]["annotations"]
    annotations[0]["result"][0]["original_width"] = 0
    changed_task(root, 0, annotations=annotations)
    with pytest.raises(DataError, match=r"result 0: its picture has 0 x 20 pixels"):
        find_examples(root)


# --- csv


def test_words_of_sides_in_a_csv(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    root = tmp_path / "nut"
    lines = ["image,mask,class,defect,split"]
    for number, side in enumerate(("train", "Test", "holdout")):
        plain_picture(root / f"{number}.png")
        lines.append(f"{number}.png,,nut,good,{side}")
    (root / "list.csv").write_text("\n".join(lines))
    names = [example.image.name for example in good_examples(root / "list.csv", "nut", "test")]
    assert names == ["1.png", "2.png"]
    assert "the column split holds holdout, which are no sides" in caplog.text
    text = (root / "list.csv").read_text()
    for word, other in (("train", "top"), ("Test", "bottom"), ("holdout", "top")):
        text = text.replace(word, other)
    caplog.clear()
    (root / "list.csv").write_text(text)
    assert len(good_pictures(root / "list.csv")) == 3 and "no sides" not in caplog.text
