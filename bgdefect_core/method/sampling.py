"""Composited sampling (Theorem 3.2, Eq. 9): the defect is painted inside the mask while the
background stays as it was (:mod:`.backgrounds`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from ..declarations import Choice, Doc, NotEmpty, Range, check_settings
from ..errors import SettingError
from .attention_maps import MapRecorder
from .backgrounds import BACKGROUNDS, DEFAULT_BACKGROUND, Background, BackgroundName
from .descent import Descent, descents
from .inversion import StepCallback
from .predictor import Predictor
from .regions import RegionPrompts, union
from .schedule import Levels, NoiseSchedule
from .solvers import DEFAULT_SOLVER, SOLVERS, Solver, SolverName
from .spacings import DEFAULT_SPACING, SPACINGS, SpacingName
from .start import Start


@dataclass(frozen=True)
class SamplingSettings:
    """How defects are sampled.

    Raises:
        SettingError: a value out of its range, an unknown name, or no value of guidance.
    """

    steps: Annotated[int, Range(1, 999), Doc("Steps each way; the way up is always DDIM.")] = 10
    spacing: Annotated[
        SpacingName, Choice(SPACINGS), Doc(SPACINGS.help("How the steps are spread."))
    ] = DEFAULT_SPACING
    solver: Annotated[
        SolverName, Choice(SOLVERS), Doc(SOLVERS.help("How the steps down are taken."))
    ] = DEFAULT_SOLVER
    background: Annotated[
        BackgroundName, Choice(BACKGROUNDS), Doc(BACKGROUNDS.help("How the background is held."))
    ] = DEFAULT_BACKGROUND
    guidance: Annotated[
        tuple[float, ...],
        NotEmpty(),
        Range(0, 30),
        Doc(
            "Guidance inside the mask at the first attempt at a sample, the second, and so on; the "
            "last value counts for all further attempts. 1: none, as in the paper. A higher value "
            "gives a stronger and less realistic defect, so that it is left to the retries of "
            "rejected samples."
        ),
    ] = (1.0, 2.0, 3.0)

    def __post_init__(self) -> None:
        check_settings(self)

    def levels(self, schedule: NoiseSchedule) -> Levels:
        """The levels of a run on this schedule.

        Raises:
            SettingError: more steps than the schedule has.
        """
        return schedule.levels(self.steps, self.spacing)

    def guidance_at(self, attempt: int) -> float:
        """Guidance of an attempt, counted from 0."""
        return self.guidance[min(attempt, len(self.guidance) - 1)]


@torch.no_grad()
def sample(
    predict: Predictor,
    background: Background,
    background_latents: Sequence[Tensor],
    regions: Tensor,
    prompts: RegionPrompts,
    levels: Levels,
    seeds: Sequence[int],
    guidance: float | Sequence[float] = 1.0,
    recorder: MapRecorder | None = None,
    callback: StepCallback | None = None,
    solver: Solver = SOLVERS[DEFAULT_SOLVER],
    start: Start | None = None,
) -> Tensor:
    """Eq. 9: paint the defects of ``regions`` into the background, one sample a seed.

    Args:
        predict: the network.
        background: how the background is held.
        background_latents: result of :meth:`Background.prepare`, ``[B, C, h, w]`` a level (one
            picture: expand it to the B seeds).
        regions: long ``[B, h, w]``, 0 = background, i = defect i.
        prompts: ``C_1`` of all defects; ``C_2`` where ``background`` evaluates it.
        levels: of the run.
        seeds: B of them, as many as ``background_latents`` and ``regions`` hold.
        guidance: ``w`` of choice 7, inside the mask only, for all samples or one a sample; 1 =
            none.
        recorder: takes in the attention of the ``C_1`` pass.
        callback: called after each step, 1 .. ``steps``; a sample that starts lower waits.
        solver: of the defect's way down; the background's latents stay DDIM's.
        start: of each sample (choice 15); None: all from noise. A sample is evaluated from its own
            start level down, at 0 not at all.

    Returns:
        ``z*_0`` ``[B, C, h, w]``; outside the mask equal to the background's level 0 where it is
        put back.

    Raises:
        SettingError: latents, regions, seeds, guidance and starts are not equally many; guidance
            without an empty prompt; a start level out of its range.
    """
    samples = len(background_latents[0])
    if not len(seeds) == len(regions) == samples:
        raise SettingError(
            f"{len(seeds)} seeds for {samples} backgrounds and {len(regions)} region maps",
            "as many of each",
            "give one seed a sample, and expand what the samples share",
        )
    groups = descents(
        predict.schedule, background, background_latents, regions, levels, seeds, solver, start
    )
    weights = guidance_of(guidance, samples)
    z = torch.empty_like(background_latents[0])
    for group in groups:
        z = z.index_copy(0, group.rows, group.first)
    batch = _Batch([], regions, weights)
    for level in range(levels.steps, 0, -1):
        if any(group.levels.steps == level for group in groups):
            batch = _Batch(
                [group for group in groups if group.levels.steps >= level], regions, weights
            )
        if batch.groups:
            z_t, t = z[batch.rows], batch.timesteps(level)
            if recorder is not None:
                recorder.rows = None if batch.is_whole else (batch.rows, samples)
            eps = defect_eps(predict, z_t, t, batch.regions, prompts, batch.weights, recorder)
            eps = background.eps(eps, batch.m, predict, z_t, t, prompts, batch.defect)
            z = z.index_copy(0, batch.rows, batch.down(z_t, eps, level))
        if callback:
            callback(levels.steps - level + 1, levels.steps, z)
    return z


class _Batch:
    """The samples that are evaluated together at a level: those of all descents that have begun."""

    def __init__(
        self, groups: Sequence[Descent], regions: Tensor, weights: Sequence[float]
    ) -> None:
        self.groups = groups
        none = torch.zeros(0, dtype=torch.long, device=regions.device)
        self.rows = torch.cat([none, *(group.rows for group in groups)])
        places = torch.arange(len(regions), device=regions.device)
        self.is_whole = torch.equal(self.rows, places)
        """Whether it holds all samples, in their order."""
        self.regions = regions if self.is_whole else regions[self.rows]
        self.defect = union(self.regions)
        self.m = (self.regions > 0)[:, None]
        self.weights = [weights[row] for row in self.rows.tolist()]

    def timesteps(self, level: int) -> int | Tensor:
        """Of the network at a level: one number, or ``[B]`` where they differ."""
        timesteps: list[int] = []
        for group in self.groups:
            timesteps += [group.levels.timesteps[level]] * len(group.rows)
        if len(set(timesteps)) == 1:
            return timesteps[0]
        return torch.tensor(timesteps, device=self.rows.device)

    def down(self, z: Tensor, eps: Tensor, level: int) -> Tensor:
        """The step of each descent from ``level`` to the one below: ``[B, C, h, w]``."""
        latents: list[Tensor] = []
        first = 0
        for group in self.groups:
            part = slice(first, first + len(group.rows))
            latents.append(group.down(z[part], eps[part], self.m[part], level))
            first = part.stop
        return torch.cat(latents)


def defect_eps(
    predict: Predictor,
    z: Tensor,
    t: int | Tensor,
    regions: Tensor,
    prompts: RegionPrompts,
    guidance: float | Sequence[float] = 1.0,
    recorder: MapRecorder | None = None,
) -> Tensor:
    """``eps_theta(z_t, t, C_1)``, with guidance ``e_0 + w (e_C1 - e_0)`` inside the mask (choice
    7). Arguments as in :func:`sample`."""
    weights = guidance_of(guidance, len(z))
    is_guided = [weight != 1 for weight in weights]
    if not any(is_guided):
        return predict(z, t, prompts.defect_context(), regions, recorder)
    c_0 = prompts.unguided_context()
    eps = predict(z, t, prompts.defect_context(), regions, recorder)
    e_0 = predict(z, t, c_0, regions)
    w = torch.tensor(weights, dtype=eps.dtype, device=z.device)[:, None, None, None]
    guided = torch.tensor(is_guided, device=z.device)[:, None, None, None]
    m = (regions > 0)[:, None]
    return torch.where(guided & m, e_0 + w * (eps - e_0), eps)


def guidance_of(guidance: float | Sequence[float], samples: int) -> list[float]:
    """The guidance of each sample, from one value or one a sample.

    Raises:
        SettingError: another number of values.
    """
    weights = [guidance] * samples if isinstance(guidance, int | float) else list(guidance)
    if len(weights) != samples:
        raise SettingError(
            f"{len(weights)} values of guidance for {samples} samples",
            "one, or one a sample",
            "give as many",
        )
    return weights
