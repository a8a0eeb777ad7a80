"""``bgdefect evaluate --advise``: a plain answer for the user's own parts.

Measured with the same samples, detectors and store as the evaluation, so that the same command
resumes. Everything is judged on the held-out halves.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from bgdefect_core.errors import DataError, OutputError, SettingError

from ..bases.devices import pick_device
from .advice.design import (
    ClassCounts,
    Design,
    choose_design,
    class_counts,
    read_design,
    works_of,
    write_design,
)
from .advice.judgement import judge_runs
from .advice.measuring import Measure, of_class
from .advice.page import ClassAdvice, advice_lines, write_advice
from .advice.runs import Recipe
from .config import EvaluateConfig
from .detectors.arms.arm import Arm
from .detectors.arms.chosen import chosen_arms, present
from .detectors.arms.generated import FROM_NOISE, OURS, PASTE
from .detectors.arms.real import REAL
from .detectors.detection import Detectors
from .detectors.metrics import sklearn_metrics
from .estimate import Estimate
from .plan.plan import classes_of, make_cells
from .run import generation_of
from .store import Store

log = logging.getLogger(__name__)

DESIGN = "advice-design.json"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Advised:
    """What came of the advice."""

    output: Path
    lines: tuple[str, ...]
    """For the terminal."""
    dry_run: bool = False


def advise(config: EvaluateConfig, say: Say = log.info) -> Advised:
    """Choose what to measure, say what it takes, measure or resume, and write the page.

    Args:
        say: takes the estimate's lines before the work begins.

    Raises:
        BGDefectError: whatever the user can mend; a budget that is too small before any work.
    """
    _check(config)
    plans = class_plans(config)
    measurable = [plan for plan in plans.values() if plan is not None]
    if not measurable:
        unmeasured = [ClassAdvice(object, defect, None) for object, defect in plans]
        return _finish(config, unmeasured, None)

    measure = _measure(config)
    design = _design(config, measure, measurable, say)
    if config.dry_run:
        return Advised(config.output, (), dry_run=True)
    write_design(config.output / DESIGN, config.record(), design)
    measure = measure.only(design.arms, _seeds(config.arms.seeds, design.seeds))
    advices = []
    for (object, defect), plan in tqdm(plans.items(), desc="advising", unit="class"):
        if plan is None:
            advices.append(ClassAdvice(object, defect, None))
        else:
            advices.append(_advise_class(measure, config, plan, design))
    return _finish(config, advices, design)


def _check(config: EvaluateConfig) -> None:
    """Raise BGDefectError where the settings, the output or a missing package would end the work
    later."""
    config.check()
    if config.plan.detectors_by != "class":
        raise SettingError("--advise with detectors by object", "by class", "leave it out")
    if config.output.exists() and not config.output.is_dir():
        raise OutputError(f"{config.output} is a file", "a folder", "choose another output")
    sklearn_metrics()


def _measure(config: EvaluateConfig) -> Measure:
    """The measures of all arms that can be advised on."""
    arms = _arms(config)
    sources = {arm.source for arm in arms.values()}
    generation = replace(generation_of(config), needed=True).only(sources)
    generation.check()
    device = pick_device(config.device)
    detectors = Detectors(config.detector, config.arms.seeds, Store(config.output), device)
    return Measure(generation, detectors, arms, config.plan, config.output)


def _design(
    config: EvaluateConfig, measure: Measure, plans: Sequence[ClassCounts], say: Say
) -> Design:
    """What is measured: as in an earlier start, else as the time allows; and what it takes.

    Raises:
        SettingError: the budget is too small.
    """
    costs = measure.costs(plans[0])
    design = read_design(config.output / DESIGN, config.record())
    if design is None:
        hours = config.advice.hours(measure.detectors.device.type == "cuda")
        design = choose_design(plans, costs, hours, list(measure.arms))
    for line in Estimate(tuple(works_of(design, plans, costs))).lines():
        say(line)
    say(f"recipes: {'; '.join(recipe.title for recipe in design.recipes)}")
    return design


def class_plans(config: EvaluateConfig) -> dict[tuple[str, str], ClassCounts | None]:
    """(object, defect) -> what is measured; None where there are too few defects to measure."""
    plans: dict[tuple[str, str], ClassCounts | None] = {}
    for object, defect in classes_of(config.plan):
        settings = replace(of_class(config.plan, object, defect), shots=(0,))
        plans[object, defect] = None
        try:
            cells = make_cells(settings, config.seed, config.output, write=False)
        except DataError as reason:
            log.warning("%s / %s cannot be measured: %s", object, defect, reason)
            continue
        pool = min(len(cell.data.fold.pool) for cell in cells)
        counts = class_counts(object, defect, pool, config.plan.shots[0])
        folds = len({cell.data.number for cell in cells})
        plans[object, defect] = None if counts is None else replace(counts, folds=folds)
    return plans


def _arms(config: EvaluateConfig) -> dict[str, Arm]:
    """The arms that can be advised on, by name; without those whose method is absent."""
    methods = [method.name for method in config.sampling.methods]
    wanted = [PASTE.name, OURS.name, FROM_NOISE.name]
    arms, _ = present(chosen_arms(wanted, methods[0], [], []), methods)
    return {arm.name: arm for arm in arms}


def _seeds(seeds: tuple[int, ...], count: int) -> tuple[int, ...]:
    """The first seeds of the settings, completed where they are fewer."""
    chosen = list(seeds[:count])
    seed = 0
    while len(chosen) < count:
        if seed not in chosen:
            chosen.append(seed)
        seed += 1
    return tuple(chosen)


def _advise_class(
    measure: Measure, config: EvaluateConfig, plan: ClassCounts, design: Design
) -> ClassAdvice:
    runs = measure.runs(plan, design)
    tolerated = config.advice.tolerated_false_alarms
    judgement = judge_runs(runs, plan.k, tolerated)
    if judgement.answer == "cannot be told":
        return ClassAdvice(plan.object, plan.defect, judgement)
    advised = judgement.recipe or Recipe(REAL.name)
    at_k = [run for run in runs if (run.recipe, run.k) == (advised, plan.k)]
    defects = measure.tested(plan, at_k, tolerated)
    return ClassAdvice(plan.object, plan.defect, judgement, defects, measure.options(judgement))


def _finish(
    config: EvaluateConfig, advices: Sequence[ClassAdvice], design: Design | None
) -> Advised:
    """Write the page, and say the same in the terminal."""
    tolerated = config.advice.tolerated_false_alarms
    lines: list[str] = []
    for advice in advices:
        lines.append(f"{advice.object} / {advice.defect}")
        for line in advice_lines(advice, tolerated):
            lines.append(f"  {line}")
    if not config.dry_run:
        name = config.plan.data.resolve().name
        write_advice(config.output, name, advices, tolerated, design, config.record())
    return Advised(config.output, tuple(lines), config.dry_run)
