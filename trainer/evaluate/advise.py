"""``bgdefect evaluate --advise``: a plain answer for the user's own parts.

Measured with the same samples, detectors and store as the evaluation, so that the same command
resumes. Everything is judged on the held-out halves.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from bgdefect_core.errors import DataError, OutputError, SettingError

from ..bases.devices import pick_device
from ..data.splits import relative_file
from .advice.design import (
    FOLDS,
    ClassPlan,
    Costs,
    Design,
    choose_design,
    class_plan,
    read_design,
    works_of,
    write_design,
)
from .advice.judgement import Judgement, judge_runs
from .advice.misses import HeldOutDefect, properties_of
from .advice.page import ClassAdvice, advice_lines, write_advice
from .advice.runs import DetectorRun, Recipe, found_defects
from .config import EvaluateConfig
from .detectors.arms.arm import Arm
from .detectors.arms.chosen import chosen_arms, present
from .detectors.arms.generated import FROM_NOISE, OURS, PASTE
from .detectors.arms.real import CEILING, REAL
from .detectors.detection import Detectors
from .detectors.metrics import sklearn_metrics
from .detectors.pictures import FoldPictures
from .detectors.plans import ArmPlan, plan_arms
from .estimate import Estimate, detector_work, generation_work
from .plan.plan import Cell, classes_of, make_cells
from .plan.settings import PlanSettings
from .run import generation_of
from .samples.cell_samples import make_samples
from .samples.generation import Generation
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


@dataclass(frozen=True)
class _Measure:
    """Measures the detectors of a design."""

    generation: Generation
    detectors: Detectors
    arms: dict[str, Arm]
    plan: PlanSettings
    output: Path

    def cells(self, plan: ClassPlan, k: int, draws: int, write: bool) -> list[Cell]:
        """The cells of one class and number of known defects."""
        settings = _of_class(self.plan, plan.object, plan.defect)
        settings = replace(settings, shots=(k,), shot_draws=draws)
        return make_cells(settings, self.generation.seed, self.output, write=write)

    def runs(self, plan: ClassPlan, design: Design) -> list[DetectorRun]:
        """All detectors of one class."""
        runs: list[DetectorRun] = []
        real, ceiling = Recipe(REAL.name), Recipe(CEILING.name)
        for cell in self.cells(plan, plan.k, design.draws, write=True):
            pictures = FoldPictures(cell.data.fold, self.detectors.settings.resolution)
            samples = make_samples(self.generation, cell)
            arms = [REAL, CEILING]
            for name in design.arms:
                arms.append(self.arms[name])
            seed = self.generation.seed
            plans = plan_arms(arms, cell, pictures, seed, samples.methods, [])
            by_arm = {arm_plan.arm.name: arm_plan for arm_plan in plans}
            for recipe in (real, *design.recipes):
                if recipe.arm in by_arm:
                    runs += self._of(recipe, cell, pictures, by_arm[recipe.arm], plan.k)
            for run in self._of(ceiling, cell, pictures, by_arm[CEILING.name], plan.pool):
                runs.append(replace(run, recipe=real))
        if design.middle and plan.middle:
            for cell in self.cells(plan, plan.middle, design.draws, write=False):
                pictures = FoldPictures(cell.data.fold, self.detectors.settings.resolution)
                plans = plan_arms([REAL], cell, pictures, self.generation.seed, [], [])
                runs += self._of(real, cell, pictures, plans[0], plan.middle)
        return runs

    def _of(
        self, recipe: Recipe, cell: Cell, pictures: FoldPictures, arm_plan: ArmPlan, k: int
    ) -> list[DetectorRun]:
        """One recipe in one cell, every seed."""
        settings = replace(
            self.detectors.settings, schedule=recipe.schedule, synthetic_share=recipe.share
        )
        detectors = replace(self.detectors, settings=settings)
        runs = []
        for seed in detectors.seeds:
            figures = detectors.picture_figures(cell, pictures, arm_plan, seed)
            run = DetectorRun(
                recipe=recipe,
                k=k,
                fold=cell.data.number,
                draw=cell.draw,
                seed=seed,
                precision=tuple(figures["defect_precision"]),
                defect_scores=tuple(figures["defect_scores"]),
                good_scores=tuple(figures["good_scores"]),
            )
            runs.append(run)
        return runs


def advise(config: EvaluateConfig, say: Say = log.info) -> Advised:
    """Choose what to measure, say what it takes, measure or resume, and write the page.

    Args:
        say: takes the estimate's lines before the work begins.

    Raises:
        BGDefectError: whatever the user can mend; a budget that is too small before any work.
    """
    config.check()
    if config.plan.detectors_by != "class":
        raise SettingError("--advise with detectors by object", "by class", "leave it out")
    output, device = config.output, pick_device(config.device)
    if output.exists() and not output.is_dir():
        raise OutputError(f"{output} is a file", "a folder", "choose another output")
    sklearn_metrics()
    arms = _arms(config)
    plans = class_plans(config)
    measurable = [plan for plan in plans.values() if plan is not None]
    record = config.record()
    if not measurable:
        unmeasured = [ClassAdvice(object, defect, None) for object, defect in plans]
        return _finish(config, record, unmeasured, None)

    sources = {arm.source for arm in arms.values()}
    generation = replace(generation_of(config), needed=True).only(sources)
    generation.check()
    detectors = Detectors(config.detector, config.arms.seeds, Store(output), device)
    measure = _Measure(generation, detectors, arms, config.plan, output)
    costs = _costs(measure, measurable[0])
    hours = config.advice.hours(device.type == "cuda")
    design = read_design(output / DESIGN, record)
    if design is None:
        design = choose_design(measurable, costs, hours, list(arms))
    for line in Estimate(tuple(works_of(design, measurable, costs))).lines():
        say(line)
    say(f"recipes: {'; '.join(recipe.title for recipe in design.recipes)}")
    if config.dry_run:
        return Advised(output, (), dry_run=True)

    write_design(output / DESIGN, record, design)
    generation = generation.only({arms[name].source for name in design.arms})
    seeds = _seeds(config.arms.seeds, design.seeds)
    measure = replace(measure, generation=generation, detectors=replace(detectors, seeds=seeds))
    advices = []
    for (object, defect), plan in tqdm(plans.items(), desc="advising", unit="class"):
        if plan is None:
            advices.append(ClassAdvice(object, defect, None))
        else:
            advices.append(_advise_class(measure, config, plan, design))
    return _finish(config, record, advices, design)


def class_plans(config: EvaluateConfig) -> dict[tuple[str, str], ClassPlan | None]:
    """(object, defect) -> what is measured; None where there are too few defects to measure."""
    plans: dict[tuple[str, str], ClassPlan | None] = {}
    for object, defect in classes_of(config.plan):
        settings = replace(_of_class(config.plan, object, defect), shots=(0,))
        plans[object, defect] = None
        try:
            cells = make_cells(settings, config.seed, config.output, write=False)
        except DataError as reason:
            log.warning("%s / %s cannot be measured: %s", object, defect, reason)
            continue
        pool = min(len(cell.data.fold.pool) for cell in cells)
        plans[object, defect] = class_plan(object, defect, pool, config.plan.shots[0])
    return plans


def _of_class(plan: PlanSettings, object: str, defect: str) -> PlanSettings:
    return replace(plan, classes=(f"{object}/{defect}",), objects=(), folds=FOLDS)


def _arms(config: EvaluateConfig) -> dict[str, Arm]:
    """The arms that can be advised on, by name; without those whose method is absent."""
    methods = [method.name for method in config.sampling.methods]
    wanted = [PASTE.name, OURS.name, FROM_NOISE.name]
    arms, _ = present(chosen_arms(wanted, methods[0], [], []), methods)
    return {arm.name: arm for arm in arms}


def _costs(measure: _Measure, plan: ClassPlan) -> Costs:
    """Seconds of each kind of work, timed on this machine."""
    cell = measure.cells(plan, plan.k, 1, write=False)[0]
    settings, device = measure.detectors.settings, measure.detectors.device
    works = generation_work(measure.generation, [cell], 0)
    seconds = {work.name: work.seconds_each for work in works}
    detector = detector_work(settings, cell.data.fold, 1, device)
    return Costs(seconds["trainings"], seconds["sample sets"], detector.seconds_each)


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
    measure: _Measure, config: EvaluateConfig, plan: ClassPlan, design: Design
) -> ClassAdvice:
    runs = measure.runs(plan, design)
    tolerated = config.advice.tolerated_false_alarms
    judgement = judge_runs(runs, plan.k, tolerated)
    if judgement.answer == "cannot be told":
        return ClassAdvice(plan.object, plan.defect, judgement)
    advised = judgement.recipe or Recipe(REAL.name)
    at_k = [run for run in runs if (run.recipe, run.k) == (advised, plan.k)]
    defects = _tested(measure, plan, at_k, tolerated)
    return ClassAdvice(plan.object, plan.defect, judgement, defects, _options(measure, judgement))


def _tested(
    measure: _Measure, plan: ClassPlan, runs: Sequence[DetectorRun], tolerated: float
) -> tuple[HeldOutDefect, ...]:
    """The held-out defects, as these detectors find them; empty without thresholds."""
    shares: dict[int, list[tuple[float, ...]]] = {}
    for run in runs:
        scores = found_defects(run, tolerated)
        if scores is None:
            return ()
        shares.setdefault(run.fold, []).append(scores)
    defects: list[HeldOutDefect] = []
    for cell in measure.cells(plan, 0, 1, write=False):
        fold = cell.data.fold
        pictures = FoldPictures(fold, measure.detectors.settings.resolution)
        of_fold = shares[cell.data.number]
        for index, example in enumerate(fold.test):
            share = sum(scores[index] for scores in of_fold) / len(of_fold)
            properties = properties_of(pictures.test[index])
            file = relative_file(example, cell.data.root)
            defects.append(HeldOutDefect(file, properties, share))
    return tuple(defects)


def _options(measure: _Measure, judgement: Judgement) -> str:
    """Options of ``bgdefect generate`` that make the samples of the advised recipe."""
    if judgement.recipe is None:
        return ""
    source = measure.arms[judgement.recipe.arm].source
    options: list[str] = []
    for method in measure.generation.settings.methods:
        if method.name == source:
            for name, value in method.generate.items():
                values = value if isinstance(value, tuple) else (value,)
                options += [f"--{name.replace('_', '-')}", *map(str, values)]
    return " ".join(options)


def _finish(
    config: EvaluateConfig,
    record: dict[str, Any],
    advices: Sequence[ClassAdvice],
    design: Design | None,
) -> Advised:
    """Write the page, and say the same in the terminal."""
    tolerated = config.advice.tolerated_false_alarms
    lines: list[str] = []
    for advice in advices:
        lines.append(f"{advice.object} / {advice.defect}")
        for line in advice_lines(advice, tolerated):
            lines.append(f"  {line}")
    if config.dry_run:
        return Advised(config.output, tuple(lines), dry_run=True)
    name = config.plan.data.resolve().name
    write_advice(config.output, name, advices, tolerated, design, record)
    return Advised(config.output, tuple(lines))
