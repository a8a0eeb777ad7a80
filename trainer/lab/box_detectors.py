"""What the masks that training makes of boxes are worth to a detector, beside the boxes themselves
and human masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from ..data.examples import Example
from ..evaluate.detectors.fit import fit, score_detector
from ..evaluate.detectors.pictures import FoldPictures, load_pairs
from ..evaluate.detectors.settings import DetectorSettings
from ..evaluate.detectors.training_data import ArmData
from ..evaluate.plan.fold import Fold


@dataclass(frozen=True)
class BoxDetectors:
    """Trains one detector for each kind of label and seed; tested on held-out human masks."""

    settings: DetectorSettings
    seeds: tuple[int, ...]
    device: torch.device

    def measure(
        self, fold: Fold, labels: Mapping[str, Sequence[Example]]
    ) -> dict[str, tuple[float, ...]]:
        """Pixel AP on the fold's test side, 0..1, one a seed, for each kind of label.

        Args:
            labels: kind -> the known real defects, labelled so.
        """
        side = self.settings.resolution
        pictures = FoldPictures(fold, side)
        scores: dict[str, tuple[float, ...]] = {}
        for kind, examples in labels.items():
            data = ArmData(pictures.good, load_pairs(examples, side), augment=True)
            pixel_aps: list[float] = []
            for seed in self.seeds:
                net = fit(data, self.settings, seed, self.device)
                pixel_aps.append(score_detector(net, pictures.test)[0]["pixel_ap"])
            scores[kind] = tuple(pixel_aps)
        return scores
