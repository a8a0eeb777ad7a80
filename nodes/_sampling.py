"""Composited sampling (Eq. 9): defects painted inside the mask, by the core's own loop."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..bgdefect_core.method.attention_maps import MapRecorder
from ..bgdefect_core.method.backgrounds import BACKGROUNDS, Background, BackgroundName
from ..bgdefect_core.method.sampling import sample
from ..bgdefect_core.method.solvers import DEFAULT_SOLVER, SOLVERS, Solver, SolverName
from ..bgdefect_core.method.start import Start
from ._convert import cycled
from ._host import HostPredictor, Progress, RegionGuider
from ._sample_batches import SampleBatch, joined, recorder_of
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
    way = _Way(background, guidance, SOLVERS.named(solver))
    guider, pictures = RegionGuider(inversion.model, inversion.prompts), len(inversion.latent)
    total = pictures * variants
    seeds = seeds_of(seed, total)
    start = start or GraphStart()
    start_levels = start.levels(inversion, seeds)
    firsts = range(0, total, at_once)
    branch = background.descends and not inversion.descent
    progress = Progress(guider.model_patcher, inversion.levels.steps * (len(firsts) + branch))
    if branch:
        _branch(guider, inversion, background, progress)
    latents: list[Tensor] = []
    recorders: list[MapRecorder] = []
    for first in firsts:
        numbers = range(first, min(first + at_once, total))
        batch = SampleBatch(
            owners=[number % pictures for number in numbers],
            seeds=seeds[first : numbers.stop],
            recorder=recorder_of(inversion.prompts),
        )
        begin = None
        if start.pasted is not None:
            z_0 = guider.model_patcher.model.process_latent_in(start.pasted.float().cpu())
            begin = Start(start_levels[first : numbers.stop], z_0[batch.owners])
        latents.append(_sample(guider, inversion, way, batch, begin, progress))
        if batch.recorder is not None:
            recorders.append(batch.recorder)
    return torch.cat(latents), AttentionMaps(joined(recorders), cycled(inversion.mask, total))


@dataclass(frozen=True)
class _Way:
    """How the samples of a run are painted."""

    background: Background
    guidance: float
    solver: Solver


def _branch(
    guider: RegionGuider, inversion: Inversion, background: Background, progress: Progress
) -> None:
    """The background's second pass depends on neither seed nor defect: it is stored with the
    inversion."""

    def run(predict: HostPredictor, z_0: Tensor) -> Tensor:
        trajectory = [level.to(z_0.device) for level in inversion.trajectory]
        regions = inversion.regions.to(z_0.device)
        descent = background.from_trajectory(
            predict, trajectory, regions, guider.prompts, inversion.levels, progress.steps(predict)
        )
        inversion.descent.extend(level.cpu() for level in descent)
        return descent[0]

    guider.run(inversion.latent, run, inversion.levels)


def _sample(
    guider: RegionGuider,
    inversion: Inversion,
    way: _Way,
    batch: SampleBatch,
    start: Start | None,
    progress: Progress,
) -> Tensor:
    """One batch as LATENT samples; outside the mask bit for bit the input where the background is
    exact."""
    index, levels, background = batch.owners, inversion.levels, way.background
    computed = inversion.descent if background.descends else inversion.trajectory
    regions = inversion.regions[index]

    def run(predict: HostPredictor, z_0: Tensor) -> Tensor:
        placed = regions.to(z_0.device)
        if background.inverts:
            latents = [level[index].to(z_0.device) for level in computed]
        else:
            latents = background.prepare(predict, z_0, placed, guider.prompts, levels)
        moved = None if start is None else replace(start, pasted=start.pasted.to(z_0))
        return sample(
            predict,
            background,
            latents,
            placed,
            guider.prompts,
            levels,
            batch.seeds,
            way.guidance,
            batch.recorder,
            progress.steps(predict),
            way.solver,
            moved,
        )

    painted = guider.run(inversion.latent[index], run, levels, batch.seeds[0])
    if not background.exact:
        return painted
    return with_background(painted, inversion.latent[index], regions)
