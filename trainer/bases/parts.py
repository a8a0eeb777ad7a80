"""The parts of a base, as they are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from diffusers.models import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from .families import Family


@dataclass(frozen=True)
class Parts:
    """What :class:`trainer.bases.base.Base` is assembled from."""

    family: Family
    licence: str
    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text_encoders: tuple[CLIPTextModel, ...]
    tokenizers: tuple[CLIPTokenizer, ...]
    scheduler: Mapping[str, Any]
    """A diffusers ``scheduler_config.json``."""
    half_kept: bool
    """Whether the U-Net is stored in fp32 or fp16; else the base has no fingerprint."""
