"""Training one detector and testing it once: the checkpoint is the best on validation data, the
test side is seen last.

Every random number is a function of (seed, step, place in the batch, purpose), so that equal
settings give equal figures on a CPU and arms of one seed share all draws that they have in common.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ..samples.synthetic import Pair
from .arms import ArmData
from .metrics import curve_metrics, detection_metrics
from .network import SegmentationNet, focal_loss, make_net, probability_maps, to_tensor

_DROP, _DROPS = 0.2, (0.8, 0.9)


@dataclass(frozen=True)
class FitSettings:
    """How a detector is trained; see ``EvaluateConfig``."""

    crop: int
    width: int
    epochs: int
    draws: int
    batch: int
    lr: float
    synthetic_share: float


@dataclass(frozen=True)
class Fitted:
    """A trained detector."""

    net: SegmentationNet
    """With the weights of the chosen epoch."""
    epoch: int
    """The chosen one, from 1."""
    validation: tuple[float, ...]
    """Pixel AP on the validation side after each epoch."""


def fit(
    data: ArmData,
    validation: Sequence[Pair],
    settings: FitSettings,
    seed: int,
    device: torch.device,
) -> Fitted:
    """Train one detector.

    Args:
        data: of the arm. validation: pictures that choose the epoch, by pixel AP. seed: of weights
            and draws.
    """
    net = make_net(settings.width, seed).to(device)
    optimizer = torch.optim.Adam(net.parameters(), lr=settings.lr)
    steps = max(1, settings.draws // settings.batch)
    total = steps * settings.epochs
    best, state, chosen = -math.inf, deepcopy(net.state_dict()), 0
    scores = []
    for epoch in range(settings.epochs):
        net.train()
        for step in range(epoch * steps, (epoch + 1) * steps):
            for group in optimizer.param_groups:
                group["lr"] = settings.lr * _DROP ** sum(step >= share * total for share in _DROPS)
            pictures, truth = draw_batch(data, settings, seed, step)
            loss = focal_loss(net(pictures.to(device)), truth.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        scores.append(validation_score(net, validation))
        if scores[-1] > best or epoch == 0:
            best, state, chosen = scores[-1], deepcopy(net.state_dict()), epoch + 1
    net.load_state_dict(state)
    return Fitted(net.eval(), chosen, tuple(scores))


def draw_batch(
    data: ArmData, settings: FitSettings, seed: int, step: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The crops of one step: ``[B, 3, c, c]`` in 0..1 and bool ``[B, c, c]``."""
    pairs = [
        data.draw(settings.crop, settings.synthetic_share, (seed, step, item))
        for item in range(settings.batch)
    ]
    return to_tensor([picture for picture, _ in pairs]), torch.from_numpy(
        np.stack([mask for _, mask in pairs])
    )


def validation_score(net: SegmentationNet, pairs: Sequence[Pair]) -> float:
    """Pixel AP over all pictures of the validation side."""
    maps = probability_maps(net, [picture for picture, _ in pairs])
    truth = np.concatenate([mask.ravel() for _, mask in pairs])
    return curve_metrics(truth, np.concatenate([one.ravel() for one in maps]))[1]


def score_detector(
    net: SegmentationNet, pairs: Sequence[Pair]
) -> tuple[dict[str, float], list[NDArray[np.float32]]]:
    """All metrics on the test side, and the maps."""
    maps = probability_maps(net, [picture for picture, _ in pairs])
    return detection_metrics([mask for _, mask in pairs], maps), maps
