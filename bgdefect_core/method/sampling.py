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
from .backgrounds import BACKGROUNDS, DEFAULT_BACKGROUND, BackgroundLatents, BackgroundName
from .descent import Descent, descents
from .inversion import StepCallback
from .predictor import Predictor
from .regions import RegionPrompts, union
from .sample_batch import SampleBatch
from .schedule import Levels, NoiseSchedule
from .solvers import DEFAULT_SOLVER, SOLVERS, Solver, SolverName
from .spacings import DEFAULT_SPACING, SPACINGS, SpacingName


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
            "rejected samples. Samples that start from a real defect take the first value at every "
            "attempt."
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
    background: BackgroundLatents,
    batch: SampleBatch,
    prompts: RegionPrompts,
    solver: Solver = SOLVERS[DEFAULT_SOLVER],
    recorder: MapRecorder | None = None,
    callback: StepCallback | None = None,
) -> Tensor:
    """Eq. 9: paint the defects of a batch into its backgrounds.

    Args:
        predict: the network.
        background: result of :meth:`Background.prepare`, one for each of the B samples
            (:meth:`BackgroundLatents.rows`).
        batch: the samples. Each is evaluated from its own start level down, at 0 not at all.
        prompts: ``C_1`` of all defects; ``C_2`` where the background's mode evaluates it.
        solver: of the defect's way down; the background's latents stay DDIM's.
        recorder: takes in the attention of the ``C_1`` pass.
        callback: called after each step, 1 .. ``steps``; a sample that starts lower waits.

    Returns:
        ``z*_0`` ``[B, C, h, w]``; outside the mask equal to the background's level 0 where it is
        put back.

    Raises:
        SettingError: backgrounds and samples are not equally many; guidance without an empty
            prompt.
    """
    samples, levels = len(batch.seeds), background.levels
    if len(background.latents[0]) != samples:
        raise SettingError(
            f"{samples} samples for {len(background.latents[0])} backgrounds",
            "as many of each",
            "give each sample a row of the background",
        )
    groups = descents(predict.schedule, background, batch, solver)
    z = torch.empty_like(background.latents[0])
    for group in groups:
        z = z.index_copy(0, group.rows, group.first)
    running = _Running([], batch)
    for level in range(levels.steps, 0, -1):
        if any(group.levels.steps == level for group in groups):
            running = _Running([group for group in groups if group.levels.steps >= level], batch)
        if running.groups:
            z_t, t = z[running.rows], running.timesteps(level)
            regions = running.regions
            if recorder is not None:
                recorder.rows = None if running.is_whole else (running.rows, samples)
            eps = defect_eps(predict, z_t, t, regions, prompts, running.weights, recorder)
            if background.mode.predicts:
                c_2 = prompts.background_context()
                eps = torch.where(running.m, eps, predict(z_t, t, c_2, running.defect))
            z = z.index_copy(0, running.rows, running.down(z_t, eps, level))
        if callback:
            callback(levels.steps - level + 1, levels.steps, z)
    return z


class _Running:
    """The samples that are evaluated together at a level: those of all descents that have begun."""

    def __init__(self, groups: Sequence[Descent], batch: SampleBatch) -> None:
        self.groups = groups
        regions, weights = batch.regions, batch.weights
        none = torch.zeros(0, dtype=torch.long, device=regions.device)
        self.rows = torch.cat([none, *(group.rows for group in groups)])
        places = torch.arange(len(regions), device=regions.device)
        self.is_whole = torch.equal(self.rows, places)
        """Whether it holds the whole batch, in its order."""
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
    weights: Sequence[float],
    recorder: MapRecorder | None = None,
) -> Tensor:
    """``eps_theta(z_t, t, C_1)``, with guidance ``e_0 + w (e_C1 - e_0)`` inside the mask (choice
    7).

    Args:
        z: ``[B, C, h, w]`` at timestep t. regions: long ``[B, h, w]``. weights: B values of
            ``w``, 1 = none.
        recorder: takes in the attention of the ``C_1`` pass.

    Raises:
        SettingError: guidance without an empty prompt.
    """
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
