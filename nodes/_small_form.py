"""A diffusers folder of Stable Diffusion's form in the host's words: files, settings, names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from torch import Tensor

from ..bgdefect_core.errors import WeightsError
from ..bgdefect_core.pictures.listing import is_leftover
from ..bgdefect_core.weights import weight_sets
from ..bgdefect_core.weights.model_folders import check_types, file_named, part_of

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
    name = "scheduler_config.json" if part == "scheduler" else "config.json"
    path = file_named(part_of(folder, part), name)
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


def refuse_other_capitals(folder: Path, part: str) -> None:
    """Refuse a part's folder whose name has capitals, where the host itself reads it by its name.

    Raises:
        WeightsError: naming it.
    """
    place = part_of(folder, part)
    if place != folder / part and not (folder / part).is_dir():
        raise WeightsError(f"{place} has capitals in its name", f"{part}", "rename it")


def weights_file(part: Path, stem: str) -> Path:
    """The safetensors file of one part, as the host itself looks for it: ``stem.safetensors`` or
    ``stem.fp16.safetensors``.

    Raises:
        WeightsError: there is none, or only a pickle, which could run code.
    """
    names = (f"{stem}.safetensors", f"{stem}.fp16.safetensors")
    files = [part / name for name in names if (part / name).is_file()]
    if not files:
        pickles = sorted(
            path.name
            for path in part.glob("*")
            if path.suffix in (".bin", ".ckpt", ".pt", ".pth") and not is_leftover(path.name)
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
    tensors = weight_sets.read_tensors(weight_sets.find_weights(part))
    check_types(str(part), tensors)
    return tensors


def host_unet_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """A diffusers U-Net's configuration in the host's words."""
    widths, layers = config["block_out_channels"], config["layers_per_block"]
    down_depth, up_depth = list[int](), list[int]()
    for kind in config["down_block_types"]:
        depth = int("CrossAttn" in kind)
        down_depth += [depth] * layers
        up_depth += [depth] * (layers + 1)
    return {
        "image_size": 32,
        "in_channels": config["in_channels"],
        "out_channels": config["out_channels"],
        "model_channels": widths[0],
        "channel_mult": [width // widths[0] for width in widths],
        "num_res_blocks": [layers] * len(widths),
        "transformer_depth": down_depth,
        "transformer_depth_output": up_depth,
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


def vae_factor(config: Mapping[str, Any]) -> int:
    factor: int = 2 ** (len(config["block_out_channels"]) - 1)
    return factor


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
