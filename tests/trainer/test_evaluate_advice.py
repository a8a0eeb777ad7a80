"""The rules of the advice, on hand-made results: a clear gain, a clear loss, no difference, what
cannot be told; the worth in real defects, the threshold, the misses, the design."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")

from bgdefect_core.errors import SettingError
from trainer.evaluate.advice.crossed import crossed_interval, difference
from trainer.evaluate.advice.design import (
    BASE,
    LADDER,
    LEAST_DEFECTS,
    ClassCounts,
    Design,
    WorkCosts,
    choose_design,
    class_counts,
    read_design,
    seconds_of,
    works_of,
    write_design,
)
from trainer.evaluate.advice.judgement import (
    TELLING,
    RunsJudgement,
    answer_of,
    judge_runs,
    needed_defects,
    operation_of,
)
from trainer.evaluate.advice.misses import (
    HeldOutDefect,
    differences,
    photograph_text,
    properties_of,
)
from trainer.evaluate.advice.page import (
    ClassAdvice,
    advice_document,
    advice_lines,
    write_advice,
)
from trainer.evaluate.advice.runs import DetectorRun, Recipe, Values, least_good, threshold_at
from trainer.evaluate.advice.worth import worth
from trainer.evaluate.report.statistics import Interval

REAL, OURS, PASTE = Recipe("real"), Recipe("real+ours"), Recipe("real+paste")
K, TOLERATED = 5, 0.05
GOOD = tuple(np.linspace(0, 0.5, 40).tolist())
Gain = Callable[[np.random.Generator], np.ndarray]


def runs_of(
    recipe: Recipe, gain: float, noise: float = 0.01, k: int = K, defects: int = 20, seed: int = 1
) -> list[DetectorRun]:
    """Two folds, four draws: every held-out defect has its own precision, a recipe adds its gain
    and noise."""
    rng = np.random.default_rng(seed)
    runs = []
    for fold in (0, 1):
        base = np.random.default_rng(fold).uniform(0.2, 0.6, defects)
        for draw in range(4):
            values = base + gain + rng.normal(0, noise, defects)
            scores = tuple((values > 0.4) * 1.0)
            runs.append(DetectorRun(recipe, k, fold, draw, 0, tuple(values.tolist()), scores, GOOD))
    return runs


def curve(*, ten: float = 0.10, twenty: float = 0.20) -> list[DetectorRun]:
    """Real alone at 5, 10 and 20."""
    ten_runs, all_runs = runs_of(REAL, ten, k=10, seed=3), runs_of(REAL, twenty, k=20, seed=4)
    return [*runs_of(REAL, 0.0, seed=2), *ten_runs, *all_runs]


def text_of(judgement: RunsJudgement) -> str:
    advice = ClassAdvice("part", "dent", judgement, (), "--start mixed")
    return "\n".join(advice_lines(advice, TOLERATED))


def test_a_clear_gain_is_used_with_its_interval_and_its_worth() -> None:
    runs = [*curve(), *runs_of(OURS, 0.08, seed=5), *runs_of(PASTE, 0.02, seed=6)]
    judgement = judge_runs(runs, K, TOLERATED)
    gain = judgement.gains[OURS]
    assert (judgement.answer, judgement.recipe, judgement.equals) == ("use", OURS, ())
    assert gain.low is not None and gain.high is not None
    assert 0.05 < gain.low < 0.08 < gain.high < 0.11 and judgement.held_out == 40
    value = judgement.worth
    assert value is not None and value.about == 4  # 8 of the 10 points that five more give
    assert value.least is not None and value.most is not None
    assert 2 <= value.least <= 4 <= value.most <= 6 and value.measured == 15
    text = text_of(judgement)
    for phrase in (
        "Use generated defects",
        "without them) they gained +",
        "interval +",
        "one stage",
        "25%",
        "Worth about 4 more",
    ):
        assert phrase in text
    assert "--start mixed" in text and "Without generated defects" in text


def test_recipes_that_cannot_be_told_from_the_best_are_named() -> None:
    staged = Recipe("real+ours", "two-stage")
    runs = [*curve(), *runs_of(OURS, 0.08, seed=5), *runs_of(staged, 0.079, seed=6)]
    judgement = judge_runs(runs, K, TOLERATED)
    assert {judgement.recipe, *judgement.equals} == {OURS, staged}
    assert "No worse by these figures" in text_of(judgement)
    two_stages = judge_runs([*curve(), *runs_of(staged, 0.08)], K, TOLERATED)
    text = text_of(two_stages)
    assert "two stages" in text and "25%" not in text  # that schedule has no share


def test_intervals_widen_with_the_number_of_recipes() -> None:
    alone = judge_runs([*curve(), *runs_of(OURS, 0.08)], K, TOLERATED).gains[OURS].half
    others = [Recipe("real+ours", share=share) for share in (0.1, 0.5, 0.6)]
    more = [run for recipe in others for run in runs_of(recipe, 0.0)]
    together = judge_runs([*curve(), *runs_of(OURS, 0.08), *more], K, TOLERATED).gains[OURS].half
    assert alone is not None and together is not None and together > 1.2 * alone


def test_a_clear_loss_is_not_used() -> None:
    runs = [*curve(), *runs_of(OURS, -0.08), *runs_of(PASTE, -0.05)]
    judgement = judge_runs(runs, K, TOLERATED)
    assert (judgement.answer, judgement.recipe, judgement.worth) == ("do not use", None, None)
    text = text_of(judgement)
    assert text.startswith("Do not use generated defects") and "Worth" not in text
    assert "interval -" in text


def test_narrow_intervals_around_zero_say_so() -> None:
    judgement = judge_runs([*curve(), *runs_of(OURS, 0.0)], K, TOLERATED)
    assert (judgement.answer, judgement.recipe) == ("no difference", None)
    assert "No gain from generated defects was shown" in text_of(judgement)


def test_what_cannot_be_told_says_how_many_it_takes_and_nothing_more() -> None:
    noisy = runs_of(OURS, 0.05, noise=0.5, defects=4)
    real = runs_of(REAL, 0.0, noise=0.5, defects=4, seed=2)
    judgement = judge_runs([*real, *noisy], K, TOLERATED)
    half = judgement.gains[OURS].half
    assert judgement.answer == "cannot be told" and half is not None and half > 0.06
    assert judgement.needed == np.ceil(8 * (half / 0.06) ** 2) > 8
    assert judgement.operation is None and judgement.worth is None
    expected = (
        f"Cannot be told with 8 held-out defects. It takes about {judgement.needed}, to tell "
        "differences of 6 points."
    )
    assert text_of(judgement) == expected
    entry = advice_document([ClassAdvice("part", "dent", judgement)], TOLERATED, None)["classes"]
    names = ["object", "defect", "answer", "held_out_defects", "needed_held_out_defects"]
    assert list(entry[0]) == names
    unmeasured = ClassAdvice("part", "dent", None)
    assert f"at least about {LEAST_DEFECTS} real" in advice_lines(unmeasured, TOLERATED)[0]


@pytest.mark.parametrize("kept", ["one draw", "one defect", "no recipe"])
def test_without_repetition_nothing_is_told(kept: str) -> None:
    runs = [*curve(), *runs_of(OURS, 0.3)]
    if kept == "one draw":
        runs = [run for run in runs if run.draw == 0]
    elif kept == "one defect":
        runs = [replace(run, precision=run.precision[:1]) for run in runs]
    else:
        runs = curve()
    judgement = judge_runs(runs, K, TOLERATED)
    assert (judgement.answer, judgement.needed) == ("cannot be told", None)
    assert needed_defects([Interval(0.1, -0.02, 0.22, 50)], 0.06) == 200


def test_a_recipe_without_samples_of_some_choice_is_left_out() -> None:
    some = [run for run in runs_of(OURS, 0.3) if (run.fold, run.draw) != (1, 3)]
    judgement = judge_runs([*curve(), *some, *runs_of(PASTE, 0.1)], K, TOLERATED)
    assert set(judgement.gains) == {PASTE} and judgement.recipe == PASTE


def near(mean: float, half: float = 0.01) -> Interval:
    return Interval(mean, mean - half, mean + half, 10)


def test_the_worth_by_hand() -> None:
    measured = {10: near(0.10), 20: near(0.20)}
    inside = worth(near(0.12), 5, measured)
    # 0.11 is where the upper bound (5: 0.11) is; 0.13 lies on the lower (5: 0.09, 15: 0.19)
    assert inside is not None and (inside.least, inside.about, inside.most) == (5, 7, 9)
    above = worth(near(0.30), 5, measured)
    assert above is not None and (above.least, above.about, above.most) == (15, None, None)
    assert "at least about 15 more real defects, the most that were measured" in above.text()
    partly = worth(near(0.20), 5, measured)
    assert partly is not None and (partly.about, partly.most) == (15, None)
    assert partly.text() == f"Worth at least about {partly.least} more real defects."
    small = worth(Interval(0.01, 0.001, 0.019, 10), 5, measured)
    assert small is not None and (small.least, small.most) == (None, 1)
    assert small.text() == "Worth at most about 1 more real defect."
    flat = worth(Interval(0.01, 0.001, 0.019, 10), 5, {10: near(0, 0.1), 20: near(0, 0.1)})
    assert flat is not None and flat.text().startswith("How many real defects that is worth cannot")
    assert worth(near(0.1), 5, {}) is None
    assert worth(near(0.1), 5, {10: Interval(0.1, None, None, 1)}) is None


def test_a_curve_that_falls_is_made_to_rise() -> None:
    value = worth(near(0.10), 5, {10: near(0.20), 20: near(0.15)})
    assert value is not None and value.about == 2  # half of the first five, 2.5


def test_the_threshold_is_conformal() -> None:
    assert least_good(0.05) == 19 and least_good(0.1) == 9
    assert threshold_at([0.1] * 18, 0.05) is None
    scores = [i / 19 for i in range(19)]
    assert threshold_at(scores, 0.05) == max(scores)
    assert threshold_at([i / 39 for i in range(39)], 0.05) == 37 / 39  # rank 38 of 39
    rng = np.random.default_rng(0)
    alarms = []
    for _ in range(2000):
        threshold = threshold_at(rng.random(30).tolist(), 0.1)
        assert threshold is not None
        alarms.append(rng.random() > threshold)
    assert 0.06 < np.mean(alarms) <= 0.115


def test_too_few_good_pictures_give_no_threshold() -> None:
    few = [replace(run, good_scores=GOOD[:10]) for run in runs_of(OURS, 0.1)]
    assert operation_of(few, TOLERATED) is None
    reals = [replace(run, good_scores=GOOD[:10]) for run in curve()]
    judgement = judge_runs([*reals, *few], K, TOLERATED)
    text = text_of(judgement)
    assert "at least 19 good pictures" in text and "are missed" not in text


def test_the_found_share_by_hand() -> None:
    runs = []
    for run in runs_of(OURS, 0.1):
        runs.append(replace(run, defect_scores=(0.9,) * 15 + (0.1,) * 5))
    operation = operation_of(runs, TOLERATED)
    assert operation is not None and operation.found_share.mean == 0.75
    low, high = operation.found_share.low, operation.found_share.high
    assert low is not None and high is not None and low < 0.70 < 0.80 < high
    assert operation.low == operation.high == GOOD[38]


@pytest.mark.parametrize(("draw", "defect"), [(1.0, 0.2), (0.2, 1.0), (0.5, 0.5)])
def test_crossed_intervals_hold_what_they_promise(draw: float, defect: float) -> None:
    rng = np.random.default_rng(8)
    held = 0
    for _ in range(400):
        values: Values = {}
        for fold in (0, 1):
            of_defects = rng.normal(0, defect, 15)
            values[fold] = {}
            for number in range(4):
                noise = rng.normal(0, 0.5, 15)
                values[fold][number] = of_defects + rng.normal(0, draw) + noise
        interval = crossed_interval(values)
        assert interval.low is not None and interval.high is not None and interval.n == 30
        held += interval.low <= 0 <= interval.high
    assert 0.92 <= held / 400 <= 0.995


def test_differences_are_paired_by_draw() -> None:
    ones, twos = np.ones(3), np.full(3, 2.0)
    values: Values = {0: {0: twos, 1: twos}, 1: {0: twos}}
    paired = difference(values, {0: {1: ones, 2: ones}})
    assert list(paired) == [0] and list(paired[0]) == [1] and paired[0][1].tolist() == [1, 1, 1]


def held(size: float, found: float, place: float = 0.5, number: int = 0) -> HeldOutDefect:
    return HeldOutDefect(f"{number:02d}.png", (size, 20.0, 0.3, place, 0.5), found)


def test_missed_small_defects_are_what_to_photograph() -> None:
    small = [held(0.001 + i / 1e5, 0.1, i / 10, i) for i in range(8)]
    large = [held(0.01 + i / 1e4, 0.9, i / 10, 20 + i) for i in range(8)]
    clear = differences([*small, *large])
    assert [(d.kind.name, d.wanted) for d in clear] == [("size", "small defects")]
    text = " ".join(photograph_text([*small, *large]))
    assert "8 of 16" in text and "Photograph small defects: size of the missed 0.1" in text
    alike = [held(0.01 + i / 1e4, float(i % 2), i / 10, i) for i in range(16)]
    assert differences(alike) == [] and "Neither size" in " ".join(photograph_text(alike))
    assert differences(small[:2] + large) == []  # two missed ones tell nothing
    assert photograph_text(large) == ["None of the 8 held-out defects is missed by most detectors."]


def test_properties_by_hand() -> None:
    picture, mask = np.full((40, 80, 3), 100, np.uint8), np.zeros((40, 80), bool)
    mask[0:4, 60:80] = True
    picture[mask] = (110, 100, 70)
    size, contrast, border, top, left = properties_of((picture, mask))
    assert size == 80 / 3200 and contrast == 30
    assert (top, left) == (2 / 40, 70 / 80) and border == top


PLANS = [ClassCounts("part", "dent", 5, 20)]
ARMS = ("real+paste", "real+ours", "real+from noise")


def test_the_design_grows_with_the_budget() -> None:
    costs = WorkCosts(training=100, samples=50, detector=30)
    least = Design(BASE)
    # 4 choices: trainings 400, two sample sets 400, 3 detectors 360, all real 60
    assert seconds_of(works_of(least, PLANS, costs)) == 400 + 400 + 360 + 60
    assert choose_design(PLANS, costs, 1221 / 3600, ARMS) == least
    with pytest.raises(SettingError, match=r"--advise-hours"):
        choose_design(PLANS, costs, 1219 / 3600, ARMS)
    hours = (0.4, 1, 2, 4, 100)
    designs = [choose_design(PLANS, costs, limit, ARMS) for limit in hours]
    spent = [seconds_of(works_of(design, PLANS, costs)) for design in designs]
    assert spent == sorted(spent) and len(set(designs)) >= 4
    assert all(time <= 3600 * limit for time, limit in zip(spent, hours, strict=True))
    everything = designs[-1]
    assert everything.seeds == 2 and everything.middle and len(everything.recipes) == 8
    assert len(LADDER) == 10
    only = choose_design(PLANS, costs, 100, ("real+ours",))
    assert {recipe.arm for recipe in only.recipes} == {"real+ours"}
    with pytest.raises(SettingError, match="no generation method"):
        choose_design(PLANS, costs, 100, ())


def test_the_numbers_of_a_class() -> None:
    assert class_counts("part", "dent", 3, 5) is None
    few, many = class_counts("part", "dent", 4, 5), class_counts("part", "dent", 20, 5)
    assert few is not None and (few.k, few.middle) == (2, 3)
    assert many is not None and (many.k, many.middle) == (5, 10)


def test_a_resumed_run_keeps_its_design(tmp_path: Path) -> None:
    design = Design((OURS, Recipe("real+paste", "two-stage")), 4, 1, True)
    path = tmp_path / "design.json"
    assert read_design(path, {"k": 5}) is None
    write_design(path, {"k": 5}, design)
    assert read_design(path, {"k": 5}) == design
    assert read_design(path, {"k": 2}) is None


def test_the_page_and_the_document_say_the_same(tmp_path: Path) -> None:
    judgement = judge_runs([*curve(), *runs_of(OURS, 0.08)], K, TOLERATED)
    defects = (held(0.01, 0.9), held(0.001, 0.2, number=7))
    advices = [ClassAdvice("part", "<dent>", judgement, defects, "--start mixed")]
    write_advice(tmp_path, "parts", advices, TOLERATED, Design((OURS,)), {"seed": 0})
    page = (tmp_path / "advice.html").read_text()
    document = json.loads((tmp_path / "advice.json").read_text())
    entry = document["classes"][0]
    for line in entry["text"]:
        assert line in page
    assert "07.png: found by 20 %" in page and "&lt;dent&gt;" in page and "<dent>" not in page
    assert entry["recipe"] == {
        "arm": "real+ours",
        "stages": 1,
        "share": 0.25,
        "generate_options": "--start mixed",
    }
    assert [missed["file"] for missed in entry["missed"]] == ["07.png"]
    assert entry["gains"][0]["gain_points"]["mean"] == pytest.approx(8, abs=1)
    assert document["measured"]["draws"] == 2 and document["config"] == {"seed": 0}


@pytest.mark.parametrize(
    ("mean", "low", "high", "answer"),
    [
        (0.08, 0.01, 0.15, "use"),
        (0.005, 0.001, 0.009, "use"),
        (0.004, 0.001, 0.007, "no difference"),
        (0.08, -0.01, 0.17, "cannot be told"),
        (-0.05, -0.09, -0.01, "do not use"),
    ],
)
def test_a_sure_gain_of_less_than_half_a_point_is_no_difference(
    mean: float, low: float, high: float, answer: str
) -> None:
    assert answer_of([Interval(mean, low, high, 12)], TELLING) == answer
