"""Composited sampling (Eq. 9): defects painted inside the mask, by the core's own loop."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..bgdefect_core.method.attention import MapRecorder
from ..bgdefect_core.method.backgrounds import BACKGROUNDS, Background, BackgroundName
from ..bgdefect_core.method.sampling import SamplingSettings, sample
from ._compat import field, option, schema
from ._convert import cycled
from ._host import HostPredictor, Progress, RegionGuider
from ._sample_batches import SampleBatch, joined, recorder_of
from ._sigma_space import SEEDS, check_mode, seeds_of, with_background
from ._types import InversionWire, MapsWire
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
        seed: sample i has the seed ``seed + i``; its noise depends on nothing else.
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


def mode_input() -> Any:
    """The widget for the background mode."""
    return option(SamplingSettings, "background")


def guidance_input() -> Any:
    """The widget for the defect guidance: one value, since a graph has no retries."""
    return option(
        SamplingSettings,
        "guidance",
        default=1.0,
        step=0.1,
        round=0.01,
        tooltip="Guidance of the defect's prompt inside the mask. 1: none (neutral). 2 to 4: for "
        "faint defects; the network is evaluated twice as often.",
    )


def seed_input() -> Any:
    """The widget for the seed."""
    return field(
        io.Int,
        "seed",
        default=0,
        min=0,
        max=SEEDS - 1,
        control_after_generate=True,
        tooltip="Sample i is made from seed + i alone: the same seed gives the same defect.",
    )


class DefectSampler(io.ComfyNode):
    """Background/Defect Sampler (Eq. 9): the core's own sampling loop."""

    @classmethod
    def define_schema(cls) -> Any:
        return schema(
            node_id="BGDefectSampler",
            display_name="Background/Defect Sampler",
            category="BGDefect/sampling",
            description="Paints the defects into the inverted pictures, while the background stays "
            "as it was. Several variants of each"
            " picture: sample i belongs to picture i modulo the number of pictures, the order of "
            "Repeat Image Batch.",
            search_aliases=["bgdefect", "defect sampler", "anomaly generation"],
            inputs=[
                field(InversionWire, "inversion", tooltip="From Masked DDIM Inversion."),
                seed_input(),
                mode_input(),
                guidance_input(),
                field(
                    io.Int,
                    "variants",
                    default=1,
                    min=1,
                    max=4096,
                    tooltip="Samples of each picture.",
                ),
                field(
                    io.Int,
                    "at_once",
                    default=4,
                    min=1,
                    max=256,
                    advanced=True,
                    tooltip="Samples that run in one batch: more is faster on a GPU and needs more "
                    "memory. Results stay the same to 1e-4.",
                ),
            ],
            outputs=[
                io.Latent.Output(display_name="latent", tooltip="The samples, for VAE Decode."),
                MapsWire.Output(
                    display_name="maps",
                    tooltip="Where the defect's words were read, for Refine Defect Mask.",
                ),
                io.Mask.Output(
                    display_name="mask",
                    tooltip="The requested mask of each sample, all defects together.",
                ),
                io.Int.Output(
                    display_name="seed", tooltip="The seed as it was, for Save Defect Data Set."
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        inversion: Inversion,
        seed: int,
        background: BackgroundName,
        guidance: float,
        variants: int,
        at_once: int,
    ) -> Any:
        samples, maps = sample_latents(inversion, seed, background, guidance, variants, at_once)
        return io.NodeOutput({"samples": samples}, maps, maps.mask, seed)


NODES = [DefectSampler]
