"""The declaration of a detector's network, and what all networks share: input and maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bgdefect_core.pictures.picture import Pixels

PRETRAINED_RATE = 0.2
"""Learning rate of pretrained weights over that of fresh ones."""
_TEST_BATCH = 8


@dataclass(frozen=True)
class Network:
    """One network that segments defects.

    Its modules map pictures ``[B, 3, H, W]`` in 0..1, H and W multiples of 32, to two logits a
    pixel ``[B, 2, H, W]``: background, defect.
    """

    name: str
    summary: str
    make: Callable[[int], nn.Module]
    """A fresh module with weights from torch's global generator. The argument is the base width; a
    pretrained network has its own."""
    lr: float
    """Learning rate of AdamW where the settings give none."""
    pretrained: tuple[str, ...] = ()
    """Names of the modules that come with weights; they learn at ``PRETRAINED_RATE`` of the
    rate."""

    def groups(self, net: nn.Module, lr: float) -> list[dict[str, Any]]:
        """The module's parameters for an optimizer, fresh and pretrained ones each with their
        learning rate."""
        fresh: list[nn.Parameter] = []
        pretrained: list[nn.Parameter] = []
        for name, parameter in net.named_parameters():
            part = pretrained if name.split(".")[0] in self.pretrained else fresh
            part.append(parameter)
        groups = [{"params": fresh, "lr": lr}, {"params": pretrained, "lr": PRETRAINED_RATE * lr}]
        return [group for group in groups if group["params"]]


def seeded(network: Network, width: int, seed: int) -> nn.Module:
    """A fresh module whose weights follow from the seed; the global generator stays as it was.

    It lies channels last in memory: a tenth to a third faster on a CPU."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return network.make(width).to(memory_format=torch.channels_last)


def to_tensor(pictures: Sequence[Pixels]) -> Tensor:
    """``uint8 [H, W, 3]`` each -> ``[B, 3, H, W]`` in 0..1."""
    batch = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
    return batch.float() / 255


@torch.no_grad()
def probability_maps(net: nn.Module, pictures: Sequence[Pixels]) -> list[NDArray[np.float32]]:
    """P(defect) of whole pictures of one size: float32 ``[H, W]`` in 0..1 each."""
    training = net.training
    net.eval()
    device = next(net.parameters()).device
    maps: list[NDArray[np.float32]] = []
    for first in range(0, len(pictures), _TEST_BATCH):
        batch = to_tensor(pictures[first : first + _TEST_BATCH])
        probability = net(batch.to(device)).softmax(1)[:, 1]
        maps += list(probability.cpu().numpy())
    net.train(training)
    return maps
