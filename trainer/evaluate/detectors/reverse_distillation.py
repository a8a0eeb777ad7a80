"""Reverse distillation (Deng and Li 2022) by anomalib's network and loss: an unsupervised baseline
of the paper's tables.

A student behind a bottleneck learns to give back a frozen teacher's features on good pictures;
where it fails, the picture is unlike them. The teacher is torchvision's wide ResNet 50-2, read from
torch's cache: ``optional.skips`` names what is lacking, and nothing is called before it is all
there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bgdefect_core.pictures.files import Picture

NAME = "reverse distillation (wide_resnet50_2)"
LAYERS = ("layer1", "layer2", "layer3")
BATCH = 16
_LR, _BETAS = 5e-3, (0.5, 0.99)
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Loss = Callable[[list[Tensor], list[Tensor]], Tensor]


def make_student(side: int, seed: int) -> tuple[nn.Module, Loss]:
    """anomalib's network for pictures of ``side`` pixels, its teacher with ImageNet's weights, and
    its loss.

    Only to be called where ``optional.can("reverse distillation")``: torchvision finds its file in
    the cache, and fetches nothing.
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
    teach(
        net.encoder.feature_extractor,
        wide_resnet50_2(weights=Wide_ResNet50_2_Weights.IMAGENET1K_V1).state_dict(),
    )
    return net, ReverseDistillationLoss()


def teach(teacher: nn.Module, weights: dict[str, Tensor]) -> None:
    """Put a whole classifier's weights on its first layers (names agree; the head is left out) and
    freeze them.

    Raises:
        RuntimeError: a layer finds no weights of its name and size.
    """
    teacher.load_state_dict(
        {name: weights[name] for name in teacher.state_dict() if name in weights}, strict=True
    )
    teacher.requires_grad_(False)


def to_input(pictures: Sequence[Picture], device: torch.device) -> Tensor:
    """uint8 ``[H, W, 3]`` each -> ``[B, 3, H, W]`` with ImageNet's mean 0 and deviation 1."""
    batch = (
        torch.from_numpy(np.stack(pictures)).to(device).permute(0, 3, 1, 2).contiguous().float()
        / 255
    )  # anomalib's loss wants it so
    mean, deviation = (
        torch.tensor(one, device=device).view(1, 3, 1, 1) for one in (_MEAN, _DEVIATION)
    )
    return (batch - mean) / deviation


def fit_student(
    net: nn.Module, loss: Loss, good: Sequence[Picture], epochs: int, seed: int
) -> None:
    """Train on good pictures; the order follows from the seed alone.

    Args:
        net: gives (teacher's, student's) features while it trains; parameters that want no gradient
            stay as they are.
    """
    device = next(net.parameters()).device
    optimizer = torch.optim.Adam(
        [one for one in net.parameters() if one.requires_grad], lr=_LR, betas=_BETAS
    )
    rng = np.random.default_rng((seed, 17))
    net.train()
    for _ in range(epochs):
        order = rng.permutation(len(good)).tolist()
        for first in range(0, len(order), BATCH):
            chosen = order[first : first + BATCH]
            if len(chosen) == 1 < len(order):
                continue  # a batch norm learns nothing from one picture
            value = loss(*net(to_input([good[index] for index in chosen], device)))
            optimizer.zero_grad()
            value.backward()
            optimizer.step()


@torch.no_grad()
def score_maps(net: nn.Module, pictures: Sequence[Picture]) -> list[NDArray[np.float32]]:
    """Anomaly maps, float32 ``[H, W]`` each: summed cosine distances, not probabilities."""
    device = next(net.parameters()).device
    net.eval()
    maps: list[NDArray[np.float32]] = []
    for first in range(0, len(pictures), BATCH):
        found: Any = net(to_input(pictures[first : first + BATCH], device)).anomaly_map
        maps += list(found[:, 0].float().cpu().numpy())
    return maps


def reverse_distillation(
    good: Sequence[Picture], test: Sequence[Picture], epochs: int, seed: int, device: torch.device
) -> list[NDArray[np.float32]]:
    """Learn from good pictures, score test pictures; all squares of one size, sides multiples of
    32."""
    net, loss = make_student(good[0].shape[0], seed)
    net = net.to(device)
    fit_student(net, loss, good, epochs, seed)
    return score_maps(net, test)
