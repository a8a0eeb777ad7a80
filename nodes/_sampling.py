"""Composited sampling (Eq. 9): defects painted inside the mask, by the core's own loop."""

from __future__ import annotations

import torch
from torch import Tensor

from ..bgdefect_core.method.attention import MapRecorder
from ..bgdefect_core.method.backgrounds import BACKGROUNDS, Background, BackgroundName
from ..bgdefect_core.method.sampling import sample
from ._convert import cycled
from ._host import HostPredictor, Progress, RegionGuider
from ._sample_batches import SampleBatch, joined, recorder_of
from ._sigma_space import check_mode, seeds_of, with_background
from ._wires import AttentionMaps, Inversion


def sample_latents(
    inversion: Inversion,
    seed: int,
    mode: BackgroundName,
    guidance: float,
    variants: int,
    at_once: int,
) -> tuple[Tensor, AttentionMaps]:
    """``variants`` samples of each of the inversion's B pictures.

    Args:
        seed: of the run; a sample's noise depends on it and the sample's number alone.
        at_once: how many samples run in one batch.

    Returns:
        LATENT samples ``[B * variants, C, h, w]``, sample i of picture ``i % B``, and their maps.

    Raises:
        SettingError: the mode needs what was skipped, or guidance needs an empty prompt.
    """
    background = BACKGROUNDS.named(mode)  # older hosts let any value of a combo through
    check_mode(inversion, background, guidance)
    guider, pictures = RegionGuider(inversion.model, inversion.prompts), len(inversion.latent)
    total = pictures * variants
    seeds = seeds_of(seed, total)
    starts = range(0, total, at_once)
    branch = background.descends and not inversion.descent
    progress = Progress(guider.model_patcher, inversion.levels.steps * (len(starts) + branch))
    if branch:
        _branch(guider, inversion, background, progress)
    latents: list[Tensor] = []
    recorders: list[MapRecorder] = []
    for start in starts:
        numbers = range(start, min(start + at_once, total))
        batch = SampleBatch(
            owners=[number % pictures for number in numbers],
            seeds=seeds[start : numbers.stop],
            recorder=recorder_of(inversion.prompts),
        )
        latents.append(_sample(guider, inversion, background, batch, guidance, progress))
        if batch.recorder is not None:
            recorders.append(batch.recorder)
    return torch.cat(latents), AttentionMaps(joined(recorders), cycled(inversion.mask, total))


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
    background: Background,
    batch: SampleBatch,
    guidance: float,
    progress: Progress,
) -> Tensor:
    """One batch as LATENT samples; outside the mask bit for bit the input where the background is
    exact."""
    index, levels = batch.owners, inversion.levels
    computed = inversion.descent if background.descends else inversion.trajectory
    regions = inversion.regions[index]

    def run(predict: HostPredictor, z_0: Tensor) -> Tensor:
        placed = regions.to(z_0.device)
        if background.inverts:
            latents = [level[index].to(z_0.device) for level in computed]
        else:
            latents = background.prepare(predict, z_0, placed, guider.prompts, levels)
        return sample(
            predict,
            background,
            latents,
            placed,
            guider.prompts,
            levels,
            batch.seeds,
            guidance,
            batch.recorder,
            progress.steps(predict),
        )

    painted = guider.run(inversion.latent[index], run, levels, batch.seeds[0])
    if not background.exact:
        return painted
    return with_background(painted, inversion.latent[index], regions)
