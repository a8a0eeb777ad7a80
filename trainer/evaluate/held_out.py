"""Class trainings, samples and arms that do not know a part of the known real defects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .detectors.alarms import HeldPlans
from .detectors.arms.arm import Arm
from .detectors.pictures import FoldPictures
from .detectors.plans import ArmPlan, plan_arms, scope_plans
from .estimate import Work, generation_work
from .plan.held_out import HeldOut, hold_out
from .plan.plan import Cell, DetectorScope
from .samples.cell_samples import make_samples
from .samples.generation import Generation


@dataclass(frozen=True)
class HeldOutSide:
    """The known real defects, each held out in turn."""

    generation: Generation
    """Of the methods that the arms train on."""
    arms: Sequence[Arm]
    parts: int
    """Of the known defects, at most."""

    @classmethod
    def of(cls, generation: Generation, arms: Sequence[Arm], parts: int) -> HeldOutSide:
        """With those generation methods alone that an arm trains on."""
        sources = {arm.source for arm in arms if arm.samples == "method"}
        return cls(generation.only(sources), arms, parts)

    def held(self, scope: DetectorScope) -> list[HeldOut]:
        """Each part of what a scope knows."""
        return hold_out(scope, self.parts, self.generation.seed)

    def works(self, held: Sequence[HeldOut]) -> list[Work]:
        """Trainings and samples without a part of the known defects."""
        cells: list[Cell] = []
        for part in held:
            cells += part.scope.cells
        if not (cells and self.generation.needed):
            return []
        works = generation_work(self.generation, cells, 0)
        return [replace(work, name=f"held-out {work.name}") for work in works]

    def plans(self, scope: DetectorScope, pictures: FoldPictures) -> HeldPlans:
        """The arms that do not know a part of the known defects, for each part; what is missing is
        trained and generated.

        Args:
            pictures: of the scope.

        Raises:
            BGDefectError: whatever the trainer refuses.
        """
        plans: list[tuple[HeldOut, list[ArmPlan]]] = []
        for part in self.held(scope):
            plans.append((part, scope_plans(part.scope, pictures, self._cell_plans)))
        return plans

    def _cell_plans(self, cell: Cell, pictures: FoldPictures) -> list[ArmPlan]:
        methods = make_samples(self.generation, cell).methods
        return plan_arms(self.arms, cell, pictures, self.generation.seed, methods, [])
