"""Outputs of the frozen VAE, computed once: latents and masks of K fixed augmented views a picture.

View 0 of a picture is the plain crop of the zoom rule, the one that generation would cut. The
others are mirrored, rotated and jittered: their sides are the rule's side times a factor that is
symmetric around 1 on a logarithmic scale, so that on average a defect is learned at the scale at
which it will be painted. Where a picture shows several defects far from each other, its views show
them in turn.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from bgdefect_core.pictures.crop import Crop, Zoom, crop_box, take
from bgdefect_core.pictures.masks import Mask, bounding_box, separate_defects
from bgdefect_core.pictures.picture import Pixels
from bgdefect_core.pictures.pixels import to_pixels
from bgdefect_core.pictures.region_maps import region_map

from ..bases.load import Base
from ..data.examples import Example, load_example, load_others

SCALE_JITTER = {"defect": math.log(1.2), "whole": math.log(1.08)}
"""Largest logarithm of a view's side over the rule's side. Outside the picture a view shows
mirrored surroundings, a small part of it."""
SHIFT_JITTER = {"defect": 0.2, "whole": 0.04}
"""Largest shift of a view, in sides of the crop."""


@dataclass(frozen=True)
class Views:
    """The views of a picture."""

    resolution: int
    """Side of the network's picture in pixels."""
    zoom: Zoom
    count: int = 16
    """Views a picture."""
    flips: bool = True
    turns: bool = True
    seed: int = 0


@dataclass(frozen=True)
class LatentCache:
    """Latents of all views of all pictures; view v of picture p has the index ``p * views + v``."""

    latents: Tensor
    """float32 ``[N * views, C, h, w]``, scaled."""
    regions: Tensor
    """long ``[N * views, h, w]``: 1 where the defect is, -1 where neither it nor its background is
    (defects of other classes)."""
    views: int
    mask_sides: tuple[int, ...]
    """Longest side of each picture's (largest) defect, in picture pixels."""

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.latents) // self.views

    def to(self, device: torch.device) -> LatentCache:
        """The same on another device."""
        return LatentCache(
            self.latents.to(device), self.regions.to(device), self.views, self.mask_sides
        )


def view_crop(mask: Mask, views: Views, rng: np.random.Generator) -> Crop:
    """A jittered square that holds the mask's whole box, inside the picture where it fits."""
    plain = crop_box(mask, views.resolution, views.zoom)
    box = bounding_box(mask)
    scale = math.exp(rng.uniform(-1, 1) * SCALE_JITTER[views.zoom])
    side = max(round(plain.side * scale), box.longest)
    reach = SHIFT_JITTER[views.zoom] * side

    def place(start: int, box_start: int, box_side: int, available: int) -> int:
        position = start + (plain.side - side) / 2 + rng.uniform(-reach, reach)
        if side <= available:
            position = min(max(position, 0), available - side)
        return int(min(max(round(position), box_start + box_side - side), box_start))

    return Crop(
        place(plain.top, box.top, box.height, mask.shape[0]),
        place(plain.left, box.left, box.width, mask.shape[1]),
        side,
    )


def view(
    picture: Pixels, mask: Mask, views: Views, picture_index: int, view_index: int
) -> tuple[Pixels, Mask]:
    """One view, ``uint8 [R, R, 3]`` and ``bool [R, R]``; it depends on the seed and the two indices
    alone."""
    targets = view_targets(mask, views)
    square, (label,) = _cut(picture, (mask,), targets, views, picture_index, view_index)
    return square, label


def _cut(
    picture: Pixels,
    masks: Sequence[Mask],
    defects: Sequence[Mask],
    views: Views,
    picture_index: int,
    view_index: int,
) -> tuple[Pixels, list[Mask]]:
    """:func:`view` of a picture and some masks with the picture's targets, which all its views
    share."""
    defect = defects[view_index % len(defects)]
    if view_index == 0:
        crop = crop_box(defect, views.resolution, views.zoom)
        labels = [take(mask, crop, views.resolution) for mask in masks]
        return take(picture, crop, views.resolution), labels
    rng = np.random.default_rng((views.seed, picture_index, view_index))
    crop = view_crop(defect, views, rng)
    turns, flip = int(rng.integers(4)), bool(rng.integers(2))

    def turned(layer: NDArray[Any]) -> NDArray[Any]:
        square = take(layer, crop, views.resolution)
        square = np.rot90(square, turns) if views.turns else square
        square = square[:, ::-1] if views.flips and flip else square
        return np.ascontiguousarray(square)

    return turned(picture), [turned(mask) for mask in masks]


def view_targets(mask: Mask, views: Views) -> list[Mask]:
    """The masks that the views are cut around, in turn."""
    return separate_defects(mask) if views.zoom == "defect" else [mask]


def build_cache(
    base: Base,
    examples: Sequence[Example],
    views: Views,
    batch: int = 8,
    progress: str = "",
) -> LatentCache:
    """Cut and encode all views.

    Args:
        base: its VAE encodes.
        examples: read one at a time.
        views: of each picture.
        batch: views that are encoded together.
        progress: what is encoded, shown with a bar; empty: no bar.

    Returns:
        The cache, on the CPU.
    """
    latents: list[Tensor] = []
    regions: list[Tensor] = []
    sides: list[int] = []
    cells = (views.resolution // base.factor, views.resolution // base.factor)

    def cut_views() -> Iterator[tuple[Pixels, list[Mask]]]:
        bar = tqdm(examples, desc=f"encoding {progress}", unit="picture", disable=not progress)
        for index, example in enumerate(bar):
            picture, mask = load_example(example)
            defects = view_targets(mask, views)
            sides.append(bounding_box(defects[0]).longest)
            others = load_others(example, (mask.shape[0], mask.shape[1]))
            masks = (mask, np.zeros_like(mask) if others is None else others & ~mask)
            for number in range(views.count):
                yield _cut(picture, masks, defects, views, index, number)

    pending: list[tuple[Pixels, list[Mask]]] = []
    total = len(examples) * views.count
    for number, pair in enumerate(cut_views(), start=1):
        pending.append(pair)
        if len(pending) == batch or number == total:
            pictures, masks = zip(*pending, strict=True)
            latents.append(base.encode(to_pixels(pictures)).cpu())
            inside, others = (region_map(part, cells) for part in _layers(masks))
            regions.append(torch.where((inside == 0) & (others > 0), -1, inside))
            pending = []
    return LatentCache(torch.cat(latents), torch.cat(regions), views.count, tuple(sides))


def _layers(masks: Sequence[Sequence[Mask]]) -> list[Tensor]:
    """The masks of some views, and what is neither: bool ``[B, 1, R, R]`` each."""
    stacked = torch.from_numpy(np.stack([np.stack(layers) for layers in masks]))
    return [stacked[:, :1], stacked[:, 1:]]
