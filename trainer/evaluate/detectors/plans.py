"""The arms of one cell with their training data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ..plan.plan import Cell, DetectorScope
from ..samples.generation import MethodSamples
from ..samples.sample_set import SampleSet
from .arms.arm import Arm, Label
from .pictures import FoldPictures, Pair, load_pairs, squared
from .training_data import ArmData

ALL_KNOWN = {"k": 0}
"""Settings of an arm that knows all real defects of the training side."""


@dataclass(frozen=True)
class ArmPlan:
    """One arm of one cell."""

    arm: Arm
    data: Callable[[], ArmData]
    """Gives the training data; those that only one arm needs are read by the call."""
    settings: dict[str, Any]
    """Everything that decides the training data, as JSON."""


def plan_arms(
    arms: Sequence[Arm],
    cell: Cell,
    pictures: FoldPictures,
    seed: int,
    generated: Sequence[MethodSamples],
    candidates: Sequence[SampleSet],
) -> list[ArmPlan]:
    """The arms with their training data; an arm whose source has no samples is left out.

    Args:
        pictures: of the cell's fold. seed: the choice of shots follows from it. generated: samples
            of the generation methods. candidates: samples of the candidates.
    """
    sources: dict[str, tuple[SampleSet, dict[str, Any]]] = {}
    for method in generated:
        sources[method.samples.name] = method.samples, {"generator": method.key}
    for candidate in candidates:
        sources[candidate.name] = candidate, {"candidate": candidate.digest}

    shots = load_pairs(cell.shots, pictures.side)
    plans = []
    for arm in arms:
        settings: dict[str, Any] = {"k": cell.k, "shots_seed": seed, "draw": cell.draw}
        if arm.known == "all":
            settings = ALL_KNOWN
        synthetic: list[Pair] = []
        if arm.samples != "none":
            if arm.source not in sources:
                continue
            samples, identity = sources[arm.source]
            if not samples.samples:
                continue
            synthetic = sample_pairs(samples, pictures.side, arm.label)
            settings = settings | identity
            if arm.samples == "method":
                settings["masks"] = arm.label
        real = shots if arm.known == "shots" else []
        data = ArmData(pictures.good, real, synthetic, arm.maker, arm.augment)
        read = partial(_with_pool, data, pictures) if arm.known == "all" else partial(_same, data)
        plans.append(ArmPlan(arm, read, settings))
    return plans


def sample_pairs(samples: SampleSet, side: int, label: Label) -> list[Pair]:
    """Generated samples as squares of ``side`` pixels, with their refined or requested masks."""
    pairs = []
    for sample in samples.samples:
        mask = sample.label if label == "refined" else sample.requested
        pairs.append(squared(sample.picture, mask, side))
    return pairs


def scope_plans(
    scope: DetectorScope,
    pictures: FoldPictures,
    plans_of: Callable[[Cell, FoldPictures], list[ArmPlan]],
) -> list[ArmPlan]:
    """The arms of one detector, of all its classes together where it is for several.

    Args:
        pictures: of the scope. plans_of: gives the arms of a cell, with the pictures of its fold.
    """
    if not scope.is_joined:
        return plans_of(scope.cells[0], pictures)
    plans: list[list[ArmPlan]] = []
    for cell in scope.cells:
        plans.append(plans_of(cell, FoldPictures(cell.data.fold, pictures.side)))
    return join_plans(pictures, plans)


def join_plans(whole: FoldPictures, plans: Sequence[Sequence[ArmPlan]]) -> list[ArmPlan]:
    """The arms of all classes of an object together.

    An arm without samples for some classes trains on those of the others.

    Args:
        whole: pictures of all classes. plans: of each class.
    """
    arms: dict[str, list[ArmPlan]] = {}
    for class_plans in plans:
        for plan in class_plans:
            arms.setdefault(plan.arm.name, []).append(plan)
    joined = []
    for parts in arms.values():
        classes = [part.settings for part in parts]
        agree = classes.count(classes[0]) == len(classes)
        settings = classes[0] if agree else {"classes": classes}
        joined.append(ArmPlan(parts[0].arm, partial(_joined, whole, parts), settings))
    return joined


def _joined(whole: FoldPictures, plans: Sequence[ArmPlan]) -> ArmData:
    parts = [plan.data() for plan in plans]
    real: list[Pair] = []
    synthetic: list[Pair] = []
    for part in parts:
        real += part.real
        synthetic += part.synthetic
    return replace(parts[0], good=whole.good, real=real, synthetic=synthetic)


def _with_pool(data: ArmData, pictures: FoldPictures) -> ArmData:
    return replace(data, real=load_pairs(pictures.fold.pool, pictures.side))


def _same(data: ArmData) -> ArmData:
    return data
