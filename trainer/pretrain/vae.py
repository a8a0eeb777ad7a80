"""Pretraining the embedded base, part 1: the VAE (diffusers ``AutoencoderKL``, factor 4, 4 latent channels).

Loss: L1 on the picture, on its high-pass and on its colour differences, plus a very small KL term; squared error takes over in the
last stage, on larger crops, since PSNR is what the figures ask for. A linear reading of the latent has to give the small picture in
colour, so that colour starts at once.

At the very end the decoder alone goes on with squared error on large crops. The encoder rests, so that the latents, and a U-Net
trained on them, stay as they are.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor, nn

from ..checkpoint import generator
from .draw import Drawn
from .steps import Stage, run_steps
from .stream import PictureWindow


@dataclass(frozen=True)
class VAEConfig:
    """Settings of the VAE's pretraining."""

    steps: int = 3600
    """Optimizer steps in all."""
    large_from: float = 0.75
    """Share of the steps after which all crops (before: every fifth batch) are ``large_crop`` wide and squared error is added."""
    small_crop: int = 64
    large_crop: int = 128
    small_batch: int = 8
    large_batch: int = 3
    lr: float = 1e-3
    """Peak of the one-cycle learning rate."""
    kl: float = 1e-6
    drawn_size: int = 160
    """Pixels of a drawn picture's side."""
    window: int = 480
    fresh: int = 2
    save_every: int = 500
    decoder_steps: int = 1000
    """Steps of the decoder alone, after ``steps``."""
    decoder_batch: int = 4
    decoder_lr: float = 5e-4
    """Peak of its one-cycle learning rate."""


def build_vae() -> AutoencoderKL:
    """The VAE of ``bgdefect-mini``: three levels of width 96.

    The host's group norms have 32 groups, so that widths are multiples of 32, and a group needs three channels or more: with one or two,
    normalising a group takes the mean colour and brightness of the picture away, and nothing after it can know them.
    """
    vae = AutoencoderKL(
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
    # Start as a plain autoencoder: a posterior of width 1 would drown the picture for the first thousand steps.
    with torch.no_grad():
        vae.quant_conv.weight[4:] = 0
        vae.quant_conv.bias[4:] = -8
    return vae


def autoencode(vae: AutoencoderKL, pixels: Tensor, eps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and standard deviation of the latent, and the decoding of one draw of it."""
    posterior = vae.encode(pixels).latent_dist
    mean, std = posterior.mean.float(), posterior.std.float()
    return mean, std, vae.decode(mean + std * eps).sample.float()


def vae_loss(pixels: Tensor, mean: Tensor, std: Tensor, output: Tensor, squared: bool, kl: float) -> tuple[Tensor, float]:
    """Loss and PSNR in dB (pixels in -1..1, ``[B, 3, H, W]``)."""
    error = output - pixels
    colour = torch.stack([error[:, 0] - error[:, 1], error[:, 2] - error[:, 1]])
    high = error - F.avg_pool2d(error, 5, stride=1, padding=2, count_include_pad=False)
    loss = error.abs().mean() + high.abs().mean() + colour.abs().mean()
    if squared:
        loss = 0.5 * loss + 4.0 * error.square().mean()
    loss = loss + kl * 0.5 * (mean.square() + std.square() - 2 * std.clamp_min(1e-8).log() - 1).mean()
    mse = (error.detach().clamp(-2, 2) / 2).square().mean(dim=(1, 2, 3))
    return loss, float((-10 * mse.clamp_min(1e-8).log10()).mean())


def crops(pictures: deque[np.ndarray], count: int, size: int, seed: int, step: int) -> Tensor:
    """Random square crops of random pictures with random flips and quarter turns: ``[count, 3, size, size]`` in -1..1."""
    rng = np.random.default_rng((seed, step))
    batch = []
    for index in rng.choice(len(pictures), count, replace=False):
        picture = pictures[index]
        top, left = rng.integers(0, picture.shape[0] - size + 1, 2)
        crop = np.rot90(picture[top : top + size, left : left + size], int(rng.integers(4)))
        batch.append(crop[:, ::-1] if rng.random() < 0.5 else crop)
    return torch.from_numpy(np.ascontiguousarray(np.stack(batch))).permute(0, 3, 1, 2).float() / 127.5 - 1


def _picture(drawn: Drawn) -> np.ndarray:
    return drawn.picture


def train_vae(folder: Path, config: VAEConfig, seed: int) -> AutoencoderKL:
    """Train the VAE, or go on from ``folder``'s last checkpoint. Returns it with its scaling factor not yet set."""
    torch.manual_seed(seed)
    vae = build_vae().train()
    small_picture = nn.Conv2d(4, 3, 1)
    modules = {"vae": vae, "small_picture": small_picture}
    optimizer = torch.optim.AdamW([*vae.parameters(), *small_picture.parameters()], lr=config.lr, betas=(0.9, 0.99), weight_decay=1e-4)

    def pictures(start: int) -> PictureWindow[np.ndarray]:
        return PictureWindow(seed, config.drawn_size, config.window, config.fresh, start, _picture, defect_share=0.4)

    def step_loss(step: int, held: deque[np.ndarray]) -> tuple[Tensor, float]:
        last_stage = step >= config.large_from * config.steps
        large = last_stage or step % 5 == 0
        count, size = (config.large_batch, config.large_crop) if large else (config.small_batch, config.small_crop)
        pixels = crops(held, count, size, seed, step)
        eps = torch.randn((count, 4, size // 4, size // 4), generator=generator(seed, step))
        with torch.autocast("cpu", torch.bfloat16):
            mean, std, output = autoencode(vae, pixels, eps)
        loss, psnr = vae_loss(pixels, mean, std, output, last_stage, config.kl)
        return loss + F.mse_loss(small_picture(mean), F.avg_pool2d(pixels, 4)), psnr

    stage = Stage(
        folder,
        "VAE",
        config.steps,
        config.save_every,
        config.lr,
        modules,
        optimizer,
        clipped=list(vae.parameters()),
        figure="psnr",
        share=0.02,
    )
    run_steps(stage, pictures, step_loss)
    return vae


def train_decoder(folder: Path, vae: AutoencoderKL, config: VAEConfig, seed: int) -> AutoencoderKL:
    """Train the decoder of a finished VAE for PSNR, or go on from ``folder``'s last checkpoint. The encoder does not change."""
    vae.requires_grad_(False)
    parts = nn.ModuleDict({"post_quant_conv": vae.post_quant_conv, "decoder": vae.decoder}).requires_grad_(True)
    optimizer = torch.optim.AdamW(parts.parameters(), lr=config.decoder_lr, betas=(0.9, 0.99), weight_decay=0.0)
    first = seed + config.steps * config.fresh

    def pictures(start: int) -> PictureWindow[np.ndarray]:
        return PictureWindow(first, config.drawn_size, config.window, config.fresh, start, _picture, defect_share=0.4)

    def step_loss(step: int, held: deque[np.ndarray]) -> tuple[Tensor, float]:
        pixels = crops(held, config.decoder_batch, config.large_crop, first, step)
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                mean = vae.encode(pixels).latent_dist.mean
            error = vae.decode(mean).sample.float() - pixels
        mse = error.square().mean()
        return mse + 0.05 * error.abs().mean(), float(mse.detach())

    stage = Stage(
        folder,
        "VAE decoder",
        config.decoder_steps,
        config.save_every,
        config.decoder_lr,
        {"parts": parts},
        optimizer,
        clipped=list(parts.parameters()),
        most=0.1,
        figure="mse",
    )
    run_steps(stage, pictures, step_loss)
    return vae
