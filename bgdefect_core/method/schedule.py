"""Noise schedule, DDIM levels, and the deterministic DDIM step in both directions (Eq. 6, 8, 9;
docs/method.md, choices 8, 9 and 14).

``alpha_t`` is the cumulative schedule (diffusers' ``alphas_cumprod``). A *level* is a place on the
way between picture and noise: levels ``0 .. steps`` are the timesteps ``[final, 99, 199, ...,
999]`` for 10 steps, where ``final`` has ``alpha = alphas_cumprod[0]`` and the U-Net timestep 0.
:mod:`.spacings` says how they are spread.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from ..errors import SettingError, WeightsError
from .spacings import DEFAULT_SPACING, SPACINGS, SpacingName

PredictionType = Literal["epsilon", "v_prediction"]
_MOST_TIMESTEPS = 100_000
TERMINAL_ALPHA = 4.8973e-8
"""Least alpha, so that nothing is divided by 0: schedules with zero terminal SNR end in 0. ComfyUI
clamps to the same value."""


@dataclass(frozen=True)
class Levels:
    """The levels of one run, from picture (index 0) to noise (index ``steps``)."""

    timesteps: tuple[int, ...]
    """U-Net timestep of each level, ``steps + 1`` of them: 0, 99, 199, ..."""
    alphas: tuple[float, ...]
    """``alpha_t`` of each level, falling; the first two may be equal (``spacings.trailing``)."""

    @property
    def steps(self) -> int:
        """Number of DDIM steps between the first level and the last."""
        return len(self.timesteps) - 1

    def noised(self, z_0: Tensor, eps: Tensor, level: int) -> Tensor:
        """The forward process (Eq. 6) at a level; ``z_0`` itself at level 0."""
        return _noised(z_0, eps, self.alphas[level]) if level else z_0


@dataclass(frozen=True)
class NoiseSchedule:
    """A discrete noise schedule and what the network predicts on it."""

    alphas_cumprod: Tensor
    """float64 ``[T]`` on the CPU, falling, in (0, 1]."""
    prediction_type: PredictionType = "epsilon"

    def __post_init__(self) -> None:
        if self.prediction_type not in ("epsilon", "v_prediction"):
            raise WeightsError(
                f"prediction type {self.prediction_type!r}",
                "'epsilon' or 'v_prediction'",
                "choose a Stable Diffusion base",
            )
        clamped = self.alphas_cumprod.detach().cpu().double().clamp_min(TERMINAL_ALPHA)
        object.__setattr__(self, "alphas_cumprod", clamped)

    def levels(self, steps: int, spacing: SpacingName = DEFAULT_SPACING) -> Levels:
        """The levels of a run of ``steps`` DDIM steps (choices 9 and 14).

        Raises:
            SettingError: steps outside 1 .. T - 1, or an unknown spacing.
        """
        total = len(self.alphas_cumprod)
        if not 1 <= steps < total:
            raise SettingError(
                f"steps is {steps}",
                f"a whole number from 1 to {total - 1}",
                "10 are enough with the default spacing and solver; the paper's choice is 50",
            )
        timesteps = (0, *SPACINGS.named(spacing).timesteps(self.alphas_cumprod, steps))
        alphas = self.alphas_cumprod[list(timesteps)]
        return Levels(timesteps, tuple(alphas.tolist()))

    def noised(self, z_0: Tensor, eps: Tensor, alpha_t: Tensor | float) -> Tensor:
        """Forward process (Eq. 6): ``sqrt(alpha_t) z_0 + sqrt(1 - alpha_t) eps``; ``alpha_t`` a
        number or ``[B]``."""
        return _noised(z_0, eps, alpha_t)

    def to_eps(self, output: Tensor, z_t: Tensor, alpha_t: Tensor | float) -> Tensor:
        """The network's output as a noise prediction (choice 8); ``alpha_t`` a number or
        ``[B]``."""
        if self.prediction_type == "epsilon":
            return output
        signal, noise = _roots(alpha_t, z_t)
        return signal * output + noise * z_t

    def alphas_of(self, timesteps: Tensor) -> Tensor:
        """``alpha_t`` ``[B]`` (float32) of whole timesteps ``[B]``, on their device."""
        # float32 first: MPS knows no float64
        alphas = self.alphas_cumprod.float().to(timesteps.device)
        alpha_t: Tensor = alphas[timesteps]
        return alpha_t


def ddim_step(z: Tensor, eps: Tensor, alpha_from: float, alpha_to: float) -> Tensor:
    """One deterministic DDIM step between two levels, either way (Eq. 8 upwards, Eq. 9 downwards).

    ``sqrt(alpha_to) [ z / sqrt(alpha_from) + ( sqrt(1/alpha_to - 1) - sqrt(1/alpha_from - 1) ) eps
    ]``
    """
    scale: float = (alpha_to / alpha_from) ** 0.5
    shift: float = (alpha_to**0.5) * ((1 / alpha_to - 1) ** 0.5 - (1 / alpha_from - 1) ** 0.5)
    return scale * z + shift * eps


def schedule_from_config(config: Mapping[str, Any]) -> NoiseSchedule:
    """The schedule of a diffusers ``scheduler_config.json``: linear or scaled-linear betas,
    optional zero terminal SNR.

    Raises:
        WeightsError: another beta schedule or prediction type, or values that are no numbers.
    """
    kind = config.get("beta_schedule", "linear")
    start = config.get("beta_start", 0.0001)
    end = config.get("beta_end", 0.02)
    total = config.get("num_train_timesteps", 1000)
    betas_fit = all(isinstance(beta, float) and 0 < beta < 1 for beta in (start, end))
    if not betas_fit or not isinstance(total, int) or not 0 < total <= _MOST_TIMESTEPS:
        raise WeightsError(
            f"beta_start {start!r}, beta_end {end!r}, num_train_timesteps {total!r}",
            f"two numbers between 0 and 1, and 1 to {_MOST_TIMESTEPS} timesteps",
            "copy the scheduler's file again",
        )
    if config.get("trained_betas") is not None:
        betas = _trained_betas(config["trained_betas"])
    elif kind == "scaled_linear":
        betas = torch.linspace(start**0.5, end**0.5, total, dtype=torch.float32) ** 2
    elif kind == "linear":
        betas = torch.linspace(start, end, total, dtype=torch.float32)
    else:
        raise WeightsError(
            f"beta schedule {kind!r}",
            "'linear' or 'scaled_linear'",
            "choose a Stable Diffusion base",
        )
    alphas = torch.cumprod(1 - betas, 0)
    if config.get("rescale_betas_zero_snr", False):
        alphas = _zero_terminal_snr(alphas)
    return NoiseSchedule(alphas, config.get("prediction_type", "epsilon"))


def _trained_betas(values: Any) -> Tensor:
    """Betas that the configuration lists; they replace its schedule and number of timesteps."""
    numbers = isinstance(values, (list, tuple)) and 0 < len(values) <= _MOST_TIMESTEPS
    if not numbers or not all(isinstance(beta, float) and 0 < beta < 1 for beta in values):
        raise WeightsError(
            "trained_betas of the scheduler is damaged",
            f"1 to {_MOST_TIMESTEPS} numbers between 0 and 1",
            "copy the scheduler's file again",
        )
    return torch.tensor(values, dtype=torch.float32)


def _zero_terminal_snr(alphas: Tensor) -> Tensor:
    """Lin et al. 2023, Algorithm 1: shift and scale ``sqrt(alpha)`` so that the last is 0 and the
    first stays."""
    root = alphas.sqrt()
    return ((root - root[-1]) * root[0] / (root[0] - root[-1])) ** 2


def _noised(z_0: Tensor, eps: Tensor, alpha_t: Tensor | float) -> Tensor:
    signal, noise = _roots(alpha_t, z_0)
    return signal * z_0 + noise * eps


def _roots(alpha_t: Tensor | float, like: Tensor) -> tuple[Tensor | float, Tensor | float]:
    """``sqrt(alpha_t)`` and ``sqrt(1 - alpha_t)``, of a shape that multiplies ``like``."""
    if not isinstance(alpha_t, Tensor):
        return float(alpha_t) ** 0.5, (1 - float(alpha_t)) ** 0.5
    alpha = alpha_t.to(like.device, torch.float32).reshape(-1, *[1] * (like.ndim - 1))
    return alpha.sqrt().to(like.dtype), (1 - alpha).sqrt().to(like.dtype)
