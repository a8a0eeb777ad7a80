"""CVAT's and Label Studio's exports as these tools write them, masks of classes in every layout,
groups, and which pixels are nobody's background."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bgdefect_core.errors import BGDefectError, DataError, SettingError
from bgdefect_core.pictures.listing import report_once
from bgdefect_core.pictures.writing import write_mask
from trainer.data.annotations.layers import BrushLayer, Ellipse, RowRuns
from trainer.data.annotations.mask_classes import MaskClasses
from trainer.data.examples import load_example, load_others
from trainer.data.layouts import ReadingSettings, find_examples, good_examples, layout_of
from trainer.data.splits import split_halves

from . import tool_exports as tools
from .annotated_sets import HEIGHT, WIDTH, coco_nut, labelme, plain_picture, yolo_nut
from .tool_exports import masks

EXPORTS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "cvat coco": (tools.cvat_coco, "coco"),
    "cvat yolo": (tools.cvat_yolo, "yolo"),
    "cvat ultralytics": (tools.cvat_ultralytics, "yolo"),
    "cvat labelme": (tools.cvat_labelme, "labelme_xml"),
    "cvat mask": (tools.cvat_mask, "class_masks"),
    "cvat mask, palette": (partial(tools.cvat_mask, palette=True), "class_masks"),
    "cvat images": (tools.cvat_images, "cvat"),
    "label studio json": (tools.label_studio_json, "label_studio"),
    "label studio json, prefix": (partial(tools.label_studio_json, prefixed=True), "label_studio"),
    "label studio coco": (tools.label_studio_coco, "coco"),
    "label studio yolo": (tools.label_studio_yolo, "yolo"),
    "label studio yolo, own pictures": (
        partial(tools.label_studio_yolo, prefixed=False),
        "yolo",
    ),
}


@pytest.fixture(autouse=True)
def everything_is_said_anew() -> None:
    report_once.cache_clear()


@pytest.mark.parametrize("name", EXPORTS)
def test_every_export_gives_the_drawn_masks(name: str, tmp_path: Path) -> None:
    build, layout = EXPORTS[name]
    root = build(tmp_path / "nut")
    assert layout_of(root).name == layout
    examples = find_examples(root)
    assert [(e.defect, e.image.stem[-6:]) for e in examples] == [
        ("Cut", "part_0"),
        ("Cut", "part_1"),
        ("Dent", "part_1"),
    ]
    truth = masks()
    for example in examples:
        picture, mask = load_example(example)
        assert (mask == truth[example.defect]).all()
        assert picture[0, 0, 0] == 90 + int(example.image.stem[-1])
    good = [example.image.stem[-6:] for example in good_examples(root, "nut")]
    assert good == ["part_2", "part_3"]


@pytest.mark.parametrize("name", EXPORTS)
def test_other_classes_are_nobody_s_background(name: str, tmp_path: Path) -> None:
    first, second, dent = find_examples(EXPORTS[name][0](tmp_path / "nut"))
    size = (HEIGHT, WIDTH)
    assert load_others(first, size) is None
    for example, other in ((second, "Dent"), (dent, "Cut")):
        others = load_others(example, size)
        assert others is not None and (others == masks()[other]).all()


@pytest.mark.parametrize(
    ("build", "key"),
    [(tools.label_studio_json, "board"), (tools.cvat_images, "board"), (tools.cvat_images, "part")],
)
def test_groups_from_an_entry_or_tag(
    build: Callable[[Path], Path], key: str, tmp_path: Path
) -> None:
    root = build(tmp_path / "nut")
    groups = [e.group for e in find_examples(root, reading=ReadingSettings(group_key=key))]
    expected = "part" if key == "part" else "B0"
    assert groups == [expected] * 3
    with pytest.raises(DataError, match="no picture of .* has the entry or tag 'box'"):
        find_examples(root, reading=ReadingSettings(group_key="box"))


def test_groups_from_entries_and_flags_of_coco_and_labelme(tmp_path: Path) -> None:
    root = coco_nut(tmp_path / "nut")
    path = root / "annotations/instances_train.json"
    content = json.loads(path.read_text())
    for number, image in enumerate(content["images"]):
        image["board"] = number // 2
    path.write_text(json.dumps(content))
    reading = ReadingSettings(group_key="board")
    assert [e.group for e in find_examples(root, reading=reading)] == ["0", "0", "1"]
    split = split_halves(find_examples(root, reading=reading))
    assert {e.group for e in split.train}.isdisjoint(e.group for e in split.held_out)
    for number in range(4):
        shape = {"shape_type": "rectangle", "points": [[3, 2], [9, 6]]}
        flags = {"board_1": number < 2, "board_2": number >= 2, "blurred": True}
        labelme(tmp_path / "bolt", f"{number}", [shape], flags=flags)
    groups = [e.group for e in find_examples(tmp_path / "bolt", reading=reading)]
    assert groups == ["board_1", "board_1", "board_2", "board_2"]


def test_groups_from_a_table_beside_any_layout(tmp_path: Path) -> None:
    root = yolo_nut(tmp_path / "nut")
    table = tmp_path / "groups.csv"
    table.write_text("file;group\nimages/train/000.png;a\nimages\\train\\001.png;a\n002.png;b\n")
    reading = ReadingSettings(group_file=table)
    assert [e.group for e in find_examples(root, reading=reading)] == ["a", "a", "b"]
    table.write_text("file,group\nother.png,a\n")
    with pytest.raises(DataError, match="names no picture"):
        find_examples(root, reading=reading)


# --- masks of classes


def object_with_class_masks(root: Path) -> Path:
    """MVTec AD's layout: 1 a scratch, 2 a dent, 255 undecided; the last mask holds none of them."""
    for number, values in enumerate(([1, 2], [1, 255], [2], [])):
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        for place, value in enumerate(values):
            mask[2:6, 2 + 8 * place : 6 + 8 * place] = value
        plain_picture(root / f"test/bad/{number:03d}.png", 90 + number)
        path = root / f"ground_truth/bad/{number:03d}_mask.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(path)
    plain_picture(root / "train/good/000.png")
    return root


