"""Stable Diffusion XL (Podell et al. 2023, "SDXL"): text from CLIP ViT-L and OpenCLIP ViT-bigG side
by side; the pooled text of the latter and the picture's size are further conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from .family import EncodedPrompts, Family, FileHeader, TextPart, padded_ids

if TYPE_CHECKING:
    from ..base import Base

_SIZES = "model.diffusion_model.label_emb.0.0.weight"
"""The first layer that reads pooled text and sizes, in a single file."""
_FIRST_TEXT = "model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight"
"""The first layer of the U-Net that reads text, in a single file: its finest level reads none."""


class StableDiffusionXL(Family):
    """SDXL 1.0 and what was trained from it. The refiner, which has one text encoder, is none."""

    def fits_folder(self, unet_config: Mapping[str, Any]) -> bool:
        """By the kind of further conditions; the widths may be any."""
        return unet_config.get("addition_embed_type") == "text_time"

    def fits_file(self, header: FileHeader) -> bool:
        """By the layer for these conditions, and by where the first text is read."""
        return _SIZES in header.shapes and _FIRST_TEXT in header.shapes

    @torch.no_grad()
    def encode(self, base: Base, texts: Sequence[str]) -> EncodedPrompts:
        """Encode prompts: the last hidden state but one of each encoder, without its last norm.

        The pooled text is that of the first prompt, the background: the U-Net reads one pooled
        vector a picture, and the background must not know the defect. The sizes follow from the
        latents (`bgdefect_core.method.predictor`).
        """
        hidden = []
        pooled = torch.empty(0)
        for tokenizer, encoder in zip(base.tokenizers, base.text_encoders, strict=True):
            ids = padded_ids(tokenizer, texts).to(encoder.device)
            encoded = encoder(ids, output_hidden_states=True)
            hidden.append(encoded.hidden_states[-2].float())
            pooled = getattr(encoded, "text_embeds", pooled)
        return EncodedPrompts(torch.cat(hidden, dim=-1), {"text_embeds": pooled[:1].float()})


SDXL = StableDiffusionXL(
    name="sdxl",
    summary="Stable Diffusion XL (two text encoders)",
    text_widths=(2048, 2048),
    lr=5e-6,
    mask_weight=1.0,  # the paper's; nothing else has been measured
    text_parts=(
        TextPart(file_prefix="conditioner.embedders.0.transformer."),
        TextPart(
            tokenizer="tokenizer_2",
            encoder="text_encoder_2",
            projects=True,
            file_prefix="conditioner.embedders.1.model.",
            pad_token="!",  # token 0
        ),
    ),
    configs="sdxl",
    licence="CreativeML Open RAIL++-M (SDXL)",
)
