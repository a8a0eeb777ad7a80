"""Regions to ignore go along into the formats that have a place for them; the log names the
others."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bgdefect_core.pictures.masks import Mask
from trainer.data.convert import ConvertConfig, convert
from trainer.data.examples import load_example, load_others
from trainer.data.formats import FORMATS
from trainer.data.layouts import ReadingSettings, find_examples, good_pictures

from .annotated_sets import HEIGHT, WIDTH, labelme, plain_picture

SIZE = (HEIGHT, WIDTH)
HOLDING = [name for name, written in FORMATS.items() if written.holds_ignored]


def box(label: str, left: int, top: int, right: int, bottom: int) -> dict[str, object]:
    points = [[left, top], [right, bottom]]
    return {"label": label, "shape_type": "rectangle", "points": points}


@pytest.fixture
def nut(tmp_path: Path) -> Path:
    """A cut, a dent beside it and a place to ignore over both and more; a good picture; one that
    shows a place to ignore alone."""
    root = tmp_path / "in" / "nut"
    shapes = [box("cut", 2, 2, 6, 6), box("dent", 6, 2, 10, 6), box("ignore", 4, 4, 14, 12)]
    labelme(root, "a", shapes)
    labelme(root, "b", [box("__ignore__", 0, 0, 4, 4), box("ignored", 8, 8, 12, 12)])
    plain_picture(root / "c.png", 120)
    return root


def ignored_of_a() -> Mask:
    mask = np.zeros(SIZE, bool)
    mask[4:12, 4:14] = True
    mask[2:6, 2:10] = False  # there are defects
    return mask


def neither(root: Path, defect: str, reading: ReadingSettings) -> Mask:
    (example,) = find_examples(root, defect=defect, reading=reading)
    others = load_others(example, SIZE)
    assert others is not None
    mask: Mask = others & ~load_example(example)[1]
    return mask


def test_which_formats_hold_them() -> None:
    assert HOLDING == ["coco", "labelme", "voc", "csv"]


@pytest.mark.parametrize("name", HOLDING)
@pytest.mark.parametrize("source", ["drawn", "masks"])
def test_they_come_back(name: str, source: str, nut: Path, tmp_path: Path) -> None:
    reading = ReadingSettings()
    if source == "masks":
        nut, reading = (
            masks_of_classes(tmp_path / "in" / "vise"),
            ReadingSettings(mask_classes="1=cut,2=dent,255=ignore"),
        )
    root = tmp_path / "out" / nut.name
    convert(ConvertConfig(nut, root, (name,), val_share=0, reading=reading))
    as_found = ReadingSettings()
    dent = find_examples(root, defect="dent", reading=as_found)[0]
    dent_mask = load_example(dent)[1]
    assert dent_mask.sum() == 16
    assert np.array_equal(neither(root, "cut", as_found) & ~dent_mask, ignored_of_a())
    assert {example.defect for example in find_examples(root)} == {"cut", "dent"}
    assert len(good_pictures(root)) == 1


def masks_of_classes(root: Path) -> Path:
    """The same in masks: 1 cut, 2 dent, 255 ignored; a good picture, one of ignored pixels."""
    values = np.where(ignored_of_a(), 255, 0).astype(np.uint8)
    values[2:6, 2:6], values[2:6, 6:10] = 1, 2
    alone = np.zeros(SIZE, np.uint8)
    alone[:3] = 255
    for number, mask in enumerate((values, np.zeros(SIZE, np.uint8), alone)):
        plain_picture(root / "images" / f"{number}.png", 90 + number)
        (root / "masks").mkdir(exist_ok=True)
        Image.fromarray(mask).save(root / "masks" / f"{number}.png")
    return root


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in HOLDING])
def test_the_log_names_what_is_lost(
    name: str, nut: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        convert(ConvertConfig(nut, tmp_path / "out", (name,)))
    (line,) = [text for text in caplog.messages if "holds no regions to ignore" in text]
    assert line.startswith(f"{name} ") and "1 pictures (a.png)" in line
    alone = "1 pictures show nothing but regions to ignore: neither examples nor good pictures"
    assert any(alone in text for text in caplog.messages)


def test_coco_tells_them_from_a_crowd_of_defects(nut: Path, tmp_path: Path) -> None:
    convert(ConvertConfig(nut, tmp_path / "out", ("coco",), val_share=0))
    path = tmp_path / "out/annotations/instances_train.json"
    content = json.loads(path.read_text())
    crowds = [entry for entry in content["annotations"] if entry["iscrowd"]]
    assert [entry["category_id"] for entry in crowds] == [1, 2]
    assert {entry["area"] for entry in crowds} == {int(ignored_of_a().sum())}
    for entry in crowds:
        del entry["ignore"]  # what other tools write is a region of its class
    path.write_text(json.dumps(content))
    masks = [load_example(example)[1] for example in find_examples(tmp_path / "out")]
    assert [int(mask.sum()) for mask in masks] == [16 + ignored_of_a().sum()] * 2


def test_a_void_is_a_defect(tmp_path: Path) -> None:
    root = labelme(tmp_path / "solder", "a", [box("void", 2, 2, 6, 6)])
    assert [example.defect for example in find_examples(root)] == ["void"]
