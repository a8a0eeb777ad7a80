"""A base in a diffusers folder: one sub-folder for each part."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from accelerate import init_empty_weights
from diffusers import DDIMScheduler
from diffusers.models import AutoencoderKL, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTokenizer

from bgdefect_core.errors import WeightsError
from bgdefect_core.method.schedule import PredictionType
from bgdefect_core.weights.model_folders import file_named, part_of
from bgdefect_core.weights.safetensors_file import open_safetensors
from bgdefect_core.weights.weight_sets import find_weights, read_tensors

from .families import FAMILIES, Family
from .parts import Parts, TextEncoder, text_network
from .prediction import Sign, decide, signs_of
from .weight_files import HALF_KEPT, fill, library_errors

log = logging.getLogger(__name__)

_PARTS = FAMILIES["mini"].parts
"""What every family has."""
_WHOLE = "choose a whole Stable Diffusion 1.x, 2.x or XL model"
_EXPECTED = "an intact diffusers folder with safetensors weights"
_AGAIN = "copy it again"
_SCHEDULE = ("beta_schedule", "beta_start", "beta_end", "num_train_timesteps")
_OTHER_SCHEDULERS = ("FlowMatch", "EDM", "CM", "Cosine")
"""Begins of the names of schedulers for networks that predict something else than noise or v."""
_TOKENIZER = ("vocab.json", "merges.txt", "tokenizer_config.json")
_CLIP_TOKENIZER = "a folder with CLIP's vocab.json, merges.txt and tokenizer_config.json"
_OLD_ATTENTION = {
    "query": "to_q",
    "key": "to_k",
    "value": "to_v",
    "proj_attn": "to_out.0",
}
"""Names of the VAE's attention in folders that diffusers wrote before release 0.17."""
_DEPTH = 3
"""Levels of folders that are searched for the model itself."""


def load_folder(folder: Path, licence: str, prediction: PredictionType | None = None) -> Parts:
    """Load all parts in fp32 on the CPU.

    Args:
        folder: with the sub-folders unet, vae, text_encoder, tokenizer and scheduler, and of SDXL
            text_encoder_2 and tokenizer_2.
        licence: of the base.
        prediction: what the U-Net predicts, against what the folder says.

    Raises:
        WeightsError: a missing or damaged part, or another kind of model.
    """
    _check_parts(folder, _PARTS)
    unet_place, vae_place = part_of(folder, "unet"), part_of(folder, "vae")
    unet_config = _network_config(UNet2DConditionModel, unet_place)
    family = _family(folder, unet_config)
    _check_parts(folder, family.parts)
    unet_files = find_weights(unet_place)
    unet_tensors = read_tensors(unet_files)
    unet = _network(UNet2DConditionModel, unet_config, unet_tensors, unet_place)
    vae_config = _network_config(AutoencoderKL, vae_place)
    vae_tensors = _today(read_tensors(find_weights(vae_place)))
    vae = _network(AutoencoderKL, vae_config, vae_tensors, vae_place)
    tokenizers = []
    text_encoders = []
    for part in family.text_parts:
        text_encoders.append(_text_encoder(part_of(folder, part.encoder), part.projects))
        tokenizers.append(load_tokenizer(part_of(folder, part.tokenizer)))
    return Parts(
        family=family,
        licence=licence,
        unet=unet,
        vae=vae,
        text_encoders=tuple(text_encoders),
        tokenizers=tuple(tokenizers),
        scheduler=_scheduler(folder, unet_files, prediction),
        half_kept=unet_tensors["conv_in.weight"].dtype in HALF_KEPT,
    )


def _check_parts(folder: Path, parts: Sequence[str]) -> None:
    """Refuse a folder that is no Stable Diffusion model of these parts, by what it is."""
    missing = [part for part in parts if not part_of(folder, part).is_dir()]
    pipeline = _pipeline(folder)
    model = f" (a {pipeline})" if pipeline else ""
    if not missing:
        return
    expected = "a diffusers folder with " + ", ".join(parts)
    if "unet" in missing and part_of(folder, "transformer").is_dir():
        came = f"{folder} holds a transformer, not a U-Net{model}"
        raise WeightsError(came, expected, _WHOLE)
    inside = _nested(folder, _DEPTH) if len(missing) == len(parts) else None
    if inside is not None:
        came = f"{folder} is not a model itself, but holds one"
        raise WeightsError(came, expected, f"give the folder {inside}")
    raise WeightsError(f"{folder} lacks {', '.join(missing)}{model}", expected, _WHOLE)


def _pipeline(folder: Path) -> str:
    """The pipeline that ``model_index.json`` names; empty where there is none."""
    try:
        index = file_named(folder, "model_index.json")
        return str(json.loads(index.read_bytes())["_class_name"])[:80]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""