@pytest.mark.parametrize("text", ["1=scratch,2=dent,255=ignore", "table"])
def test_values_are_classes_in_any_layout(text: str, tmp_path: Path) -> None:
    root = object_with_class_masks(tmp_path / "nut")
    if text == "table":  # the same masks by a csv
        rows = ["image,mask,class,defect,group"]
        for number in range(4):
            image = f"test/bad/{number:03d}.png"
            rows.append(f"{image},ground_truth/bad/{number:03d}_mask.png,nut,bad,")
        rows.append("train/good/000.png,,nut,good,")
        root = tmp_path / "nut/all.csv"
        root.write_text("\n".join(rows))
        text = "1=scratch,2=dent,255=ignore"
    reading = ReadingSettings(mask_classes=text)
    examples = find_examples(root, reading=reading)
    names = [(e.object, e.defect, e.image.stem) for e in examples]
    assert names == [
        ("nut", "dent", "000"),
        ("nut", "dent", "002"),
        ("nut", "scratch", "000"),
        ("nut", "scratch", "001"),
    ]
    for example in examples:
        assert load_example(example)[1].sum() == 16
    size = (HEIGHT, WIDTH)
    others = [load_others(example, size) for example in examples]
    assert [None if o is None else int(o.sum()) for o in others] == [16, None, 16, 16]
    good = {e.image.name for e in good_examples(root, "nut", reading=reading)}
    assert good == {"000.png", "003.png"}
    (dent,) = {e.defect for e in find_examples(root, defect="dent", reading=reading)}
    assert dent == "dent"


def test_a_value_without_a_name_is_refused(tmp_path: Path) -> None:
    root = object_with_class_masks(tmp_path / "nut")
    with pytest.raises(BGDefectError, match="16 pixels have none of the values 0=bg.*255: 16"):
        find_examples(root, reading=ReadingSettings(mask_classes="bg,scratch,dent"))


@pytest.mark.parametrize(
    "text", ["", "1=", "=cut", "1=cut,1=dent", "0=background", "1=cut,dent", "x=cut", "1=../cut"]
)
def test_bad_names_of_classes(text: str) -> None:
    with pytest.raises(SettingError):
        ReadingSettings(mask_classes=text).check()


def test_close_colours_are_told_apart(tmp_path: Path) -> None:
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[:4], pixels[4:8] = (200, 0, 0), (210, 0, 0)
    Image.fromarray(pixels).save(tmp_path / "mask.png")
    classes = MaskClasses.parse("#c80000=cut,#d20000=dent")
    assert classes.in_file(tmp_path / "mask.png") == ("cut", "dent")
    assert classes.values_of(["cut"]).near == 4


def test_pascal_s_undecided_outline_is_to_be_ignored(tmp_path: Path) -> None:
    root = tools.cvat_mask(tmp_path / "nut")
    path = root / "SegmentationClass/part_0.png"
    pixels = np.asarray(Image.open(path)).copy()
    pixels[6, 3:9] = (224, 224, 192)
    Image.fromarray(pixels).save(path)
    first = find_examples(root)[0]
    others = load_others(first, (HEIGHT, WIDTH))
    assert others is not None and others.sum() == 6 and others[6, 3:9].all()


