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
    """One loss of logits ``[B, 2, H, W]`` and a truth bool or float ``[B, H, W]``, 1 = defect."""

    name: str
    summary: str
    compute: Callable[[Tensor, Tensor], Tensor]


def focal_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Focal loss on the softmax (Lin et al. 2017): mean of ``-(1 - p_t)^2 log p_t`` over all
    pixels.

    Args:
        logits: ``[B, 2, H, W]``. truth: bool or float ``[B, H, W]``, 1 = defect.
    """
    log_p = F.log_softmax(logits, dim=1)
    log_pt = torch.where(truth > 0.5, log_p[:, 1], log_p[:, 0])
    return -((1 - log_pt.exp()) ** GAMMA * log_pt).mean()


def dice_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """``1 - 2 sum(p t) / (sum(p) + sum(t))`` over all pixels of the batch (Milletari et al. 2016);
    both sums count one pixel more, so that a batch without defects has a loss.

    Args:
        logits: ``[B, 2, H, W]``. truth: bool or float ``[B, H, W]``, 1 = defect.
    """
    p, t = logits.softmax(1)[:, 1], truth.to(logits.dtype)
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
