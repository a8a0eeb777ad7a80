"""Boxes become masks: what a box is, what the difference and the class make of it, rounds, resume,
and the record that a person looks through."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from bgdefect_core.errors import DataError, OtherRunError, PictureError, SettingError
from bgdefect_core.pictures.masks import Mask
from bgdefect_core.pictures.overlap import overlap
from bgdefect_core.pictures.writing import write_mask, write_picture
from bgdefect_core.records.manifest import read_manifest
from bgdefect_core.weights.files import read_info
from trainer.data.annotations.record import Region
from trainer.data.annotations.shapes import Box, Polygons
from trainer.data.examples import Example, load_example
from trainer.data.layouts import ReadingSettings, find_examples
from trainer.data.paired_good import before_of
from trainer.generation.config import GenerateConfig
from trainer.generation.sources import sources_in_folders
from trainer.lab.bench_boxes import BenchBoxesConfig, BoxFigures, bench_boxes, boxes_table
from trainer.review.session import Session
from trainer.review.site import Site
from trainer.training.boxes import rounds
from trainer.training.boxes.labels import BoxLabel, read_box_label
from trainer.training.boxes.outline import outline
from trainer.training.boxes.pictures import BoxPicture, agreement
from trainer.training.boxes.tighten import Tightener, by_difference
from trainer.training.config import TrainConfig
from trainer.training.run import TrainingClass
from trainer.training.setup import choose_class
from trainer.training.train import learn, train

from .annotated_sets import coco, labelme, plain_picture, yolo
from .conftest import files_of

HEIGHT, WIDTH = 40, 48


def rectangle(top: int, left: int, height: int, width: int) -> Mask:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top : top + height, left : left + width] = True
    return mask


def boards(root: Path, paired: bool = False, count: int = 4) -> Path:
    """A YOLO detection set: spots of 4 x 6 pixels in boxes of 8 x 12, 40 x 48 pixels."""
    rng = np.random.default_rng(3)
    lines = "0 0.5 0.5 0.25 0.2"  # 12 of 48 wide, 8 of 40 high: rows 16 to 23, columns 18 to 29
    for number in range(count):
        ground = rng.integers(90, 110, (HEIGHT, WIDTH, 3)).astype(np.uint8)
        picture = ground.copy()
        picture[18:22, 21:27] = 240
        write_picture(root / f"images/train/{number:03d}.png", picture)
        label = root / f"labels/train/{number:03d}.txt"
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text(f"{lines}\n", encoding="utf-8")
        if paired:
            write_picture(root / f"paired_good/{number:03d}.png", ground)
    text = "path: .\ntrain: images/train\nval: images/train\nnames:\n  0: spot\n"
    (root / "data.yaml").write_text(text, encoding="utf-8")
    return root


@pytest.fixture
def config(tiny_base: Path, tmp_path: Path) -> TrainConfig:
    return TrainConfig(
        data=boards(tmp_path / "boards"),
        output=tmp_path / "out" / "spot.safetensors",
        base=str(tiny_base),
        masks_from="boxes",
        box_rounds=2,
        steps=1,
        batch=1,
        views=1,
        shots=2,
        validation_pictures=0,
        device="cpu",
    )


def test_an_annotation_says_what_a_box_is(tmp_path: Path) -> None:
    image = plain_picture(tmp_path / "a.png")  # 20 x 24
    regions = (
        Region("cut", Box(3, 2, 9, 6), "box"),
        Region("cut", Box(8, 4, 12, 8), "a box that overlaps it"),
        Region("cut", Polygons(((14.0, 10.0, 18.0, 10.0, 18.0, 14.0, 14.0, 14.0),)), "polygon"),
    )
    label = read_box_label(Example(image, (), "nut", "cut", "", regions=regions))
    assert [int(box.sum()) for box in label.boxes] == [24, 16]
    assert label.drawn.sum() == 16 and label.drawn[10:14, 14:18].all()
    assert label.filled.sum() == 24 + 16 - 2 + 16


@pytest.mark.parametrize("layout", ["coco", "yolo", "labelme", "cvat"])
def test_boxes_of_every_tool_are_boxes(layout: str, tmp_path: Path) -> None:
    root = tmp_path / "nut"
    if layout == "coco":
        coco(root, [{"bbox": [3, 2, 6, 4]}])
    elif layout == "yolo":
        yolo(root, [f"0 {6 / 24} {4 / 20} {6 / 24} {4 / 20}"])
    elif layout == "labelme":
        plain_picture(root / "000.png")
        shape = {"label": "cut", "shape_type": "rectangle", "points": [[3, 2], [9, 6]]}
        labelme(root, "000", [shape])
    else:
        plain_picture(root / "images/000.png")
        box = '<box label="cut" xtl="3" ytl="2" xbr="9" ybr="6" occluded="0"/>'
        picture = f'<image id="0" name="000.png" width="24" height="20">{box}</image>'
        text = f"<annotations><version>1.1</version>{picture}</annotations>"
        (root / "annotations.xml").write_text(text, encoding="utf-8")
    label = read_box_label(find_examples(root)[0])
    assert len(label.boxes) == 1 and not label.drawn.any()
    assert label.boxes[0].sum() == 24 and label.boxes[0][2:6, 3:9].all()


def test_in_mask_files_what_fills_its_rectangle_is_a_box(tmp_path: Path) -> None:
    image = plain_picture(tmp_path / "a.png", size=(HEIGHT, WIDTH))
    hook = rectangle(20, 20, 6, 6) & ~rectangle(23, 23, 3, 3)
    write_mask(tmp_path / "m.png", rectangle(2, 3, 4, 6) | hook)
    label = read_box_label(Example(image, (tmp_path / "m.png",), "nut", "cut", ""))
    assert len(label.boxes) == 1
    assert np.array_equal(label.boxes[0], rectangle(2, 3, 4, 6))
    assert np.array_equal(label.drawn, hook)


def test_the_difference_is_cut_at_its_share_of_the_peak() -> None:
    before = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
    before[::2, ::2] = (90, 100, 95)  # more than two tones
    before[1::2, 1::2] = (110, 100, 95)
    picture = before.copy()
    picture[18:22, 21:27] = before[18:22, 21:27] + 100
    label = BoxLabel(picture, (rectangle(16, 18, 8, 12),), rectangle(0, 0, 2, 2))
    result = by_difference(label, before)
    assert result is not None
    # smoothed over 3 x 3: 3/9 beside an edge, 2/9 beside its last pixel, 1/9 at a corner; above
    # 0.3 lie the 24 pixels and 2 + 4 beside each pair of edges
    assert result.mask.sum() == 4 + 24 + 2 * (2 + 4)
    assert result.mask[18:22, 21:27].all() and result.mask[17, 22:26].all()
    assert not result.mask[17, 21] and not result.mask[17, 20]


def test_two_tones_are_tightened_to_the_pixel() -> None:
    before = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    before[:, 10:14] = 255
    picture = before.copy()
    picture[18:21, 14:17] = 255
    result = by_difference(
        BoxLabel(picture, (rectangle(15, 12, 9, 9),), rectangle(0, 0, 0, 0)), before
    )
    assert result is not None
    assert np.array_equal(result.mask, rectangle(18, 14, 3, 3))


def test_a_good_picture_that_is_not_aligned_is_no_difference() -> None:
    rng = np.random.default_rng(0)
    before, picture = rng.integers(0, 255, (2, HEIGHT, WIDTH, 3)).astype(np.uint8)
    label = BoxLabel(picture, (rectangle(16, 18, 8, 12),), rectangle(0, 0, 0, 0))
    assert by_difference(label, before) is None
    assert by_difference(label, picture.copy()) is None  # nothing changed at all


def test_paired_good_lies_in_the_data_sets_folder(tmp_path: Path) -> None:
    root = boards(tmp_path / "set" / "boards", paired=True)
    write_picture(tmp_path / "set/paired_good/004.png", np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    example = find_examples(root)[1]
    assert before_of(example, root) == root / "paired_good/001.png"
    assert before_of(example) is None
    outside = dataclasses.replace(example, image=root / "images/train/004.png")
    assert before_of(outside, root) is None


def test_with_aligned_good_pictures_no_round_is_needed(config: TrainConfig) -> None:
    boards(config.data, paired=True)
    weights = train(dataclasses.replace(config, validation_pictures=2))
    boxes = weights.with_suffix(".run") / "boxes"
    assert sorted(path.name for path in boxes.iterdir()) == ["difference", "review"]
    masks = sorted((boxes / "difference").iterdir())
    assert [path.name for path in masks] == [
        "held-out-0000_mask.png",
        "held-out-0001_mask.png",
        "train-0000_mask.png",
        "train-0001_mask.png",
    ]
    spot = rectangle(18, 21, 4, 6)
    lines = read_manifest(boxes / "review/extras/boards/spot/manifest.jsonl")
    assert len(lines) == 2
    for line in lines:
        root = boxes / "review"
        example = Example(root / line.file, (root / line.label,), "boards", "spot", "")
        assert overlap(load_example(example)[1], spot)["iou"] > 0.6
        assert line.quality["box_share"] < 0.5
        assert line.verdict == "tightened by the difference from its good picture"
        assert (root / line.good_file(root)).is_file()
    config = GenerateConfig(weights, config.data / "paired_good", weights.parent / "set")
    sources = sources_in_folders(config, read_info(weights))
    assert sources.library is not None and len(sources.library.patches) == 2
    assert all(patch.sum() < 48 for patch in sources.library.patches)  # the boxes have 96
    assert sources.folder == boxes / "review"
    inputs = json.loads((weights.with_suffix(".run") / "run.json").read_text())["inputs"]
    assert any(entry["file"] == str(masks[2]) for entry in inputs.values())


def test_a_good_picture_of_another_size_is_refused(config: TrainConfig) -> None:
    write_picture(config.data / "paired_good/000.png", np.zeros((HEIGHT, 50, 3), np.uint8))
    with pytest.raises(PictureError, match="another size"):
        train(config)


def disc(centre: int, radius: int) -> Mask:
    """A disc in a square of 64 pixels."""
    rows, columns = np.mgrid[:64, :64] - centre
    return np.asarray(rows**2 + columns**2 <= radius**2)


def test_an_outline_follows_the_edges_around_a_coarse_signal() -> None:
    defect = disc(30, 9)
    square = np.where(defect[..., None], 90, 140).astype(np.uint8).repeat(3, axis=2)
    box = np.zeros((64, 64), bool)
    box[18:44, 17:43] = True
    signal = np.zeros((64, 64), np.float32)
    signal[24:36, 24:32] = 0.5  # half of it
    signal[20:23, 40:43] = 0.4  # and a piece in a corner of the box
    shown = outline(square, box, np.zeros_like(box), signal)
    assert shown.dtype == np.float32 and 0 <= shown.min() and shown.max() <= 1
    assert (shown[~box] == 0).all()
    assert np.array_equal(shown >= 0.5, defect)


def test_other_boxes_are_no_background() -> None:
    defect, beside = disc(30, 9), disc(30, 9)
    beside = np.roll(beside, 16, axis=1)
    square = np.where((defect | beside)[..., None], 90, 140).astype(np.uint8).repeat(3, axis=2)
    box, other = np.zeros((64, 64), bool), np.zeros((64, 64), bool)
    box[20:41, 20:42], other[20:41, 38:58] = True, True
    signal = np.where(disc(30, 4), 1, 0).astype(np.float32)
    shown = outline(square, box, other, signal)
    assert (shown >= 0.5)[defect & ~other].all()


@pytest.mark.parametrize("place", [(5, 6, 5, 6), (5, 7, 5, 7), (0, 64, 0, 64), (0, 2, 0, 64)])
def test_boxes_of_any_size_have_an_outline(place: tuple[int, int, int, int]) -> None:
    top, bottom, left, right = place
    box = np.zeros((64, 64), bool)
    box[top:bottom, left:right] = True
    square = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    for signal in (np.zeros((64, 64), np.float32), np.ones((64, 64), np.float32)):
        shown = outline(square, box, np.zeros_like(box), signal)
        assert np.isfinite(shown).all() and (shown >= 0.5).any() and (shown[~box] == 0).all()


def test_the_class_tightens_within_its_box(config: TrainConfig, weights: Path) -> None:
    example = find_examples(config.data)[0]
    label = read_box_label(example)
    tightener = Tightener(weights, config.base, torch.device("cpu"), seed=0)
    result = tightener.tightened(label, 0)
    assert result.mask.any() and not (result.mask & ~label.filled).any()
    assert result.heat.shape == (HEIGHT, WIDTH) and 0 < result.heat.max() <= 1
    assert (result.heat[~label.filled] == 0).all()
    again = Tightener(weights, config.base, torch.device("cpu"), seed=0).tightened(label, 0)
    assert np.array_equal(result.mask, again.mask)
    drawn = dataclasses.replace(label, boxes=(), drawn=rectangle(3, 3, 5, 5))
    assert np.array_equal(tightener.tightened(drawn, 0).mask, rectangle(3, 3, 5, 5))


def test_without_rounds_the_edges_alone_tighten(config: TrainConfig) -> None:
    weights = train(dataclasses.replace(config, box_rounds=0, validation_pictures=2))
    boxes = weights.with_suffix(".run") / "boxes"
    assert sorted(path.name for path in boxes.iterdir()) == ["outline", "review"]
    assert len(list((boxes / "outline").iterdir())) == 4
    root = boxes / "review"
    for line in read_manifest(root / "extras/boards/spot/manifest.jsonl"):
        example = Example(root / line.file, (root / line.label,), "boards", "spot", "")
        assert overlap(load_example(example)[1], rectangle(18, 21, 4, 6))["iou"] > 0.9
        assert line.verdict == "tightened by the edges of its picture"


@pytest.mark.slow
def test_rounds_resume_to_the_same_bits(config: TrainConfig, tmp_path: Path) -> None:
    whole = dataclasses.replace(config, output=tmp_path / "whole" / "spot.safetensors")
    expected = train(whole)

    def stopped(settings: TrainConfig, target: TrainingClass) -> Path:
        if target.folder.weights.stem == "round-2":
            raise KeyboardInterrupt
        return learn(settings, target)

    with pytest.raises(KeyboardInterrupt):
        rounds.tighten_boxes(config, choose_class(config), stopped)
    boxes = config.output.with_suffix(".run") / "boxes"
    assert not config.output.exists() and (boxes / "round-1/train-0001_mask.png").is_file()
    (boxes / "round-1/train-0001_mask.png").unlink()  # a kill between two masks
    weights = train(config)
    assert weights.read_bytes()[-4000:] == expected.read_bytes()[-4000:]
    ours, theirs = (
        files_of(path.with_suffix(".run") / "boxes" / "round-2") for path in (weights, expected)
    )
    assert ours == theirs and set(ours) == {"train-0000_mask.png", "train-0001_mask.png"}
    assert not (boxes / "round-1.run/checkpoints").exists()
    assert train(config) == weights  # finished
    with pytest.raises(OtherRunError, match="box_rounds"):
        train(dataclasses.replace(config, box_rounds=1))


def test_the_record_is_reviewed_and_trained_from(config: TrainConfig) -> None:
    weights = train(dataclasses.replace(config, box_rounds=1))
    root = weights.with_suffix(".run") / "boxes/review"
    with Session(root) as session:
        rows = session.rows()
        assert [row["verdict"] for row in rows] == ["tightened by its class, round-1"] * 2
        assert list(rows[0]["figures"]) == ["share of its boxes"]
        site = Site(session)
        picture, normal = (site.get(f"{kind}/0/00000_0").body for kind in ("result", "normal"))
        assert picture == normal  # no good picture is known
        session.decide(0, "00000_0", "reject", "", False)
    assert not (root / "boards/train/good").exists()
    assert len(find_examples(root)) == 1  # the other one


def test_groups_go_along(config: TrainConfig) -> None:
    boards(config.data, paired=True)
    reading = ReadingSettings(group_pattern="^(00)")
    weights = train(dataclasses.replace(config, reading=reading, shots=4))
    boxes = weights.with_suffix(".run") / "boxes"
    table = (boxes / "groups.csv").read_text().splitlines()
    assert table[0] == "file,group" and table[2] == "boards/test/spot/00001.png,00"
    again = ReadingSettings(group_file=boxes / "groups.csv")
    examples = find_examples(boxes / "review", reading=again)
    assert [example.group for example in examples] == ["00"] * 4


def test_a_class_without_a_box_is_refused(config: TrainConfig, tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    hook = rectangle(20, 20, 6, 6) & ~rectangle(23, 23, 3, 3)
    for number in range(2):
        write_picture(tmp_path / f"nut/test/cut/{number}.png", picture)
        write_mask(tmp_path / f"nut/ground_truth/cut/{number}_mask.png", hook)
    with pytest.raises(DataError, match="no label of nut / cut is a box"):
        train(dataclasses.replace(config, data=tmp_path / "nut", shots=1))


def test_several_processes_are_refused(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SettingError, match="several processes"):
        train(config)


def test_rounds_agree_by_their_open_pictures(tmp_path: Path) -> None:
    image = plain_picture(tmp_path / "a.png", size=(HEIGHT, WIDTH))
    write_mask(tmp_path / "one.png", rectangle(0, 0, 4, 4))
    write_mask(tmp_path / "two.png", rectangle(0, 2, 4, 4))
    example = Example(image, (tmp_path / "one.png",), "nut", "cut", "")
    old = BoxPicture(example, "train-0000", 0, "box")
    new = old.with_mask(tmp_path / "two.png", "round-1")
    still = old.with_mask(tmp_path / "two.png", "difference")  # does not count
    assert agreement([old, old], [new, still]) == pytest.approx(8 / 24)


def test_bench_compares_with_human_masks(plates: Path, tiny_base: Path, tmp_path: Path) -> None:
    config = BenchBoxesConfig(
        plates, tmp_path, defect="spot", shots=2, steps=1, batch=1, rounds=1, base=str(tiny_base)
    )
    figures = bench_boxes(config)
    assert figures[0].name == "plate spot" and figures[0].pictures == 2
    # 6 x 8 pixels, wider by 2 on each side: 48 of 10 x 12
    assert figures[0].iou["box"] == pytest.approx(48 / 120)
    assert set(figures[0].iou) == {"box", "outline", "round-1"}
    assert figures[0].iou["outline"] > 0.9  # a plain defect on a plain ground
    assert json.loads((tmp_path / "boxes.json").read_text())[0]["iou"] == figures[0].iou


def test_bench_table() -> None:
    figures: Sequence[BoxFigures] = (
        BoxFigures("a b", 3, {"box": 0.25, "round-1": 0.5, "round-2": 0.625}),
        BoxFigures("a c", 2, {"box": 0.3, "difference": 0.9}),
    )
    assert boxes_table(figures) == [
        "| class | pictures | box | difference | round-1 | round-2 |",
        "|---|---:|---:|---:|---:|---:|",
        "| a b | 3 | 0.250 | - | 0.500 | 0.625 |",
        "| a c | 2 | 0.300 | 0.900 | - | - |",
    ]


def test_bench_trains_detectors_on_each_kind_of_label(tmp_path: Path, tiny_base: Path) -> None:
    root = tmp_path / "data" / "plate"
    rng = np.random.default_rng(3)
    for number in range(12):
        plain = rng.normal(110, 4, (HEIGHT, WIDTH, 3)).clip(0, 255).astype(np.uint8)
        write_picture(root / f"train/good/{number:03d}.png", plain)
        write_picture(root / f"test/good/{number:03d}.png", plain[::-1])
        mask = rectangle(8, 8 + number, 14, 16 + number)
        write_picture(root / f"test/spot/{number:03d}.png", np.where(mask[..., None], 230, plain))
        write_mask(root / f"ground_truth/spot/{number:03d}_mask.png", mask)
    config = BenchBoxesConfig(
        tmp_path / "data",
        tmp_path / "out",
        shots=2,
        steps=1,
        batch=1,
        rounds=1,
        base=str(tiny_base),
        detector_seeds=(0, 1),
        detector_steps=1,
    )
    (figures,) = bench_boxes(config)
    assert list(figures.pixel_ap) == ["box", "round-1", "human"]
    assert all(len(scores) == 2 for scores in figures.pixel_ap.values())
    assert 0 < min(figures.pixel_ap["human"]) <= 1
    # other labels, another detector; other seeds, too
    assert figures.pixel_ap["box"] != figures.pixel_ap["human"]
    assert len(set(figures.pixel_ap["human"])) == 2
    assert boxes_table([figures])[4:7] == [
        "Pixel AP of detectors that learned from these labels:",
        "",
        "| class | pictures | box | round-1 | human |",
    ]
