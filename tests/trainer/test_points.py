"""A class from points: each tool's own, as circles, which are tightened as boxes are. Points that
are not read make no picture good."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from bgdefect_core.errors import DataError, MaskError, SettingError
from bgdefect_core.pictures.masks import Mask
from bgdefect_core.pictures.writing import write_picture
from bgdefect_core.records.manifest import read_manifest
from trainer.data.check import CheckConfig, check
from trainer.data.examples import load_example
from trainer.data.layouts import ReadingSettings, find_examples, good_pictures
from trainer.lab.bench_boxes import POINT, BenchBoxesConfig, bench_boxes, with_points
from trainer.training.boxes.labels import read_box_label
from trainer.training.config import TrainConfig
from trainer.training.train import train

from .annotated_sets import HEIGHT, WIDTH, labelme, plain_picture

POINTS = ((7.0, 6.0), (15.0, 12.0))
READING = ReadingSettings(point_size=6)


def of_labelme(root: Path) -> Path:
    shapes = [{"label": "pit", "shape_type": "point", "points": [list(at)]} for at in POINTS]
    labelme(root, "a", shapes)
    plain_picture(root / "b.png", 120)
    return root


def of_label_studio(root: Path) -> Path:
    """A key point has x and y in percent, and the width with which it is shown."""
    sizes = {"original_width": WIDTH, "original_height": HEIGHT, "type": "keypointlabels"}
    results: list[dict[str, Any]] = []
    for x, y in POINTS:
        value = {"x": 100 * x / WIDTH, "y": 100 * y / HEIGHT, "width": 0.4}
        results.append({**sizes, "value": value | {"keypointlabels": ["pit"]}})
    tasks = []
    for name, result in (("a", results), ("b", [])):
        plain_picture(root / f"{name}.png")
        data = {"image": f"/data/upload/1/{name}.png"}
        tasks.append({"id": 1, "data": data, "annotations": [{"result": result}]})
    (root / "export.json").write_text(json.dumps(tasks))
    return root


def of_cvat(root: Path) -> Path:
    """One element may hold several points."""
    both = ";".join(f"{x:.2f},{y:.2f}" for x, y in POINTS)
    images = ""
    for name, inner in (("a", f'<points label="pit" points="{both}"/>'), ("b", "")):
        plain_picture(root / f"{name}.png")
        images += (
            f'<image id="0" name="{name}.png" width="{WIDTH}" height="{HEIGHT}">{inner}</image>'
        )
    (root / "annotations.xml").write_text(f"<annotations>{images}</annotations>")
    return root


TOOLS = [of_labelme, of_label_studio, of_cvat]


def circles() -> Mask:
    """Pixels whose middle lies within 3 of a point."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    mask = np.zeros((HEIGHT, WIDTH), bool)
    for across, down in POINTS:
        mask |= (x - across) ** 2 + (y - down) ** 2 <= 9
    return mask


@pytest.mark.parametrize("make", TOOLS)
def test_points_are_circles_that_nobody_drew(make: Callable[[Path], Path], tmp_path: Path) -> None:
    root = make(tmp_path / "nut")
    (example,) = find_examples(root, reading=READING)
    assert example.defect == "pit" and np.array_equal(load_example(example)[1], circles())
    label = read_box_label(example)
    assert len(label.boxes) == 2 and not label.drawn.any()
    assert [path.name for path in good_pictures(root, reading=READING)] == ["b.png"]
    (entry,) = check(CheckConfig(root, reading=READING)).classes.values()
    assert entry.boxes == 1


@pytest.mark.parametrize("make", TOOLS)
def test_points_that_are_not_read_make_no_picture_good(
    make: Callable[[Path], Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = make(tmp_path / "nut")
    with pytest.raises(DataError, match="no defect at all"):
        find_examples(root)
    assert [path.name for path in good_pictures(root)] == ["b.png"]
    assert "give --point-size, and train with --masks-from points" in caplog.text
    assert "1 pictures have nothing but labels that are not read" in caplog.text


def test_far_points_and_sizes_are_refused(tmp_path: Path) -> None:
    root = labelme(tmp_path / "nut", "a", [{"shape_type": "point", "points": [[1e6, 2]]}])
    with pytest.raises(MaskError, match="shape 0"):
        load_example(find_examples(root, reading=READING)[0])
    with pytest.raises(SettingError, match="point_size"):
        TrainConfig(root, tmp_path / "a.safetensors", masks_from="points").check()


def test_a_class_is_learned_from_points(tiny_base: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    root = tmp_path / "board"
    for number in range(3):
        shapes = [{"label": "spot", "shape_type": "point", "points": [[24, 20]]}]
        sizes = {"imageHeight": 40, "imageWidth": 48}
        labelme(root, f"{number:03d}", shapes, **sizes)
        picture = rng.integers(90, 110, (40, 48, 3)).astype(np.uint8)
        picture[18:22, 21:27] = 240
        write_picture(root / f"{number:03d}.png", picture)
    config = TrainConfig(
        data=root,
        output=tmp_path / "runs" / "spot.safetensors",
        base=str(tiny_base),
        reading=ReadingSettings(point_size=12),
        masks_from="points",
        box_rounds=1,
        steps=2,
        views=1,
        batch=1,
        validate_every=0,
        sample_every=0,
        device="cpu",
    )
    weights = train(config)
    review = weights.with_suffix(".run") / "boxes/review"
    (line,) = read_manifest(review / "extras/board/spot/manifest.jsonl")[:1]
    assert line.verdict == "tightened by its class, round-1"
    assert line.settings["masks_from"] == "points"
    assert 0 < line.quality["box_share"] <= 1


def test_bench_puts_a_point_where_a_defect_is_thickest(
    plates: Path, tiny_base: Path, tmp_path: Path
) -> None:
    example = find_examples(plates, defect="spot")[0]
    mask = load_example(example)[1]
    circle = load_example(with_points(example, 5))[1]
    depth = ndimage.distance_transform_edt(mask)
    assert ndimage.label(circle)[1] == 1
    row, column = np.argwhere(circle).mean(axis=0)
    assert depth[round(row), round(column)] == depth.max()
    config = BenchBoxesConfig(
        plates,
        tmp_path / "bench",
        defect="spot",
        base=str(tiny_base),
        steps=1,
        batch=1,
        rounds=1,
        shots=1,
        point_size=5,
        device="cpu",
    )
    (figures,) = bench_boxes(config)
    assert list(figures.iou) == [POINT, "outline", "round-1"] and 0 < figures.iou[POINT] < 1
