"""A diffusers folder of a small Stable Diffusion form, such as the embedded base, as the host's
MODEL, CLIP and VAE.

The host knows models by their widths, and a small one has none that it knows: its parts are built
    here from their configurations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import comfy.clip_model
import comfy.latent_formats
import comfy.model_base
import comfy.model_management as management
import comfy.model_patcher
import comfy.sd
import comfy.sd1_clip
import comfy.supported_models
import comfy.supported_models_base
import comfy.utils
from torch import Tensor

from ..bgdefect_core.errors import WeightsError
from ..bgdefect_core.weights.model_folders import part_of
from ._small_form import (
    DAMAGED,
    host_unet_config,
    not_built,
    read_config,
    read_tensors,
    vae_factor,
    vae_name,
)

# Least squares from the embedded base's latents to 4 x 4 pixel means of 24 drawn pictures (R, G, B
# of each of the 4 channels; what is left is 11 % of the spread). It depends on the encoder alone,
# and only previews read it: `.ci/tools/preview_colours.py`.
_RGB_FACTORS = [
    [0.0272, -0.0789, 0.0635],
    [0.1481, -0.1156, 0.0126],
    [0.1969, -0.0035, -0.2332],
    [0.348, 0.3453, 0.3364],
]
_RGB_BIAS = [-0.0132, -0.0531, -0.1114]


@dataclass(frozen=True)
class HostParts:
    """What a loader node gives out."""

    model: Any
    clip: Any
    vae: Any


def load_small(folder: Path) -> HostParts:
    """Load a diffusers folder with U-Net, VAE, CLIP text encoder and tokenizer of any width.

    Raises:
        WeightsError: something is missing or damaged, or the form is another one.
    """
    configs = {part: read_config(folder, part) for part in ("unet", "vae", "text_encoder")}
    tensors = {part: read_tensors(part_of(folder, part)) for part in configs}
    try:
        vae = _vae(configs["vae"], tensors["vae"])
        clip = _clip(configs["text_encoder"], tensors["text_encoder"])
        model = _model(configs["unet"], tensors["unet"], _latent_format(configs["vae"]))
    except DAMAGED as reason:
        raise not_built(folder, reason) from reason
    return HostParts(model, clip, vae)


def host_unet_tensors(
    tensors: Mapping[str, Tensor], unet_config: Mapping[str, Any]
) -> dict[str, Tensor]:
    """A diffusers U-Net's weights under the host's names.

    Raises:
        WeightsError: a tensor is missing, or has no place.
    """
    names = comfy.utils.unet_to_diffusers(unet_config)
    unknown = sorted(set(tensors) - set(names))
    if unknown:
        raise WeightsError(
            f"the U-Net holds {len(unknown)} unknown tensors, first {unknown[0][:200]!r}",
            "Stable Diffusion's form",
        )
    return {names[name]: tensor for name, tensor in tensors.items()}


def _model(config: Mapping[str, Any], tensors: Mapping[str, Tensor], latent_format: type) -> Any:
    unet_config = host_unet_config(config)
    renamed = host_unet_tensors(tensors, unet_config)
    kind = type(
        "BGDefectBase",
        (comfy.supported_models.SD15,),
        {"unet_extra_config": {}, "latent_format": latent_format, "__module__": __name__},
    )
    model_config = kind(unet_config)
    types = list(model_config.supported_inference_dtypes)
    device, offload = management.get_torch_device(), management.unet_offload_device()
    count = comfy.utils.calculate_parameters(renamed)
    dtype = management.unet_dtype(
        model_params=count, supported_dtypes=types, weight_dtype=comfy.utils.weight_dtype(renamed)
    )
    model_config.set_inference_dtype(dtype, management.unet_manual_cast(dtype, device, types))
    model = model_config.get_model(renamed, "")
    missing = sorted(set(model.diffusion_model.state_dict()) - set(renamed))
    if missing:
        raise WeightsError(
            f"the U-Net lacks {len(missing)} tensors, first {missing[0]!r}",
            "whole weights",
            "copy the folder again",
        )
    model.load_model_weights(renamed, "")
    # Not the newer hosts' dynamic patcher: it is for models that do not fit, and wants to know how
    # to read the file again.
    return comfy.model_patcher.ModelPatcher(model, load_device=device, offload_device=offload)


def _latent_format(vae_config: Mapping[str, Any]) -> type:
    """The host's description of the latents: their scale, their size, how a preview makes colours
    of them."""
    contents = {
        "scale_factor": float(vae_config["scaling_factor"]),
        "latent_channels": vae_config["latent_channels"],
        "latent_rgb_factors": _RGB_FACTORS,
        "latent_rgb_factors_bias": _RGB_BIAS,
        "spacial_downscale_ratio": vae_factor(vae_config),  # the host's spelling
    }
    return type("BGDefectLatents", (comfy.latent_formats.LatentFormat,), contents)


def _vae(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Any:
    widths = config["block_out_channels"]
    ddconfig = {
        "double_z": True,
        "z_channels": config["latent_channels"],
        "resolution": 256,
        "in_channels": config["in_channels"],
        "out_ch": config["out_channels"],
        "ch": widths[0],
        "ch_mult": [width // widths[0] for width in widths],
        "num_res_blocks": config["layers_per_block"],
        "attn_resolutions": [],
        "dropout": 0.0,
    }
    renamed = {vae_name(name, len(widths)): tensor for name, tensor in tensors.items()}
    for name, tensor in renamed.items():
        if ".mid.attn_1." in name and name.endswith(".weight") and tensor.ndim == 2:
            renamed[name] = tensor[
                :, :, None, None
            ]  # the host's attention is made of 1 x 1 convolutions
    vae = comfy.sd.VAE(
        sd=renamed,
        config={"params": {"ddconfig": ddconfig, "embed_dim": config["latent_channels"]}},
    )
    missing = sorted(set(vae.first_stage_model.state_dict()) - set(renamed))
    if missing:
        raise WeightsError(
            f"the VAE lacks {len(missing)} tensors, first {missing[0]!r}",
            "whole weights",
            "copy the folder again",
        )
    vae.downscale_ratio = vae.upscale_ratio = vae_factor(config)
    return vae


def _clip_target(config: Mapping[str, Any]) -> Any:
    """The host's classes for a text encoder of another width. They are made for it: the host calls
    them with arguments of its own."""

    class TextModel(comfy.sd1_clip.SDClipModel):  # type: ignore[misc, unused-ignore]
        def __init__(
            self,
            device: Any = "cpu",
            dtype: Any = None,
            model_options: Mapping[str, Any] | None = None,
        ) -> None:
            super().__init__(
                device=device,
                dtype=dtype,
                textmodel_json_config=dict(config),
                model_options={**(model_options or {})},
            )

    class TextModels(comfy.sd1_clip.SD1ClipModel):  # type: ignore[misc, unused-ignore]
        def __init__(
            self,
            device: Any = "cpu",
            dtype: Any = None,
            model_options: Mapping[str, Any] | None = None,
        ) -> None:
            super().__init__(
                device=device, dtype=dtype, model_options=model_options or {}, clip_model=TextModel
            )

    class Tokenizer(comfy.sd1_clip.SD1Tokenizer):  # type: ignore[misc, unused-ignore]
        def __init__(
            self, embedding_directory: Any = None, tokenizer_data: Mapping[str, Any] | None = None
        ) -> None:
            super().__init__(
                embedding_directory=embedding_directory, tokenizer_data=tokenizer_data or {}
            )

    return comfy.supported_models_base.ClipTarget(Tokenizer, TextModels)


def _clip(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Any:
    """CLIP's text encoder of another width; the tokens are those of Stable Diffusion 1.x, by the
    host's own tokenizer."""
    renamed = {}
    for name, tensor in tensors.items():
        renamed[f"text_model.{name.removeprefix('text_model.')}"] = tensor
    renamed.pop("text_model.embeddings.position_ids", None)
    parameters = comfy.utils.calculate_parameters(renamed)
    clip = comfy.sd.CLIP(_clip_target(config), parameters=parameters)
    projection = "text_projection.weight"  # Stable Diffusion 1.x and its like do without
    missing, unknown = clip.load_sd(renamed)
    if set(missing) - {projection} or unknown:
        raise WeightsError(
            f"the text encoder (width {config['hidden_size']}) does not fit: "
            f"{[*missing, *unknown][:3]}",
            "CLIP's text encoder",
        )
    return clip
