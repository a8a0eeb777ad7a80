"""Data sets that have sides of their own: what is learned from, what validates, what is kept for a
test, in every layout that has sides, and how to read them together."""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bgdefect_core.errors import DataError
from bgdefect_core.pictures.writing import write_mask
from trainer.data.check import CheckConfig, check, lines
from trainer.data.convert import ConvertConfig, convert
from trainer.data.examples import Example
from trainer.data.formats import FormatName
from trainer.data.layouts import (
    ReadingSettings,
    all_good_examples,
    find_examples,
    good_examples,
    good_pictures,
)
from trainer.data.sides import side_called
from trainer.evaluate.advice.design import Design, WorkCosts, works_of
from trainer.evaluate.advise import class_plans
from trainer.evaluate.plan.plan import fold_numbers, make_cells
from trainer.generation.example_library import examples_in
from trainer.training.config import TrainConfig
from trainer.training.splitting import split_of

from .annotated_sets import BOX, HEIGHT, WIDTH, plain_picture, voc, voc_object
from .conftest import evaluation

COUNTS = {"train": 5, "val": 2, "test": 3}
"""Pictures with a cut, and as many good ones, of each side."""
TOGETHER = ReadingSettings(sides="none")
CUT = np.zeros((HEIGHT, WIDTH), bool)
CUT[2:6, 3:9] = True

Entries = list[tuple[str, str, bool]]


def entries() -> Entries:
    """Name, side and whether it shows a cut. Every picture has a gray of its own."""
    listed: Entries = []
    for side, count in COUNTS.items():
        for number in range(count):
            listed.append((f"{side}_cut{number}", side, True))
            listed.append((f"{side}_good{number}", side, False))
    return listed


def picture(path: Path, number: int) -> Path:
    return plain_picture(path, 60 + number)


def coco_sides(root: Path) -> Path:
    for side in COUNTS:
        images, annotations = [], []
        for number, (name, own, shows) in enumerate(entries()):
            if own != side:
                continue
            picture(root / side / f"{name}.png", number)
            images.append({"id": number, "file_name": f"{name}.png"})
            if shows:
                box = [BOX[0], BOX[1], BOX[2] - BOX[0], BOX[3] - BOX[1]]
                label = {"id": number, "image_id": number, "category_id": 0, "bbox": box}
                annotations.append(label)
        content = {"images": images, "annotations": annotations}
        content["categories"] = [{"id": 0, "name": "cut"}]
        (root / side / "_annotations.coco.json").write_text(json.dumps(content))
    return root


def yolo_sides(root: Path) -> Path:
    for number, (name, side, shows) in enumerate(entries()):
        picture(root / side / "images" / f"{name}.png", number)
        path = root / side / "labels" / f"{name}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text("0 0.25 0.2 0.25 0.2\n" * shows)
    lines = [f"{side}: {side}/images" for side in COUNTS]
    (root / "data.yaml").write_text("\n".join([*lines, "names: [cut]"]))
    return root


def voc_sides(root: Path) -> Path:
    for number, (name, side, shows) in enumerate(entries()):
        voc(root, name, voc_object() * shows)
        picture(root / "JPEGImages" / f"{name}.png", number)
        path = root / f"ImageSets/Main/{side}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(f"{name}\n")
    return root


