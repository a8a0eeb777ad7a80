"""The losses of the detectors. A new one is one function and one line of ``LOSSES``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from bgdefect_core.declarations import Registry

GAMMA = 2.0


@dataclass(frozen=True)
class DetectorLoss:
    """One loss of logits ``[B, 2, H, W]`` and a truth ``[B, H, W]`` of any type: 1 = defect, 0 =
    background; pixels below 0 are neither and do not count."""

    name: str
    summary: str
    compute: Callable[[Tensor, Tensor], Tensor]


def focal_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Focal loss on the softmax (Lin et al. 2017): mean of ``-(1 - p_t)^2 log p_t`` over all
    pixels that count.

    Args:
        logits, truth: see :class:`DetectorLoss`.
    """
    log_p = F.log_softmax(logits, dim=1)
    log_pt = torch.where(truth > 0.5, log_p[:, 1], log_p[:, 0])
    losses = -((1 - log_pt.exp()) ** GAMMA * log_pt)
    counted = truth >= 0
    return (losses * counted).sum() / counted.sum().clamp_min(1)


def dice_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """``1 - 2 sum(p t) / (sum(p) + sum(t))`` over all pixels of the batch that count (Milletari et
    al. 2016); both sums count one pixel more, so that a batch without defects has a loss.

    Args:
        logits, truth: see :class:`DetectorLoss`.
    """
    p, t = logits.softmax(1)[:, 1] * (truth >= 0), truth.to(logits.dtype).clamp_min(0)
    return 1 - (2 * (p * t).sum() + 1) / (p.sum() + t.sum() + 1)


def focal_dice_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """The sum of :func:`focal_loss` and :func:`dice_loss`."""
    return focal_loss(logits, truth) + dice_loss(logits, truth)


LOSSES: Registry[DetectorLoss] = Registry(
    "loss of the detector",
    DetectorLoss("focal", "focal loss, the mean over all pixels", focal_loss),
    DetectorLoss("focal+dice", "the sum of focal loss and Dice loss", focal_dice_loss),
)

if TYPE_CHECKING:
    LossName = str
else:
    LossName = Literal[tuple(LOSSES)]
