"""Masks at latent and attention size (docs/method.md, choice 2).

Torch, any device; empty masks are fine. Nothing is ever sampled by nearest neighbour: a defect
smaller than a latent cell still gets its cell.
"""

from __future__ import annotations

from collections import Counter

import torch
from torch import Tensor


def _overlap(pixels: int, cells: int, device: torch.device) -> Tensor:
    """Share of each cell that each pixel covers along one axis: float32 [cells, pixels], rows sum
    to 1.

    Counted in units of 1 / (pixels * cells) of the axis, hence in whole numbers: an overlap is 0 or
    truly positive.
    """
    pixel = torch.arange(pixels, device=device) * cells
    cell = torch.arange(cells, device=device)[:, None] * pixels
    shared = torch.minimum(pixel + cells, cell + pixels) - torch.maximum(pixel, cell)
    return shared.clamp(min=0).float() / pixels


def coverage(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """How much of each cell every defect covers: area pooling at any ratio, down or up.

    Args:
        masks: bool or float [B, R, H, W] in 0..1, R defects a picture.
        size: (h, w) in cells; need not divide (H, W), and may be larger.

    Returns:
        float32 [B, R, h, w] in 0..1; above 0 exactly where a defect pixel overlaps the cell.
    """
    down = _overlap(masks.shape[-2], size[0], masks.device)
    across = _overlap(masks.shape[-1], size[1], masks.device)
    with torch.autocast(
        masks.device.type, enabled=False
    ):  # half precision would round a small coverage to 0
        return down @ masks.float() @ across.T


def region_map(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Which defect each cell belongs to (docs/method.md, choice 2).

    Any coverage counts. A cell that several defects cover goes to the largest coverage, the lower
    number winning a tie. A defect that is left with no cell so (in the order of their numbers)
    takes one: of the cells that are background or whose owner keeps another, the one that it covers
    most; of equals the one nearest to the cell that it covers most of all, then the first in
    reading order. Hence every non-empty defect has a cell unless there are fewer cells than
    defects.

    Args:
        masks: bool or float [B, R, H, W] in 0..1; empty ones are fine.
        size: (h, w) in cells.

    Returns:
        long [B, h, w] on the same device: 0 = background, i = defect i (1..R).
    """
    covered = coverage(masks, size)
    count = covered.shape[1]
    if count == 1:
        return (covered[:, 0] > 0).long()
    best = torch.zeros_like(covered[:, 0])
    regions = torch.zeros_like(best, dtype=torch.long)
    for index in range(count):
        larger = covered[:, index] > best
        best = torch.where(larger, covered[:, index], best)
        regions = torch.where(larger, index + 1, regions)
    numbers = torch.arange(1, count + 1, device=regions.device)
    has_cells = (regions.flatten(1)[:, None] == numbers[:, None]).any(-1)
    lost = (covered.flatten(2).amax(-1) > 0) & ~has_cells
    for picture, index in lost.nonzero().tolist():
        _give_cell(regions[picture], covered[picture, index], index + 1)
    return regions


def _give_cell(regions: Tensor, covered: Tensor, number: int) -> None:
    """Give defect ``number`` one cell of ``regions`` [h, w], in place, by the rule of
    ``region_map``."""
    width = covered.shape[1]
    owners = regions.flatten().tolist()
    shares = covered.flatten().tolist()
    main = shares.index(max(shares))
    cells_of = Counter(owners)

    def preference(cell: int) -> tuple[float, int, int]:
        distance = (cell // width - main // width) ** 2 + (cell % width - main % width) ** 2
        return -shares[cell], distance, cell

    free = [cell for cell, owner in enumerate(owners) if owner == 0 or cells_of[owner] > 1]
    if free:
        chosen = min(free, key=preference)
        regions[chosen // width, chosen % width] = number


def resize_region_map(regions: Tensor, size: tuple[int, int]) -> Tensor:
    """The region map at an attention layer's grid, from the one at latent size, by the rule of
    ``region_map``.

    Args:
        regions: long [B, h, w], 0 = background, i = defect i.
        size: (h', w') of the attention grid.

    Returns:
        long [B, h', w'].
    """
    if tuple(regions.shape[-2:]) == tuple(size):
        return regions
    count = max(int(regions.max()), 1)
    numbers = torch.arange(1, count + 1, device=regions.device)[:, None, None]
    return region_map(regions[:, None] == numbers, size)