def _nested(folder: Path, depth: int) -> Path | None:
    """The first model in the sub-folders."""
    for inside in sorted(filter(Path.is_dir, folder.iterdir())):
        if part_of(inside, "unet").is_dir():
            return inside
        deeper = _nested(inside, depth - 1) if depth > 1 else None
        if deeper is not None:
            return deeper
    return None


def _family(folder: Path, unet_config: Mapping[str, Any]) -> Family:
    for family in FAMILIES.values():
        if family.fits_folder(unet_config):
            return family
    width = unet_config.get("cross_attention_dim")
    summaries = "; ".join(family.summary for family in FAMILIES.values())
    came = f"the U-Net of {folder} reads text of width {width}"
    raise WeightsError(came, f"one of: {summaries}", "choose another base")


def _network_config(kind: Any, part: Path) -> dict[str, Any]:
    path = file_named(part, "config.json")
    with library_errors(path, "the network's configuration", _AGAIN):
        return dict(kind.load_config(path, local_files_only=True))


def _network(kind: Any, config: Mapping[str, Any], tensors: dict[str, Tensor], part: Path) -> Any:
    with library_errors(part, _EXPECTED, "use a configuration that belongs to the weights"):
        with init_empty_weights():
            network = kind.from_config(config)
        fill(network, tensors, str(part))
    return network


def _today(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A VAE's tensors under the names of today's diffusers."""
    renamed = {}
    for name, tensor in tensors.items():
        module, _, end = name.rpartition(".")
        attention, _, layer = module.rpartition(".")
        if ".attentions." in name and layer in _OLD_ATTENTION:
            name = f"{attention}.{_OLD_ATTENTION[layer]}.{end}"
        renamed[name] = tensor
    return renamed


def _text_encoder(part: Path, projects: bool) -> TextEncoder:
    """CLIP's text model, as transformers 4 ("text_model. ...") or 5 saved it.

    Args:
        part: its folder.
        projects: whether its projection belongs to it.
    """
    tensors = read_tensors(find_weights(part))
    with library_errors(part, _EXPECTED, "use a configuration that belongs to the weights"):
        config = CLIPTextConfig.from_pretrained(
            file_named(part, "config.json"), local_files_only=True
        )
        with init_empty_weights():
            network = text_network(projects)(config)
        prefix = "text_model." if hasattr(network, "text_model") else ""
        renamed = {}
        for name, tensor in tensors.items():
            start = "" if name.startswith("text_projection.") else prefix
            renamed[start + name.removeprefix("text_model.")] = tensor
        fill(network, renamed, str(part))
    return network


def load_tokenizer(folder: Path) -> CLIPTokenizer:
    """CLIP's tokenizer.

    Raises:
        WeightsError: no folder, nothing in it, or a damaged file.
    """
    missing = [name for name in _TOKENIZER if not (folder / name).is_file()]
    one_file = (folder / "tokenizer.json").is_file() and "tokenizer_config.json" not in missing
    if missing and not one_file:
        raise WeightsError(f"{folder} lacks {', '.join(missing)}", _CLIP_TOKENIZER, _AGAIN)
    with library_errors(folder, _CLIP_TOKENIZER, _AGAIN):
        tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
        tokens = len(tokenizer("a scratch")["input_ids"])
    longest = tokenizer.model_max_length
    if tokens != 4 or not 4 <= longest <= 1000:
        came = f"the tokenizer in {folder} makes {tokens} tokens of two words, of at most {longest}"
        raise WeightsError(came, "CLIP's: a start, two words, an end, of at most 77", _AGAIN)
    return tokenizer


def _scheduler(
    folder: Path, unet_files: list[Path], prediction: PredictionType | None
) -> dict[str, Any]:
    """The scheduler's configuration, with what the U-Net predicts."""
    path = file_named(part_of(folder, "scheduler"), "scheduler_config.json")
    with library_errors(path, "diffusers' scheduler_config.json", _AGAIN):
        scheduler = dict(DDIMScheduler.load_config(path, local_files_only=True))
    kind = str(scheduler.get("_class_name", ""))
    if kind.startswith(_OTHER_SCHEDULERS):
        came = f"{path} is of the kind {kind[:80]}"
        expected = "a base that predicts noise or v, on the schedule of Stable Diffusion"
        raise WeightsError(came, expected, "choose another base")
    lacking = [key for key in _SCHEDULE if key not in scheduler]
    if lacking and scheduler.get("trained_betas") is None:
        came = f"{path} lacks {', '.join(lacking)}"
        raise WeightsError(came, "the schedule of Stable Diffusion", _AGAIN)
    signs = []
    if "prediction_type" in scheduler:
        signs.append(Sign(path.name, scheduler["prediction_type"]))
    with open_safetensors(unet_files[0], _EXPECTED) as file:
        signs += signs_of(file.keys(), file.metadata() or {}, unet_files[0])
    scheduler["prediction_type"] = decide(signs, prediction, "epsilon", folder)
    return scheduler
