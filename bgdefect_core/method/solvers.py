"""The steps down from noise to picture: DDIM, or DPM-Solver++ (2M) on the same levels.

DPM-Solver++ (2M): Lu et al. 2022, "DPM-Solver++: Fast Solver for Guided Sampling of Diffusion
Probabilistic Models", Algorithm 2 (multistep, second order, data prediction). Here ``alpha_t`` is
the cumulative schedule, as everywhere in this package, and ``lambda_t = log( sqrt(alpha_t) / sqrt(1
- alpha_t) )``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from torch import Tensor

from ..declarations import Registry
from .schedule import Levels, ddim_step

Step = Callable[[Tensor, Tensor, int], Tensor]
"""``(z, eps, level)`` -> ``z`` at ``level - 1``; called once a level, from ``steps`` down to 1."""


@dataclass(frozen=True)
class Solver:
    """One way to take the steps down."""

    name: str
    summary: str
    start: Callable[[Levels], Step]
    """The steps of one run, with the memory that a multistep solver needs: call it once a run."""


def ddim_steps(levels: Levels) -> Step:
    """DDIM (Eq. 9), first order."""

    def step(z: Tensor, eps: Tensor, level: int) -> Tensor:
        return ddim_step(z, eps, levels.alphas[level], levels.alphas[level - 1])

    return step


def dpmpp_2m_steps(levels: Levels) -> Step:
    """DPM-Solver++ (2M): second order, but for the first step and the last."""
    alphas = levels.alphas
    ddim = ddim_steps(levels)
    before: list[Tensor] = []

    def step(z: Tensor, eps: Tensor, level: int) -> Tensor:
        x_0 = predicted_x_0(z, eps, alphas[level])
        if before and level > 1:
            three = (alphas[level + 1], alphas[level], alphas[level - 1])
            z = dpmpp_2m_step(z, x_0, before.pop(), three)
        else:
            z = ddim(z, eps, level)
        before[:] = [x_0]
        return z

    return step


def dpmpp_2m_step(
    z: Tensor, x_0: Tensor, x_0_before: Tensor, alphas: tuple[float, float, float]
) -> Tensor:
    """One step of DPM-Solver++ (2M), lines 6 and 7 of the paper's Algorithm 2.

    ``D = (1 + 1/(2r)) x_0 - 1/(2r) x_0_before``, ``r = (lambda_1 - lambda_0) / (lambda_2 -
    lambda_1)`` ``z_2 = sqrt((1 - alpha_2) / (1 - alpha_1)) z - sqrt(alpha_2) (exp(lambda_1 -
    lambda_2) - 1) D``

    Args:
        z: ``[B, C, h, w]`` at ``alpha_1``.
        x_0: the picture predicted from ``z``; ``x_0_before`` the one predicted a step earlier, at
            ``alpha_0``.
        alphas: ``alpha_0 < alpha_1 < alpha_2``: the level before, this one, the next.
    """
    lambdas = [0.5 * (math.log(alpha) - math.log1p(-alpha)) for alpha in alphas]
    half_share = 0.5 * (lambdas[2] - lambdas[1]) / (lambdas[1] - lambdas[0])
    d = (1 + half_share) * x_0 - half_share * x_0_before
    scale: float = ((1 - alphas[2]) / (1 - alphas[1])) ** 0.5
    shift: float = -(alphas[2] ** 0.5) * math.expm1(lambdas[1] - lambdas[2])
    return scale * z + shift * d


def predicted_x_0(z: Tensor, eps: Tensor, alpha_t: float) -> Tensor:
    """The picture that a noise prediction stands for: ``( z_t - sqrt(1 - alpha_t) eps ) /
    sqrt(alpha_t)``."""
    x_0: Tensor = (z - (1 - alpha_t) ** 0.5 * eps) / alpha_t**0.5
    return x_0


SOLVERS: Registry[Solver] = Registry(
    "solver",
    Solver("ddim", "deterministic first-order steps, the paper's", ddim_steps),
    Solver("dpmpp_2m", "DPM-Solver++, second order, the default", dpmpp_2m_steps),
)
if TYPE_CHECKING:
    SolverName = str
else:
    SolverName = Literal[tuple(SOLVERS)]
DEFAULT_SOLVER: SolverName = "dpmpp_2m"
