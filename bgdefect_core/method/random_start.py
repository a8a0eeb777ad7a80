"""Sampling from pure noise: the form in which the paper samples its loss L' (Table 4;
docs/method.md, choice 11 (a)).

Nothing is inverted and nothing is put back: ``z_T ~ N(0, I)`` over the whole square, and the
network under ``C_1`` makes the background, too. ``C_1`` with the region map is the very condition
of :func:`bgdefect_core.method.loss.naive_loss`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .inversion import StepCallback
from .predictor import Predictor
from .randomness import seeded_noise
from .regions import RegionPrompts
from .sample_batch import SampleBatch
from .sampling import defect_eps
from .schedule import Levels
from .solvers import DEFAULT_SOLVER, SOLVERS, Solver


@torch.no_grad()
def sample_from_noise(
    predict: Predictor,
    batch: SampleBatch,
    prompts: RegionPrompts,
    levels: Levels,
    channels: int = 4,
    solver: Solver = SOLVERS[DEFAULT_SOLVER],
    callback: StepCallback | None = None,
) -> Tensor:
    """Make whole squares with the defects of the batch's regions, one a sample.

    Args:
        predict: the network.
        batch: the samples; a seed's noise inside the mask is that of
            :func:`bgdefect_core.method.sampling.sample`, and a guidance of 1 is the paper's.
        prompts: ``C_1`` of all defects.
        levels: of the run.
        channels: of the latents.
        solver: of the way down.
        callback: called after each step, 1 .. ``steps``.

    Returns:
        ``z_0`` ``[B, C, h, w]``, float32, on the device of the regions.

    Raises:
        SettingError: guidance without an empty prompt.
    """
    regions, weights = batch.regions, batch.weights
    step = solver.start(levels)
    z = seeded_noise(batch.seeds, (channels, *regions.shape[1:])).to(regions.device)
    for level in range(levels.steps, 0, -1):
        t = levels.timesteps[level]
        eps = defect_eps(predict, z, t, regions, prompts, weights)
        z = step(z, eps, level)
        if callback:
            callback(levels.steps - level + 1, levels.steps, z)
    return z
