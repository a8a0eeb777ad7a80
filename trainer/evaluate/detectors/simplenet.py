"""SimpleNet (Liu et al. 2023) on efficientnet-lite0: an unsupervised baseline that needs no
download.

Patch features of good pictures pass a linear adaptor; Gaussian noise makes anomalous ones of them,
and a discriminator learns to tell the two apart with a truncated L1 loss. The score of a test patch
is what the discriminator says against its being good.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bgdefect_core.pictures.picture import Pixels

from .patchcore import patches, smoothed
from .truth import Map

NOISE = 0.015
"""Standard deviation of the noise, as in the paper."""
MARGIN = 0.5
"""The loss of a patch ends where its score is this far on the right side."""
_ADAPTOR_LR, _DISCRIMINATOR_LR, _DECAY = 1e-4, 2e-4, 1e-5
_PICTURES = 4
"""Pictures a step, and a batch of the test."""


@dataclass(frozen=True)
class SimpleNet:
    """SimpleNet with its settings."""

    steps: int
    seed: int
    kind: ClassVar[str] = "simplenet"
    subject: ClassVar[str] = "simplenet (efficientnet-lite0)"

    def key(self) -> dict[str, Any]:
        return {"steps": self.steps, "seed": self.seed}

    def maps(self, good: Sequence[Pixels], test: Sequence[Pixels]) -> list[Map]:
        """Scores of the test pictures; all pictures of one size, sides multiples of 32."""
        features, _ = patches(good)
        net = make_discriminator(features.shape[-1], self.seed)
        fit_discriminator(net, features, self.steps, self.seed)
        return score_maps(net, test)


def make_discriminator(width: int, seed: int) -> nn.Sequential:
    """The adaptor, then the discriminator: ``[n, width]`` -> ``[n, 1]``, high for good patches."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Linear(width, width),
            nn.Linear(width, width),
            nn.BatchNorm1d(width),
            nn.LeakyReLU(0.2),
            nn.Linear(width, 1, bias=False),
        )


def fit_discriminator(net: nn.Sequential, features: Tensor, steps: int, seed: int) -> None:
    """Train on the patches of good pictures; order and noise follow from the seed alone.

    Args:
        features: ``[n, cells, C]``.
    """
    generator = torch.Generator().manual_seed(seed)
    groups = [
        {"params": net[0].parameters(), "lr": _ADAPTOR_LR},
        {"params": net[1:].parameters(), "lr": _DISCRIMINATOR_LR},
    ]
    optimizer = torch.optim.Adam(groups, weight_decay=_DECAY)
    net.train()
    for _ in range(steps):
        chosen = torch.randint(len(features), (_PICTURES,), generator=generator)
        adapted = net[0](features[chosen].flatten(0, 1))
        noise = NOISE * torch.randn(adapted.shape, generator=generator)
        scores = net[1:](torch.cat([adapted, adapted + noise]))[:, 0]
        good, anomalous = scores.chunk(2)
        loss = F.relu(MARGIN - good).mean() + F.relu(MARGIN + anomalous).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    net.eval()


@torch.no_grad()
def score_maps(net: nn.Module, pictures: Sequence[Pixels]) -> list[Map]:
    """Anomaly maps, float32 ``[H, W]`` each: scores, not probabilities."""
    maps: list[Map] = []
    size = pictures[0].shape[:2]
    for first in range(0, len(pictures), _PICTURES):
        features, grid = patches(pictures[first : first + _PICTURES])
        anomaly = -net(features.flatten(0, 1)).view(-1, 1, *grid)
        full = F.interpolate(anomaly, size, mode="bilinear", align_corners=False)[:, 0]
        maps += smoothed(full)
    return maps
