"""Sampling from pure noise: the form in which the paper samples its loss L' (Table 4;
docs/method.md, choice 11 (a)).

Nothing is inverted and nothing is put back: ``z_T ~ N(0, I)`` over the whole square, and the
network under ``C_1`` makes the background, too. ``C_1`` with the region map is the very condition
of :func:`bgdefect_core.method.loss.naive_loss`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import SettingError
from .inversion import StepCallback
from .predictor import Predictor
from .randomness import seeded_noise
from .regions import RegionPrompts
from .sampling import defect_eps
from .schedule import Levels
from .solvers import DEFAULT_SOLVER, SOLVERS, Solver


@torch.no_grad()
def sample_from_noise(
    predict: Predictor,
    regions: Tensor,
    prompts: RegionPrompts,
    levels: Levels,
    seeds: Sequence[int],
    channels: int = 4,
    guidance: float = 1.0,
    callback: StepCallback | None = None,
    solver: Solver = SOLVERS[DEFAULT_SOLVER],
) -> Tensor:
    """Make whole squares with the defects of ``regions``, one a seed.

    Args:
        predict: the network.
        regions: long ``[B, h, w]``, 0 = background, i = defect i.
        prompts: ``C_1`` of all defects.
        levels: of the run.
        seeds: B of them; a seed's noise inside the mask is that of
            :func:`bgdefect_core.method.sampling.sample`.
        channels: of the latents.
        guidance: ``w`` of choice 7, inside the mask only; 1 = none, the paper's.
        callback: called after each step, 1 .. ``steps``.
        solver: of the way down.

    Returns:
        ``z_0`` ``[B, C, h, w]``, float32, on the device of ``regions``.

    Raises:
        SettingError: regions and seeds are not equally many; guidance without an empty prompt.
    """
    if len(seeds) != len(regions):
        raise SettingError(
            f"{len(seeds)} seeds for {len(regions)} region maps",
            "as many of each",
            "give one seed a sample",
        )
    step = solver.start(levels)
    z = seeded_noise(seeds, (channels, *regions.shape[1:])).to(regions.device)
    for level in range(levels.steps, 0, -1):
        t = levels.timesteps[level]
        eps = defect_eps(predict, z, t, regions, prompts, guidance)
        z = step(z, eps, level)
        if callback:
            callback(levels.steps - level + 1, levels.steps, z)
    return z
