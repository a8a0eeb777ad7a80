"""How the levels of a run are spread over the timesteps of a schedule (docs/method.md, choice 14).

``trailing``: Lin et al. 2024, "Common Diffusion Noise Schedules and Sample Steps are Flawed",
Section 3.3; diffusers' ``timestep_spacing="trailing"``. It ends at the highest timestep for every
number of steps, where the mask's pure noise belongs. ``leading`` (Stable Diffusion's DDIM, offset
1, and the paper's) stops short of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from ..declarations import Registry


@dataclass(frozen=True)
class Spacing:
    """One way to spread the levels."""

    name: str
    summary: str
    timesteps: Callable[[Tensor, int], tuple[int, ...]]
    """``(alphas_cumprod [T], steps)`` -> the timesteps of levels 1 .. ``steps``, rising, in 0 ..
    T - 1; ``1 <= steps < T``."""


def trailing(alphas_cumprod: Tensor, steps: int) -> tuple[int, ...]:
    """Counted back from the highest timestep at equal distances: 99, 199, ..., 999 for 10 steps.

    Above ``2 T / 3`` steps the lowest is timestep 0, as diffusers has it: the last step then stays
    where it is.
    """
    total = len(alphas_cumprod)
    # diffusers' own arithmetic: halves must fall to the same side
    places = np.round(np.arange(total, 0, -total / steps)).astype(np.int64) - 1
    return tuple(places[::-1].tolist())


def leading(alphas_cumprod: Tensor, steps: int) -> tuple[int, ...]:
    """Counted from timestep 1 at equal whole distances: 1, 21, ..., 981 for 50 steps."""
    distance = len(alphas_cumprod) // steps
    return tuple(range(1, 1 + steps * distance, distance))


def even_in_log_snr(alphas_cumprod: Tensor, steps: int) -> tuple[int, ...]:
    """Nearest to equal distances of ``log(alpha_t / (1 - alpha_t))``, from timestep 0 (left out)
    to the highest. Where two would fall together, the higher ones move up and the last ones down.
    """
    total = len(alphas_cumprod)
    log_snr = torch.logit(alphas_cumprod.double(), eps=1e-12)
    shares = torch.linspace(0, 1, steps + 1, dtype=torch.float64)[1:]
    wanted = log_snr[0] + shares * (log_snr[-1] - log_snr[0])
    nearest = (log_snr[None] - wanted[:, None]).abs().argmin(1).tolist()
    places: list[int] = []
    for number, place in enumerate(nearest):
        lowest = places[-1] + 1 if places else 1
        highest = total - steps + number
        places.append(min(max(place, lowest), highest))
    return tuple(places)


SPACINGS: Registry[Spacing] = Registry(
    "spacing",
    Spacing("trailing", "ends at the highest timestep, whatever the number of steps", trailing),
    Spacing("leading", "the paper's, stops short of it; for 50 steps and more", leading),
    Spacing("logsnr", "equal distances of the log signal-to-noise ratio", even_in_log_snr),
)
if TYPE_CHECKING:
    SpacingName = str
else:
    SpacingName = Literal[tuple(SPACINGS)]
DEFAULT_SPACING: SpacingName = "trailing"
