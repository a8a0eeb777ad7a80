"""Masked DDIM inversion (Eq. 8) of good pictures, once for any number of samples."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..bgdefect_core.errors import MaskError, SettingError
from ..bgdefect_core.method.inversion import invert
from ._compat import field, schema
from ._convert import cut, latent_regions, mask_batch, matched
from ._host import HostPredictor, Progress, RegionGuider, schedule_of, sigmas_of
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
    masks = _masks_of(prompts, mask, len(latent))
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
        _together(masks, regions),
    )


def _masks_of(prompts: GraphPrompts, mask: Tensor, count: int) -> list[Tensor]:
    """Every defect's masks, bool ``[B, H, W]``, in the order of the prompts; none empty, none
    full."""
    masks = []
    for number, defect_mask in enumerate(prompts.masks, start=1):
        if defect_mask is None:
            name, image_mask = "mask", mask
        else:
            name, image_mask = f"the mask of defect {number}", defect_mask
        batch = matched(mask_batch(image_mask, name).cpu(), count, name)
        covered = batch.flatten(1)
        if not bool(covered.any(1).all()):
            raise MaskError(
                f"{name} is empty", "at least one white pixel", "paint where the defect shall come"
            )
        if bool(covered.all(1).any()):
            raise MaskError(
                f"{name} is full", "some black around the defect", "paint only the defect in white"
            )
        masks.append(batch)
    return masks


def _together(masks: list[Tensor], regions: Tensor) -> Tensor:
    """All defects' masks as one MASK, at the first one's size, less what the host's VAE cut off: as
    the decoded samples will be."""
    masks = [cut(mask, (regions.shape[-2], regions.shape[-1])) for mask in masks]
    size = masks[0].shape[-2:]
    if any(mask.shape[-2:] != size for mask in masks):
        masks = [latent_regions([mask], (size[0], size[1])) > 0 for mask in masks]
    return torch.stack(masks).any(0).float()


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
                field(
                    io.Int,
                    "steps",
                    default=50,
                    min=1,
                    max=999,
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
