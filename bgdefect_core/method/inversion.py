"""Masked DDIM inversion (Eq. 8): the good picture's way up to noise, with the place of the defect
left empty."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .predictor import Predictor
from .regions import RegionPrompts, union
from .schedule import Levels, ddim_step

StepCallback = Callable[[int, int, Tensor], None]
"""Called after each step with (steps done, steps in all, latents); the total stays the same. Raise
to stop."""


@torch.no_grad()
def invert(
    predict: Predictor,
    z_0: Tensor,
    regions: Tensor,
    prompts: RegionPrompts,
    levels: Levels,
    callback: StepCallback | None = None,
) -> list[Tensor]:
    """Eq. 8: from ``z~_0^m = (1 - m) z_0``, for rising t, with eps evaluated at the level that is
    left (choice 9).

    Args:
        predict: the network.
        z_0: ``[B, C, h, w]`` latents of good pictures.
        regions: long ``[B, h, w]``; ``m`` is the union of all defects.
        prompts: ``C_2`` is read.
        levels: of the run.
        callback: called after each step.

    Returns:
        The trajectory ``z~_t^m``: ``steps + 1`` tensors ``[B, C, h, w]``, level 0 first, 0 inside
        the mask. It serves any number of samples and seeds.
    """
    context, defect = prompts.background_context(), union(regions)
    m = (defect > 0)[:, None]
    trajectory = [z_0.masked_fill(m, 0)]
    for level in range(levels.steps):
        z = trajectory[-1]
        eps = predict(z, levels.timesteps[level], context, defect).masked_fill(m, 0)
        trajectory.append(ddim_step(z, eps, levels.alphas[level], levels.alphas[level + 1]))
        if callback:
            callback(level + 1, levels.steps, trajectory[-1])
    return trajectory
