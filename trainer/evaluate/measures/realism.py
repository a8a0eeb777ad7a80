"""How realistic and how diverse generated defects are, against held-out real ones.

Every table has two anchors, measured like any generator: the real defects of the training side
    ("real defects", what a
perfect generator would score) and random noise inside real masks on good pictures ("noise in the
mask", useless).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bgdefect_core.pictures.files import Picture
from bgdefect_core.pictures.masks import Mask

from ..samples.sample_set import GeneratedSample, SampleSet, by_area
from .distances import cluster_diversity, frechet_distance, kernel_distance, mean_distance, pairwise
from .features import NAME, Features, pooled_features, views

VIEWS = ("defect", "whole")
ANCHORS = ("real defects", "noise in the mask")


@dataclass(frozen=True)
class Seen:
    """Features of a set of pictures, by view."""

    features: dict[str, Features]

    def __len__(self) -> int:
        return len(self.features[VIEWS[0]])


def see(pictures: Sequence[Picture], masks: Sequence[Mask]) -> Seen:
    """Compute the features of both views once."""
    return Seen({view: pooled_features(views(pictures, masks, view)) for view in VIEWS})


def realism(
    fakes: Seen, reference: Seen, shots: Seen, seed: int, compared: Sequence[str] = VIEWS
) -> dict[str, float | None]:
    """The statistics of one generator.

    Args:
        fakes: its samples. reference: held-out real defects. shots: the real defects that it
            learned from, which the intra-cluster diversity is about. seed: of the kernel distance's
            subsets. compared: views that show as much of a part in both; the figures of the others
            are None.

    Returns:
        Metric name -> value; the names say the features and the view, as in "frechet distance
        (efficientnet-lite0, defect)". No FID: that needs Inception's features.
    """
    found: dict[str, float | None] = {}
    for view in VIEWS:
        fake, real, known = fakes.features[view], reference.features[view], shots.features[view]
        within = pairwise(fake, fake)
        mean, deviation = kernel_distance(real, fake, seed)
        figures = {
            f"frechet distance ({NAME}, {view})": frechet_distance(real, fake),
            f"kernel distance ({NAME}, {view})": mean,
            f"kernel distance, deviation over subsets ({NAME}, {view})": deviation,
            f"diversity ({NAME}, {view})": mean_distance(within),
            f"ic diversity ({NAME}, {view})": cluster_diversity(pairwise(fake, known), within),
        }
        found |= figures if view in compared else dict.fromkeys(figures)
    return found


def noise_samples(
    good: Sequence[Picture], masks: Sequence[Mask], count: int, seed: int
) -> SampleSet:
    """The useless generator: good pictures with independent noise in real masks, resized by area
    where none is of their size.

    Both lists are used in turn.
    """
    rng = np.random.default_rng((seed, 7))
    made = []
    for index in range(count):
        source = good[index % len(good)]
        size = (source.shape[0], source.shape[1])
        fitting = [mask for mask in masks if mask.shape == size] or masks
        mask = by_area(fitting[index % len(fitting)], size)
        picture = source.copy()
        picture[mask] = rng.integers(0, 256, (int(mask.sum()), 3), dtype=np.uint8)
        made.append(GeneratedSample(picture, mask, mask, source))
    return SampleSet(ANCHORS[1], tuple(made), {}, len(made), len(made), len(made))
