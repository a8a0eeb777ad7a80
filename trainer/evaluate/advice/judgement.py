"""The decision: use generated defects or not, by intervals on held-out defects."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from ..detectors.arms.real import REAL
from ..report.statistics import CONFIDENCE, Interval
from .crossed import crossed_interval, difference, over_all
from .runs import (
    DetectorRun,
    Recipe,
    Values,
    found_defects,
    least_good,
    threshold_at,
    values_of,
)
from .worth import Worth, worth

Answer = Literal["use", "do not use", "no difference", "cannot be told"]
TELLING = 0.06
"""Half-width, of 1, up to which an interval around 0 says that there is no difference worth
having."""
LEAST_GAIN = 0.005
"""Gain, of 1, from which on generated defects are worth their trouble."""


@dataclass(frozen=True)
class Operation:
    """Where a detector would work: its threshold at the tolerated false alarms."""

    low: float
    threshold: float
    high: float
    """Smallest, median and largest over the detectors."""
    found_share: Interval
    """Share of the held-out defects above it."""


@dataclass(frozen=True)
class RunsJudgement:
    """The advice on one class."""

    answer: Answer
    k: int
    held_out: int
    """Defects."""
    real: Interval
    """Precision of real alone, 0..1."""
    gains: dict[Recipe, Interval]
    """Over real alone; the intervals hold for all recipes together."""
    recipe: Recipe | None = None
    """The one to use."""
    equals: tuple[Recipe, ...] = ()
    """Others that gain, and cannot be told from it."""
    worth: Worth | None = None
    operation: Operation | None = None
    """Of what is advised."""
    operation_real: Operation | None = None
    needed: int | None = None
    """Held-out defects that would tell, roughly; None where it cannot be told how many either."""


def judge_runs(
    runs: Sequence[DetectorRun], k: int, tolerated: float, telling: float = TELLING
) -> RunsJudgement:
    """Judge one class.

    Args:
        runs: real alone at k and larger numbers, all recipes at k; a recipe that lacks a choice of
            known defects is left out.
        tolerated: false alarms, 0..1.
        telling: half-width up to which an interval around 0 tells.
    """
    reals, at_k = _sorted_runs(runs, k)
    real = precision_of(reals.get(k, []))
    level = crossed_interval(real)
    confidence = 1 - (1 - CONFIDENCE) / max(len(at_k), 1)
    values: dict[Recipe, Values] = {}
    gains: dict[Recipe, Interval] = {}
    for recipe, of_recipe in at_k.items():
        values[recipe] = precision_of(of_recipe)
        gains[recipe] = crossed_interval(difference(values[recipe], real), confidence)
    answer = answer_of(list(gains.values()), telling)
    if answer == "cannot be told":
        needed = needed_defects(list(gains.values()), telling)
        return RunsJudgement(answer, k, level.n, level, gains, needed=needed)

    operation_real = operation_of(reals[k], tolerated)
    if answer != "use":
        return RunsJudgement(answer, k, level.n, level, gains, operation=operation_real)
    gaining = [recipe for recipe, gain in gains.items() if _gains(gain)]
    best = max(gaining, key=lambda recipe: gains[recipe].mean)
    larger = {number: precision_of(of) for number, of in reals.items() if number > k}
    return RunsJudgement(
        answer,
        k,
        level.n,
        level,
        gains,
        recipe=best,
        equals=_equals(values, gaining, best, confidence),
        worth=worth(gains[best], k, over_all(larger, real)),
        operation=operation_of(at_k[best], tolerated, confidence),
        operation_real=operation_real,
    )


def _sorted_runs(
    runs: Sequence[DetectorRun], k: int
) -> tuple[dict[int, list[DetectorRun]], dict[Recipe, list[DetectorRun]]]:
    """Those of real alone by their number of known defects, and those of the recipes at k that have
    every choice of known defects that real alone has."""
    reals: dict[int, list[DetectorRun]] = {}
    at_k: dict[Recipe, list[DetectorRun]] = {}
    for run in runs:
        if run.recipe.arm == REAL.name:
            reals.setdefault(run.k, []).append(run)
        elif run.k == k:
            at_k.setdefault(run.recipe, []).append(run)
    choices = _choices(reals.get(k, []))
    return reals, {recipe: of for recipe, of in at_k.items() if _choices(of) == choices}


def _choices(runs: Sequence[DetectorRun]) -> set[tuple[int, int]]:
    return {(run.fold, run.draw) for run in runs}


def precision_of(runs: Sequence[DetectorRun]) -> Values:
    """The held-out defects' precision by fold and draw."""
    return values_of([(run, run.precision) for run in runs])


