"""Pretraining the embedded base, part 4: what region prompts mean, learned from drawn defects with
Eq. 5.

After part 3 the U-Net knows defects as words about a whole picture. Here it sees thousands of drawn
defects of every kind under their masks, so that training a class only has to say which defect, not
what a mask is for. The masks are grown at random: requested masks are wider than what comes out.
Every fourth step is plain noise matching, so that the model stays one for whole prompts too.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from bgdefect_core.declarations import Doc, Range
from bgdefect_core.method.loss import LossWeights, NoisyBatch, disentanglement_loss
from bgdefect_core.method.predictor import unet_predictor
from bgdefect_core.method.randomness import generator
from bgdefect_core.method.regions import Context
from bgdefect_core.method.schedule import NoiseSchedule

from .stream import PictureWindow
from .unet import LatentMaker, LatentPicture, noise_loss, scheduler, tokenize, train_pair


@dataclass(frozen=True)
class RegionsConfig:
    """Settings of the region prompts' pretraining."""

    steps: Annotated[int, Range(1, 10_000_000), Doc("Optimizer steps in all.")] = 4200
    crop: int = 32
    """Side of a latent crop in cells: the native size."""
    batch: int = 6
    """Pictures a step; the U-Net sees twice as many (both halves of Eq. 5)."""
    lr: Annotated[float, Range(1e-10, 1), Doc("Peak of the one-cycle learning rate.")] = 5e-4
    mask_weight: float = 4.0
    """Weight of the loss inside the mask: a defect covers a few percent of a crop."""
    plain_every: int = 4
    """Every so many steps is plain noise matching."""
    ema: float = 0.999
    empty_prompts: float = 0.1
    """Share of the plain steps' samples on the empty prompt."""
    drawn_size: int = 160
    window: int = 1200
    fresh: int = 1
    save_every: Annotated[int, Range(1, 10_000_000), Doc("Steps between checkpoints.")] = 400


def defect_crops(
    pictures: deque[LatentPicture], count: int, size: int, seed: int, step: int
) -> tuple[Tensor, Tensor, list[LatentPicture]]:
    """Random latent crops that hold a part of the defect ``[count, 4, size, size]``, and their
    masks: long ``[count, size, size]``, the defect's cells grown by 0 to 2 cells."""
    rng = np.random.default_rng((seed, step))
    chosen: list[LatentPicture] = []
    latents, regions = [], []
    order = iter(rng.permutation(len(pictures)))
    while len(chosen) < count:
        item = pictures[next(order)]
        cells = item.defect_cells.nonzero()
        if not len(cells):
            continue
        row, column = (int(n) for n in cells[rng.integers(len(cells))])
        last = item.latent.shape[-1] - size
        top = int(rng.integers(max(0, row - size + 1), min(row, last) + 1))
        left = int(rng.integers(max(0, column - size + 1), min(column, last) + 1))
        window = (slice(top, top + size), slice(left, left + size))
        reach = int(rng.choice(3, p=(0.5, 0.35, 0.15)))
        grown = (
            F.max_pool2d(item.defect_cells[None].float(), 2 * reach + 1, stride=1, padding=reach)[0]
            > 0
        )
        chosen.append(item)
        latents.append(item.latent[:, window[0], window[1]])
        regions.append(grown[window].long())
    return torch.stack(latents), torch.stack(regions), chosen


def pair_contexts(
    text_encoder: CLIPTextModel, items: list[LatentPicture], mask_tokens: Tensor
) -> Context:
    """``C_1`` of every picture, then ``C_2`` of every picture (Eq. 10, 11): the prompts of one
    batch of 2B."""
    captions = [item.caption for item in items]
    good_captions = [item.good_caption for item in items]
    tokens = torch.stack([*captions, *good_captions, mask_tokens])
    prompts = text_encoder(tokens).last_hidden_state
    c_def, c_bg, c_m = (
        prompts[: len(items)],
        prompts[len(items) : -1],
        prompts[-1:].expand(len(items), -1, -1),
    )
    length = tokens.shape[1]
    token_region = torch.cat(
        [torch.ones(length, dtype=torch.long), torch.zeros(length, dtype=torch.long)]
    )
    return Context(
        torch.cat([torch.cat([c_def, c_bg], 1), torch.cat([c_m, c_bg], 1)]), token_region
    )


def train_regions(
    folder: Path,
    unet: UNet2DConditionModel,
    text_encoder: CLIPTextModel,
    vae: AutoencoderKL,
    tokenizer: CLIPTokenizer,
    config: RegionsConfig,
    seed: int,
) -> tuple[UNet2DConditionModel, CLIPTextModel]:
    """Train on from part 3's text encoder and U-Net, or from ``folder``'s last checkpoint. Returns
    their exponential means."""
    alphas = scheduler().alphas_cumprod
    schedule = NoiseSchedule(alphas.double())
    empty, mask_tokens = tokenize(tokenizer, ["", "mask"])
    maker, first = LatentMaker(vae, tokenizer), seed + 15_000_000

    def pictures(start: int) -> PictureWindow[LatentPicture]:
        return PictureWindow(
            first, config.drawn_size, config.window, config.fresh, start, maker, defect_share=1.0
        )

    def step_loss(step: int, held: deque[LatentPicture]) -> tuple[Tensor, float | None]:
        latents, regions, items = defect_crops(held, config.batch, config.crop, seed, step)
        rng = generator(seed, step, 2)
        with torch.autocast("cpu", torch.bfloat16):
            if step % config.plain_every == config.plain_every - 1:
                dropped = torch.rand(len(items), generator=rng) < config.empty_prompts
                tokens = torch.stack(
                    [
                        empty if drop else item.caption
                        for item, drop in zip(items, dropped, strict=True)
                    ]
                )
                return noise_loss(unet, text_encoder, alphas, latents, tokens, rng), None
            t = torch.randint(0, len(alphas), (len(items),), generator=rng)
            eps = torch.randn(latents.shape, generator=rng)
            context = pair_contexts(text_encoder, items, mask_tokens)
            with unet_predictor(unet, schedule, cache_prompts=False) as predict:
                loss = disentanglement_loss(
                    predict,
                    NoisyBatch(latents, regions, t, eps),
                    context,
                    LossWeights(config.mask_weight),
                )
        return loss, float(loss.detach())

    return train_pair(folder, "regions", unet, text_encoder, config, pictures, step_loss)
