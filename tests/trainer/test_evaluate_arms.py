"""The registry of arms: what follows from a declaration, and that nothing else names an arm."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")

from bgdefect_core.declarations import options_of
from bgdefect_core.errors import SettingError
from bgdefect_core.pictures.picture import Pixels
from bgdefect_core.pictures.writing import write_mask, write_picture
from trainer.data.examples import Example
from trainer.evaluate.detectors.arms import ARMS
from trainer.evaluate.detectors.arms.arm import Arm
from trainer.evaluate.detectors.arms.chosen import chosen_arms
from trainer.evaluate.detectors.pictures import FoldPictures, Pair
from trainer.evaluate.detectors.plans import ALL_KNOWN, ArmPlan, join_plans, plan_arms
from trainer.evaluate.detectors.settings import ArmSettings
from trainer.evaluate.plan.fold import Fold
from trainer.evaluate.plan.plan import Cell, FoldData
from trainer.evaluate.report.goals import Measured, judge
from trainer.evaluate.samples.methods import read_method
from trainer.evaluate.samples.sample_set import GeneratedSample, SampleSet

ROOT = Path(__file__).resolve().parents[2]
SIDE = 32


def dots(good: Pixels, other: Pixels, rng: np.random.Generator) -> Pair:
    """A white dot in a good crop."""
    picture, mask = good.copy(), np.zeros(good.shape[:2], bool)
    mask[3:6, 3:6] = True
    picture[mask] = 255
    return picture, mask


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> Arm:
    """An arm that is registered for one test."""
    arm = Arm("real+dots", "white dots", maker=dots, rival="Dots")
    monkeypatch.setitem(ARMS._entries, arm.name, arm)
    return arm


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    """Three good pictures, four defects to train on, two of them known."""

    def example(name: str, defect: str) -> Example:
        image, mask = tmp_path / f"{name}.png", tmp_path / f"{name}_mask.png"
        write_picture(image, np.full((SIDE, SIDE, 3), 90 + len(name), np.uint8))
        write_mask(mask, np.eye(SIDE, dtype=bool))
        masks = (mask,) if defect else ()
        return Example(image, masks, "part", defect, name)

    good = tuple(example(f"good{number}", "") for number in range(3))
    defects = tuple(example(f"hole{number}", "hole") for number in range(4))
    fold = Fold(
        pool=defects,
        validation=(),
        test=(),
        good_train=good,
        good_validation=(),
        good_test=(),
    )
    return Cell(FoldData("part", "hole", 0, fold, tmp_path), 2, defects[:2])


def candidate(name: str, count: int) -> SampleSet:
    picture = np.full((SIDE, SIDE, 3), 200, np.uint8)
    sample = GeneratedSample(picture, np.eye(SIDE, dtype=bool), np.eye(SIDE, dtype=bool))
    return SampleSet(name, (sample,) * count, {}, count, count, count)


def planned(cell: Cell, arms: list[Arm], *candidates: SampleSet) -> dict[str, ArmPlan]:
    pictures = FoldPictures(cell.data.fold, SIDE)
    plans = plan_arms(arms, cell, pictures, 0, [], candidates)
    return {plan.arm.name: plan for plan in plans}


def test_the_command_lines_choices_and_help_are_the_registry() -> None:
    (option,) = (option for option in options_of(ArmSettings) if option.name == "arms")
    assert option.choices == tuple(ARMS)
    assert set(ARMS) - set(option.default) == {"real+ours requested"}  # only where it is named
    for name, arm in ARMS.items():
        assert arm.name == name and arm.summary
        assert f"{name}: {arm.summary}" in option.help


def test_the_documentations_table_is_the_registry() -> None:
    text = (ROOT / "docs" / "evidence-protocol.md").read_text(encoding="utf-8")
    lines = [f"| `{name}` | {arm.summary} |" for name, arm in ARMS.items()]
    assert "\n".join(lines) in text


def test_no_other_file_names_an_arm() -> None:
    for path in sorted((ROOT / "trainer" / "evaluate").rglob("*.py")):
        if "arms" not in path.parts:
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                assert not (isinstance(node, ast.Constant) and node.value in tuple(ARMS)), path


def test_a_new_arm_is_planned_and_judged_without_another_line(made_up: Arm, cell: Cell) -> None:
    plan = planned(cell, chosen_arms(["real", made_up.name], "ours", [], []))[made_up.name]
    data = plan.data()
    draws = [data.draw(SIDE, 1.0, 0, number) for number in range(30)]
    assert {int(mask.sum()) for _, mask in draws} == {0, 9}
    goals = judge([Measured((read_method("ours"),), ())]).goals
    assert any("beats Dots in each" in goal.text for goal in goals)


def test_each_arm_knows_the_real_defects_that_it_declares(cell: Cell) -> None:
    plans = planned(cell, chosen_arms(ARMS, "ours", [], []))
    drawn = {name: arm for name, arm in ARMS.items() if arm.samples == "none"}
    assert plans.keys() == drawn.keys()  # the others have no samples
    for name, arm in drawn.items():
        data = plans[name].data()
        assert len(data.real) == (4 if arm.known == "all" else 2)
        assert (data.maker, data.augment) == (arm.maker, arm.augment)
        assert (plans[name].settings == ALL_KNOWN) == (arm.known == "all")


def test_methods_and_candidates_get_arms_of_their_own(cell: Cell) -> None:
    arms = chosen_arms(["real", "ours only"], "first", ["second"], ["theirs", "empty"])
    assert [(arm.name, arm.source) for arm in arms] == [
        ("real", ""),
        ("ours only", "first"),
        ("real+second", "second"),
        ("real+theirs", "theirs"),
        ("theirs only", "theirs"),
        ("real+empty", "empty"),
        ("empty only", "empty"),
    ]
    with pytest.raises(SettingError, match="no arm 'nothing'.*real"):
        chosen_arms(["nothing"], "first", [], [])
    plans = planned(cell, arms, candidate("theirs", 3), candidate("empty", 0))
    assert list(plans) == ["real", "real+theirs", "theirs only"]
    both, alone = plans["real+theirs"].data(), plans["theirs only"].data()
    assert (len(both.real), len(both.synthetic)) == (2, 3)
    assert (len(alone.real), len(alone.synthetic)) == (0, 3)
    assert plans["real"].settings != plans["real+theirs"].settings


def test_classes_of_an_object_are_joined_arm_by_arm(cell: Cell) -> None:
    pictures = FoldPictures(cell.data.fold, SIDE)
    arms = chosen_arms(["real"], "ours", [], ["theirs"])
    first = plan_arms(arms, cell, pictures, 0, [], [candidate("theirs", 3)])
    second = plan_arms(arms, cell, pictures, 0, [], [])
    joined = {plan.arm.name: plan.data() for plan in join_plans(pictures, [first, second])}
    assert (len(joined["real"].real), len(joined["theirs only"].synthetic)) == (4, 3)
