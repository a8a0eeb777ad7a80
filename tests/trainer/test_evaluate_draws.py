"""Draws of the known real defects: the plan, the hierarchical bootstrap over them, the gains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bgdefect_core.pictures.writing import write_mask, write_picture
from trainer.evaluate.detectors.arms import ARMS
from trainer.evaluate.detectors.arms.chosen import chosen_arms, present
from trainer.evaluate.plan.plan import Cell, make_cells
from trainer.evaluate.plan.settings import PlanSettings
from trainer.evaluate.report import plots
from trainer.evaluate.report.gains import gain_intervals, gains_of
from trainer.evaluate.report.statistics import (
    Runs,
    more_draws,
    of_cells,
    of_runs,
    paired,
    resample_weights,
)
from trainer.evaluate.rows import Row

FOLDS, DRAWS, SEEDS = 2, 4, 2
RUNS = [(f, d, s) for f in range(FOLDS) for d in range(DRAWS) for s in range(SEEDS)]


@pytest.fixture
def plates(tmp_path: Path) -> PlanSettings:
    """24 dents and good pictures, all of different parts."""
    root = tmp_path / "plate"
    picture, mask = np.full((8, 8, 3), 90, np.uint8), np.eye(8, dtype=bool)
    for number in range(24):
        picture[0, 0] = number
        write_picture(root / f"train/good/{number:03d}.png", picture)
        write_picture(root / f"test/good/{number:03d}.png", picture + 100)
        write_picture(root / f"test/dent/{number:03d}.png", picture + 50)
        write_mask(root / f"ground_truth/dent/{number:03d}_mask.png", mask)
    return PlanSettings(root, validation=2, validation_good=2)


def cells_of(settings: PlanSettings, folder: Path) -> list[Cell]:
    return make_cells(settings, 0, folder / "out", write=False)


def test_each_draw_knows_other_defects_of_one_fold(plates: PlanSettings, tmp_path: Path) -> None:
    cells = cells_of(replace(plates, shots=(2, 5, 0), shot_draws=4), tmp_path)
    for fold in (0, 1):
        drawn = {k: [c for c in cells if (c.data.number, c.k) == (fold, k)] for k in (2, 5, 0)}
        assert [len(drawn[k]) for k in (2, 5, 0)] == [4, 4, 1]  # all are known in one way only
        for few, more in zip(drawn[2], drawn[5], strict=True):
            assert few.draw == more.draw and set(few.shots) < set(more.shots)
            assert len(more.shots) == 5 and set(more.shots) <= set(more.data.fold.pool)
        assert len({cell.shots for cell in drawn[5]}) == 4
        assert len({cell.data.digest for cell in drawn[2] + drawn[5]}) == 1  # one test side
    assert len({cell.name for cell in cells}) == len(cells) == 18


def test_a_hierarchical_resample_by_hand() -> None:
    """Two folds, the second with a single draw: its seeds get the whole weight of the fold."""
    runs = ((0, 0, 0), (0, 1, 0), (0, 2, 0), (1, 0, 0), (1, 0, 1))
    weights = resample_weights(runs)
    assert weights.sum(1) == pytest.approx(np.ones(len(weights)))
    first = weights[:, :3].sum(1)
    assert sorted(set(np.round(first, 9))) == [0, 0.5, 1]
    assert np.mean(first == 0.5) == pytest.approx(0.5, abs=0.05)
    assert set(np.round(weights[first == 0.5][:, 3], 9)) == {0, 0.25, 0.5}
    assert weights.mean(0) == pytest.approx([1 / 6] * 3 + [1 / 4] * 2, abs=0.02)


def simulated(rng: np.random.Generator, fold: float, draw: float, seed: float) -> Runs:
    """Runs around 0 with these standard deviations."""
    folds = rng.normal(0, fold, FOLDS)
    draws = rng.normal(0, draw, (FOLDS, DRAWS))
    return {(f, d, s): folds[f] + draws[f, d] + rng.normal(0, seed) for f, d, s in RUNS}


@pytest.mark.parametrize(("draw", "seed"), [(1.0, 0.5), (1.0, 0.1), (0.0, 1.0)])
def test_intervals_hold_the_truth_where_draws_and_seeds_differ(draw: float, seed: float) -> None:
    """Of 95 % intervals at least nine in ten, and they are not blown up: the plain t interval over
    all runs, which takes seeds of one draw for independent, misses the truth more often."""
    rng = np.random.default_rng(1)
    held, widths = 0, []
    for _ in range(400):
        interval = of_runs(simulated(rng, 0.0, draw, seed))
        assert interval.low is not None and interval.high is not None and interval.half is not None
        held += interval.low <= 0 <= interval.high
        widths.append(interval.half)
    expected = 1.96 * np.sqrt(draw**2 / (FOLDS * DRAWS) + seed**2 / len(RUNS))
    assert 0.90 <= held / 400 <= 0.995
    assert np.mean(widths) < 1.4 * expected


def test_cells_of_a_class_are_resampled_together() -> None:
    """k = 2 and k = 5 know the same defects: their errors do not average out. Those of two classes
    do."""
    runs = simulated(np.random.default_rng(4), 0.0, 1.0, 0.2)
    other = simulated(np.random.default_rng(5), 0.0, 1.0, 0.2)
    alone, twice = of_cells({"a": [runs]}), of_cells({"a": [runs, runs]})
    assert alone.half is not None and twice.half == pytest.approx(alone.half)
    both = of_cells({"a": [runs], "b": [other]})
    widths = [of_runs(cell).half or 0 for cell in (runs, other)]
    assert both.half == pytest.approx(np.hypot(*widths) / 2, rel=0.1)
    assert both.mean == pytest.approx((of_runs(runs).mean + of_runs(other).mean) / 2)


def test_pairs_cancel_what_folds_and_draws_differ_in() -> None:
    real = simulated(np.random.default_rng(2), 1.0, 1.0, 0.5)
    better = {run: value + 0.1 for run, value in real.items()}
    gain = paired(better, real)
    assert gain.mean == pytest.approx(0.1) and gain.half == pytest.approx(0, abs=1e-9)
    assert (of_runs(real).half or 0) > 0.3


def test_the_number_of_further_draws_by_hand() -> None:
    assert more_draws(0.08, 0.04, 4) == 12  # half the width, four times the draws
    assert more_draws(0.04, 0.04, 4) == more_draws(0.01, 0.04, 4) == 0
    assert more_draws(0.041, 0.04, 4) == 1


def rows_of(defect: str, k: int, arm: str, values: Sequence[float]) -> list[Row]:
    """Pixel AP of one arm in every run."""
    rows = []
    for (fold, draw, seed), value in zip(RUNS, values, strict=True):
        run = ("detection", "part", defect, fold, k, draw, seed)
        rows.append(Row(*run, arm, "pixel_ap", value, 9, "", ""))
    return rows


def test_gains_show_half_widths_and_what_a_wanted_one_takes() -> None:
    noise = [0.08 * ((draw % 2) - 0.5) for _, draw, _ in RUNS]
    rows = []
    for defect in ("a", "b"):
        rows += rows_of(defect, 5, "real", [0.4] * 16)
        rows += rows_of(defect, 5, "real+perlin", [0.42] * 16)
        rows += rows_of(defect, 5, "real+ours", [0.5 + extra for extra in noise])
    table = gain_intervals(rows, "pixel_ap")
    assert table is not None and table.columns == ("class", "real+perlin", "real+ours")
    assert [line[0] for line in table.lines] == ["part / a, k = 5", "part / b, k = 5", "mean"]
    assert table.lines[0][1] == "+2.0 ± 0.0 (enough)"
    for line, wanted in zip(table.lines, (4, 4, 2), strict=True):
        gain, sign, half, brackets = line[2].split(maxsplit=3)
        assert (gain, sign) == ("+10.0", "±") and 1 < float(half) < 5
        more = more_draws(float(half), wanted, DRAWS)
        assert brackets.startswith(f"({more} more)" if more else "(enough)")
    assert gain_intervals(rows_of("a", 5, "real", [0.4] * 16), "pixel_ap") is None


def test_gains_are_plotted_at_their_points(monkeypatch: pytest.MonkeyPatch) -> None:
    figures: list[Any] = []
    draw = plots._png
    monkeypatch.setattr(plots, "_png", lambda figure: figures.append(figure) or draw(figure))
    rows = []
    for defect, gain in (("a", 0.1), ("b", -0.02)):
        rows += rows_of(defect, 2, "real", [0.3] * 16)
        rows += rows_of(defect, 2, "real+ours", [0.5] * 16)
        rows += rows_of(defect, 5, "real", [0.4] * 16)
        rows += rows_of(defect, 5, "real+ours", [0.4 + gain] * 16)
    png = plots.gain_plot("pixel_ap", gains_of(rows, "pixel_ap"))
    assert png.startswith(b"\x89PNG")
    table = gain_intervals(rows, "pixel_ap")
    assert table is not None
    means = [(line[0], line[1].split()[0]) for line in table.lines[-3:]]
    assert means == [("mean, k = 2", "+20.0"), ("mean, k = 5", "+4.0"), ("mean", "+12.0")]
    two, five = figures[0].axes
    assert (two.get_title(), five.get_title()) == ("k = 2", "k = 5")
    labels = [text.get_text() for text in two.get_yticklabels()]
    assert labels == ["part / a", "part / b", "mean"]
    for axes, gains in ((two, [20, 20, 20]), (five, [10, -2, 4])):
        points = [line.get_xdata() for line in axes.lines if line.get_marker() == "o"]
        dots = [float(point[0]) for point in points if len(point) == 1]
        assert dots == pytest.approx(gains)


def test_an_arm_whose_method_is_absent_is_skipped_by_name() -> None:
    arms = chosen_arms(ARMS, "ours", [], [])
    trained, skips = present(arms, ["ours", "paste"])
    absent = {"real+from noise", "real+mixed"}
    assert {arm.name for arm in arms} - {arm.name for arm in trained} == absent
    assert {skip.what for skip in skips} == {f"the arm {name}" for name in absent}
    assert all("--generators" in skip.why for skip in skips)
