"""Composited sampling (Eq. 9): defects painted inside the mask, by the core's own loop."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..bgdefect_core.method.attention_maps import MapRecorder
from ..bgdefect_core.method.backgrounds import (
    BACKGROUNDS,
    Background,
    BackgroundLatents,
    BackgroundName,
)
from ..bgdefect_core.method.sample_batch import SampleBatch
from ..bgdefect_core.method.sampling import sample
from ..bgdefect_core.method.solvers import DEFAULT_SOLVER, SOLVERS, Solver, SolverName
from ..bgdefect_core.method.start import Start
from ._convert import cycled
from ._host import HostPredictor, HostProgress, RegionGuider
from ._recorders import joined, recorder_of
from ._sigma_space import check_mode, seeds_of, with_background
from ._starting import GraphStart
from ._wires import AttentionMaps, Inversion


def sample_latents(
    inversion: Inversion,
    seed: int,
    mode: BackgroundName,
    guidance: float,
    variants: int,
    at_once: int,
    solver: SolverName = DEFAULT_SOLVER,
    start: GraphStart | None = None,
) -> tuple[Tensor, AttentionMaps]:
    """``variants`` samples of each of the inversion's B pictures.

    Args:
        seed: of the run; a sample's noise depends on it and the sample's number alone.
        at_once: how many samples run in one batch.
        solver: of the defect's way down.
        start: None: all samples start from noise.

    Returns:
        LATENT samples ``[B * variants, C, h, w]``, sample i of picture ``i % B``, and their maps.

    Raises:
        SettingError: the mode needs what was skipped, guidance needs an empty prompt, or the
            pasted pictures do not fit.
    """
    background = BACKGROUNDS.named(mode)  # older hosts let any value of a combo through
    check_mode(inversion, background, guidance)
    guider, pictures = RegionGuider(inversion.model, inversion.prompts), len(inversion.latent)
    total = pictures * variants
    seeds = seeds_of(seed, total)
    start = start or GraphStart()
    start_levels = start.levels(inversion, seeds)
    firsts = range(0, total, at_once)
    branch = background.descends and not inversion.descent
    progress = HostProgress(guider.model_patcher, inversion.levels.steps * (len(firsts) + branch))
    run = _Run(guider, inversion, background, SOLVERS.named(solver), progress)
    if branch:
        _branch(run)
    latents: list[Tensor] = []
    recorders: list[MapRecorder] = []
    for first in firsts:
        numbers = range(first, min(first + at_once, total))
        owners = [number % pictures for number in numbers]
        begin = None
        if start.pasted is not None:
            z_0 = guider.model_patcher.model.process_latent_in(start.pasted.float().cpu())
            begin = Start(start_levels[first : numbers.stop], z_0[owners])
        part = seeds[first : numbers.stop]
        batch = SampleBatch(inversion.regions[owners], part, guidance, begin)
        recorder = recorder_of(inversion.prompts)
        latents.append(_sample(run, owners, batch, recorder))
        if recorder is not None:
            recorders.append(recorder)
    return torch.cat(latents), AttentionMaps(joined(recorders), cycled(inversion.mask, total))


@dataclass(frozen=True, eq=False)
class _Run:
    """What all batches of a run share."""

    guider: RegionGuider
    inversion: Inversion
    mode: Background
    solver: Solver
    progress: HostProgress


def _branch(run: _Run) -> None:
    """The background's second pass depends on neither seed nor defect: it is stored with the
    inversion."""
    inversion, prompts = run.inversion, run.guider.prompts

    def descend(predict: HostPredictor, z_0: Tensor) -> Tensor:
        trajectory = [level.to(z_0.device) for level in inversion.trajectory]
        regions, callback = inversion.regions.to(z_0.device), run.progress.steps(predict)
        descent = run.mode.from_trajectory(
            predict, trajectory, regions, prompts, inversion.levels, callback
        )
        inversion.descent.extend(level.cpu() for level in descent)
        return descent[0]

    run.guider.run(inversion.latent, descend, inversion.levels)


def _sample(
    run: _Run, owners: list[int], batch: SampleBatch, recorder: MapRecorder | None
) -> Tensor:
    """One batch as LATENT samples; outside the mask bit for bit the input where the background is
    exact. ``owners``: the number of the picture of each sample."""
    inversion, mode, prompts = run.inversion, run.mode, run.guider.prompts
    levels, latent = inversion.levels, inversion.latent[owners]
    computed = inversion.descent if mode.descends else inversion.trajectory

    def paint(predict: HostPredictor, z_0: Tensor) -> Tensor:
        start = batch.start
        moved = None if start is None else replace(start, pasted=start.pasted.to(z_0))
        placed = replace(batch, regions=batch.regions.to(z_0.device), start=moved)
        if mode.inverts:
            latents = [level[owners].to(z_0.device) for level in computed]
            background = BackgroundLatents(mode, levels, latents)
        else:
            background = mode.prepare(predict, z_0, placed.regions, prompts, levels)
        callback = run.progress.steps(predict)
        return sample(predict, background, placed, prompts, run.solver, recorder, callback)

    painted = run.guider.run(latent, paint, levels, batch.seeds[0])
    return with_background(painted, latent, batch.regions) if mode.exact else painted
