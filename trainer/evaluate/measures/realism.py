"""How realistic and how diverse generated defects are, against held-out real ones.

Every table has two anchors, measured like any method: the real defects of the training side ("real
defects", the score of a perfect method) and random noise inside real masks on good pictures ("noise
in the mask", useless).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bgdefect_core.pictures.masks import Mask
from bgdefect_core.pictures.picture import Pixels

from ..samples.sample_set import GeneratedSample, SampleSet, by_area
from .distances import cluster_diversity, frechet_distance, kernel_distance, mean_distance, pairwise
from .features import NAME, Features, pooled_features, views

VIEWS = ("defect", "whole")
ANCHORS = ("real defects", "noise in the mask")


@dataclass(frozen=True)
class ViewFeatures:
    """Features of a set of pictures, by view."""

    features: dict[str, Features]

    def __len__(self) -> int:
        return len(self.features[VIEWS[0]])


def view_features(pictures: Sequence[Pixels], masks: Sequence[Mask]) -> ViewFeatures:
    """Compute the features of both views once."""
    return ViewFeatures({view: pooled_features(views(pictures, masks, view)) for view in VIEWS})


def realism(
    fakes: ViewFeatures,
    reference: ViewFeatures,
    shots: ViewFeatures,
    seed: int,
    compared: Sequence[str] = VIEWS,
) -> dict[str, float | None]:
    """The statistics of one method.

    Args:
        fakes: its samples. reference: held-out real defects. shots: the real defects that it
            learned from, for the intra-cluster diversity. seed: of the kernel distance's subsets.
            compared: views that show as much of a part in fakes as in real pictures; the figures of
            the others are None.

    Returns:
        Metric name -> value; the names say the features and the view, as in "frechet distance
        (efficientnet-lite0, defect)". No FID: that needs Inception's features.
    """
    figures: dict[str, float | None] = {}
    for view in VIEWS:
        fake, real, known = fakes.features[view], reference.features[view], shots.features[view]
        within = pairwise(fake, fake)
        mean, deviation = kernel_distance(real, fake, seed)
        of_view = {
            f"frechet distance ({NAME}, {view})": frechet_distance(real, fake),
            f"kernel distance ({NAME}, {view})": mean,
            f"kernel distance, deviation over subsets ({NAME}, {view})": deviation,
            f"diversity ({NAME}, {view})": mean_distance(within),
            f"ic diversity ({NAME}, {view})": cluster_diversity(pairwise(fake, known), within),
        }
        figures |= of_view if view in compared else dict.fromkeys(of_view)
    return figures


def noise_samples(
    good: Sequence[Pixels], masks: Sequence[Mask], count: int, seed: int
) -> SampleSet:
    """The useless method: good pictures with independent noise in real masks, resized by area where
    none is of their size.

    Both lists are used in turn.
    """
    rng = np.random.default_rng((seed, 7))
    samples = []
    for index in range(count):
        source = good[index % len(good)]
        size = (source.shape[0], source.shape[1])
        fitting = [mask for mask in masks if mask.shape == size] or masks
        mask = by_area(fitting[index % len(fitting)], size)
        picture = source.copy()
        picture[mask] = rng.integers(0, 256, (int(mask.sum()), 3), dtype=np.uint8)
        samples.append(GeneratedSample(picture, mask, mask, source))
    return SampleSet(ANCHORS[1], tuple(samples), {}, attempts=count, shown=count, firsts=count)
