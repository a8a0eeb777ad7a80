"""Writes a Stable Diffusion model as CompVis and Stability AI do: one file, their names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}
_OPEN_CLIP = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}


def unet_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``model.diffusion_model. ...``"""
    blocks = {
        "time_embedding.linear_1.": "time_embed.0.",
        "time_embedding.linear_2.": "time_embed.2.",
        "add_embedding.linear_1.": "label_emb.0.0.",
        "add_embedding.linear_2.": "label_emb.0.2.",
        "conv_in.": "input_blocks.0.0.",
        "conv_norm_out.": "out.0.",
        "conv_out.": "out.2.",
        "mid_block.attentions.0.": "middle_block.1.",
        "mid_block.resnets.0.": "middle_block.0.",
        "mid_block.resnets.1.": "middle_block.2.",
    }
    for level in range(4):
        blocks[f"down_blocks.{level}.downsamplers.0.conv."] = f"input_blocks.{3 * level + 3}.0.op."
        attends = any(name.startswith(f"up_blocks.{level}.attentions.") for name in state)
        blocks[f"up_blocks.{level}.upsamplers.0."] = (
            f"output_blocks.{3 * level + 2}.{2 if attends else 1}."
        )
        for layer in range(3):
            for kind, number in (("resnets", 0), ("attentions", 1)):
                blocks[f"down_blocks.{level}.{kind}.{layer}."] = (
                    f"input_blocks.{3 * level + layer + 1}.{number}."
                )
                blocks[f"up_blocks.{level}.{kind}.{layer}."] = (
                    f"output_blocks.{3 * level + layer}.{number}."
                )
    named = {}
    for name, tensor in state.items():
        before = next(start for start in blocks if name.startswith(start))
        rest = name.removeprefix(before)
        if ".resnets." in name:
            part, _, end = rest.partition(".")
            rest = f"{_RESNET[part]}.{end}"
        named[f"model.diffusion_model.{blocks[before]}{rest}"] = tensor
    return named


def vae_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``first_stage_model. ...``"""
    attention = {
        "group_norm": "norm",
        "to_q": "q",
        "to_k": "k",
        "to_v": "v",
        "to_out.0": "proj_out",
    }
    plain = {
        "conv_shortcut": "nin_shortcut",
        "conv_norm_out": "norm_out",
        "mid_block.attentions.0": "mid.attn_1",
    }
    plain |= {"mid_block.resnets.0": "mid.block_1", "mid_block.resnets.1": "mid.block_2"}
    for level in range(4):
        plain[f"down_blocks.{level}.downsamplers.0"] = f"down.{level}.downsample"
        plain[f"up_blocks.{level}.upsamplers.0"] = f"up.{3 - level}.upsample"
        for layer in range(3):
            plain[f"down_blocks.{level}.resnets.{layer}"] = f"down.{level}.block.{layer}"
            plain[f"up_blocks.{level}.resnets.{layer}"] = f"up.{3 - level}.block.{layer}"
    named = {}
    for name, tensor in state.items():
        inside = ".attentions." in name
        for ours, theirs in (plain | attention if inside else plain).items():
            name = name.replace(ours, theirs)
        matrix = inside and tensor.ndim == 2  # theirs are 1 x 1 convolutions
        named[f"first_stage_model.{name}"] = (
            tensor[:, :, None, None].contiguous() if matrix else tensor
        )
    return named


def clip_names(state: Mapping[str, Tensor], start: str = "cond_stage_model.") -> dict[str, Tensor]:
    """SD 1.x: ``cond_stage_model.transformer.text_model. ...``; SDXL: another start."""
    return {
        f"{start}transformer.text_model.{name}": tensor for name, tensor in _flat(state).items()
    }


def open_clip_names(
    state: Mapping[str, Tensor], start: str = "cond_stage_model."
) -> dict[str, Tensor]:
    """SD 2.x: ``cond_stage_model.model. ...``, with query, key and value in one matrix; SDXL:
    another start, and the projection."""
    state = _flat(state)
    named = {
        "token_embedding.weight": state["embeddings.token_embedding.weight"],
        "positional_embedding": state["embeddings.position_embedding.weight"],
        "ln_final.weight": state["final_layer_norm.weight"],
        "ln_final.bias": state["final_layer_norm.bias"],
    }
    if "text_projection.weight" in state:
        named["text_projection"] = state["text_projection.weight"].T
    for name, tensor in state.items():
        if not name.startswith("encoder.layers."):
            continue
        number, _, rest = name.removeprefix("encoder.layers.").partition(".")
        where = f"transformer.resblocks.{number}."
        if rest.startswith("self_attn.q_proj."):
            end = rest.rpartition(".")[2]
            three = [
                state[name.replace("q_proj", which)] for which in ("q_proj", "k_proj", "v_proj")
            ]
            named[f"{where}attn.in_proj_{end}"] = torch.cat(three)
        for ours, theirs in _OPEN_CLIP.items():
            if rest.startswith(ours):
                named[where + rest.replace(ours, theirs)] = tensor
    return {f"{start}model.{name}": tensor for name, tensor in named.items()}


def write_single_file(path: Path, *parts: Mapping[str, Tensor]) -> Path:
    """One .safetensors of all parts."""
    save_file({name: tensor.contiguous() for part in parts for name, tensor in part.items()}, path)
    return path


def _flat(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Older transformers wrap the text model once more."""
    return {
        name.removeprefix("text_model."): tensor
        for name, tensor in state.items()
        if "position_ids" not in name
    }
