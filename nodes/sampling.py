"""Composited sampling (Eq. 9): defects painted inside the mask, by the core's own loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..bgdefect_core.errors import SettingError
from ..bgdefect_core.method.attention import MapRecorder
from ..bgdefect_core.method.backgrounds import (
    BACKGROUNDS,
    DEFAULT_BACKGROUND,
    Background,
    BackgroundName,
)
from ..bgdefect_core.method.sampling import sample
from ._compat import field, schema
from ._convert import cycled
from ._host import HostPredictor, Progress, RegionGuider
from ._types import InversionWire, MapsWire
from ._wires import AttentionMaps, Inversion

SEEDS = 2**64
"""The host's seeds are below this."""


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
    batches = [
        list(range(start, min(start + at_once, total))) for start in range(0, total, at_once)
    ]
    branch = background.descends and not inversion.descent
    progress = Progress(guider.model_patcher, inversion.levels.steps * (len(batches) + branch))
    if branch:
        _branch(guider, inversion, background, progress)
    latents, recorders = [], []
    for batch in batches:
        seeds = [(seed + number) % SEEDS for number in batch]
        which = [number % pictures for number in batch]
        recorder = (
            MapRecorder(inversion.prompts.word_positions())
            if all(map(len, inversion.prompts.defect_words))
            else None
        )
        latents.append(
            _sample(guider, inversion, background, which, seeds, guidance, recorder, progress)
        )
        recorders.append(recorder)
    return torch.cat(latents), AttentionMaps(_joined(recorders), cycled(inversion.mask, total))


def check_mode(inversion: Inversion, background: Background, guidance: float) -> None:
    """Raise SettingError where the inversion lacks what the background or the guidance needs."""
    if background.inverts and not inversion.trajectory:
        free = [name for name, other in BACKGROUNDS.items() if not other.inverts]
        raise SettingError(
            f"background is {background.name!r} and the inversion was skipped",
            repr(" or ".join(free)),
            "turn skip off in Masked DDIM Inversion",
        )
    if guidance != 1 and inversion.prompts.empty is None:
        raise SettingError(
            f"guidance is {guidance:g} without an empty prompt",
            "1, or an empty prompt",
            "connect the empty text's encoding",
        )


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
    which: Sequence[int],
    seeds: Sequence[int],
    guidance: float,
    recorder: MapRecorder | None,
    progress: Progress,
) -> Tensor:
    """One batch: sample i paints into picture ``which[i]``."""
    index, levels = list(which), inversion.levels
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
            seeds,
            guidance,
            recorder,
            progress.steps(predict),
        )

    painted = guider.run(inversion.latent[index], run, levels, seeds[0])
    return (
        with_background(painted, inversion.latent[index], regions) if background.exact else painted
    )


def with_background(painted: Tensor, latent: Tensor, regions: Tensor) -> Tensor:
    """``painted`` inside the mask, the good picture's own LATENT samples outside, bit for bit."""
    m = (regions > 0)[:, None].to(painted.device)
    return torch.where(m, painted, latent.to(painted))


def _joined(recorders: Sequence[MapRecorder | None]) -> MapRecorder:
    """The maps of all batches as one, on the CPU; without maps where a prompt's words are not
    known."""
    known = [recorder for recorder in recorders if recorder is not None]
    joined = MapRecorder(known[0].words if known else [])
    for grid in known[0].means if known else ():
        joined.means[grid] = torch.cat([recorder.means[grid].cpu() for recorder in known])
    return joined


def mode_input() -> Any:
    """The widget for the background mode."""
    return field(
        io.Combo,
        "background",
        options=list(BACKGROUNDS),
        default=DEFAULT_BACKGROUND,
        tooltip="How the background is held. noised: the picture with fixed noise (exact, needs no "
        "inversion, the default). replay: the"
        " inversion, put back at every step (exact; defects come out smoother and fainter). "
        "masked: the paper's proof (costs one more"
        " pass, once a picture). literal: the paper's printed equation, whose background drifts; "
        "for comparison.",
    )


def guidance_input() -> Any:
    """The widget for the defect guidance."""
    return field(
        io.Float,
        "guidance",
        default=1.0,
        min=0.0,
        max=30.0,
        step=0.1,
        round=0.01,
        tooltip="How strongly the defect's words act inside the mask. 1: none (neutral); 2 to 4 "
        "for weak defects, at half speed.",
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