def answer_of(gains: Sequence[Interval], telling: float) -> Answer:
    """A gain of one recipe is enough to use it; "do not use" takes a loss of every one; no
    difference takes intervals that are all narrow or below 0."""
    lows: list[float] = []
    highs: list[float] = []
    for gain in gains:
        if gain.low is None or gain.high is None:
            return "cannot be told"
        lows.append(gain.low)
        highs.append(gain.high)
    if not gains:
        return "cannot be told"
    if any(_gains(gain) for gain in gains):
        return "use"
    if max(highs) < 0:
        return "do not use"
    for low, high in zip(lows, highs, strict=True):
        if high >= 0 and (high - low) / 2 > telling:
            return "cannot be told"
    return "no difference"


def _gains(gain: Interval) -> bool:
    """Whether a recipe is worth using."""
    return (gain.low or 0) > 0 and gain.mean >= LEAST_GAIN


def needed_defects(gains: Sequence[Interval], telling: float) -> int | None:
    """Held-out defects that bring the widest interval to the half-width that tells, as widths fall
    with the root of their number, draws growing with it; None without intervals."""
    numbers: list[int] = []
    for gain in gains:
        if gain.half is None:
            return None
        numbers.append(math.ceil(gain.n * (gain.half / telling) ** 2 - 1e-9))
    return max(numbers, default=None)


def operation_of(
    runs: Sequence[DetectorRun], tolerated: float, confidence: float = CONFIDENCE
) -> Operation | None:
    """Threshold and detected share over the runs; None where a fold has fewer good pictures than
    :func:`least_good`."""
    thresholds: list[float] = []
    lines: list[tuple[DetectorRun, Sequence[float]]] = []
    for run in runs:
        threshold, scores = threshold_at(run.good_scores, tolerated), found_defects(run, tolerated)
        if threshold is None or scores is None:
            return None
        thresholds.append(threshold)
        lines.append((run, scores))
    if not thresholds:
        return None
    share = crossed_interval(values_of(lines), confidence)
    return Operation(min(thresholds), median(thresholds), max(thresholds), share)


def operation_text(operation: Operation | None, tolerated: float) -> str:
    """In words."""
    if operation is None:
        return (
            f"No threshold for {tolerated:.1%} false alarms can be given: it takes at least "
            f"{least_good(tolerated)} good pictures on the held-out side of each half."
        )
    share = operation.found_share
    text = f"{share.mean:.0%} of the held-out defects are found"
    if share.low is not None and share.high is not None:
        text += f" (interval {max(share.low, 0):.0%} to {min(share.high, 1):.0%})"
    return (
        f"{text} where at most {tolerated:.1%} of further good pictures are expected to be called "
        f"defective. The image score is then above {operation.threshold:.3g} ({operation.low:.3g} "
        f"to {operation.high:.3g} over the detectors)."
    )


def _equals(
    values: Mapping[Recipe, Values], gaining: Sequence[Recipe], best: Recipe, confidence: float
) -> tuple[Recipe, ...]:
    """The other recipes with a gain that do not differ from the best."""
    equals = []
    for recipe in gaining:
        ahead = crossed_interval(difference(values[best], values[recipe]), confidence)
        if recipe != best and (ahead.low is None or ahead.low <= 0):
            equals.append(recipe)
    return tuple(equals)
