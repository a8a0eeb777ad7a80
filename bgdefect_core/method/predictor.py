"""What the method needs of a network, ``eps(z_t, t, context, regions)``, and a diffusers U-Net in
that form."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from .attention import RegionAttention, region_attention
from .attention_maps import MapRecorder
from .regions import Context
from .schedule import NoiseSchedule

PIXELS_A_CELL = 8
"""Pixels a side of a latent cell of SDXL."""


class Predictor(Protocol):
    """Predicts noise under region prompts. ComfyUI's MODEL and diffusers' U-Net both come in this
    form."""

    schedule: NoiseSchedule

    def __call__(
        self,
        z_t: Tensor,
        timestep: int | Tensor,
        context: Context,
        regions: Tensor,
        recorder: MapRecorder | None = None,
    ) -> Tensor:
        """The noise in ``z_t``.

        Args:
            z_t: ``[B, C, h, w]`` noisy latents.
            timestep: 0 .. T - 1, one number or ``[B]``.
            context: the prompts (Eq. 10: ``C_1``, Eq. 11: ``C_2``).
            regions: long ``[B, h, w]``, 0 = background, i = defect i.
            recorder: takes in the defect words' attention (Eq. 13).

        Returns:
            ``eps`` ``[B, C, h, w]`` in ``z_t``'s type.
        """


class UNetPredictor:
    """A diffusers ``UNet2DConditionModel`` with region attention in place, as a
    :class:`Predictor`."""

    def __init__(self, unet: Any, schedule: NoiseSchedule, attention: RegionAttention) -> None:
        self.unet, self.schedule, self.attention = unet, schedule, attention
        self._contexts: WeakKeyDictionary[Context, Context] = WeakKeyDictionary()

    def __call__(
        self,
        z_t: Tensor,
        timestep: int | Tensor,
        context: Context,
        regions: Tensor,
        recorder: MapRecorder | None = None,
    ) -> Tensor:
        """See :class:`Predictor`."""
        dtype = next(self.unet.parameters()).dtype
        context = self._placed(context, z_t.to(dtype))
        self.attention.set(context, regions, recorder)
        t = torch.as_tensor(timestep, device=z_t.device).expand(len(z_t))
        added = added_inputs(context, z_t)
        outputs = self.unet(
            z_t.to(dtype), t, context.tokens, added_cond_kwargs=added, return_dict=False
        )
        output: Tensor = outputs[0].to(z_t.dtype)
        if self.schedule.prediction_type == "epsilon":
            return output
        return self.schedule.to_eps(output, z_t, self.schedule.alphas_of(t))

    def _placed(self, context: Context, like: Tensor) -> Context:
        """``context`` on the network's device and in its type: one object for each context, since
        prompts are cached by identity."""
        if context not in self._contexts:
            self._contexts[context] = context.to(like)
        return self._contexts[context]


def added_inputs(context: Context, z_t: Tensor) -> dict[str, Tensor] | None:
    """Further conditions of a U-Net, a row for each sample; None where it has none.

    SDXL's ``time_ids`` follow from the latents where the context does not hold them.
    """
    added: dict[str, Tensor] = {}
    for name, value in context.added.items():
        added[name] = value.expand(len(z_t), *value.shape[1:])
    if "text_embeds" in added and "time_ids" not in added:
        added["time_ids"] = picture_sizes(z_t)
    return added or None


def picture_sizes(z_t: Tensor) -> Tensor:
    """What SDXL reads of a picture's size, as ComfyUI fills it in: the picture was as large as the
    latents show it, nothing was cut off, and it shall become as large.

    Args:
        z_t: ``[B, C, h, w]`` latents, a cell for 8 pixels.

    Returns:
        float32 ``[B, 6]``: height and width of the original, top and left of the crop, height and
        width of the target, in pixels.
    """
    height, width = PIXELS_A_CELL * z_t.shape[-2], PIXELS_A_CELL * z_t.shape[-1]
    sizes = torch.tensor([height, width, 0, 0, height, width], dtype=torch.float32)
    return sizes.to(z_t.device).expand(len(z_t), -1)


@contextmanager
def unet_predictor(
    unet: Any, schedule: NoiseSchedule, cache_prompts: bool = True
) -> Iterator[UNetPredictor]:
    """A diffusers U-Net as a predictor while the block lasts; afterwards the U-Net is as it was.

    Args:
        unet: any ``UNet2DConditionModel`` (SD 1.x, 2.x, SDXL, small ones), wrapped by accelerate or
            not.
        schedule: of the model.
        cache_prompts: see :func:`region_attention`; off while the weights are being trained.
    """
    with region_attention(getattr(unet, "module", unet), cache_prompts) as attention:
        yield UNetPredictor(unet, schedule, attention)