def test_folders_of_masks_without_names_hold_one_defect(tmp_path: Path) -> None:
    root = tmp_path / "nut"
    for number in range(3):
        plain_picture(root / f"images/a/{number}.jpg")
        write_mask(root / f"masks/a/{number}.png", masks()["Cut"] & (number > 0))
    assert layout_of(root).name == "class_masks"
    examples = find_examples(root)
    assert [(e.defect, e.image.name) for e in examples] == [
        ("defect", "1.jpg"),
        ("defect", "2.jpg"),
    ]
    assert [e.image.name for e in good_examples(root, "nut")] == ["0.jpg"]


# --- shapes of these tools


def test_an_ellipse_and_a_turned_one() -> None:
    mask = Ellipse(10, 8, 6, 3).fill((16, 20))
    assert abs(int(mask.sum()) - np.pi * 18) < 4 and mask[8, 5] and not mask[3, 10]
    turned = Ellipse(10, 8, 6, 3, 90).fill((16, 20))
    assert turned[3, 10] and not turned[8, 5]
    for bad in (Ellipse(0, 0, 0, 1), Ellipse(0, 0, float("nan"), 1), Ellipse(1e9, 0, 1, 1)):
        with pytest.raises(DataError):
            bad.fill((16, 20))


def test_runs_of_rows_and_what_is_refused() -> None:
    mask = RowRuns((1, 2, 1, 2), left=3, top=2, width=3, height=2).fill((10, 10))
    assert mask[2, 4:6].all() and mask[3, 4:6].all() and mask.sum() == 4
    for bad in (RowRuns((6,), 8, 2, 3, 2), RowRuns((9,), 3, 2, 3, 2), RowRuns((-1, 7), 0, 0, 3, 2)):
        with pytest.raises(DataError):
            bad.fill((10, 10))


def test_a_brush_that_breaks_off_or_is_of_another_size() -> None:
    data = bytes(tools.packed_brush(masks()["Dent"]))
    assert (BrushLayer(data, (HEIGHT, WIDTH)).fill((HEIGHT, WIDTH)) == masks()["Dent"]).all()
    for bad in (data[:-3], b"", data[:4] + b"\x00" * 9, b"\xff" * 40):
        with pytest.raises(DataError):
            BrushLayer(bad, (HEIGHT, WIDTH)).fill((HEIGHT, WIDTH))
    with pytest.raises(DataError):
        BrushLayer(data, (HEIGHT, WIDTH)).fill((WIDTH, HEIGHT))


def test_pictures_that_are_missing_or_ambiguous(tmp_path: Path) -> None:
    root = tools.label_studio_json(tmp_path / "nut")
    plain_picture(root / "copy/part_1.png")
    with pytest.raises(DataError, match="may be .*part_1.png or"):
        find_examples(root)
    (root / "copy/part_1.png").unlink()
    (root / "part_1.png").unlink()
    with pytest.raises(DataError, match="no picture of the name"):
        find_examples(root)
    root = tools.label_studio_yolo(tmp_path / "bolt")
    for path in (root / "images").iterdir():
        path.rename(path.with_name("x" + path.name))
    with pytest.raises(DataError, match="no label has its picture"):
        find_examples(root)


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE a [<!ENTITY b "c">]><annotations><image name="part_0.png"/></annotations>',
        '<annotations><image name="part_0.png" width="24" height="20"><polygon label="a" '
        'points="1,1;nan,2;3,3"/></image></annotations>',
        '<annotations><image name="../../part_0.png" width="24" height="20"/></annotations>',
        '<annotations><image name="part_0.png" width="24" height="20"><mask label="a" rle="9999999'
        '99999999999999" left="0" top="0" width="24" height="20"/></image></annotations>',
        '<annotations><image name="part_0.png" width="24"></annotations>',
    ],
    ids=["entities", "nan", "escape", "runs", "broken"],
)
def test_hostile_xml(text: str, tmp_path: Path) -> None:
    root = tmp_path / "nut"
    plain_picture(root / "images/part_0.png")
    plain_picture(tmp_path / "part_9.png")
    (root / "annotations.xml").write_text(text.replace("../../part_0", "../../part_9"))
    with pytest.raises(BGDefectError):
        for example in find_examples(root):
            load_example(example)


@pytest.mark.parametrize("name", ["label studio json", "label studio coco", "cvat images"])
def test_a_link_out_of_the_folder_is_no_picture_of_it(name: str, tmp_path: Path) -> None:
    root = EXPORTS[name][0](tmp_path / "nut")
    (picture,) = root.rglob("part_1.png")
    picture.rename(tmp_path / "secret.png")
    picture.symlink_to(tmp_path / "secret.png")
    with pytest.raises(DataError):
        find_examples(root)
    assert len(find_examples(root, reading=ReadingSettings(outside_files=True))) == 3
