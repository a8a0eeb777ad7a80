"""Eq. 9 for the host's own samplers and schedulers, through SamplerCustomAdvanced."""

from __future__ import annotations

from typing import Any

from ..bgdefect_core.method.backgrounds import BackgroundName
from ..bgdefect_core.method.start import NOISE
from ._declare import INVERSION, START, Node, Output, Schema, wire
from ._sigma_space import SampleNoise
from ._wires import Inversion
from .sampling import (
    START_LEVEL,
    guidance_input,
    mode_input,
    pasted_input,
    seed_input,
    start_input,
)


class NoiseNode(Node):
    """Defect Noise: the start of sampling, one seed a sample."""

    @classmethod
    def define_schema(cls) -> Any:
        return Schema(
            node_id="BGDefectNoise",
            display_name="Defect Noise",
            category="BGDefect/sampling",
            description="The noise that Background/Defect Sampler starts from, for "
            "SamplerCustomAdvanced: each sample of a batch has a seed"
            " of its own. RandomNoise draws a whole batch from one seed.",
            search_aliases=["bgdefect", "random noise"],
            inputs=[seed_input()],
            outputs=[Output("NOISE", "noise", tooltip="For SamplerCustomAdvanced.")],
        )

    @classmethod
    def execute(cls, seed: int) -> Any:
        return (SampleNoise(seed),)


class GuiderNode(Node):
    """Background/Defect Guider (Eq. 9) for the host's own samplers."""

    @classmethod
    def define_schema(cls) -> Any:
        return Schema(
            node_id="BGDefectGuider",
            display_name="Background/Defect Guider",
            category="BGDefect/sampling",
            description="The method as a guider for SamplerCustomAdvanced, with any sampler and "
            "scheduler of the host. With euler, the"
            " inversion's sigmas and Defect Noise it does what Background/Defect Sampler does. "
            "Samplers that add noise want the background"
            " replay or noised. It gives no attention maps: refine the mask by the difference "
            "signal.",
            search_aliases=["bgdefect", "defect guider"],
            inputs=[
                wire(INVERSION, "inversion", tooltip="From Masked DDIM Inversion."),
                mode_input(),
                guidance_input(),
                pasted_input(),
                start_input(
                    "start_level",
                    1,
                    "Where the sigmas of this node begin; read only where pasted is connected. 0: "
                    "the pasted defect as it is. 1: noise (neutral).",
                ),
            ],
            outputs=[
                Output(
                    "GUIDER",
                    "guider",
                    tooltip="For SamplerCustomAdvanced, with the latent that was inverted and "
                    "sigmas from noise down to the picture.",
                ),
                Output(
                    "SIGMAS",
                    "sigmas",
                    tooltip="The inversion's noise levels from the start level down, for "
                    "SamplerCustomAdvanced.",
                ),
                Output(START, "start", tooltip="Where they start, for Defect Quality."),
            ],
        )

    @classmethod
    def execute(
        cls,
        inversion: Inversion,
        background: BackgroundName,
        guidance: float,
        pasted: dict[str, Any] | None = None,
        start_level: float = START_LEVEL[1],
    ) -> Any:
        from ._guider import DefectGuider

        latents = None if pasted is None else pasted["samples"]
        guider = DefectGuider(inversion, background, guidance, latents)
        return (
            guider,
            guider.sigmas(start_level),
            [NOISE if pasted is None else start_level],
        )


NODES = [NoiseNode, GuiderNode]
