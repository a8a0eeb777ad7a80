"""The parts of a base, as they are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from diffusers.models import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from .families import Family

TextEncoder: TypeAlias = CLIPTextModel | CLIPTextModelWithProjection


@dataclass(frozen=True)
class Parts:
    """What :class:`trainer.bases.base.Base` is assembled from."""

    family: Family
    licence: str
    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text_encoders: tuple[TextEncoder, ...]
    tokenizers: tuple[CLIPTokenizer, ...]
    scheduler: Mapping[str, Any]
    """A diffusers ``scheduler_config.json``."""
    half_kept: bool
    """Whether the U-Net is stored in fp32 or fp16; else the base has no fingerprint."""


def text_network(projects: bool) -> type[TextEncoder]:
    """The class of a text encoder, with or without a projection of the pooled text."""
    return CLIPTextModelWithProjection if projects else CLIPTextModel
