"""Region prompts from the host's CONDITIONING, without the host."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..bgdefect_core.errors import MaskError, SettingError
from ._convert import cut, latent_regions, mask_batch, matched
from ._wires import GraphPrompts

log = logging.getLogger(__name__)


def from_conditioning(conditioning: Sequence[Any], name: str) -> tuple[Tensor, dict[str, Tensor]]:
    """The tokens and the pooled vector of a CONDITIONING.

    Raises:
        SettingError: it holds several entries, or none, or tokens of several texts.
    """
    if len(conditioning) != 1 or conditioning[0][0].ndim != 3 or len(conditioning[0][0]) != 1:
        raise SettingError(
            f"{name} has {len(conditioning)} entries",
            "one encoded text",
            f"connect a single text encoder to {name}",
        )
    tokens, options = conditioning[0]
    ignored = sorted(set(options) - {"pooled_output"})
    if ignored:
        log.warning("%s: %s is not used, regions take its place", name, ", ".join(ignored))
    return tokens.float(), pooled_of(options.get("pooled_output"))


def pooled_of(pooled: Tensor | None) -> dict[str, Tensor]:
    """SDXL reads one pooled vector a picture: that of the background, which must not know the
    defect."""
    return {} if pooled is None else {"pooled_output": pooled}


def with_defect(
    before: GraphPrompts, tokens: Tensor, words: Sequence[int], mask: Tensor
) -> GraphPrompts:
    """The prompts with one more defect, which brings its own mask."""
    prompts = before.prompts
    extended = replace(
        prompts,
        defects=[*prompts.defects, tokens],
        defect_words=[*prompts.defect_words, list(words)],
    )
    return GraphPrompts(extended, [*before.masks, mask])


def word_range(count: int, tokens: Tensor, name: str) -> list[int]:
    """``count`` words behind the start token. Raises SettingError where the text is shorter."""
    if count > tokens.shape[1] - 1:
        raise SettingError(
            f"words is {count}",
            f"0 to {tokens.shape[1] - 1}, as {name} has tokens",
            "count the words of the defect's prompt",
        )
    return list(range(1, count + 1))


def masks_of_defects(prompts: GraphPrompts, mask: Tensor, count: int) -> list[Tensor]:
    """Every defect's masks, bool ``[B, H, W]``, in the order of the prompts; none empty, none
    full."""
    masks = []
    for number, defect_mask in enumerate(prompts.masks, start=1):
        if defect_mask is None:
            name, image_mask = "mask", mask
        else:
            name, image_mask = f"the mask of defect {number}", defect_mask
        batch = matched(mask_batch(image_mask, name).cpu(), count, name)
        covered = batch.flatten(1)
        if not bool(covered.any(1).all()):
            raise MaskError(
                f"{name} is empty",
                "at least one white pixel",
                "draw where the defect is to be painted",
            )
        if bool(covered.all(1).any()):
            raise MaskError(
                f"{name} is full", "some black around the defect", "paint only the defect in white"
            )
        masks.append(batch)
    return masks


def together(masks: list[Tensor], regions: Tensor) -> Tensor:
    """All defects' masks as one MASK, at the first one's size, less what the host's VAE cut off: as
    the decoded samples will be."""
    masks = [cut(mask, (regions.shape[-2], regions.shape[-1])) for mask in masks]
    size = masks[0].shape[-2:]
    if any(mask.shape[-2:] != size for mask in masks):
        masks = [latent_regions([mask], (size[0], size[1])) > 0 for mask in masks]
    return torch.stack(masks).any(0).float()
