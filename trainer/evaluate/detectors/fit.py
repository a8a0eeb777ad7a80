"""Training one detector and testing it once.

The schedule is fixed: the weights after the last step are the detector, and no defect beyond the
arm's own chooses anything. Every random number is a function of (seed, draw, purpose). Equal
settings give equal figures on a CPU, and arms of one seed share all draws that they have in common.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from .losses import LOSSES
from .metrics import detection_metrics
from .networks import NETWORKS
from .networks.network import probability_maps, seeded, to_tensor
from .pictures import Pair
from .schedules import SCHEDULES
from .settings import DetectorSettings
from .training_data import ArmData
from .truth import Map

_WARM = 0.1
"""Share of the steps in which the learning rate rises."""


def rate(progress: float) -> float:
    """Factor of the learning rate at a share of the steps, 0..1: it rises linearly, then falls
    along a half cosine to 0."""
    if progress < _WARM:
        return progress / _WARM
    return 0.5 * (1 + math.cos(math.pi * (progress - _WARM) / (1 - _WARM)))


def fit(data: ArmData, settings: DetectorSettings, seed: int, device: torch.device) -> nn.Module:
    """Train one detector.

    Args:
        data: of the arm. seed: of weights and draws.

    Returns:
        The network in evaluation mode.
    """
    network, loss = NETWORKS[settings.network], LOSSES[settings.detector_loss]
    share_at = SCHEDULES[settings.schedule].share
    net = seeded(network, settings.width, seed).to(device)
    lr = network.lr if settings.detector_lr is None else settings.detector_lr
    steps = settings.detector_steps
    optimizer = torch.optim.AdamW(network.groups(net, lr))
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: rate((step + 0.5) / steps)
    )
    net.train()
    for step in tqdm(range(steps), desc="detector", unit="step", leave=False):
        share = share_at((step + 0.5) / steps, settings.synthetic_share)
        pictures, truth = draw_batch(
            data, settings.detector_batch, settings.crop, share, seed, step
        )
        value = loss.compute(net(pictures.to(device)), truth.to(device))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        scheduler.step()
    return net.eval()


def draw_batch(
    data: ArmData, count: int, side: int, synthetic_share: float, seed: int, step: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The crops of one step: ``[B, 3, c, c]`` in 0..1 and their truths ``[B, c, c]``, bool or int8.

    Args:
        count: B. side: c in pixels. synthetic_share: of the defect draws where the arm has both
            kinds.
    """
    pictures, truths = [], []
    for number in range(step * count, (step + 1) * count):
        picture, truth = data.draw(side, synthetic_share, seed, number)
        pictures.append(picture)
        truths.append(truth)
    return to_tensor(pictures), torch.from_numpy(np.stack(truths))


def score_detector(net: nn.Module, pairs: Sequence[Pair]) -> tuple[dict[str, float], list[Map]]:
    """All metrics on the test side, and the maps."""
    pictures, truths = zip(*pairs, strict=True)
    maps = probability_maps(net, pictures)
    return detection_metrics(truths, maps), maps
