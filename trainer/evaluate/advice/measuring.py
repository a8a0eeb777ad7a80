"""Measures the detectors of a design: of each class, recipe, choice of known defects and seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...data.splits import relative_file
from ..detectors.arms.arm import Arm
from ..detectors.arms.real import CEILING, REAL
from ..detectors.detection import Detectors
from ..detectors.pictures import FoldPictures
from ..detectors.plans import ArmPlan, plan_arms
from ..estimate import detector_work, generation_work
from ..plan.plan import Cell, make_cells
from ..plan.settings import PlanSettings
from ..samples.cell_samples import make_samples
from ..samples.generation import Generation
from .design import FOLDS, ClassCounts, Design, WorkCosts
from .judgement import RunsJudgement
from .misses import HeldOutDefect, properties_of
from .runs import DetectorRun, Recipe, found_defects


def of_class(plan: PlanSettings, object: str, defect: str) -> PlanSettings:
    """The settings of one class, in both halves."""
    return replace(plan, classes=(f"{object}/{defect}",), objects=(), folds=FOLDS)


@dataclass(frozen=True)
class Measure:
    """Measures the detectors of a design."""

    generation: Generation
    detectors: Detectors
    arms: dict[str, Arm]
    plan: PlanSettings
    output: Path

    def only(self, names: Sequence[str], seeds: Sequence[int]) -> Measure:
        """With the generation methods of some arms alone, and other seeds of the detectors."""
        sources = {self.arms[name].source for name in names}
        detectors = replace(self.detectors, seeds=tuple(seeds))
        return replace(self, generation=self.generation.only(sources), detectors=detectors)

    def cells(self, plan: ClassCounts, k: int, draws: int, write: bool) -> list[Cell]:
        """The cells of one class and number of known defects."""
        settings = of_class(self.plan, plan.object, plan.defect)
        settings = replace(settings, shots=(k,), shot_draws=draws)
        return make_cells(settings, self.generation.seed, self.output, write=write)

    def runs(self, plan: ClassCounts, design: Design) -> list[DetectorRun]:
        """All detectors of one class."""
        runs: list[DetectorRun] = []
        for cell in self.cells(plan, plan.k, design.draws, write=True):
            runs += self._cell_runs(cell, plan, design)
        if design.middle and plan.middle:
            for cell in self.cells(plan, plan.middle, design.draws, write=False):
                pictures = FoldPictures(cell.data.fold, self.detectors.settings.resolution)
                plans = plan_arms([REAL], cell, pictures, self.generation.seed, [], [])
                runs += self._of(Recipe(REAL.name), cell, pictures, plans[0], plan.middle)
        return runs

    def _cell_runs(self, cell: Cell, plan: ClassCounts, design: Design) -> list[DetectorRun]:
        """Real defects alone, the recipes, and all real defects in place of k."""
        pictures = FoldPictures(cell.data.fold, self.detectors.settings.resolution)
        samples = make_samples(self.generation, cell)
        arms = [REAL, CEILING]
        for name in design.arms:
            arms.append(self.arms[name])
        plans = plan_arms(arms, cell, pictures, self.generation.seed, samples.methods, [])
        by_arm = {arm_plan.arm.name: arm_plan for arm_plan in plans}
        real, ceiling = Recipe(REAL.name), Recipe(CEILING.name)
        runs: list[DetectorRun] = []
        for recipe in (real, *design.recipes):
            if recipe.arm in by_arm:
                runs += self._of(recipe, cell, pictures, by_arm[recipe.arm], plan.k)
        for run in self._of(ceiling, cell, pictures, by_arm[CEILING.name], plan.pool):
            runs.append(replace(run, recipe=real))
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

    def costs(self, plan: ClassCounts) -> WorkCosts:
        """Seconds of each kind of work, timed on this machine."""
        cell = self.cells(plan, plan.k, 1, write=False)[0]
        settings, device = self.detectors.settings, self.detectors.device
        works = generation_work(self.generation, [cell], 0)
        seconds = {work.name: work.seconds_each for work in works}
        detector = detector_work(settings, cell.data.fold, 1, device)
        return WorkCosts(seconds["trainings"], seconds["sample sets"], detector.seconds_each)

    def tested(
        self, plan: ClassCounts, runs: Sequence[DetectorRun], tolerated: float
    ) -> tuple[HeldOutDefect, ...]:
        """The held-out defects, as these detectors find them; empty without thresholds."""
        shares: dict[int, list[tuple[float, ...]]] = {}
        for run in runs:
            scores = found_defects(run, tolerated)
            if scores is None:
                return ()
            shares.setdefault(run.fold, []).append(scores)
        defects: list[HeldOutDefect] = []
        for cell in self.cells(plan, 0, 1, write=False):
            fold = cell.data.fold
            pictures = FoldPictures(fold, self.detectors.settings.resolution)
            of_fold = shares[cell.data.number]
            for index, example in enumerate(fold.test):
                share = sum(scores[index] for scores in of_fold) / len(of_fold)
                properties = properties_of(pictures.test[index])
                file = relative_file(example, cell.data.root)
                defects.append(HeldOutDefect(file, properties, share))
        return tuple(defects)

    def options(self, judgement: RunsJudgement) -> str:
        """Options of ``bgdefect generate`` that make the samples of the advised recipe."""
        if judgement.recipe is None:
            return ""
        source = self.arms[judgement.recipe.arm].source
        options: list[str] = []
        for method in self.generation.settings.methods:
            if method.name == source:
                for name, value in method.generate.items():
                    values = value if isinstance(value, tuple) else (value,)
                    options += [f"--{name.replace('_', '-')}", *map(str, values)]
        return " ".join(options)
