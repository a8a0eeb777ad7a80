"""Composited sampling (Eq. 9): defects painted inside the mask, by the core's own loop."""

from __future__ import annotations

from typing import Any

from ..bgdefect_core.method.backgrounds import BackgroundName
from ..bgdefect_core.method.sampling import SamplingSettings
from ..bgdefect_core.method.solvers import DEFAULT_SOLVER, SolverName
from ..bgdefect_core.method.start import StartSettings
from ._declare import (
    INVERSION,
    MAPS,
    START,
    Input,
    Node,
    Output,
    Schema,
    end_of,
    option,
    widget,
    wire,
)
from ._sigma_space import SEEDS, seeds_of
from ._starting import GraphStart
from ._wires import Inversion

START_LEVEL = StartSettings.start_level
"""Lowest and highest start level of the core's own defaults."""


def mode_input() -> Input:
    """The widget for the background mode."""
    return option(SamplingSettings, "background")


def guidance_input() -> Input:
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


def pasted_input() -> Input:
    """The wire with the pasted pictures."""
    return wire(
        "LATENT",
        "pasted",
        optional=True,
        tooltip="The pasted pictures, cut by Crop Another Picture and encoded by the base's VAE: "
        "samples start from the real defect, noised. Unplugged: from noise, as in the paper.",
    )


def start_input(name: str, end: int, tooltip: str) -> Input:
    """A widget for one end of the range of start levels: 0 the lowest, 1 the highest."""
    return end_of(
        StartSettings,
        "start_level",
        end,
        name,
        step=0.05,
        round=0.001,
        optional=True,
        tooltip=tooltip,
    )


def seed_input() -> Input:
    """The widget for the seed."""
    return widget(
        "INT",
        "seed",
        default=0,
        min=0,
        max=SEEDS - 1,
        control_after_generate=True,
        tooltip="Sample i is made from the seed and i alone: the same seed gives the same defects, "
        "and no other seed shares any of them.",
    )


class DefectSampler(Node):
    """Background/Defect Sampler (Eq. 9): the core's own sampling loop."""

    @classmethod
    def define_schema(cls) -> Any:
        return Schema(
            node_id="BGDefectSampler",
            display_name="Background/Defect Sampler",
            category="BGDefect/sampling",
            description="Paints the defects into the inverted pictures, while the background stays "
            "as it was. Several variants of each"
            " picture: sample i belongs to picture i modulo the number of pictures, the order of "
            "Repeat Image Batch.",
            search_aliases=["bgdefect", "defect sampler", "anomaly generation"],
            inputs=[
                wire(INVERSION, "inversion", tooltip="From Masked DDIM Inversion."),
                seed_input(),
                mode_input(),
                guidance_input(),
                widget(
                    "INT",
                    "variants",
                    default=1,
                    min=1,
                    max=4096,
                    tooltip="Samples of each picture.",
                ),
                widget(
                    "INT",
                    "at_once",
                    default=4,
                    min=1,
                    max=256,
                    advanced=True,
                    tooltip="Samples that run in one batch: more is faster on a GPU and needs more "
                    "memory. Results stay the same to 1e-4.",
                ),
                option(SamplingSettings, "solver", optional=True),
                pasted_input(),
                start_input(
                    "start_min",
                    0,
                    "Lowest start level; each sample draws its own between the two. Read only "
                    "where pasted is connected. 0: the pasted defect as it is. 1: noise (neutral).",
                ),
                start_input(
                    "start_max",
                    1,
                    "Highest start level. Low ones stay close to the real defect. 1: noise.",
                ),
            ],
            outputs=[
                Output("LATENT", "latent", tooltip="The samples, for VAE Decode."),
                Output(
                    MAPS,
                    "maps",
                    tooltip="Where the defect's words were read, for Refine Defect Mask.",
                ),
                Output(
                    "MASK",
                    "mask",
                    tooltip="The requested mask of each sample, all defects together.",
                ),
                Output("INT", "seed", tooltip="The seed as it was, for Save Defect Data Set."),
                Output(
                    START,
                    "start",
                    tooltip="Where each sample started, for Defect Quality.",
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
        solver: SolverName = DEFAULT_SOLVER,
        pasted: dict[str, Any] | None = None,
        start_min: float = START_LEVEL[0],
        start_max: float = START_LEVEL[1],
    ) -> Any:
        from ._sampling import sample_latents

        start = GraphStart(None if pasted is None else pasted["samples"], start_min, start_max)
        samples, maps = sample_latents(
            inversion, seed, background, guidance, variants, at_once, solver, start
        )
        return (
            {"samples": samples},
            maps,
            maps.mask,
            seed,
            start.levels(inversion, seeds_of(seed, len(samples))),
        )


NODES = [DefectSampler]
