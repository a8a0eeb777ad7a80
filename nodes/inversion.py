"""Masked DDIM inversion (Eq. 8) of good pictures, once for any number of samples."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..bgdefect_core.errors import SettingError
from ..bgdefect_core.method.inversion import invert
from ..bgdefect_core.method.sampling import SamplingSettings
from ._compat import field, option, schema
from ._convert import latent_regions
from ._graph_prompts import masks_of_defects, together
from ._host import HostPredictor, Progress, RegionGuider, schedule_of
from ._sigma_space import sigmas_of
from ._types import InversionWire, PromptsWire
from ._wires import GraphPrompts, Inversion


def invert_latents(
    model: Any, prompts: GraphPrompts, latent: Tensor, mask: Tensor, steps: int, skip: bool
) -> Inversion:
    """The host's values to an :class:`Inversion`.

    Args:
        latent: LATENT samples ``[B, C, h, w]``.
        mask: MASK of the first defect, 1 or B.
        skip: leave the trajectory empty, for the ``noised`` mode.

    Raises:
        SettingError: latents of another model, too many steps. MaskError: a mask is empty, full, or
            of another number.
    """
    guider = RegionGuider(model, prompts.prompts)
    channels = model.model.latent_format.latent_channels
    if latent.ndim != 4 or latent.shape[1] != channels or 0 in latent.shape:
        what = f"latent has the shape {list(latent.shape)}"
        raise SettingError(
            what,
            f"[B, {channels}, h, w], as model reads",
            "encode the picture with the VAE of the same checkpoint",
        )
    levels = schedule_of(model).levels(steps)
    masks = masks_of_defects(prompts, mask, len(latent))
    regions = latent_regions(masks, (latent.shape[-2], latent.shape[-1])).cpu()
    trajectory: list[Tensor] = []
    if not skip:
        progress = Progress(guider.model_patcher, levels.steps)

        def run(predict: HostPredictor, z_0: Tensor) -> Tensor:
            device = regions.to(z_0.device)
            levels_of_z = invert(
                predict, z_0, device, guider.prompts, levels, progress.steps(predict)
            )
            trajectory.extend(level.cpu() for level in levels_of_z)
            return levels_of_z[-1]

        guider.run(latent, run, levels)
    return Inversion(
        model,
        prompts.prompts,
        levels,
        latent.float().cpu(),
        trajectory,
        regions,
        together(masks, regions),
    )


class MaskedInversion(io.ComfyNode):
    """Masked DDIM Inversion (Eq. 8): levels, regions and, if asked for, the trajectory."""

    @classmethod
    def define_schema(cls) -> Any:
        return schema(
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
                field(
                    io.Model,
                    "model",
                    tooltip="The base with a defect class on it. It stays as it is.",
                ),
                field(PromptsWire, "prompts", tooltip="From Encode Region Prompts."),
                field(io.Latent, "latent", tooltip="The good pictures, encoded by the base's VAE."),
                field(
                    io.Mask,
                    "mask",
                    tooltip="Where the first defect shall come, white: one mask, or one a picture.",
                ),
                option(
                    SamplingSettings,
                    "steps",
                    tooltip="DDIM steps of the sampler, and as many up where skip is off. The "
                    "paper uses 50; 20 are often enough.",
                ),
                field(
                    io.Boolean,
                    "skip",
                    default=True,
                    tooltip="On: nothing is inverted, which saves half of the time: the background "
                    "mode noised, the default, needs no"
                    " inversion. Turn it off for replay, masked and literal.",
                ),
            ],
            outputs=[
                InversionWire.Output(
                    display_name="inversion", tooltip="For Background/Defect Sampler or Guider."
                ),
                io.Sigmas.Output(
                    display_name="sigmas",
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
    ) -> Any:
        inversion = invert_latents(model, prompts, latent["samples"], mask, steps, skip)
        return io.NodeOutput(inversion, sigmas_of(inversion.levels))


NODES = [MaskedInversion]
