"""``bgdefect pretrain``: draw, train and assemble the embedded base ``bgdefect-mini``, from a seed alone."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from transformers import CLIPTokenizer

from ..cache import to_pixels
from .draw import draw
from .linear import LinearConfig, train_linear
from .regions import RegionsConfig, train_regions
from .unet import UNetConfig, scheduler, train_unet
from .vae import VAEConfig, train_vae

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PretrainConfig:
    """Draw pictures, train the VAE, the text encoder and the U-Net, and write a diffusers folder."""

    output: Path
    """Folder for the finished model (``unet``, ``vae``, ``text_encoder``, ``tokenizer``, ``scheduler``) and ``checkpoints/``."""
    tokenizer: Path
    """Folder of the CLIP tokenizer."""
    seed: int = 0
    """Every picture and every random number follows from it."""
    linear: LinearConfig = field(default_factory=LinearConfig)
    vae: VAEConfig = field(default_factory=VAEConfig)
    unet: UNetConfig = field(default_factory=UNetConfig)
    regions: RegionsConfig = field(default_factory=RegionsConfig)


@torch.no_grad()
def latent_scale(vae: AutoencoderKL, seed: int, count: int = 64) -> float:
    """1 / standard deviation of the latents of ``count`` drawn pictures (Stable Diffusion's ``scaling_factor``)."""
    latents = []
    for index in range(count):
        pixels = to_pixels([draw(seed + 20_000_000 + index, 128, 0.5).picture])
        latents.append(vae.encode(pixels).latent_dist.mean)
    return round(1 / float(torch.cat(latents).std()), 5)


def pretrain(config: PretrainConfig) -> None:
    """Run all parts, each resuming from its last checkpoint; at the end write the model in fp16."""
    tokenizer = CLIPTokenizer.from_pretrained(config.tokenizer)
    checkpoints = config.output / "checkpoints"
    coder = train_linear(checkpoints / "linear", config.linear, config.seed)
    vae = train_vae(checkpoints / "vae", coder, config.vae, config.seed)
    vae.eval().requires_grad_(False)
    vae.register_to_config(scaling_factor=latent_scale(vae, config.seed))
    log.info("scaling factor %s", vae.config.scaling_factor)
    unet, text_encoder = train_unet(checkpoints / "unet", vae, tokenizer, config.unet, config.seed)
    unet, text_encoder = train_regions(checkpoints / "regions", unet, text_encoder, vae, tokenizer, config.regions, config.seed)
    for name, part in (("vae", vae), ("unet", unet), ("text_encoder", text_encoder)):
        part.half().save_pretrained(config.output / name, safe_serialization=True)
    scheduler().save_pretrained(config.output / "scheduler")
    shutil.copytree(config.tokenizer, config.output / "tokenizer", dirs_exist_ok=True)
