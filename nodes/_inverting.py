"""Masked DDIM inversion (Eq. 8) of good pictures, once for any number of samples."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..bgdefect_core.errors import SettingError
from ..bgdefect_core.method.inversion import invert
from ..bgdefect_core.method.spacings import DEFAULT_SPACING, SpacingName
from ._convert import latent_regions
from ._graph_prompts import masks_of_defects, together
from ._host import HostPredictor, HostProgress, RegionGuider, schedule_of
from ._wires import GraphPrompts, Inversion


def invert_latents(
    model: Any,
    prompts: GraphPrompts,
    latent: Tensor,
    mask: Tensor,
    steps: int,
    skip: bool,
    spacing: SpacingName = DEFAULT_SPACING,
) -> Inversion:
    """The host's values to an :class:`Inversion`.

    Args:
        latent: LATENT samples ``[B, C, h, w]``.
        mask: MASK of the first defect, 1 or B.
        skip: leave the trajectory empty, for the ``noised`` mode.
        spacing: how the steps are spread.

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
    levels = schedule_of(model).levels(steps, spacing)
    masks = masks_of_defects(prompts, mask, len(latent))
    regions = latent_regions(masks, (latent.shape[-2], latent.shape[-1])).cpu()
    trajectory: list[Tensor] = []
    if not skip:
        progress = HostProgress(guider.model_patcher, levels.steps)

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
