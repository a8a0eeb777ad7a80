"""Training one detector and testing it once: validation data choose the checkpoint, the test side
comes last.

Every random number is a function of (seed, step, place in the batch, purpose). Equal settings give
equal figures on a CPU, and arms of one seed share all draws that they have in common.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch

from .metrics import Map, curve_metrics, detection_metrics
from .network import SegmentationNet, focal_loss, make_net, probability_maps, to_tensor
from .pictures import Pair
from .settings import DetectorSettings
from .training_data import ArmData

_DROP, _DROPS = 0.2, (0.8, 0.9)
"""Factor of the learning rate, and the shares of the steps after which it applies."""


@dataclass(frozen=True)
class Fitted:
    """A trained detector."""

    net: SegmentationNet
    """With the weights of the chosen epoch."""
    epoch: int
    """The chosen epoch, from 1."""
    validation: tuple[float, ...]
    """Pixel AP on the validation side after each epoch."""


def fit(
    data: ArmData,
    validation: Sequence[Pair],
    settings: DetectorSettings,
    seed: int,
    device: torch.device,
) -> Fitted:
    """Train one detector.

    Args:
        data: of the arm. validation: pictures that choose the epoch, by pixel AP. seed: of weights
            and draws.
    """
    net = make_net(settings.width, seed).to(device)
    optimizer = torch.optim.Adam(net.parameters(), lr=settings.detector_lr)
    steps = max(1, settings.draws // settings.detector_batch)
    total = steps * settings.epochs
    state, chosen = deepcopy(net.state_dict()), 0
    best = -math.inf
    scores = []
    for epoch in range(settings.epochs):
        net.train()
        for step in range(epoch * steps, (epoch + 1) * steps):
            drops = sum(step >= share * total for share in _DROPS)
            for group in optimizer.param_groups:
                group["lr"] = settings.detector_lr * _DROP**drops
            pictures, truth = draw_batch(data, settings, seed, step)
            loss = focal_loss(net(pictures.to(device)), truth.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        score = validation_score(net, validation)
        scores.append(score)
        if score > best or epoch == 0:
            best, state, chosen = score, deepcopy(net.state_dict()), epoch + 1
    net.load_state_dict(state)
    return Fitted(net.eval(), chosen, tuple(scores))


def draw_batch(
    data: ArmData, settings: DetectorSettings, seed: int, step: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The crops of one step: ``[B, 3, c, c]`` in 0..1 and bool ``[B, c, c]``."""
    pictures, masks = [], []
    for item in range(settings.detector_batch):
        key = (seed, step, item)
        picture, mask = data.draw(settings.crop, settings.synthetic_share, key)
        pictures.append(picture)
        masks.append(mask)
    return to_tensor(pictures), torch.from_numpy(np.stack(masks))


def validation_score(net: SegmentationNet, pairs: Sequence[Pair]) -> float:
    """Pixel AP over all pictures of the validation side."""
    pictures, masks = zip(*pairs, strict=True)
    maps = probability_maps(net, pictures)
    truth = np.concatenate(masks, axis=None)
    score = np.concatenate(maps, axis=None)
    return curve_metrics(truth, score)[1]


def score_detector(
    net: SegmentationNet, pairs: Sequence[Pair]
) -> tuple[dict[str, float], list[Map]]:
    """All metrics on the test side, and the maps."""
    pictures, masks = zip(*pairs, strict=True)
    maps = probability_maps(net, pictures)
    return detection_metrics(masks, maps), maps
