"""What a base family declares: how it is recognised, its configurations, and its defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bgdefect_core.declarations import Range
from bgdefect_core.method.schedule import PredictionType
from bgdefect_core.paths import ASSETS

if TYPE_CHECKING:
    from transformers import CLIPTokenizer

    from ..base import Base

RESOLUTION = Range(32, 4096)
"""Side in pixels of the squares that a base works on."""
FIRST = "model.diffusion_model.input_blocks.0.0.weight"
"""The U-Net's first convolution in a single file."""
TEXT_KEY = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
"""The first layer of the U-Net that reads text, in a single file; ``[width, text width]``."""


@dataclass(frozen=True)
class FileHeader:
    """Names and shapes of the tensors of a single file, and its metadata."""

    shapes: Mapping[str, tuple[int, ...]]
    metadata: Mapping[str, str]

    @property
    def text_width(self) -> int | None:
        """Width of the text that the U-Net reads; None in another layout."""
        return self.shapes[TEXT_KEY][1] if TEXT_KEY in self.shapes else None


@dataclass(frozen=True)
class TextPart:
    """A text encoder with its tokenizer."""

    tokenizer: str = "tokenizer"
    """Its folder in a diffusers model."""
    encoder: str = "text_encoder"
    """Its folder in a diffusers model."""
    projects: bool = False
    """Whether a projection makes one pooled vector of the text."""
    file_prefix: str = "cond_stage_model."
    """Start of the encoder's names in a single file."""
    pad_token: str | None = None
    """Of a single file's tokenizer; None: CLIP's own."""


@dataclass(frozen=True)
class EncodedPrompts:
    """Prompts as the U-Net takes them."""

    tokens: Tensor
    """float32 ``[N, T, D]``."""
    added: Mapping[str, Tensor] = field(default_factory=dict)
    """Further inputs of the U-Net, see `bgdefect_core.method.regions.Context.added`."""


@dataclass(frozen=True)
class Family:
    """A kind of base in Stable Diffusion's form with one CLIP text encoder.

    A family with other text encoders is a subclass: it names them in ``text_parts`` and overrides
    :meth:`encode`.
    """

    name: str
    summary: str
    text_widths: tuple[int, int]
    """Least and greatest width of the text that the U-Net reads."""
    lr: float
    """Default learning rate of a full U-Net."""
    mask_weight: float
    """Default weight of the disentangled loss inside the mask."""
    lora_lr: float = 1e-4
    """Default learning rate of a LoRA."""
    lora_modules: tuple[str, ...] = ("to_q", "to_k", "to_v", "to_out.0")
    """Layers of every attention, self and cross, that a LoRA adapts."""
    text_parts: tuple[TextPart, ...] = (TextPart(),)
    """The text encoders; their tokens' numbers stand side by side, in this order."""
    configs: str = ""
    """Folder of ``assets/configs`` for single files; empty where the family has none."""
    licence: str = ""
    """Of a single file."""
    text_prefixes: tuple[str, str] | None = None
    """Start of the text encoder's names in older single files, and in today's."""
    v_sample_size: int | None = None
    """Side of the latents where a single file predicts v; None: as for noise."""

    @property
    def config_folder(self) -> Path:
        """Configurations for single files."""
        return ASSETS / "configs" / self.configs

    @property
    def parts(self) -> tuple[str, ...]:
        """The folders of a diffusers model."""
        text = [name for part in self.text_parts for name in (part.encoder, part.tokenizer)]
        return ("unet", "vae", *text, "scheduler")

    def fits_width(self, width: object) -> bool:
        """Whether a U-Net that reads text of this width belongs to the family."""
        low, high = self.text_widths
        return isinstance(width, int) and low <= width <= high

    def fits_folder(self, unet_config: Mapping[str, Any]) -> bool:
        """Whether a diffusers folder belongs to the family."""
        plain = unet_config.get("addition_embed_type") is None
        return plain and self.fits_width(unet_config.get("cross_attention_dim"))

    def fits_file(self, header: FileHeader) -> bool:
        """Whether a single file belongs to the family."""
        return bool(self.configs) and self.fits_width(header.text_width)

    def prediction_type(self, tensors: Mapping[str, Tensor]) -> PredictionType:
        """What a single file predicts that does not say so."""
        return "epsilon"

    def default_lr(self, lora_rank: int) -> float:
        """The learning rate of a LoRA, or of a full U-Net (rank 0)."""
        return self.lora_lr if lora_rank else self.lr

    @torch.no_grad()
    def encode(self, base: Base, texts: Sequence[str]) -> EncodedPrompts:
        """Encode prompts, padded to the model's 77 tokens: the text encoder's last hidden state."""
        ids = padded_ids(base.tokenizer, texts).to(base.text_encoder.device)
        return EncodedPrompts(base.text_encoder(ids).last_hidden_state.float())


def padded_ids(tokenizer: CLIPTokenizer, texts: Sequence[str]) -> Tensor:
    """Token ids of texts, cut or padded to the model's 77: long ``[N, 77]`` on the CPU."""
    encoded = tokenizer(
        list(texts),
        padding="max_length",
        max_length=int(tokenizer.model_max_length),
        truncation=True,
        return_tensors="pt",
    )
    ids: Tensor = encoded.input_ids
    return ids
