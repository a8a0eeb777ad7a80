"""What every background mode says and does. A mode computes the background's latents once for each
pair of picture and mask, and says what stands outside the mask at each step of sampling (Eq. 9)."""

from __future__ import annotations

from abc import ABC
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..inversion import StepCallback, invert
from ..predictor import Predictor
from ..regions import RegionPrompts
from ..schedule import Levels

LatentsAt = Callable[[int], Tensor]
"""Level -> the background's latents ``[B, C, h, w]`` at that level."""


@dataclass(frozen=True, eq=False)
class BackgroundLatents:
    """The backgrounds of B samples on a run's levels, computed once for any number of seeds."""

    mode: Background
    levels: Levels
    latents: Sequence[Tensor]
    """``steps + 1`` tensors ``[B, C, h, w]``, level 0 first."""

    def rows(self, index: Sequence[int]) -> BackgroundLatents:
        """Some of the B, in this order; one may come several times."""
        return replace(self, latents=rows_of(self.latents, list(index)))


class Background(ABC):
    """One way to hold the background. The defaults are those of ``replay``."""

    name: str
    summary: str
    per_pair: int
    """Network evaluations a step for each pair of picture and mask: 0 without an inversion."""
    per_sample: int = 1
    """Network evaluations a step for each sample; guidance adds one."""
    exact: bool = True
    """Whether the latents outside the mask end as those of the good picture, bit for bit."""
    allows_added_noise: bool = True
    """Whether samplers that add noise (ancestral, SDE) may be used."""

    @property
    def inverts(self) -> bool:
        """Whether it needs the inverted trajectory of the picture (Eq. 8)."""
        return self.per_pair > 0

    @property
    def descends(self) -> bool:
        """Whether :meth:`from_trajectory` computes a second pass of the network."""
        return self.per_pair > 1

    @property
    def predicts(self) -> bool:
        """Whether the network predicts what is outside the mask, too, under ``C_2`` and for each
        sample: ``m eps + (1 - m) eps_theta(z_t, t, C_2)``."""
        return self.per_sample > 1

    def prepare(
        self,
        predict: Predictor,
        z_0: Tensor,
        regions: Tensor,
        prompts: RegionPrompts,
        levels: Levels,
        callback: StepCallback | None = None,
    ) -> BackgroundLatents:
        """The backgrounds of pictures, computed once for any number of samples.

        Args:
            predict: the network.
            z_0: ``[B, C, h, w]`` latents of good pictures.
            regions: long ``[B, h, w]``, 0 = background, i = defect i.
            prompts: ``C_2`` is read.
            levels: of the run.
            callback: called after each step of the network; it counts to ``per_pair * steps``.
        """
        total = self.per_pair * levels.steps
        up, down = _part(callback, 0, total), _part(callback, levels.steps, total)
        trajectory = invert(predict, z_0, regions, prompts, levels, up)
        latents = self.from_trajectory(predict, trajectory, regions, prompts, levels, down)
        return BackgroundLatents(self, levels, latents)

    def from_trajectory(
        self,
        predict: Predictor,
        trajectory: Sequence[Tensor],
        regions: Tensor,
        prompts: RegionPrompts,
        levels: Levels,
        callback: StepCallback | None = None,
    ) -> list[Tensor]:
        """The latents of :meth:`prepare` from the result of :func:`invert`: the trajectory
        itself. ``steps + 1`` tensors ``[B, C, h, w]``, level 0 first."""
        return list(trajectory)

    def latents_at(
        self,
        latents: Sequence[Tensor],
        levels: Levels,
        seeds: Sequence[int],
    ) -> LatentsAt:
        """What stands outside the mask at each level, for samples of these seeds.

        Args:
            latents: of :meth:`prepare`, ``[B, C, h, w]`` a level, one row for each seed.
        """
        return lambda level: latents[level]

    def cut(self, latents: Sequence[Tensor], levels: Levels, lower: Levels) -> Sequence[Tensor]:
        """The latents of samples that start below the schedule's highest level.

        A start between two levels has what a DDIM step between them passes through: ``z /
        sqrt(alpha)`` is linear in ``sigma = sqrt(1 / alpha - 1)`` there, so that nothing is
        computed anew.

        Args:
            latents: of :meth:`prepare`, ``[B, C, h, w]`` a level of ``levels``.
            lower: ``levels``, or what :func:`..start.levels_from` makes of them.

        Returns:
            As many tensors as ``lower`` has levels.
        """
        top, timestep = lower.steps, lower.timesteps[-1]
        if timestep == levels.timesteps[top]:
            return latents[: top + 1]
        above = bisect_left(levels.timesteps, timestep, lo=1)
        start = between(
            (latents[above - 1], levels.alphas[above - 1]),
            (latents[above], levels.alphas[above]),
            lower.alphas[-1],
        )
        return [*latents[:top], start]

    def seen(self, z: Tensor, m: Tensor) -> Tensor:
        """What the background's evaluation of the network reads of ``z_t`` (Eq. 28): the defect is
        hidden from it. ``m``: bool ``[B, 1, h, w]``, the mask."""
        return z.masked_fill(m, 0)

    def put_back(self, z: Tensor, m: Tensor, background: Tensor) -> Tensor:
        """The latents after a step: ``z`` inside the mask, ``background`` outside."""
        return torch.where(m, z, background)


def between(lower: tuple[Tensor, float], upper: tuple[Tensor, float], alpha: float) -> Tensor:
    """The latents at ``alpha`` on the DDIM step between two levels, each ``(z, alpha)``."""
    sigmas: list[float] = []
    for level in (lower[1], alpha, upper[1]):
        sigmas.append((1 / level - 1) ** 0.5)
    share = (sigmas[1] - sigmas[0]) / (sigmas[2] - sigmas[0])
    scaled = torch.lerp(lower[0] / lower[1] ** 0.5, upper[0] / upper[1] ** 0.5, share)
    latents: Tensor = alpha**0.5 * scaled
    return latents


def joined_backgrounds(parts: Sequence[BackgroundLatents]) -> BackgroundLatents:
    """Backgrounds that one mode computed on the same levels, as one."""
    latents: list[Tensor] = []
    for levels in zip(*[part.latents for part in parts], strict=True):
        latents.append(torch.cat(levels))
    return replace(parts[0], latents=latents)


def rows_of(latents: Sequence[Tensor], rows: Tensor | list[int]) -> list[Tensor]:
    """Some rows of each level; a tensor that stands for several levels is copied once."""
    copies: dict[int, Tensor] = {}
    for level in latents:
        if id(level) not in copies:
            copies[id(level)] = level[rows]
    return [copies[id(level)] for level in latents]


def _part(callback: StepCallback | None, before: int, total: int) -> StepCallback | None:
    """A callback for one part of a longer count."""
    if callback is None:
        return None
    whole = callback
    return lambda done, steps, latents: whole(before + done, total, latents)
