"""Pretraining the embedded base, part 3: text encoder and U-Net on the latents of drawn pictures,
noise matching (eps).

Small latent crops first (many pictures a second), the native size at the end. An exponential mean
of the weights is what ships.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from bgdefect_core.declarations import Doc, Range
from bgdefect_core.method.randomness import generator
from bgdefect_core.pictures.pixels import to_pixels

from ..drawing.draw import Drawn
from .steps import PretrainStage, run_steps
from .stream import PictureWindow

WIDTH = 96


@dataclass(frozen=True)
class UNetConfig:
    """Settings of the U-Net's pretraining."""

    steps: Annotated[int, Range(1, 10_000_000), Doc("Optimizer steps in all.")] = 7000
    large_from: float = 0.75
    """Share of the steps after which latent crops have the native size."""
    small_crop: int = 16
    large_crop: int = 32
    """Side of a latent crop in cells (one cell = 4 pixels)."""
    small_batch: int = 20
    large_batch: int = 8
    lr: Annotated[float, Range(1e-10, 1), Doc("Peak of the one-cycle learning rate.")] = 1e-3
    ema: float = 0.999
    empty_prompts: float = 0.1
    """Share of samples trained on the empty prompt."""
    drawn_size: int = 160
    window: int = 1200
    fresh: int = 1
    save_every: Annotated[int, Range(1, 10_000_000), Doc("Steps between checkpoints.")] = 500


class PairSettings(Protocol):
    """The settings that :func:`train_pair` reads; see :class:`UNetConfig`."""

    @property
    def steps(self) -> int: ...
    @property
    def save_every(self) -> int: ...
    @property
    def lr(self) -> float: ...
    @property
    def ema(self) -> float: ...


class LatentPicture(NamedTuple):
    """A drawn picture as the U-Net sees it: latent ``[4, h, w]``, where its defect lies ``bool [h,
    w]``, both captions' tokens."""

    latent: Tensor
    defect_cells: Tensor
    caption: Tensor
    good_caption: Tensor


def build_unet() -> UNet2DConditionModel:
    """The U-Net of ``bgdefect-mini``: widths 64/128/192, attention on the two lower levels, 8
    heads."""
    return UNet2DConditionModel(
        sample_size=32,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(64, 128, 192),
        layers_per_block=1,
        cross_attention_dim=WIDTH,
        attention_head_dim=8,  # diffusers' name for the NUMBER of heads, as in SD 1.x
    )


def build_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """A two-layer CLIP text model of width 96 on CLIP's own vocabulary."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=4 * WIDTH,
            projection_dim=WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=77,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def scheduler() -> DDIMScheduler:
    """Stable Diffusion 1.x's schedule."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


def tokenize(tokenizer: CLIPTokenizer, captions: Sequence[str]) -> Tensor:
    """Token numbers ``[len(captions), 77]``."""
    ids: Tensor = tokenizer(
        list(captions), padding="max_length", max_length=77, truncation=True, return_tensors="pt"
    ).input_ids
    return ids


class LatentMaker:
    """Turns a drawn picture into a :class:`LatentPicture` with a frozen VAE."""

    def __init__(self, vae: AutoencoderKL, tokenizer: CLIPTokenizer) -> None:
        self.vae, self.tokenizer = vae.eval(), tokenizer

    @torch.no_grad()
    def __call__(self, drawn: Drawn) -> LatentPicture:
        pixels = to_pixels([drawn.picture])
        with torch.autocast("cpu", torch.bfloat16):
            latent = (
                self.vae.encode(pixels).latent_dist.mean.float() * self.vae.config.scaling_factor
            )
        cells = (
            F.adaptive_max_pool2d(torch.from_numpy(drawn.mask)[None].float(), latent.shape[-2:])[0]
            > 0
        )
        ids = tokenize(self.tokenizer, [drawn.caption, f"a photo of a {drawn.object}"])
        return LatentPicture(latent[0], cells, ids[0], ids[1])


