"""Class weights as the host's patches: what needs no host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ..bgdefect_core.errors import WeightsError
from ..bgdefect_core.weights.files import check_keys


def architecture_of(unet_config: Mapping[str, Any]) -> dict[str, Any]:
    """The host's U-Net configuration in diffusers' words, as far as both tell: what `check_base`
    compares."""
    widths = [unet_config["model_channels"] * factor for factor in unet_config["channel_mult"]]
    layers = unet_config["num_res_blocks"]
    depths = list(unet_config["transformer_depth"])
    down, up = list[str](), list[str]()
    for count in layers:
        attends = any(depths[:count])
        down.append("CrossAttnDownBlock2D" if attends else "DownBlock2D")
        up.insert(0, "CrossAttnUpBlock2D" if attends else "UpBlock2D")
        depths = depths[count:]
    return {
        "in_channels": unet_config["in_channels"],
        "out_channels": unet_config["out_channels"],
        "block_out_channels": widths,
        "layers_per_block": layers[0] if len(set(layers)) == 1 else list(layers),
        "cross_attention_dim": unet_config["context_dim"],
        "down_block_types": down,
        "up_block_types": up,
        "use_linear_projection": bool(unet_config.get("use_linear_in_transformer", False)),
    }


def full_patches(
    tensors: Mapping[str, Tensor], weights: Mapping[str, Tensor], names: Mapping[str, str]
) -> dict[str, Any]:
    """A whole U-Net as patches: the difference to the base is not formed, the weights replace
    it."""
    check_keys(tensors, weights)
    patches = {}
    for name, tensor in tensors.items():
        if weights[name].shape != tensor.shape:
            what = f"{name} has the shape {tuple(tensor.shape)}"
            raise WeightsError(
                what,
                f"{tuple(weights[name].shape)}, as in model",
                "load the base that it was trained on",
            )
        patches[names[name]] = ("diff", (tensor,))
    return patches