def csv_sides(root: Path) -> Path:
    rows = [("image", "mask", "class", "defect", "side")]
    for number, (name, side, shows) in enumerate(entries()):
        picture(root / f"{name}.png", number)
        write_mask(root / "masks/cut.png", CUT)
        mask, defect = ("masks/cut.png", "cut") if shows else ("", "good")
        rows.append((f"{name}.png", mask, "nut", defect, side))
    with (root / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return root


def mask_sides(root: Path) -> Path:
    for number, (name, side, shows) in enumerate(entries()):
        picture(root / side / "images" / f"{name}.png", number)
        (root / side / "masks").mkdir(exist_ok=True)
        if shows:
            write_mask(root / side / "masks" / f"{name}.png", CUT)
    return root


BUILDERS: dict[str, Callable[[Path], Path]] = {
    "coco": coco_sides,
    "yolo": yolo_sides,
    "voc": voc_sides,
    "csv": csv_sides,
    "class_masks": mask_sides,
}


def sides_of(examples: list[Example] | tuple[Example, ...]) -> dict[str, int]:
    """By the pictures' names, whatever the reader says."""
    counts: dict[str, int] = {}
    for example in examples:
        side = example.image.name.split("_")[0]
        counts[side] = counts.get(side, 0) + 1
    return counts


def config(root: Path, **options: object) -> TrainConfig:
    return TrainConfig(root, Path("out"), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", BUILDERS)
def test_train_learns_from_the_side_train_alone(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    root = BUILDERS[name](tmp_path / "nut")
    examples = find_examples(root)
    split = split_of(config(root), examples)
    assert sides_of(split.train) == {"train": 5} and sides_of(split.held_out) == {"val": 2}
    assert "(train 5, val 2, test 3): 5 pictures of train are learned" in caplog.text
    assert "val is held out, test is not read; --sides none" in caplog.text
    few = split_of(config(root, shots=3), examples)
    assert sides_of(few.train) == {"train": 3}
    assert sides_of(few.held_out) == {"train": 2, "val": 2}
    half = split_of(config(root, fold=1), examples)
    assert sides_of(half.train) == {"train": 2}
    together = find_examples(root, reading=TOGETHER)
    assert {example.side for example in together} == {""}
    split = split_of(config(root), together)
    assert (len(split.train), len(split.held_out)) == (5, 5)


@pytest.mark.parametrize("name", BUILDERS)
def test_generate_uses_nothing_that_is_kept_for_a_test(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    root = BUILDERS[name](tmp_path / "nut")
    assert {path.name.split("_")[0] for path in good_pictures(root)} == {"train"}
    assert len(good_pictures(root)) == 5
    defect = find_examples(root)[0].defect
    library = examples_in(root, "nut", defect, None, ReadingSettings())
    assert sides_of(library) == {"train": 5}
    assert "defects of train alone are used" in caplog.text
    assert len(good_pictures(root, reading=TOGETHER)) == 10
    assert len(examples_in(root, "nut", defect, None, TOGETHER)) == 10


@pytest.mark.parametrize("name", BUILDERS)
def test_both_sides_hold_all_good_pictures(name: str, tmp_path: Path) -> None:
    root = BUILDERS[name](tmp_path / "nut")
    assert sides_of(good_examples(root, "nut", "test")) == {"val": 2, "test": 3}
    assert sides_of(all_good_examples(root, "nut")) == COUNTS
    for side in ("train", "test"):
        assert sides_of(good_examples(root, "nut", side, TOGETHER)) == COUNTS


@pytest.mark.parametrize("name", BUILDERS)
def test_evaluate_tests_on_the_given_side(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    root = BUILDERS[name](tmp_path / "nut")
    settings = evaluation(root, shots=(2,), shot_draws=1).plan
    assert fold_numbers(settings) == (0,)
    (cell,) = make_cells(settings, 0, tmp_path / "out", write=False)
    fold = cell.data.fold
    assert sides_of(fold.pool) == {"train": 5} and sides_of(fold.test) == {"test": 3}
    assert sides_of(fold.validation) == {"val": 2}
    assert sides_of(fold.good_test) == {"test": 3}
    assert set(sides_of(fold.good_train)) == {"train"}
    assert sides_of(fold.good_validation)["val"] == 2
    assert "(train 5, val 2, test 3) are the only fold" in caplog.text
    make_cells(settings, 0, tmp_path / "out")
    settings = evaluation(root, shots=(2,), shot_draws=1, splits=tmp_path / "out/splits").plan
    (again,) = make_cells(settings, 0, tmp_path / "other", write=False)
    assert again.data.digest == cell.data.digest
    settings = evaluation(root, shots=(2,), shot_draws=1, sides="none").plan
    assert len(make_cells(settings, 0, tmp_path / "out", write=False)) == 2


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("val2017", "val"),
        ("instances_test2017", "test"),
        ("Train_Images", "train"),
        ("annotations-train", "train"),
        ("Test set", "test"),
        ("validation", "val"),
        ("_annotations.coco", ""),
        ("trainval", ""),
        ("train_val", ""),
        ("latest", ""),
        ("test bench", ""),
        ("2017", ""),
        ("", ""),
    ],
)
def test_names_of_sides(name: str, side: str) -> None:
    assert side_called(name) == side


def test_sides_of_coco_as_it_names_its_files(tmp_path: Path) -> None:
    root = coco_sides(tmp_path / "nut")
    (root / "annotations").mkdir()
    for side in COUNTS:
        (root / side).rename(root / f"{side}2017")
        path = root / f"{side}2017/_annotations.coco.json"
        path.rename(root / f"annotations/instances_{side}2017.json")
    assert sides_of(split_of(config(root), find_examples(root)).train) == {"train": 5}


def test_the_advice_counts_the_one_fold(tmp_path: Path) -> None:
    root = csv_sides(tmp_path / "nut")
    design = Design(recipes=(), draws=2)
    works: dict[str, list[int]] = {}
    for sides in ("own", "none"):
        plans = class_plans(evaluation(root, tmp_path / "out", shots=(2,), sides=sides))
        (plan,) = plans.values()
        assert plan is not None
        costs = WorkCosts(1, 1, 1)
        works[sides] = [work.count for work in works_of(design, [plan], costs)]
    assert works == {"own": [2, 0, 3], "none": [4, 0, 6]}


def test_without_a_side_test_val_is_it(tmp_path: Path) -> None:
    root = csv_sides(tmp_path / "nut")
    lines = (root / "manifest.csv").read_text().splitlines()
    kept = [line for line in lines if not line.endswith(",test")]
    (root / "manifest.csv").write_text("\n".join(kept))
    settings = evaluation(root, shots=(2,), shot_draws=1).plan
    (cell,) = make_cells(settings, 0, tmp_path / "out", write=False)
    assert sides_of(cell.data.fold.test) == {"val": 2}
    assert set(sides_of(cell.data.fold.validation)) == {"train"}
    split = split_of(config(root), find_examples(root))
    assert sides_of(split.train) == {"train": 5} and sides_of(split.held_out) == {"val": 2}


def test_a_class_of_the_side_test_alone_is_not_learned(tmp_path: Path) -> None:
    root = csv_sides(tmp_path / "nut")
    text = (root / "manifest.csv").read_text()
    lines = []
    for line in text.splitlines():
        lines.append(line.replace(",cut,", ",dent,") if line.endswith("test") else line)
    (root / "manifest.csv").write_text("\n".join(lines))
    examples = find_examples(root, defect="dent")
    with pytest.raises(DataError, match="all pictures of nut / dent in .* side test.*--sides none"):
        split_of(config(root), examples)
    with pytest.raises(DataError, match="--sides none"):
        make_cells(evaluation(root, shots=(2,)).plan, 0, tmp_path / "out", write=False)


def test_good_pictures_of_the_side_test_alone(tmp_path: Path) -> None:
    root = csv_sides(tmp_path / "nut")
    lines = (root / "manifest.csv").read_text().splitlines()
    kept = [line for line in lines if not line.endswith(",good,train")]
    (root / "manifest.csv").write_text("\n".join(kept))
    with pytest.raises(DataError, match="add some on the side train, or read .*--sides none"):
        good_pictures(root)


@pytest.mark.parametrize("side", ["train", "test"])
def test_one_side_alone_divides_nothing(side: str, tmp_path: Path) -> None:
    """As in a folder, or a COCO file, of one side."""
    root = coco_sides(tmp_path / "nut") / side
    examples = find_examples(root)
    assert {example.side for example in examples} == {""}
    assert len(good_pictures(root)) == COUNTS[side]
    split = split_of(config(root), examples)
    assert len(split.train) == (COUNTS[side] + 1) // 2


def test_parts_on_both_sides_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = yolo_sides(tmp_path / "nut")
    reading = ReadingSettings(group_pattern=r"(cut\d)")
    split = split_of(config(root, reading=reading), find_examples(root, reading=reading))
    assert len(split.train) == 5 and split.held_out == ()
    assert "show parts that are learned from too" in caplog.text


def test_data_check_says_the_sides_and_the_parts_on_several(tmp_path: Path) -> None:
    root = yolo_sides(tmp_path / "nut")
    expected = "train 5 with defects, 5 good; val 2 with defects, 2 good; test 3 with defects, 3 "
    text = "\n".join(lines(check(CheckConfig(root))))
    assert f"sides      {expected}good" in text and "parts stand" not in text
    reading = ReadingSettings(group_pattern=r"(\d)")
    text = "\n".join(lines(check(CheckConfig(root, reading=reading))))
    assert "3 parts stand on the side train and on another: 0, 1, 2" in text
    text = "\n".join(lines(check(CheckConfig(root, reading=TOGETHER))))
    assert "sides      none of its own" in text


@pytest.mark.parametrize("name", ["coco", "yolo-seg", "yolo", "labelme", "voc", "csv"])
def test_a_conversion_keeps_all_three_sides(name: FormatName, tmp_path: Path) -> None:
    """What was kept for a test came out on the side val."""
    source = voc_sides(tmp_path / "source/nut")
    convert(ConvertConfig(source, tmp_path / "nut", (name,)))
    examples = find_examples(tmp_path / "nut")
    assert {example.image.name.split("_")[0]: example.side for example in examples} == {
        "train": "train",
        "val": "val",
        "test": "test",
    }
    assert sides_of(examples) == COUNTS
    assert sides_of(all_good_examples(tmp_path / "nut", "nut")) == COUNTS


def test_mvtec_has_no_sides_for_defects(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = voc_sides(tmp_path / "nut")
    convert(ConvertConfig(source, tmp_path / "out", ("mvtec",)))
    assert "mvtec has none for defects" in caplog.text


def test_a_picture_on_two_sides_of_a_csv_is_refused(tmp_path: Path) -> None:
    root = csv_sides(tmp_path / "nut")
    with (root / "manifest.csv").open("a") as file:
        file.write("train_cut0.png,masks/cut.png,nut,dent,test\n")
    with pytest.raises(DataError, match="train_cut0.png on the sides 'train' and 'test'"):
        find_examples(root)
