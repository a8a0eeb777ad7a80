"""Which held-out defects detectors miss, and what tells them from those that are found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage, stats

from ..detectors.pictures import Pair
from ..detectors.truth import counted_in, defect_of

MISSED = 0.5
"""A defect is missed where fewer than this share of the detectors find it."""
LEAST = 3
"""Fewest missed and found defects that are compared."""
_LEVEL = 0.05
_RING = 8
"""Width in pixels of the surroundings that a defect is compared with."""


@dataclass(frozen=True)
class Kind:
    """A property of held-out defects."""

    name: str
    unit: str
    lower: str
    """What to photograph where missed defects have less of it."""
    higher: str
    scale: float = 1.0


KINDS = (
    Kind("size", "% of the picture", "small defects", "large defects", 100),
    Kind("contrast", "gray levels", "faint defects", "strong defects"),
    Kind(
        "distance to the border",
        "% of the side",
        "defects near the border of the picture",
        "defects in the middle of the picture",
        100,
    ),
    Kind(
        "place from the top",
        "% of the height",
        "defects in the upper part of the picture",
        "defects in the lower part of the picture",
        100,
    ),
    Kind(
        "place from the left",
        "% of the width",
        "defects in the left part of the picture",
        "defects in the right part of the picture",
        100,
    ),
)


@dataclass(frozen=True)
class HeldOutDefect:
    """One held-out defect."""

    file: str
    properties: tuple[float, ...]
    """One a kind."""
    found_share: float
    """Share of the detectors that find it, 0..1."""


@dataclass(frozen=True)
class Difference:
    """A property in which missed defects differ from found ones."""

    kind: Kind
    missed_median: float
    found_median: float

    @property
    def wanted(self) -> str:
        """What to photograph."""
        return self.kind.lower if self.missed_median < self.found_median else self.kind.higher

    def text(self) -> str:
        """In words."""
        missed_figure = self.missed_median * self.kind.scale
        found_figure = self.found_median * self.kind.scale
        return (
            f"{self.wanted}: {self.kind.name} of the missed {missed_figure:.2g} {self.kind.unit}, "
            f"of the found {found_figure:.2g} (medians)"
        )


def properties_of(pair: Pair) -> tuple[float, ...]:
    """Share of the picture, contrast, distance to the border and place of a defect, one a kind.

    Contrast is the difference in gray levels of 255 between the means of the defect and of a ring
    around it, the largest of the three colours; lengths are shares of the side, 0..1.

    Args:
        pair: uint8 ``[H, W, 3]`` and its truth ``[H, W]`` with a defect.
    """
    picture, truth = pair
    mask = defect_of(truth)
    height, width = mask.shape
    ring = ndimage.binary_dilation(mask, iterations=_RING) & counted_in(truth) & ~mask
    contrast = 0.0
    if ring.any():
        contrast = float(np.abs(picture[mask].mean(0) - picture[ring].mean(0)).max())
    rows, columns = np.nonzero(mask)
    top, left = float(rows.mean() + 0.5) / height, float(columns.mean() + 0.5) / width
    border = min(top, 1 - top, left, 1 - left)
    return float(mask.mean()), contrast, border, top, left


def differences(defects: Sequence[HeldOutDefect]) -> list[Difference]:
    """The properties in which missed and found defects differ (Mann-Whitney, two-sided, 0.05 over
    all properties together); empty with fewer than ``LEAST`` of either."""
    missed, detected = parted(defects)
    if min(len(missed), len(detected)) < LEAST:
        return []
    clear = []
    for index, kind in enumerate(KINDS):
        of_missed = [defect.properties[index] for defect in missed]
        of_found = [defect.properties[index] for defect in detected]
        p = float(stats.mannwhitneyu(of_missed, of_found).pvalue)
        if p < _LEVEL / len(KINDS):
            medians = float(np.median(of_missed)), float(np.median(of_found))
            clear.append(Difference(kind, *medians))
    return clear


def parted(
    defects: Sequence[HeldOutDefect],
) -> tuple[list[HeldOutDefect], list[HeldOutDefect]]:
    """The missed defects, most missed first, and the found ones."""
    missed: list[HeldOutDefect] = []
    detected: list[HeldOutDefect] = []
    for defect in defects:
        if defect.found_share < MISSED:
            missed.append(defect)
        else:
            detected.append(defect)
    missed.sort(key=lambda defect: (defect.found_share, defect.file))
    return missed, detected


def photograph_text(defects: Sequence[HeldOutDefect]) -> list[str]:
    """What to photograph next, in words."""
    missed, _ = parted(defects)
    if not missed:
        return [f"None of the {len(defects)} held-out defects is missed by most detectors."]
    lines = [f"{len(missed)} of {len(defects)} held-out defects are missed by most detectors."]
    clear = differences(defects)
    for difference in clear:
        lines.append(f"Photograph {difference.text()}.")
    if not clear:
        lines.append(
            "Neither size, contrast nor place tells them from those that are found: look at the "
            "list, and photograph more like them."
        )
    return lines
