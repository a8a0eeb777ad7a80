"""What is measured for the advice: the recipes, draws and seeds that the time allows.

The design is fixed before anything is measured: to go on until an interval tells would bend the
interval.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from bgdefect_core.errors import SettingError
from bgdefect_core.files import atomic_write

from ..detectors.arms.generated import FROM_NOISE, OURS, PASTE
from ..estimate import Work
from .runs import Recipe

FOLDS = 0, 1
LEAST_POOL = 4
"""Fewest known defects of a half: two to know, and others to choose from."""
LEAST_DEFECTS = 10
"""Defects of a class whose halves have ``LEAST_POOL`` beside the validation part."""


@dataclass(frozen=True)
class ClassCounts:
    """Numbers of known real defects of one class."""

    object: str
    defect: str
    k: int
    """Of the question."""
    pool: int
    """All of the smaller training side."""
    folds: int = len(FOLDS)
    """One where the data set has sides of its own."""

    @property
    def middle(self) -> int | None:
        """A number between k and all, for the curve."""
        between = round((self.k * self.pool) ** 0.5)
        return between if self.k < between < self.pool else None


def class_counts(object: str, defect: str, pool: int, wanted: int) -> ClassCounts | None:
    """The numbers of a class; None with fewer than ``LEAST_POOL`` known defects.

    Args:
        pool: real defects of the smaller training side. wanted: k, at most half of them.
    """
    if pool < LEAST_POOL:
        return None
    limit = pool // 2
    return ClassCounts(object, defect, min(wanted or limit, limit), pool)


@dataclass(frozen=True)
class Design:
    """What is measured in every class."""

    recipes: tuple[Recipe, ...]
    draws: int = 2
    seeds: int = 1
    middle: bool = False
    """Whether real alone is also measured between k and all."""

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms of the recipes, each once."""
        return tuple(dict.fromkeys(recipe.arm for recipe in self.recipes))


@dataclass(frozen=True)
class WorkCosts:
    """Seconds on this machine."""

    training: float
    samples: float
    """Of one method and choice of known defects."""
    detector: float


def works_of(design: Design, plans: Sequence[ClassCounts], costs: WorkCosts) -> list[Work]:
    """All work of a design."""
    trainings = sample_sets = detectors = 0
    for plan in plans:
        choices = plan.folds * design.draws
        trainings += choices
        sample_sets += choices * len(design.arms)
        per_choice = 1 + len(design.recipes) + bool(design.middle and plan.middle)
        detectors += design.seeds * (choices * per_choice + plan.folds)
    return [
        Work("trainings", trainings, costs.training),
        Work("sample sets", sample_sets, costs.samples),
        Work("detectors", detectors, costs.detector),
    ]


def seconds_of(works: Sequence[Work]) -> float:
    """Of all work."""
    return sum(work.seconds for work in works)


def _recipe(recipe: Recipe, design: Design) -> Design:
    return replace(design, recipes=(*design.recipes, recipe))


def _draws(count: int, design: Design) -> Design:
    return replace(design, draws=count)


def _seeds(count: int, design: Design) -> Design:
    return replace(design, seeds=count)


def _middle(design: Design) -> Design:
    return replace(design, middle=True)


BASE = (Recipe(PASTE.name), Recipe(OURS.name))
LADDER: tuple[Callable[[Design], Design], ...] = (
    partial(_draws, 4),
    partial(_recipe, Recipe(FROM_NOISE.name)),
    partial(_recipe, Recipe(OURS.name, share=0.5)),
    partial(_recipe, Recipe(OURS.name, "two-stage")),
    _middle,
    partial(_draws, 6),
    partial(_recipe, Recipe(OURS.name, share=0.1)),
    partial(_recipe, Recipe(PASTE.name, share=0.5)),
    partial(_recipe, Recipe(PASTE.name, "two-stage")),
    partial(_seeds, 2),
)
"""What is added, in this order, as long as the time allows. Each further recipe widens the
intervals of all, since they hold for all together."""


def choose_design(
    plans: Sequence[ClassCounts], costs: WorkCosts, hours: float, arms: Sequence[str]
) -> Design:
    """The smallest design that can tell, and of ``LADDER`` what fits into the budget.

    Args:
        arms: names of the arms whose methods are among the settings.

    Raises:
        SettingError: the smallest design does not fit; no arm at all.
    """
    design = _only(Design(BASE), arms)
    if not design.recipes:
        expected = f"the methods of {PASTE.name} or {OURS.name}"
        raise SettingError("no generation method to advise on", expected, "correct --generators")
    least = seconds_of(works_of(design, plans, costs)) / 3600
    if least > hours:
        raise SettingError(
            f"the smallest measurement for advice takes about {least:.1f} hours here",
            f"at most {hours:g} (--advise-hours)",
            "raise it, name fewer --classes, or lower --train-steps or --samples",
        )
    for step in LADDER:
        larger = _only(step(design), arms)
        if seconds_of(works_of(larger, plans, costs)) > 3600 * hours:
            break
        design = larger
    return design


def _only(design: Design, arms: Sequence[str]) -> Design:
    recipes = [recipe for recipe in design.recipes if recipe.arm in arms]
    return replace(design, recipes=tuple(recipes))


def read_design(path: Path, record: Mapping[str, Any]) -> Design | None:
    """The design of a stopped run with the same settings; None where there is none. Timings differ
    from run to run, and another design would be another measurement."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["config"] != record:
            return None
        values = dict(document["design"])
        values["recipes"] = tuple(Recipe(**recipe) for recipe in values["recipes"])
        return Design(**values)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write_design(path: Path, record: Mapping[str, Any], design: Design) -> None:
    """Keep the design for a later resume.

    Raises:
        OutputError: the file cannot be written.
    """
    with atomic_write(path, "w") as file:
        json.dump({"config": record, "design": design_record(design)}, file, indent=1)
        file.write("\n")


def design_record(design: Design) -> dict[str, Any]:
    """As JSON."""
    return {**vars(design), "recipes": list(map(vars, design.recipes))}
