"""Between the host's values and the core's: IMAGE, MASK and LATENT in, pictures, masks and region
maps out; and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..bgdefect_core.errors import MaskError, PictureError
from ..bgdefect_core.pictures.masks import Mask
from ..bgdefect_core.pictures.picture import Pixels
from ..bgdefect_core.pictures.region_maps import region_map

MASK_THRESHOLD = 0.5
"""A MASK pixel above this is defect."""


def pictures_of(image: Tensor, name: str = "image") -> list[Pixels]:
    """IMAGE ``[B, H, W, C]`` in 0..1 -> uint8 ``[H, W, 3]`` each; gray is repeated, an alpha
    channel dropped.

    Raises:
        PictureError: another shape.
    """
    if image.ndim != 4 or image.shape[-1] not in (1, 3, 4) or 0 in image.shape:
        raise PictureError(
            f"{name} has the shape {list(image.shape)}",
            "an IMAGE batch [B, H, W, 3]",
            f"connect pictures to {name}",
        )
    colours = image[..., :3] if image.shape[-1] > 1 else image.expand(*image.shape[:-1], 3)
    return list(colours.float().nan_to_num().clamp(0, 1).mul(255).round().byte().cpu().numpy())


def image_of(pictures: Sequence[Pixels]) -> Tensor:
    """uint8 ``[H, W, 3]`` of one size -> IMAGE ``[B, H, W, 3]``. Back through :func:`pictures_of`
    it is the same, byte for byte."""
    return torch.from_numpy(np.stack(pictures)).float() / 255


def masks_of(mask: Tensor, name: str = "mask") -> list[Mask]:
    """MASK ``[B, H, W]`` (or ``[H, W]``) -> bool ``[H, W]`` each: True where above one half.

    Raises:
        MaskError: another shape.
    """
    return list(mask_batch(mask, name).cpu().numpy())


def mask_of(masks: Sequence[Mask]) -> Tensor:
    """bool ``[H, W]`` of one size -> MASK ``[B, H, W]`` of 0 and 1."""
    return torch.from_numpy(np.stack(masks)).float()


def mask_batch(mask: Tensor, name: str = "mask") -> Tensor:
    """MASK -> bool ``[B, H, W]``, as a tensor. Raises MaskError for another shape."""
    if mask.ndim == 4 and 1 in (mask.shape[1], mask.shape[-1]):  # some nodes keep a channel
        mask = mask.squeeze(1) if mask.shape[1] == 1 else mask.squeeze(-1)
    if mask.ndim == 2:
        mask = mask[None]
    if mask.ndim != 3 or 0 in mask.shape:
        raise MaskError(
            f"{name} has the shape {list(mask.shape)}",
            "a MASK batch [B, H, W]",
            f"connect a mask to {name}",
        )
    return mask.float().nan_to_num() > MASK_THRESHOLD


def cycled(batch: Tensor, count: int) -> Tensor:
    """``[B, ...]`` -> ``[count, ...]`` with item ``i % B``: the order of the host's Repeat Image
    Batch and Repeat Latent Batch."""
    return (
        batch
        if len(batch) == count
        else batch[torch.arange(count, device=batch.device) % len(batch)]
    )


def matched(batch: Tensor, count: int, name: str) -> Tensor:
    """A mask batch of 1 or ``count`` as one of ``count``.

    Raises:
        MaskError: another number.
    """
    if len(batch) not in (1, count):
        raise MaskError(
            f"{name} has {len(batch)} masks for {count} pictures",
            f"1 or {count}",
            f"connect that many to {name}",
        )
    return cycled(batch, count)


def latent_regions(masks: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
    """The region map of the defects' masks at latent size.

    The host's VAE cuts a picture to a multiple of its factor, evenly on both sides, before it
    encodes: the masks are cut alike.

    Args:
        masks: R of them, bool ``[B, H, W]`` each, of any sizes.
        size: ``(h, w)`` of the latents.

    Returns:
        long ``[B, h, w]``: 0 = background, i = defect i.
    """
    sizes = {tuple(mask.shape[1:]) for mask in masks}
    if len(sizes) > 1:  # area coverage at latent size makes them comparable
        at_size = [(region_map(cut(mask, size)[:, None], size) > 0) for mask in masks]
        return region_map(torch.stack(at_size, 1), size)
    return region_map(cut(torch.stack(list(masks), 1), size), size)


def cut(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """``[..., H, W]`` less what the host's VAE cut off, where H and W fit that explanation; else as
    it is (it is resized)."""
    factor = masks.shape[-2] // size[0]
    if factor < 1 or masks.shape[-1] // size[1] != factor:
        return masks
    top = masks.shape[-2] - size[0] * factor
    left = masks.shape[-1] - size[1] * factor
    if top >= factor or left >= factor:
        return masks
    return masks[
        ..., top // 2 : top // 2 + size[0] * factor, left // 2 : left // 2 + size[1] * factor
    ]
