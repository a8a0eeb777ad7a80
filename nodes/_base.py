"""A diffusers folder of a small Stable Diffusion form, such as the embedded base, as the host's
MODEL, CLIP and VAE.

The host knows models by their widths, and a small one has none that it knows: its parts are built
    here from their configurations.
"""

from __future__ import annotations

import json
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
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ..bgdefect_core.errors import WeightsError

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
    tensors = {part: read_tensors(folder / part) for part in configs}
    try:
        vae = _vae(configs["vae"], tensors["vae"])
        clip = _clip(configs["text_encoder"], tensors["text_encoder"])
        model = _model(configs["unet"], tensors["unet"], _latent_format(configs["vae"]))
    except DAMAGED as reason:
        raise not_built(folder, reason) from reason
    return HostParts(model, clip, vae)


DAMAGED = (
    SafetensorError,
    OSError,
    LookupError,
    TypeError,
    AttributeError,
    ValueError,
    ArithmeticError,
    RuntimeError,
)
"""What the host raises where a folder's parts are damaged or of another form."""


def not_built(folder: Path, reason: Exception) -> WeightsError:
    """The error that names the folder."""
    what = f"{folder} cannot be built ({str(reason).strip()[:300]})"
    return WeightsError(
        what, "U-Net, VAE and text encoder in Stable Diffusion's form", "choose another folder"
    )


def read_config(folder: Path, part: str) -> dict[str, Any]:
    """``config.json`` of one part of a diffusers folder (the scheduler's has its own name). Raises
    WeightsError."""
    path = folder / part / ("scheduler_config.json" if part == "scheduler" else "config.json")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as reason:
        raise WeightsError(
            f"{path} cannot be read ({reason})", "a diffusers folder", "choose another folder"
        ) from reason
    if not isinstance(config, dict):
        raise WeightsError(
            f"{path} holds a {type(config).__name__}", "a JSON object", "copy the folder again"
        )
    return config


def weights_file(part: Path, stem: str = "*") -> Path:
    """The safetensors file of one part, ``stem.safetensors`` or ``stem.fp16.safetensors``.

    Raises:
        WeightsError: there is none, or only a pickle, which could run code.
    """
    found = [*part.glob(f"{stem}.safetensors"), *part.glob(f"{stem}.fp16.safetensors")]
    files = sorted(set(found), key=lambda path: (".fp16." in path.name, path.name))
    if len(files) > 1 and "-of-" in files[0].name:
        raise WeightsError(
            f"{part} is split into {len(files)} files",
            "one safetensors file",
            "save the model again in one file",
        )
    if not files:
        pickles = sorted(
            path.name for path in part.glob("*") if path.suffix in (".bin", ".ckpt", ".pt", ".pth")
        )
        what = (
            f"{part} holds {pickles[0]}, a pickle, and no {stem}.safetensors"
            if pickles
            else f"{part} holds no {stem}.safetensors"
        )
        raise WeightsError(
            what,
            "a safetensors file, which cannot run code",
            "save the model again with safe_serialization=True",
        )
    return files[0]


def read_tensors(part: Path) -> dict[str, Tensor]:
    """The weights of one part. Raises WeightsError."""
    path = weights_file(part)
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as reason:
        raise WeightsError(
            f"{path} cannot be read ({reason})", "an intact safetensors file", "copy it again"
        ) from reason
    return tensors


def host_unet_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """A diffusers U-Net's configuration in the host's words."""
    widths, layers = config["block_out_channels"], config["layers_per_block"]
    attention = ["CrossAttn" in kind for kind in config["down_block_types"]]
    return {
        "image_size": 32,
        "in_channels": config["in_channels"],
        "out_channels": config["out_channels"],
        "model_channels": widths[0],
        "channel_mult": [width // widths[0] for width in widths],
        "num_res_blocks": [layers] * len(widths),
        "transformer_depth": [int(here) for here in attention for _ in range(layers)],
        "transformer_depth_output": [int(here) for here in attention for _ in range(layers + 1)],
        "transformer_depth_middle": 1,
        "context_dim": config["cross_attention_dim"],
        **_heads(config),
        "use_linear_in_transformer": config["use_linear_projection"],
        "use_spatial_transformer": True,
        "use_checkpoint": False,
        "legacy": False,
        "adm_in_channels": None,
        "use_temporal_attention": False,
        "use_temporal_resblock": False,
    }


def _heads(config: Mapping[str, Any]) -> dict[str, int]:
    """diffusers' ``attention_head_dim`` means the number of heads: one for all levels, or one a
    level for heads of one width."""
    heads, widths = config["attention_head_dim"], config["block_out_channels"]
    if isinstance(heads, int):
        return {"num_heads": heads, "num_head_channels": -1}
    sizes = {width // count for width, count in zip(widths, heads, strict=True)}
    if len(sizes) != 1:
        raise WeightsError(
            f"attention_head_dim is {heads}",
            "heads of one width on all levels",
            "choose another folder",
        )
    return {"num_heads": -1, "num_head_channels": sizes.pop()}


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
        "spacial_downscale_ratio": _vae_factor(vae_config),  # the host's spelling
    }
    return type("BGDefectLatents", (comfy.latent_formats.LatentFormat,), contents)


def _vae_factor(config: Mapping[str, Any]) -> int:
    factor: int = 2 ** (len(config["block_out_channels"]) - 1)
    return factor


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
    vae.downscale_ratio = vae.upscale_ratio = _vae_factor(config)
    return vae


_VAE_WORDS = (
    ("mid_block.attentions.0.group_norm.", "mid.attn_1.norm."),
    ("mid_block.attentions.0.to_out.0.", "mid.attn_1.proj_out."),
    ("mid_block.attentions.0.to_", "mid.attn_1."),
    ("mid_block.resnets.0.", "mid.block_1."),
    ("mid_block.resnets.1.", "mid.block_2."),
    ("conv_norm_out.", "norm_out."),
    (".conv_shortcut.", ".nin_shortcut."),
    (".resnets.", ".block."),
    (".downsamplers.0.", ".downsample."),
    (".upsamplers.0.", ".upsample."),
    (".down_blocks.", ".down."),
)


def vae_name(name: str, levels: int) -> str:
    """diffusers' name of a VAE tensor -> the host's, for any number of levels (the host's own
    renaming knows four)."""
    parts = name.split(".")
    if parts[1] == "up_blocks":  # numbered from the deepest there, from the finest here
        parts[1:3] = ["up", str(levels - 1 - int(parts[2]))]
    name = ".".join(parts)
    for theirs, ours in _VAE_WORDS:
        name = name.replace(theirs, ours)
    return name


def _clip(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Any:
    """CLIP's text encoder of another width; the tokens are those of Stable Diffusion 1.x, by the
    host's own tokenizer."""

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

    width = config["hidden_size"]
    renamed = {
        name if name.startswith("text_model.") else f"text_model.{name}": tensor
        for name, tensor in tensors.items()
    }
    renamed.pop("text_model.embeddings.position_ids", None)
    target = comfy.supported_models_base.ClipTarget(Tokenizer, TextModels)
    clip = comfy.sd.CLIP(target, parameters=comfy.utils.calculate_parameters(renamed))
    projection = "text_projection.weight"  # Stable Diffusion 1.x and its like do without
    missing, unknown = clip.load_sd(renamed)
    if set(missing) - {projection} or unknown:
        raise WeightsError(
            f"the text encoder (width {width}) does not fit: {[*missing, *unknown][:3]}",
            "CLIP's text encoder",
        )
    return clip
