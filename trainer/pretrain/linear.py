"""Pretraining the embedded base, part 1: the best linear coder of factor 4 with four numbers a
cell, written into the VAE.

Fine texture is little more than coloured noise, and for noise nothing beats a linear transform. A
VAE that starts at random spends most of its training to come near one; this one starts as it. The
coder has the VAE's own convolutions, each over 32 channels and with nothing between them, so that
it trains in minutes. In the VAE each of its channels ``h`` becomes a group of three, ``(h, -h,
10)``:

- a group norm over such a group is nearly linear, because the constant outweighs the picture in its
variance;
- ``silu(h) - silu(-h) = h``, so that the activation before each last convolution is exactly linear;
- all residual branches and the attention start at zero, so that nothing is added until training has
something to add.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from diffusers.models.attention_processor import Attention
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor, nn

from bgdefect_core.declarations import Doc, Range

from .steps import PretrainStage, run_steps
from .stream import PictureWindow, crops, picture_of

CONSTANT = 10.0
"""The third channel of a group; the other two have an rms of 1 over drawn pictures."""
CHANNELS = 32
"""Of the coder: one a group of the VAE's norms."""


@dataclass(frozen=True)
class LinearConfig:
    """Settings of the linear coder's training."""

    steps: Annotated[int, Range(1, 10_000_000), Doc("Optimizer steps in all.")] = 4000
    crop: int = 64
    batch: int = 16
    lr: Annotated[float, Range(1e-10, 1), Doc("Peak of the one-cycle learning rate.")] = 3e-3
    drawn_size: int = 160
    window: int = 480
    fresh: int = 1
    save_every: Annotated[int, Range(1, 10_000_000), Doc("Steps between checkpoints.")] = 500


class LinearCoder(nn.Module):
    """The VAE's convolutions without anything between them: ``[B, 3, H, W]`` -> ``[B, 4, H/4,
    W/4]`` -> ``[B, 3, H, W]``."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder_convs = [
            nn.Conv2d(3, CHANNELS, 3, padding=1),
            nn.Conv2d(CHANNELS, CHANNELS, 3, stride=2),
            nn.Conv2d(CHANNELS, CHANNELS, 3, stride=2),
            nn.Conv2d(CHANNELS, 4, 3, padding=1),
        ]
        self.decoder_convs = [
            nn.Conv2d(4, CHANNELS, 3, padding=1),
            nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1),
            nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1),
            nn.Conv2d(CHANNELS, 3, 3, padding=1),
        ]
        self.encoder, self.decoder = (
            nn.ModuleList(self.encoder_convs),
            nn.ModuleList(self.decoder_convs),
        )

    def encoded(self, pixels: Tensor) -> list[Tensor]:
        """What each of the encoder's convolutions gives; the latent is the last."""
        first, half, quarter, last = self.encoder_convs
        outputs = [first(pixels)]
        for down in (half, quarter):
            outputs.append(down(F.pad(outputs[-1], (0, 1, 0, 1))))
        return [*outputs, last(outputs[-1])]

    def decoded(self, latent: Tensor) -> list[Tensor]:
        """What each of the decoder's convolutions gives; the picture is the last."""
        first, half, full, last = self.decoder_convs
        outputs = [first(latent)]
        for up in (half, full):
            outputs.append(up(F.interpolate(outputs[-1], scale_factor=2.0, mode="nearest")))
        return [*outputs, last(outputs[-1])]

    def forward(self, pixels: Tensor) -> Tensor:
        return self.decoded(self.encoded(pixels)[-1])[-1]


def train_linear(folder: Path, config: LinearConfig, seed: int) -> LinearCoder:
    """Train the coder for squared error, or go on from ``folder``'s last checkpoint; its channels
    come out balanced."""
    torch.manual_seed(seed)
    coder = LinearCoder()
    optimizer = torch.optim.Adam(coder.parameters(), lr=config.lr)
    first = seed + 25_000_000

    def pictures(start: int) -> PictureWindow[np.ndarray]:
        return PictureWindow(
            first,
            config.drawn_size,
            config.window,
            config.fresh,
            start,
            picture_of,
            defect_share=0.4,
        )

    def step_loss(step: int, held: deque[np.ndarray]) -> tuple[Tensor, float]:
        pixels = crops(held, config.batch, config.crop, first, step)
        loss = F.mse_loss(coder(pixels), pixels)
        return loss, float(loss.detach())

    stage = PretrainStage(
        folder,
        "linear",
        config.steps,
        config.save_every,
        config.lr,
        {"coder": coder},
        optimizer,
        clipped=list(coder.parameters()),
        figure="mse",
    )
    run_steps(stage, pictures, step_loss)
    held = next(iter(pictures(config.steps)))
    balance(coder, crops(held, min(config.window, 128), config.crop, first, config.steps))
    return coder


