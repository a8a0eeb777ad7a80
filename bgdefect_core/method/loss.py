"""The disentanglement loss (Eq. 5-7) and the naive one that the paper compares it with (Table
4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from ..declarations import Registry
from .predictor import Predictor
from .regions import Context, RegionPrompts


def disentanglement_loss(
    predict: Predictor,
    z_0: Tensor,
    regions: Tensor,
    t: Tensor,
    eps: Tensor,
    context: Context,
    mask_weight: float = 1.0,
) -> Tensor:
    """Eq. 5: the defect learns its background, the background never sees the defect. Both halves
    are one forward pass of 2B.

    ``L = || eps - m eps_theta(z_t, t, C_1) - (1 - m) eps_theta(z_t^m, t, C_2) ||^2``, ``z_t^m = (1
    - m) z_t`` (Eq. 7)

    Args:
        predict: the network under training.
        z_0: ``[B, C, h, w]`` latents of pictures with a defect.
        regions: long ``[B, h, w]``, 1 where the defect is (``m``).
        t: long ``[B]`` timesteps.
        eps: ``[B, C, h, w]`` the noise.
        context: ``C_1`` and ``C_2`` (:meth:`RegionPrompts.training_context`).
        mask_weight: weight of the matching half, 1 = the paper.

    Returns:
        Scalar: the mean over all elements (choice 10).
    """
    m = (regions > 0)[:, None]
    z_t = predict.schedule.noised(z_0, eps, predict.schedule.alphas_of(t))
    both = torch.cat([z_t, z_t.masked_fill(m, 0)])
    e_1, e_2 = predict(both, t.repeat(2), context, regions.repeat(2, 1, 1)).chunk(2)
    square = (eps - torch.where(m, e_1, e_2)).square()
    if mask_weight != 1:
        square = torch.where(m, mask_weight * square, square)
    return square.mean()


def naive_loss(
    predict: Predictor,
    z_0: Tensor,
    regions: Tensor,
    t: Tensor,
    eps: Tensor,
    context: Context,
    mask_weight: float = 1.0,
) -> Tensor:
    """Table 4's L': plain noise matching (Eq. 2) under ``C_1``, the context given. Arguments as in
    :func:`disentanglement_loss`; ``mask_weight`` is not read."""
    z_t = predict.schedule.noised(z_0, eps, predict.schedule.alphas_of(t))
    return (eps - predict(z_t, t, context, regions)).square().mean()


@dataclass(frozen=True)
class Loss:
    """A loss of the training, by its name."""

    name: str
    summary: str
    context: Callable[[RegionPrompts], Context]
    """What the network reads, made once a run."""
    compute: Callable[[Predictor, Tensor, Tensor, Tensor, Tensor, Context, float], Tensor]
    """``(predict, z_0, regions, t, eps, context, mask_weight)`` -> scalar, see
    :func:`disentanglement_loss`."""
    weighted: bool
    """Whether it reads the mask's weight."""


LOSSES: Registry[Loss] = Registry(
    "loss",
    Loss(
        "disentangled",
        "Eq. 5 of the paper",
        RegionPrompts.training_context,
        disentanglement_loss,
        weighted=True,
    ),
    Loss(
        "naive",
        "plain noise matching (its Table 4), for comparison",
        RegionPrompts.defect_context,
        naive_loss,
        weighted=False,
    ),
)
if TYPE_CHECKING:
    LossName = str
else:
    LossName = Literal[tuple(LOSSES)]
