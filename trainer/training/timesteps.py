"""How the timesteps of training are drawn: registered choices of the option ``timesteps``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from bgdefect_core.declarations import Registry


@dataclass(frozen=True)
class TimestepDraw:
    """One distribution of the timesteps."""

    name: str
    summary: str
    draw: Callable[[int, int, torch.Generator], Tensor]
    """``(count, T, generator)`` -> long ``[count]`` on the CPU, in 0 .. T - 1."""


def uniform(count: int, timesteps: int, rng: torch.Generator) -> Tensor:
    """Every timestep equally often, as in the paper."""
    return torch.randint(0, timesteps, (count,), generator=rng)


def logit_normal(count: int, timesteps: int, rng: torch.Generator) -> Tensor:
    """``T sigmoid(n)``, ``n ~ N(0, 1)``: the middle of the schedule more often than its ends (Esser
    et al. 2024, "Scaling Rectified Flow Transformers", Section 3.1)."""
    places = torch.sigmoid(torch.randn((count,), generator=rng)) * timesteps
    return places.long().clamp_max(timesteps - 1)


TIMESTEP_DRAWS: Registry[TimestepDraw] = Registry(
    "distribution of timesteps",
    TimestepDraw("uniform", "every timestep equally often, as in the paper", uniform),
    TimestepDraw("logit_normal", "the middle of the schedule more often", logit_normal),
)
if TYPE_CHECKING:
    TimestepDrawName = str
else:
    TimestepDrawName = Literal[tuple(TIMESTEP_DRAWS)]
DEFAULT_TIMESTEP_DRAW: TimestepDrawName = "uniform"
