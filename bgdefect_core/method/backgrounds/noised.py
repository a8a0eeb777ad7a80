"""The forward process (Eq. 6) of the picture, with one fixed noise for each sample, stands outside
the mask.

Exact in the latents, without an inversion. A class is trained on such backgrounds. The default.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..inversion import StepCallback
from ..predictor import Predictor
from ..randomness import seeded_noise
from ..regions import RegionPrompts
from ..schedule import Levels
from .background import Background, BackgroundLatents, LatentsAt


class NoisedBackground(Background):
    """Outside the mask ``sqrt(alpha_t) z_0 + sqrt(1 - alpha_t) eps``, ``eps`` from the seed."""

    name = "noised"
    summary = "the picture with fixed noise; exact, needs no inversion, the default"
    per_pair = 0

    def prepare(
        self,
        predict: Predictor,
        z_0: Tensor,
        regions: Tensor,
        prompts: RegionPrompts,
        levels: Levels,
        callback: StepCallback | None = None,
    ) -> BackgroundLatents:
        """``z_0`` for every level; ``callback`` is never called."""
        return BackgroundLatents(self, levels, [z_0] * (levels.steps + 1))

    def cut(self, latents: Sequence[Tensor], levels: Levels, lower: Levels) -> Sequence[Tensor]:
        """``z_0`` for every level."""
        return latents[: lower.steps + 1]

    def latents_at(
        self,
        latents: Sequence[Tensor],
        levels: Levels,
        seeds: Sequence[int],
    ) -> LatentsAt:
        """The forward process at each level; at level 0 ``z_0`` itself."""
        z_0 = latents[0]
        eps = seeded_noise(seeds, z_0.shape[1:], stream=1).to(z_0)
        return lambda level: levels.noised(z_0, eps, level)
