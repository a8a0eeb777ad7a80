"""What one detector says of the test side, as the advice reads it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Recipe:
    """One way to use defects in training."""

    arm: str
    """Name of the arm of the detectors."""
    schedule: str = "mixed"
    share: float = 0.25
    """Of synthetic defects among the defect draws; read by the schedule mixed alone."""

    @property
    def title(self) -> str:
        """For tables."""
        if self.schedule == "mixed":
            return f"{self.arm}, mixed, share {self.share:g}"
        return f"{self.arm}, {self.schedule}"


@dataclass(frozen=True)
class DetectorRun:
    """One trained detector on the held-out pictures of its fold."""

    recipe: Recipe
    k: int
    """Known real defects."""
    fold: int
    draw: int
    seed: int
    precision: tuple[float, ...]
    """Of each held-out defect, 0..1: pixel AP with each defect counted once, in the order of the
    fold."""
    defect_scores: tuple[float, ...]
    """Image score of each held-out defect, in the same order."""
    good_scores: tuple[float, ...]
    """Image score of each held-out good picture."""


def least_good(tolerated: float) -> int:
    """Good pictures that a threshold takes, so that a further good picture lies above it with at
    most the tolerated probability."""
    return math.ceil(1 / tolerated - 1e-9) - 1


def threshold_at(good_scores: Sequence[float], tolerated: float) -> float | None:
    """The lowest threshold above which a further good picture lies with a probability of at most
    ``tolerated`` (split conformal prediction: Vovk et al. 2005; Lei et al. 2018): the score of
    rank ``ceil((n + 1) (1 - tolerated))``. A picture is called defective where it scores more.

    Returns:
        None where there are too few good pictures.
    """
    rank = math.ceil((len(good_scores) + 1) * (1 - tolerated) - 1e-9)
    return sorted(good_scores)[rank - 1] if 0 < rank <= len(good_scores) else None


def found_defects(run: DetectorRun, tolerated: float) -> tuple[float, ...] | None:
    """1 for each held-out defect that scores above the run's own threshold, else 0; None where
    there are too few good pictures for one."""
    threshold = threshold_at(run.good_scores, tolerated)
    if threshold is None:
        return None
    return tuple(float(score > threshold) for score in run.defect_scores)


Values = dict[int, dict[int, NDArray[np.float64]]]
"""Fold -> draw -> float ``[held-out defects]``, the mean over seeds."""


def values_of(lines: Sequence[tuple[DetectorRun, Sequence[float]]]) -> Values:
    """The values of each held-out defect by fold and draw, the seeds averaged.

    Args:
        lines: a run and one value for each of its held-out defects.
    """
    seeds: dict[tuple[int, int], list[Sequence[float]]] = {}
    for run, values in lines:
        seeds.setdefault((run.fold, run.draw), []).append(values)
    folds: Values = {}
    for (fold, draw), of_seeds in sorted(seeds.items()):
        mean = np.mean(np.array(of_seeds, np.float64), axis=0)
        folds.setdefault(fold, {})[draw] = mean
    return folds