def latent_crops(
    pictures: deque[LatentPicture],
    count: int,
    size: int,
    empty: Tensor,
    empty_share: float,
    seed: int,
    step: int,
) -> tuple[Tensor, Tensor]:
    """Random latent crops ``[count, 4, size, size]`` and their captions' tokens ``[count, 77]``.

    A crop that misses the defect carries the caption of the good picture.
    """
    rng = np.random.default_rng((seed, step))
    latents, tokens = [], []
    for index in rng.choice(len(pictures), count, replace=False):
        item = pictures[index]
        top, left = (int(n) for n in rng.integers(0, item.latent.shape[-1] - size + 1, 2))
        window = (slice(top, top + size), slice(left, left + size))
        latents.append(item.latent[:, window[0], window[1]])
        caption = item.caption if item.defect_cells[window].any() else item.good_caption
        tokens.append(empty if rng.random() < empty_share else caption)
    return torch.stack(latents), torch.stack(tokens)


def noise_loss(
    unet: nn.Module,
    text_encoder: nn.Module,
    alphas: Tensor,
    latents: Tensor,
    tokens: Tensor,
    rng: torch.Generator,
) -> Tensor:
    """Mean squared error of the predicted noise, one random timestep a sample (Eq. 2 of the
    paper)."""
    t = torch.randint(0, len(alphas), (len(latents),), generator=rng)
    eps = torch.randn(latents.shape, generator=rng)
    alpha_t = alphas[t][:, None, None, None]
    z_t = alpha_t.sqrt() * latents + (1 - alpha_t).sqrt() * eps
    context = text_encoder(tokens).last_hidden_state
    return F.mse_loss(unet(z_t, t, context).sample.float(), eps)


@torch.no_grad()
def average(mean: nn.Module, live: nn.Module, decay: float) -> None:
    """Let the exponential mean take in the live weights."""
    for average_weight, weight in zip(mean.parameters(), live.parameters(), strict=True):
        average_weight.lerp_(weight, 1 - decay)


def train_pair(
    folder: Path,
    title: str,
    unet: UNet2DConditionModel,
    text_encoder: CLIPTextModel,
    config: PairSettings,
    pictures: Callable[[int], PictureWindow[LatentPicture]],
    step_loss: Callable[[int, deque[LatentPicture]], tuple[Tensor, float | None]],
    mean: float | None = None,
) -> tuple[UNet2DConditionModel, CLIPTextModel]:
    """Train U-Net and text encoder together (:func:`run_steps`); returns their exponential
    means."""
    mean_unet, mean_text = copy.deepcopy(unet), copy.deepcopy(text_encoder)
    parameters = [*unet.parameters(), *text_encoder.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=config.lr, weight_decay=1e-3)
    modules = {"unet": unet, "text": text_encoder, "mean_unet": mean_unet, "mean_text": mean_text}

    def take_in(step: int) -> None:
        decay = min(config.ema, (1 + step) / (10 + step))
        average(mean_unet, unet, decay)
        average(mean_text, text_encoder, decay)

    stage = PretrainStage(
        folder, title, config.steps, config.save_every, config.lr, modules, optimizer, parameters
    )
    run_steps(stage, pictures, step_loss, take_in, mean)
    return mean_unet, mean_text


def train_unet(
    folder: Path, vae: AutoencoderKL, tokenizer: CLIPTokenizer, config: UNetConfig, seed: int
) -> tuple[UNet2DConditionModel, CLIPTextModel]:
    """Train text encoder and U-Net, or go on from ``folder``'s last checkpoint. Returns their
    exponential means."""
    torch.manual_seed(seed + 1)
    unet, text_encoder = build_unet(), build_text_encoder(tokenizer)
    alphas, empty = scheduler().alphas_cumprod, tokenize(tokenizer, [""])[0]
    maker, first = LatentMaker(vae, tokenizer), seed + 10_000_000

    def pictures(start: int) -> PictureWindow[LatentPicture]:
        return PictureWindow(
            first, config.drawn_size, config.window, config.fresh, start, maker, defect_share=0.6
        )

    def step_loss(step: int, held: deque[LatentPicture]) -> tuple[Tensor, float]:
        large = step >= config.large_from * config.steps
        count, size = (
            (config.large_batch, config.large_crop)
            if large
            else (config.small_batch, config.small_crop)
        )
        latents, tokens = latent_crops(held, count, size, empty, config.empty_prompts, seed, step)
        with torch.autocast("cpu", torch.bfloat16):
            loss = noise_loss(unet, text_encoder, alphas, latents, tokens, generator(seed, step, 1))
        return loss, float(loss.detach())

    return train_pair(folder, "U-Net", unet, text_encoder, config, pictures, step_loss, mean=1.0)