@torch.no_grad()
def balance(coder: LinearCoder, pixels: Tensor) -> None:
    """Scale the coder's channels to an rms of 1 and turn its latent to uncorrelated channels; what
    it does to a picture stays.

    A latent channel's standard deviation becomes the square root of what it is in an orthogonal
    transform: whitened in half. Noise in the latent then is neither all in the fine detail, nor
    does it leave the fine detail to the very last steps of a sampling.
    """
    for index in range(3):
        _scaled(coder.encoder_convs, index, coder.encoded(pixels)[index])
    for index in range(3):
        _scaled(coder.decoder_convs, index, coder.decoded(coder.encoded(pixels)[-1])[index])
    # What a unit of each latent channel adds to a picture gives the matrix after which distances in
    # the latent are those in the picture.
    units = pixels.new_zeros(4, 4, 16, 16)
    nothing = coder.decoded(units[:1])[-1]
    units[torch.arange(4), torch.arange(4), 8, 8] = 1
    footprints = (coder.decoded(units)[-1] - nothing).flatten(1)
    root = torch.linalg.cholesky(footprints @ footprints.T)
    latent = root.T @ coder.encoded(pixels)[-1].transpose(0, 1).flatten(1)
    variances, axes = torch.linalg.eigh(torch.cov(latent))
    turn = torch.diag(variances.pow(-0.25)) @ axes.T @ root.T
    _put_between(coder.encoder_convs[3], turn, coder.decoder_convs[0])


def _scaled(convs: Sequence[nn.Conv2d], index: int, output: Tensor) -> None:
    rms = output.square().mean(dim=(0, 2, 3)).sqrt().clamp_min(1e-6)
    _put_between(convs[index], torch.diag(1 / rms), convs[index + 1])


def _put_between(before: nn.Conv2d, matrix: Tensor, after: nn.Conv2d) -> None:
    """Mix one convolution's outputs with a matrix, and the next one's inputs with its inverse."""
    before.weight.copy_(torch.einsum("ab,bcij->acij", matrix, before.weight))
    _bias(before).copy_(matrix @ _bias(before))
    after.weight.copy_(torch.einsum("abij,bc->acij", after.weight, torch.linalg.inv(matrix)))


@torch.no_grad()
def start_from(vae: AutoencoderKL, coder: LinearCoder) -> None:
    """Make a fresh VAE of three levels of width 96 do what a balanced ``coder`` does."""
    encoder, decoder = vae.encoder, vae.decoder
    downs = [block.downsamplers[0].conv for block in encoder.down_blocks[:2]]
    ups = [block.upsamplers[0].conv for block in decoder.up_blocks[:2]]
    _write([encoder.conv_in, *downs, encoder.conv_out], coder.encoder_convs)
    _write([decoder.conv_in, *ups, decoder.conv_out], coder.decoder_convs)
    for module in [*encoder.modules(), *decoder.modules()]:
        if isinstance(module, ResnetBlock2D):
            _linear_norm(module.norm1)
            _zero(module.conv2)
        elif isinstance(module, Attention):
            _linear_norm(module.group_norm)
            _zero(module.to_out[0])
    _linear_norm(encoder.conv_norm_out)
    _linear_norm(decoder.conv_norm_out)
    # A plain autoencoder: no mixing of the moments, and a posterior far narrower than the picture.
    for convolution in (vae.quant_conv, vae.post_quant_conv):
        nn.init.dirac_(convolution.weight)
        nn.init.zeros_(convolution.bias)
    vae.quant_conv.weight[4:] = 0
    vae.quant_conv.bias[4:] = -8


def _write(into: Sequence[nn.Conv2d], convs: Sequence[nn.Conv2d]) -> None:
    for index, (target, source) in enumerate(zip(into, convs, strict=True)):
        weight, bias = source.weight, _bias(source)
        if index:  # (h, -h, constant) come in: w h = (w h - w (-h)) / 2, but silu(h) - silu(-h) = h
            share = 1.0 if index == 3 else 0.5
            weight = torch.stack(
                [share * weight, -share * weight, torch.zeros_like(weight)], 2
            ).flatten(1, 2)
        if index < 3:  # (h, -h, constant) go out
            weight = torch.stack([weight, -weight, torch.zeros_like(weight)], 1).flatten(0, 1)
            bias = torch.stack([bias, -bias, torch.full_like(bias, CONSTANT)], 1).flatten()
        target.weight.zero_()[: len(weight)] = weight
        _bias(target).zero_()[: len(bias)] = bias


def _bias(conv: nn.Conv2d) -> Tensor:
    if conv.bias is None:
        raise ValueError("a convolution without bias cannot hold the constant channels")
    return conv.bias


def _linear_norm(norm: nn.GroupNorm) -> None:
    """Of a group ``(h, -h, constant)`` give ``(h, -h, about 0)``."""
    mean, std = CONSTANT / 3, (2 / 9 * CONSTANT**2 + 2 / 3) ** 0.5
    norm.weight.fill_(std)
    norm.bias.fill_(mean)
    norm.weight[2::3] = 1.0
    norm.bias[2::3] = -(CONSTANT - mean) / std


def _zero(layer: nn.Module) -> None:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
