"""The background branch of the proof (Eq. 28): ``eps_theta((1 - m) z*_t, t, C_2)`` outside the
mask.

It depends on neither the seed nor the defect, so that it is computed once for each pair of picture
and mask (docs/method.md, choice 12).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..inversion import StepCallback
from ..predictor import Predictor
from ..regions import RegionPrompts, union
from ..schedule import Levels, ddim_step
from .background import Background


class MaskedBackground(Background):
    """Outside the mask the background's way down from ``z~_T^m``."""

    name = "masked"
    summary = "the background of the paper's proof; costs one more pass for each picture"
    per_pair = 2
    exact = False
    allows_added_noise = False

    @torch.no_grad()
    def from_trajectory(
        self,
        predict: Predictor,
        trajectory: Sequence[Tensor],
        regions: Tensor,
        prompts: RegionPrompts,
        levels: Levels,
        callback: StepCallback | None = None,
    ) -> list[Tensor]:
        """Eq. 9 outside the mask: DDIM down from the trajectory's last level, 0 inside the
        mask."""
        context, defect = prompts.background_context(), union(regions)
        m = (defect > 0)[:, None]
        descent = [trajectory[-1]]
        for level in range(levels.steps, 0, -1):
            z = descent[-1]
            eps = predict(z, levels.timesteps[level], context, defect).masked_fill(m, 0)
            descent.append(ddim_step(z, eps, levels.alphas[level], levels.alphas[level - 1]))
            if callback:
                callback(levels.steps - level + 1, levels.steps, descent[-1])
        return descent[::-1]
