"""The disentanglement loss (Eq. 5-7), the naive one that the paper compares it with (Table 4), and
how the levels are weighted (docs/method.md, choice 17)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from ..declarations import Registry
from .predictor import Predictor
from .regions import Context, RegionPrompts
from .schedule import NoiseSchedule


@dataclass(frozen=True)
class LossWeights:
    """What the squared errors are multiplied by."""

    mask: float = 1.0
    """Inside the mask, of the disentangled loss: 1 = the paper."""
    min_snr_gamma: float | None = None
    """``gamma`` of Min-SNR weighting; None: every level counts as its prediction type has it."""


PLAIN = LossWeights()
"""The paper's: the mask counts as its surroundings do."""


@dataclass(frozen=True, eq=False)
class NoisyBatch:
    """B pictures, each at a level of its own with a noise of its own: what a loss is taken of."""

    z_0: Tensor
    """``[B, C, h, w]`` latents of pictures with a defect."""
    regions: Tensor
    """long ``[B, h, w]``, 1 where the defect is (``m``); -1 where neither it nor its background is:
    nothing is learned there, and the background does not see it."""
    t: Tensor
    """long ``[B]`` timesteps."""
    eps: Tensor
    """``[B, C, h, w]``."""

    def z_t(self, schedule: NoiseSchedule) -> Tensor:
        """Eq. 6 at each picture's level."""
        return schedule.noised(self.z_0, self.eps, schedule.alphas_of(self.t))

    @property
    def m(self) -> Tensor:
        """bool ``[B, 1, h, w]``: the defect."""
        return (self.regions > 0)[:, None]

    @property
    def left_out(self) -> Tensor:
        """bool ``[B, 1, h, w]``: where nothing is learned."""
        return (self.regions < 0)[:, None]


def level_weights(schedule: NoiseSchedule, t: Tensor, gamma: float | None = None) -> Tensor:
    """Weight of each sample's squared error of eps (choice 17).

    Everything is written on eps (choice 8), and ``eps = sqrt(alpha_t) v + sqrt(1 - alpha_t) z_t``:
    the error of v is that of eps divided by ``sqrt(alpha_t)``. A network that predicts v therefore
    gets ``1 / alpha_t``, which makes it the v-loss; one that predicts eps gets 1.

    Min-SNR (Hang et al. 2023, "Efficient Diffusion Training via Min-SNR Weighting Strategy") gives
    the error of ``x_0`` the weight ``min(SNR, gamma)``, ``SNR = alpha_t / (1 - alpha_t)``. On eps
    that is ``min(1, gamma / SNR)`` for both prediction types, since the error of eps is that of
    ``x_0`` times ``sqrt(SNR)``.

    Args:
        schedule: of the network.
        t: long ``[B]`` timesteps.
        gamma: of Min-SNR; None: no such weighting.

    Returns:
        float32 ``[B]`` on the device of ``t``, above 0.
    """
    alpha_t = schedule.alphas_of(t)
    if gamma is not None:
        return (gamma * (1 - alpha_t) / alpha_t).clamp_max(1)
    if schedule.prediction_type == "v_prediction":
        return 1 / alpha_t
    return torch.ones_like(alpha_t)


def disentanglement_loss(
    predict: Predictor, batch: NoisyBatch, context: Context, weights: LossWeights = PLAIN
) -> Tensor:
    """Eq. 5: the defect learns its background, the background never sees the defect. Both halves
    are one forward pass of 2B.

    ``L = || eps - m eps_theta(z_t, t, C_1) - (1 - m) eps_theta(z_t^m, t, C_2) ||^2``, ``z_t^m = (1
    - m) z_t`` (Eq. 7)

    Args:
        predict: the network under training.
        batch: the pictures with their noise.
        context: ``C_1`` and ``C_2`` (:meth:`RegionPrompts.training_context`).
        weights: of the matching half and of the levels.

    Returns:
        Scalar: the mean over all elements (choice 10).
    """
    m, t, z_t = batch.m, batch.t, batch.z_t(predict.schedule)
    both = torch.cat([z_t, z_t.masked_fill(m | batch.left_out, 0)])
    regions = batch.regions.clamp_min(0).repeat(2, 1, 1)
    e_1, e_2 = predict(both, t.repeat(2), context, regions).chunk(2)
    error = (batch.eps - torch.where(m, e_1, e_2)).masked_fill(batch.left_out, 0)
    square = _weighted_square(predict, error, t, weights)
    if weights.mask != 1:
        square = torch.where(m, weights.mask * square, square)
    return square.mean()


def matching_loss(
    predict: Predictor, batch: NoisyBatch, context: Context, weights: LossWeights = PLAIN
) -> Tensor:
    """The matching half of Eq. 5 alone, ``|| m eps - m eps_theta(z_t, t, C_1) ||^2``: one forward
    pass of B. Arguments and result as in :func:`disentanglement_loss`; the context is ``C_1``."""
    error = _error_under_one_context(predict, batch, context).masked_fill(~batch.m, 0)
    return weights.mask * _weighted_square(predict, error, batch.t, weights).mean()


def naive_loss(
    predict: Predictor, batch: NoisyBatch, context: Context, weights: LossWeights = PLAIN
) -> Tensor:
    """Table 4's L': plain noise matching (Eq. 2) under ``C_1``, the context given. Arguments as in
    :func:`disentanglement_loss`; the weight inside the mask is not read."""
    error = _error_under_one_context(predict, batch, context).masked_fill(batch.left_out, 0)
    return _weighted_square(predict, error, batch.t, weights).mean()


def _error_under_one_context(predict: Predictor, batch: NoisyBatch, context: Context) -> Tensor:
    """``eps - eps_theta(z_t, t, context)``."""
    z_t = batch.z_t(predict.schedule)
    return batch.eps - predict(z_t, batch.t, context, batch.regions.clamp_min(0))


def _weighted_square(predict: Predictor, error: Tensor, t: Tensor, weights: LossWeights) -> Tensor:
    """The squared error of eps, each sample with the weight of its level."""
    levels = level_weights(predict.schedule, t, weights.min_snr_gamma)
    return levels[:, None, None, None] * error.square()


@dataclass(frozen=True)
class Loss:
    """A loss of the training, by its name."""

    name: str
    summary: str
    context: Callable[[RegionPrompts], Context]
    """What the network reads, made once a run."""
    compute: Callable[[Predictor, NoisyBatch, Context, LossWeights], Tensor]
    """``(predict, batch, context, weights)`` -> scalar, see :func:`disentanglement_loss`."""
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
    Loss(
        "matching",
        "the half of Eq. 5 inside the mask alone, at half the evaluations; for comparison",
        RegionPrompts.defect_context,
        matching_loss,
        weighted=True,
    ),
)
if TYPE_CHECKING:
    LossName = str
else:
    LossName = Literal[tuple(LOSSES)]
