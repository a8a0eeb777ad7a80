"""Stable Diffusion 1.x and 2.x in one ``.safetensors`` file, as CompVis and Stability AI publish
them.

Diffusers' own single-file loader does the renaming; the configurations that it would download are
shipped with us (``bgdefect_core/assets/configs``).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline
from diffusers.models import AutoencoderKL, UNet2DConditionModel
from safetensors import SafetensorError, safe_open
from transformers import CLIPTextModel, CLIPTokenizer

import bgdefect_core
from bgdefect_core.errors import WeightsError

log = logging.getLogger(__name__)

ASSETS = Path(bgdefect_core.__file__).parent / "assets"
_TEXT_WIDTH = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
_FIRST = "model.diffusion_model.input_blocks.0.0.weight"
_LAST_NORM = "model.diffusion_model.output_blocks.11.1.transformer_blocks.0.norm1.bias"
_V_SPREAD = 0.09
"""Where that bias spreads more (standard deviation), an SD 2.x U-Net predicts v (768 px), else
noise (512 px); ComfyUI reads it so too."""
_EXPECTED = "a Stable Diffusion 1.x or 2.x checkpoint with U-Net, VAE and text encoder"


@dataclass(frozen=True)
class Parts:
    """The five parts of a Stable Diffusion model; the scheduler as its configuration."""

    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    scheduler: Mapping[str, Any]


@dataclass(frozen=True)
class SingleFile:
    """What was read from one file."""

    parts: Parts
    licence: str
    half_lost: bool
    """Whether the weights are neither fp32 nor fp16: the base then has no fingerprint."""


@dataclass(frozen=True)
class _Layout:
    config: str
    licence: str
    v_prediction: bool
    half_lost: bool


def load_single_file(path: Path) -> SingleFile:
    """Load all parts in fp32 on the CPU.

    Raises:
        WeightsError: a pickle, a damaged file, missing parts, SDXL or another layout.
    """
    if path.suffix.lower() != ".safetensors":
        what = f"{path} is a {path.suffix or 'nameless'} file"
        raise WeightsError(
            what,
            "a .safetensors file, which cannot run code",
            "convert the checkpoint to safetensors",
        )
    layout = _layout(path)
    tokenizer = ASSETS / "bgdefect-mini" / "tokenizer"  # CLIP's own; 2.x pads with token 0, "!"
    padding: dict[str, Any] = {} if layout.config == "sd1" else {"pad_token": "!"}
    try:
        pipeline: Any = StableDiffusionPipeline.from_single_file(
            str(path),
            config=str(ASSETS / "configs" / layout.config),
            local_files_only=True,
            torch_dtype=torch.float32,
            tokenizer=CLIPTokenizer.from_pretrained(tokenizer, local_files_only=True, **padding),
            safety_checker=None,
            feature_extractor=None,
        )
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        RuntimeError,
        AttributeError,
        SafetensorError,
    ) as reason:
        raise WeightsError(
            f"{path} cannot be loaded ({str(reason).strip()[:300]})", _EXPECTED, "copy it again"
        ) from reason
    parts = Parts(
        pipeline.unet,
        pipeline.vae,
        pipeline.text_encoder,
        pipeline.tokenizer,
        dict(pipeline.scheduler.config),
    )
    for name, part in (
        ("U-Net", parts.unet),
        ("VAE", parts.vae),
        ("text encoder", parts.text_encoder),
    ):
        empty = [key for key, value in part.state_dict().items() if value.is_meta]
        if empty:
            raise WeightsError(
                f"{path} lacks {len(empty)} tensors of the {name}, first {empty[0]}",
                _EXPECTED,
                "copy it again",
            )
    scheduler = {
        **parts.scheduler,
        "prediction_type": "v_prediction" if layout.v_prediction else "epsilon",
    }
    if layout.v_prediction:
        parts.unet.register_to_config(sample_size=96)
    return SingleFile(
        Parts(parts.unet, parts.vae, parts.text_encoder, parts.tokenizer, scheduler),
        layout.licence,
        layout.half_lost,
    )


def _layout(path: Path) -> _Layout:
    """Which Stable Diffusion the file holds, from its header and one small tensor."""
    try:
        with safe_open(path, framework="pt") as file:
            keys = set(file.keys())
            for prefix, part in (
                ("model.diffusion_model.", "U-Net"),
                ("first_stage_model.", "VAE"),
                ("cond_stage_model.", "text encoder"),
            ):
                if not any(key.startswith(prefix) for key in keys):
                    raise WeightsError(
                        f"{path} holds no {part}",
                        _EXPECTED,
                        "choose a whole checkpoint, not a part or a LoRA",
                    )
            if _TEXT_WIDTH not in keys or _FIRST not in keys:
                raise WeightsError(
                    f"{path} has an unknown layout", _EXPECTED, "choose another base"
                )
            width, channels = (
                file.get_slice(_TEXT_WIDTH).get_shape()[1],
                file.get_slice(_FIRST).get_shape()[1],
            )
            half_lost = file.get_slice(_FIRST).get_dtype() not in ("F32", "F16")
            v_prediction = (
                width == 1024
                and float(file.get_tensor(_LAST_NORM).float().std(correction=0)) > _V_SPREAD
            )
    except (SafetensorError, OSError) as reason:
        raise WeightsError(
            f"{path} is no safetensors file, or a damaged one ({reason})",
            _EXPECTED,
            "copy it again",
        ) from reason
    if channels != 4:
        raise WeightsError(
            f"the U-Net of {path} reads {channels} channels",
            "4: no inpainting or depth model",
            "choose the plain model",
        )
    if width not in (768, 1024):
        raise WeightsError(
            f"the U-Net of {path} reads text of width {width}",
            "768 (SD 1.x) or 1024 (SD 2.x)",
            "choose another base",
        )
    if width == 768:
        return _Layout("sd1", "CreativeML OpenRAIL-M (SD 1.x)", False, half_lost)
    log.info(
        "%s: Stable Diffusion 2.x that predicts %s",
        path,
        "v (768 px)" if v_prediction else "noise (512 px)",
    )
    return _Layout("sd2", "CreativeML Open RAIL++-M (SD 2.x)", v_prediction, half_lost)
