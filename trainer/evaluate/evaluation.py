"""All measures of one evaluation: what their work will take, and the work itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from .config import TRAINING_PARTS
from .detectors.alarms import AlarmMeasure
from .detectors.arms.arm import Arm
from .detectors.detection import Detectors
from .detectors.landscape_rows import Landscapes
from .detectors.pictures import FoldPictures
from .detectors.plans import ArmPlan, plan_arms, scope_plans
from .detectors.reverse_distillation import ReverseDistillation
from .detectors.unsupervised import Baseline, baseline_rows
from .estimate import (
    Estimate,
    Work,
    detector_work,
    generation_work,
    landscape_work,
    realism_work,
    reverse_distillation_work,
)
from .held_out import HeldOutSide
from .measures.cell_masks import MaskMeasure
from .measures.cell_realism import RealismMeasure
from .measures.realism import ANCHORS
from .plan.fold import Fold
from .plan.held_out import HeldOut
from .plan.plan import Cell, DetectorScope
from .report.strips import sample_strips
from .results import Results
from .samples.cell_samples import make_samples
from .samples.generation import Generation


@dataclass(frozen=True)
class Evaluation:
    """All measures of one evaluation."""

    parts: Sequence[str]
    generation: Generation
    realism: RealismMeasure
    masks: MaskMeasure
    arms: Sequence[Arm]
    detectors: Detectors
    held_out: HeldOutSide
    alarms: AlarmMeasure
    baselines: Sequence[Baseline]
    landscapes: Landscapes
    shown_fold: int
    """The fold whose samples the report shows."""

    def estimate(self, cells: Sequence[Cell], scopes: Sequence[DetectorScope]) -> Estimate:
        """Time one step of each kind of work and count the steps."""
        held: list[HeldOut] = []
        if "alarms" in self.parts:
            for scope in scopes:
                held += self.held_out.held(scope)
        works: list[Work] = []
        if self.generation.needed:
            levels = self.masks.levels if "masks" in self.parts else 0
            works += generation_work(self.generation, cells, levels)
            works += self.held_out.works(held)
        works += self._detector_works(scopes, held)
        if "realism" in self.parts:
            sampling = self.generation.settings
            subjects = len(sampling.methods) + len(sampling.candidate_folders) + len(ANCHORS)
            works.append(realism_work(sampling.samples, subjects * len(cells)))
        folds = list(_folds_of(scopes).values())
        for baseline in self.baselines:
            if isinstance(baseline, ReverseDistillation):
                side, device = self.detectors.settings.resolution, self.detectors.device
                works.append(reverse_distillation_work(baseline.epochs, side, folds, device))
        return Estimate(tuple(works))

    def _detector_works(
        self, scopes: Sequence[DetectorScope], held: Sequence[HeldOut]
    ) -> list[Work]:
        """Detectors, those without a part of the known defects, and loss landscapes."""
        settings, device = self.detectors.settings, self.detectors.device
        first = scopes[0].whole.data.fold
        works: list[Work] = []
        if "detection" in self.parts:
            few = sum(arm.known != "all" for arm in self.arms)
            count = few * len(scopes)
            if all(scope.whole.k for scope in scopes):  # else "real" is the ceiling where k = 0
                count += (len(self.arms) - few) * len(_folds_of(scopes))
            count *= len(self.detectors.seeds)
            works.append(detector_work(settings, first, count, device))
        if held:
            work = detector_work(settings, first, len(self.arms) * len(held), device)
            works.append(replace(work, name="held-out detectors"))
        if "landscape" in self.parts:
            first_draws = sum(scope.whole.draw == 0 for scope in scopes)
            count = sum(arm.landscape for arm in self.arms) * first_draws
            works.append(landscape_work(self.landscapes.settings, settings, count, device))
        return works

    def measure(self, scope: DetectorScope, results: Results) -> None:
        """Measure the cells of one detector, then the detector; everything is added to the
        results."""
        side = self.detectors.settings.resolution
        pictures = FoldPictures(scope.whole.data.fold, side)
        plans = scope_plans(scope, pictures, partial(self._measure_cell, results))
        self._measure_detectors(scope, pictures, plans, results)

    def _measure_cell(self, results: Results, cell: Cell, pictures: FoldPictures) -> list[ArmPlan]:
        """Make the samples of a cell and measure them; returns the arms that train on them, none
        where no detector is trained."""
        samples = make_samples(self.generation, cell)
        results.skips += samples.skips
        if cell.data.number == self.shown_fold:
            results.strips |= dict(sample_strips(cell, samples.methods))
        perceived = "realism" in self.parts
        for method in samples.methods:
            results.sample_lines += self.realism.sample_lines(cell, method, perceived)
        if "realism" in self.parts:
            results.rows += self.realism.rows(cell, samples)
        if "masks" in self.parts:
            results.rows += self.masks.rows(cell, samples.methods)
        if not TRAINING_PARTS & set(self.parts):
            return []
        seed = self.generation.seed
        return plan_arms(self.arms, cell, pictures, seed, samples.methods, samples.candidates)

    def _measure_detectors(
        self,
        scope: DetectorScope,
        pictures: FoldPictures,
        plans: Sequence[ArmPlan],
        results: Results,
    ) -> None:
        """Train and test the detectors of a scope."""
        if "detection" in self.parts:
            results.rows += self.detectors.rows(scope.whole, pictures, plans)
            results.maps |= self.detectors.map_files(scope.whole, plans)
        if "alarms" in self.parts:
            held = self.held_out.plans(scope, pictures)
            results.rows += self.alarms.rows(scope.whole, pictures, plans, held)
        for baseline in self.baselines:
            results.rows += baseline_rows(baseline, self.detectors.store, scope.whole, pictures)
        if "landscape" in self.parts and scope.whole.draw == 0:
            rows, landscapes = self.landscapes.rows(scope.whole, pictures, plans)
            results.rows += rows
            results.landscapes |= landscapes


def _folds_of(scopes: Sequence[DetectorScope]) -> dict[str, Fold]:
    """The folds of the scopes, each once."""
    return {scope.whole.data.name: scope.whole.data.fold for scope in scopes}
