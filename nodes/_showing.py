"""What to show of samples: outlines and heat, of the whole pictures or around their masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from ..bgdefect_core.errors import PictureError
from ..bgdefect_core.pictures.crop import Crop, crop_box, take
from ..bgdefect_core.pictures.masks import Mask, bounding_box, check_mask
from ..bgdefect_core.pictures.overlay import CYAN, GREEN, outlined, warmed
from ..bgdefect_core.pictures.picture import Pixels
from ._convert import image_of, mask_of, pictures_of
from ._spreading import spread_masks, spread_pictures
from ._squares import colour_image

ZOOMED = 384
"""Side of a zoomed preview in pixels."""


@dataclass(frozen=True, eq=False)
class ShownSamples:
    """S samples as the host has them. The others are as many, or a number that divides S."""

    result: Tensor
    """IMAGE ``[S, H, W, 3]``."""
    mask: Tensor | None = None
    """MASK, as requested."""
    refined: Tensor | None = None
    """MASK: the labels."""
    heat: Tensor | None = None
    """IMAGE."""


def zoomed(shown: ShownSamples) -> ShownSamples:
    """The square around each sample's requested mask, ``ZOOMED`` pixels a side; all as it is where
    there is no mask."""
    if shown.mask is None:
        return shown
    pictures = pictures_of(colour_image(shown.result, "result"), "result")
    masks = spread_masks(shown.mask, len(pictures), "mask")
    for number, (picture, mask) in enumerate(zip(pictures, masks, strict=True)):
        check_mask(mask, picture.shape[:2], "mask" if len(shown.mask) == 1 else f"mask {number}")
    boxes = [_seen(mask) for mask in masks]

    def squares(arrays: Sequence[NDArray[Any]], name: str) -> list[NDArray[Any]]:
        _same_size(pictures, arrays, name)
        return [take(array, box, ZOOMED) for array, box in zip(arrays, boxes, strict=True)]

    refined = heat = None
    if shown.refined is not None:
        labels = spread_masks(shown.refined, len(boxes), "refined")
        refined = mask_of(squares(labels, "refined"))
    if shown.heat is not None:
        heats = spread_pictures(shown.heat, len(boxes), "heat")
        heat = image_of(squares(heats, "heat"))
    result = image_of(squares(pictures, "result"))
    return ShownSamples(result, mask_of(squares(masks, "mask")), refined, heat)


def _seen(mask: Mask) -> Crop:
    """The square that is shown: as that of training, but where it would stick out of the picture
    the largest one within, so that nothing is mirrored at the border."""
    crop, box, shorter = crop_box(mask, 96, "defect"), bounding_box(mask), min(mask.shape)
    if crop.side <= shorter or box.longest > shorter:
        return crop
    places = []
    spans = ((box.top, box.height), (box.left, box.width))
    for (start, length), whole in zip(spans, mask.shape, strict=True):
        middle = start + length // 2 - shorter // 2
        places.append(min(max(middle, 0), whole - shorter))
    return Crop(places[0], places[1], shorter)


def overlays(shown: ShownSamples) -> Tensor:
    """What came where: the requested mask's outline (cyan), the refined one's (green), the heat
    beside it.

    Returns:
        IMAGE ``[S, H, 2 W, 3]``: the result and its outlines side by side; ``[S, H, 3 W, 3]`` with
        heat.
    """
    pictures = pictures_of(colour_image(shown.result, "result"), "result")
    drawn = list(pictures)
    for name, mask, colour in (("mask", shown.mask, CYAN), ("refined", shown.refined, GREEN)):
        if mask is not None:
            masks = spread_masks(mask, len(drawn), name)
            _same_size(pictures, masks, name)
            for number, outline in enumerate(masks):
                drawn[number] = outlined(drawn[number], outline, colour)
    both = [image_of(pictures), image_of(drawn)]
    if shown.heat is None:
        return torch.cat(both, dim=2)
    warm = spread_pictures(shown.heat, len(drawn), "heat")
    _same_size(pictures, warm, "heat")
    warmed_pictures = []
    for picture, heat_picture in zip(pictures, warm, strict=True):
        warmed_pictures.append(warmed(picture, heat_picture[..., 0]))
    return torch.cat([*both, image_of(warmed_pictures)], dim=2)


def _same_size(pictures: Sequence[Pixels], others: Sequence[NDArray[Any]], name: str) -> None:
    """Refuse what has another size than the results."""
    for picture, array in zip(pictures, others, strict=True):
        if array.shape[:2] != picture.shape[:2]:
            came = f"{name} is {array.shape[1]} x {array.shape[0]} pixels"
            raise PictureError(
                came,
                f"{picture.shape[1]} x {picture.shape[0]}, as result",
                f"connect the {name} of these samples",
            )
