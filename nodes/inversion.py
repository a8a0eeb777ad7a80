"""Masked DDIM inversion (Eq. 8) of good pictures, once for any number of samples."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..bgdefect_core.method.sampling import SamplingSettings
from ..bgdefect_core.method.spacings import DEFAULT_SPACING, SpacingName
from ._declare import INVERSION, PROMPTS, Node, Output, Schema, option, widget, wire
from ._sigma_space import sigmas_of
from ._wires import GraphPrompts


class MaskedInversion(Node):
    """Masked DDIM Inversion (Eq. 8): levels, regions and, if asked for, the trajectory."""

    @classmethod
    def define_schema(cls) -> Any:
        return Schema(
            node_id="BGDefectInversion",
            display_name="Masked DDIM Inversion",
            category="BGDefect/sampling",
            description="Where the samplers start: the good picture, the place of the defect and "
            "the noise levels. With skip off also the"
            " picture's way up to noise, with the defect's place left empty; it is computed once, "
            "and every run of the sampler reuses it,"
            " whatever the seed.",
            search_aliases=["bgdefect", "ddim inversion"],
            inputs=[
                wire(
                    "MODEL",
                    "model",
                    tooltip="The base with a defect class on it. It stays as it is.",
                ),
                wire(PROMPTS, "prompts", tooltip="From Encode Region Prompts."),
                wire("LATENT", "latent", tooltip="The good pictures, encoded by the base's VAE."),
                wire(
                    "MASK",
                    "mask",
                    tooltip="Where the first defect is painted, white: one mask, or one a picture.",
                ),
                option(
                    SamplingSettings,
                    "steps",
                    tooltip="Steps of the sampler, and as many DDIM steps up where skip is off. "
                    "10 are enough with the default spacing and solver; the paper uses 50.",
                ),
                widget(
                    "BOOLEAN",
                    "skip",
                    default=True,
                    tooltip="On: nothing is inverted, which saves half of the time: the background "
                    "mode noised, the default, needs no"
                    " inversion. Turn it off for replay, masked and literal.",
                ),
                option(SamplingSettings, "spacing", optional=True),
            ],
            outputs=[
                Output(INVERSION, "inversion", tooltip="For Background/Defect Sampler or Guider."),
                Output(
                    "SIGMAS",
                    "sigmas",
                    tooltip="The noise levels of the steps, for SamplerCustomAdvanced.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        model: Any,
        prompts: GraphPrompts,
        latent: dict[str, Tensor],
        mask: Tensor,
        steps: int,
        skip: bool,
        spacing: SpacingName = DEFAULT_SPACING,
    ) -> Any:
        from ._inverting import invert_latents

        samples = latent["samples"]
        inversion = invert_latents(model, prompts, samples, mask, steps, skip, spacing)
        return (
            inversion,
            sigmas_of(inversion.levels),
        )


NODES = [MaskedInversion]
