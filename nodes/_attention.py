"""Masked cross-attention (Eq. 10, 11) in the host's U-Net: attn2 patches on a clone of the MODEL.

The mask is additive, and PyTorch's own attention is called whatever kernel the host has chosen: one
of its kernels adds a boolean mask as 0 and 1, another passes it on unchecked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import comfy.model_management
from comfy.ldm.modules.attention import attention_pytorch
from torch import Tensor

from ..bgdefect_core.errors import SettingError, WeightsError
from ..bgdefect_core.method.attention import attend_and_read
from ._region_call import RegionCall

Patch = Callable[[Tensor, Tensor, Tensor, dict[str, Any]], Tensor]


def with_region_attention(model: Any) -> tuple[Any, RegionCall]:
    """A clone of the host's MODEL (`ModelPatcher`) whose every cross-attention layer reads by
    regions; the MODEL stays as it is.

    Raises:
        WeightsError: the MODEL is no Stable Diffusion 1.x, 2.x or XL U-Net, or one for inpainting.
            SettingError: another node has replaced its cross-attention already.
    """
    network = model.model.diffusion_model
    if not (hasattr(network, "input_blocks") and hasattr(network, "output_blocks")):
        what = f"model is a {type(model.model).__name__}"
        raise WeightsError(
            what, "a U-Net of Stable Diffusion 1.x, 2.x or XL", "connect such a checkpoint to model"
        )
    if network.in_channels != model.model.latent_format.latent_channels:
        what = f"model reads {network.in_channels} channels"
        raise WeightsError(
            what,
            f"{model.model.latent_format.latent_channels}",
            "connect a checkpoint that is not made for inpainting",
        )
    if model.model_options.get("transformer_options", {}).get("patches_replace", {}).get("attn2"):
        what = "the cross-attention of model is replaced by another node, such as IPAdapter"
        raise SettingError(
            what,
            "a model whose every pixel can read by regions",
            "connect the model as it was before that node",
        )
    clone, call = model.clone(), RegionCall()
    patch = _patch(call)
    for name, blocks in (
        ("input", len(network.input_blocks)),
        ("middle", 1),
        ("output", len(network.output_blocks)),
    ):
        for number in range(blocks):
            clone.set_model_attn2_replace(patch, name, number)
    return clone, call


def _patch(call: RegionCall) -> Patch:
    """A plain function, not a method: the host deep-copies a MODEL's options, and a method would
    take ``call`` along."""

    def attend(query: Tensor, key: Tensor, value: Tensor, options: dict[str, Any]) -> Tensor:
        # Cancel works within a step.
        comfy.model_management.throw_exception_if_processing_interrupted()
        heads, (height, width) = options["n_heads"], options["activations_shape"][-2:]
        mask = call.mask((height, width), query)
        recorder = call.recorder
        if recorder is None or not recorder.wants((height, width), call.latent):
            return attention_pytorch(query, key, value, heads, mask=mask)
        query, key, value = (
            part.view(*part.shape[:-1], heads, -1).transpose(1, 2) for part in (query, key, value)
        )
        output, share = attend_and_read(query, key, value, mask, recorder.marks(value))
        recorder.add(share, (height, width))
        return output.transpose(1, 2).flatten(2)

    return attend
