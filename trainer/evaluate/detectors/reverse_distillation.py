"""Reverse distillation (Deng and Li 2022) with anomalib's network and loss: an unsupervised
baseline of the paper's tables.

A student behind a bottleneck learns to reproduce the features of a frozen teacher on good pictures;
where it fails, a picture differs from them. The teacher is torchvision's wide ResNet 50-2, read
from torch's cache. ``optional.skips`` names what is missing; nothing here is called before all of
it is there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from bgdefect_core.pictures.picture import Pixels

from .truth import Map

LAYERS = ("layer1", "layer2", "layer3")
BATCH = 16
_LR, _BETAS = 5e-3, (0.5, 0.99)
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_ORDER_SEED = 17
Loss = Callable[[list[Tensor], list[Tensor]], Tensor]


@dataclass(frozen=True)
class ReverseDistillation:
    """Reverse distillation with its settings."""

    epochs: int
    seed: int
    device: torch.device
    kind: ClassVar[str] = "reverse-distillation"
    subject: ClassVar[str] = "reverse distillation (wide_resnet50_2)"

    def key(self) -> dict[str, Any]:
        return {"epochs": self.epochs, "seed": self.seed}

    def maps(self, good: Sequence[Pixels], test: Sequence[Pixels]) -> list[Map]:
        """Summed cosine distances; all pictures squares of one size, sides multiples of 32."""
        net, loss = make_student(good[0].shape[0], self.seed)
        net = net.to(self.device)
        fit_student(net, loss, good, self.epochs, self.seed)
        return score_maps(net, test)


def make_student(side: int, seed: int) -> tuple[nn.Module, Loss]:
    """anomalib's network for pictures of ``side`` pixels with an ImageNet teacher, and its loss.

    Only to be called where ``optional.can("reverse distillation")``: torchvision then finds its
    file in the cache and downloads nothing.
    """
    from anomalib.models.image.reverse_distillation.anomaly_map import AnomalyMapGenerationMode
    from anomalib.models.image.reverse_distillation.loss import ReverseDistillationLoss
    from anomalib.models.image.reverse_distillation.torch_model import ReverseDistillationModel
    from torchvision.models import Wide_ResNet50_2_Weights, wide_resnet50_2

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = ReverseDistillationModel(
            "wide_resnet50_2", (side, side), LAYERS, AnomalyMapGenerationMode.ADD, pre_trained=False
        )
    classifier = wide_resnet50_2(weights=Wide_ResNet50_2_Weights.IMAGENET1K_V1)
    teach(net.encoder.feature_extractor, classifier.state_dict())
    return net, ReverseDistillationLoss()


def teach(teacher: nn.Module, weights: dict[str, Tensor]) -> None:
    """Load a classifier's weights into its first layers and freeze them. The names agree; the head
    is left out.

    Raises:
        RuntimeError: a layer has no weights of its name and size.
    """
    layers = {name: weights[name] for name in teacher.state_dict() if name in weights}
    teacher.load_state_dict(layers, strict=True)
    teacher.requires_grad_(False)


def to_input(pictures: Sequence[Pixels], device: torch.device) -> Tensor:
    """uint8 ``[H, W, 3]`` each -> ``[B, 3, H, W]``, standardised with ImageNet's mean and
    deviation."""
    batch = torch.from_numpy(np.stack(pictures)).to(device).permute(0, 3, 1, 2)
    batch = batch.contiguous().float() / 255  # anomalib's loss needs contiguous tensors
    mean = torch.tensor(_MEAN, device=device).view(1, 3, 1, 1)
    deviation = torch.tensor(_DEVIATION, device=device).view(1, 3, 1, 1)
    return (batch - mean) / deviation


def fit_student(net: nn.Module, loss: Loss, good: Sequence[Pixels], epochs: int, seed: int) -> None:
    """Train on good pictures; the order follows from the seed alone.

    Args:
        net: returns (teacher's, student's) features in training mode; parameters that need no
            gradient stay as they are.
    """
    device = next(net.parameters()).device
    trainable = [parameter for parameter in net.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(trainable, lr=_LR, betas=_BETAS)
    rng = np.random.default_rng((seed, _ORDER_SEED))
    net.train()
    for _ in range(epochs):
        order = rng.permutation(len(good)).tolist()
        for first in range(0, len(order), BATCH):
            batch = list(map(good.__getitem__, order[first : first + BATCH]))
            if len(batch) == 1 < len(order):
                continue  # a batch norm learns nothing from one picture
            value = loss(*net(to_input(batch, device)))
            optimizer.zero_grad()
            value.backward()
            optimizer.step()


@torch.no_grad()
def score_maps(net: nn.Module, pictures: Sequence[Pixels]) -> list[Map]:
    """Anomaly maps, float32 ``[H, W]`` each: summed cosine distances, not probabilities."""
    device = next(net.parameters()).device
    net.eval()
    maps: list[Map] = []
    for first in range(0, len(pictures), BATCH):
        batch = to_input(pictures[first : first + BATCH], device)
        anomaly: Tensor = net(batch).anomaly_map[:, 0]
        maps += list(anomaly.float().cpu().numpy())
    return maps
