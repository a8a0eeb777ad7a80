"""Pretraining the embedded base, part 2: the VAE (diffusers ``AutoencoderKL``, factor 4, 4 latent
channels).

It starts as the linear coder of part 1 and learns what a linear transform cannot do. Loss: squared
error, since PSNR is what the figures ask for, with a little L1 and a very small KL term; larger
crops at the end.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from bgdefect_core.declarations import Doc, Range
from bgdefect_core.method.randomness import generator

from .linear import LinearCoder, start_from
from .steps import PretrainStage, run_steps
from .stream import PictureWindow, crops, picture_of


@dataclass(frozen=True)
class VAEConfig:
    """Settings of the VAE's pretraining."""

    steps: Annotated[int, Range(1, 10_000_000), Doc("Optimizer steps in all.")] = 4000
    large_from: float = 0.75
    """Share of the steps after which all crops (before: every fifth batch) are ``large_crop``
    wide."""
    small_crop: int = 64
    large_crop: int = 128
    small_batch: int = 8
    large_batch: int = 3
    lr: Annotated[
        float,
        Range(1e-10, 1),
        Doc("Peak learning rate (one cycle) of weights that start at zero."),
    ] = 3e-4
    linear_lr: float = 0.3
    """Of what starts as the linear coder, in shares of ``lr``."""
    kl: float = 1e-6
    drawn_size: int = 160
    """Pixels of a drawn picture's side."""
    window: int = 480
    fresh: int = 2
    save_every: Annotated[int, Range(1, 10_000_000), Doc("Steps between checkpoints.")] = 500


def build_vae() -> AutoencoderKL:
    """The VAE of ``bgdefect-mini``: three levels of width 96.

    The host's group norms have 32 groups, so that widths are multiples of 32, and a group needs
    three channels or more: with one or two, normalising a group takes the mean colour and
    brightness of the picture away, and nothing after it can know them.
    """
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(96, 96, 96),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=32,
        sample_size=128,
        scaling_factor=1.0,
        force_upcast=False,
    )


def autoencode(vae: AutoencoderKL, pixels: Tensor, eps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and standard deviation of the latent, and the decoding of one draw of it."""
    posterior = vae.encode(pixels).latent_dist
    mean, std = posterior.mean.float(), posterior.std.float()
    return mean, std, vae.decode(mean + std * eps).sample.float()


def vae_loss(
    pixels: Tensor, mean: Tensor, std: Tensor, output: Tensor, kl: float
) -> tuple[Tensor, float]:
    """Loss and PSNR in dB (pixels in -1..1, ``[B, 3, H, W]``)."""
    error = output - pixels
    loss = error.square().mean() + 0.05 * error.abs().mean()
    loss = (
        loss + kl * 0.5 * (mean.square() + std.square() - 2 * std.clamp_min(1e-8).log() - 1).mean()
    )
    mse = (error.detach().clamp(-2, 2) / 2).square().mean(dim=(1, 2, 3))
    return loss, float((-10 * mse.clamp_min(1e-8).log10()).mean())


def _optimizer(vae: AutoencoderKL, config: VAEConfig) -> torch.optim.AdamW:
    """What the linear coder has set learns more slowly than what was added to it."""
    added: list[nn.Parameter] = []
    linear: list[nn.Parameter] = []
    for name, weight in vae.named_parameters():
        (added if "resnets" in name or "attentions" in name else linear).append(weight)
    groups: list[dict[str, Any]] = [
        {"params": added},
        {"params": linear, "share": config.linear_lr},
    ]
    return torch.optim.AdamW(groups, lr=config.lr, betas=(0.9, 0.99), weight_decay=0.0)


def train_vae(folder: Path, coder: LinearCoder, config: VAEConfig, seed: int) -> AutoencoderKL:
    """Train the VAE, or go on from ``folder``'s last checkpoint. Returns it with its scaling factor
    not yet set."""
    torch.manual_seed(seed)
    vae = build_vae().train()
    start_from(vae, coder)

    def pictures(start: int) -> PictureWindow[np.ndarray]:
        return PictureWindow(
            seed,
            config.drawn_size,
            config.window,
            config.fresh,
            start,
            picture_of,
            defect_share=0.4,
        )

    def step_loss(step: int, held: deque[np.ndarray]) -> tuple[Tensor, float]:
        large = step >= config.large_from * config.steps or step % 5 == 0
        count, size = (
            (config.large_batch, config.large_crop)
            if large
            else (config.small_batch, config.small_crop)
        )
        pixels = crops(held, count, size, seed, step)
        eps = torch.randn((count, 4, size // 4, size // 4), generator=generator(seed, step))
        with torch.autocast("cpu", torch.bfloat16):
            mean, std, output = autoencode(vae, pixels, eps)
        return vae_loss(pixels, mean, std, output, config.kl)

    stage = PretrainStage(
        folder,
        "VAE",
        config.steps,
        config.save_every,
        config.lr,
        {"vae": vae},
        _optimizer(vae, config),
        clipped=list(vae.parameters()),
        most=0.1,
        figure="psnr",
        share=0.02,
    )
    run_steps(stage, pictures, step_loss)
    return vae
