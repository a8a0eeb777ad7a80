"""Good pictures that are called defective at the threshold that finds the known defects.

A part of the known real defects is held out in turn: a detector of the same arm and seed learns
from the others, whose class weights and samples never saw the part, and scores it. The threshold
finds ``FOUND`` of the known defects by these scores; it is applied to the detector that knows all
of them, on the good pictures and the defects of the test side. Nothing of the test side chooses it.

Detectors that know fewer defects score lower, so that the threshold is rather too low and the
alarms rather too many, in every arm alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ...data.examples import Example
from ...data.splits import relative_file
from ..plan.held_out import HeldOut, parts_of
from ..plan.plan import Cell
from ..rows import Measurement, Row
from .arms.arm import Arm
from .detection import Detectors, trained_on
from .fit import fit
from .metrics import image_score
from .networks.network import probability_maps
from .pictures import FoldPictures, load_pairs
from .plans import ArmPlan
from .training_data import ArmData
from .truth import seen

FOUND = 0.95
"""Share of the known defects that the threshold finds."""
ALARMS = f"good pictures called defective where {FOUND:.0%} of the known defects are found"
DETECTED = f"held-out defects found where {FOUND:.0%} of the known defects are found"
PART = "alarms"
HeldPlans = Sequence[tuple[HeldOut, Sequence[ArmPlan]]]
"""Each part of the known defects, with the arms that do not know it."""
_Part = tuple[tuple[Example, ...], Callable[[], ArmData], dict[str, Any]]
"""Held-out defects, the training data without them, and what decides these data."""


def threshold_of(scores: Sequence[float], found: float = FOUND) -> float:
    """The highest threshold at which at least the share ``found`` of the scores, one a known
    defect, lies at or above it. Of fewer than 20 defects 0.95 wants every one.

    Args:
        scores: at least one.
    """
    wanted = math.ceil(found * len(scores) - 1e-9)
    return sorted(scores, reverse=True)[max(wanted, 1) - 1]


def share_above(scores: Sequence[float], threshold: float) -> float:
    """Share of the scores at or above the threshold; NaN of none."""
    return sum(score >= threshold for score in scores) / len(scores) if scores else math.nan


@dataclass(frozen=True)
class AlarmMeasure:
    """Measures alarms with the detectors' first seed."""

    detectors: Detectors
    parts: int
    """Of the known defects, at most."""
    seed: int
    """Of the parts of all real defects."""

    def rows(
        self, cell: Cell, pictures: FoldPictures, plans: Sequence[ArmPlan], held: HeldPlans
    ) -> list[Row]:
        """Two figures of each arm; no rows where no defect can be held out, and of arms whose
        samples know all defects (candidates)."""
        rows: list[Row] = []
        seed = self.detectors.seeds[0]
        for plan in plans:
            parts = self._parts(cell, plan, held)
            if not parts:
                continue
            identity = [settings for _, _, settings in parts]
            name, settings = self.detectors.key(cell, plan, seed)
            measure = partial(self._scores, parts, seed)
            key = settings | {"parts": identity}
            scores = self.detectors.store.get("held-out", name, key, measure)
            figures = self.detectors.picture_figures(cell, pictures, plan, seed)
            rows += alarm_rows(cell, plan.arm.name, scores["scores"], figures, seed)
        return rows

    def _parts(self, cell: Cell, plan: ArmPlan, held: HeldPlans) -> list[_Part]:
        """The parts of what an arm knows; empty where there are none."""
        parts: list[_Part] = []
        if plan.arm.known == "all":
            known = trained_on(cell, plan).shots
            for part in parts_of(known, self.parts, self.seed):
                left = [example for example in known if example not in part]
                parts.append((part, partial(_with_real, plan, left), _identity(cell, part)))
            return parts
        if plan.arm.samples == "candidate":
            return []
        for held_out, part_plans in held:
            part_plan = _of_arm(part_plans, plan.arm)
            if part_plan is None:
                return []
            settings = part_plan.settings | _identity(cell, held_out.examples)
            parts.append((held_out.examples, part_plan.data, settings))
        return parts

    def _scores(self, parts: Sequence[_Part], seed: int) -> dict[str, Any]:
        """The image score of each known defect by the detector that does not know it."""
        settings, device = self.detectors.settings, self.detectors.device
        scores: list[float] = []
        for examples, data, _ in parts:
            net = fit(data(), settings, seed, device)
            squares, truths = zip(*load_pairs(examples, settings.resolution), strict=True)
            maps = probability_maps(net, squares)
            scores += map(image_score, map(seen, truths, maps))
        return {"scores": scores}


def alarm_rows(
    cell: Cell,
    subject: str,
    known: Sequence[float],
    figures: dict[str, list[float]],
    seed: int,
) -> list[Row]:
    """The rows of one detector.

    Args:
        known: image score of each known defect when it was held out. figures: of each test picture.
    """
    threshold = threshold_of(known)
    good, defects = figures["good_scores"], figures["defect_scores"]
    reference = f"{len(known)} known defects, each held out in turn"
    measurement = Measurement(PART, cell, subject, len(good), reference, seed)
    on_defects = replace(measurement, n=len(defects))
    return [
        measurement.row(ALARMS, share_above(good, threshold)),
        on_defects.row(DETECTED, share_above(defects, threshold)),
    ]


def _of_arm(plans: Sequence[ArmPlan], arm: Arm) -> ArmPlan | None:
    """The plan of an arm; None where it has no samples."""
    for plan in plans:
        if plan.arm == arm:
            return plan
    return None


def _with_real(plan: ArmPlan, examples: Sequence[Example]) -> ArmData:
    data = plan.data()
    side = data.good[0].shape[0]
    return replace(data, real=load_pairs(examples, side))


def _identity(cell: Cell, examples: Sequence[Example]) -> dict[str, Any]:
    root = cell.data.root
    return {"held_out": [relative_file(example, root) for example in examples]}
