"""Masks at picture, latent and attention size (docs/method.md, choice 2).

Picture level: numpy ``bool [H, W]``, True = defect; an empty mask is refused.
Tensor level: torch, any device; empty masks are fine. Nothing is ever sampled by nearest neighbour:
    a defect smaller
than a latent cell still gets its cell.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import csgraph
from torch import Tensor

from ..errors import MaskError, SettingError

Mask = NDArray[np.bool_]

_MOST_PIECES = 1000


def check_mask(mask: Mask, size: tuple[int, int] | None = None, name: str = "the mask") -> None:
    """Refuse a mask that cannot be worked with.

    Args:
        mask: bool [H, W].
        size: (height, width) of the picture it belongs to; None: any.
        name: how a message calls it, such as its file name.

    Raises:
        MaskError: not bool [H, W], of another size, empty, or full.
    """
    if mask.dtype != np.bool_ or mask.ndim != 2:
        raise MaskError(
            f"{name} is {mask.dtype} {list(mask.shape)}",
            "bool [H, W]",
            "threshold it to one channel",
        )
    if size is not None and mask.shape != tuple(size):
        came = f"{name} is {mask.shape[1]} x {mask.shape[0]} pixels"
        raise MaskError(
            came, f"{size[1]} x {size[0]} like its picture", "save picture and mask at one size"
        )
    if not mask.any():
        raise MaskError(
            f"{name} is empty",
            "at least one defect pixel",
            "paint the defect in white, or leave it out",
        )
    if mask.all():
        raise MaskError(
            f"{name} is full", "some background around the defect", "paint only the defect in white"
        )


class MaskBox(NamedTuple):
    """A box in a picture, in pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def bottom(self) -> int:
        """Row below its last one."""
        return self.top + self.height

    @property
    def right(self) -> int:
        """Column beside its last one."""
        return self.left + self.width

    @property
    def longest(self) -> int:
        """Its longer side."""
        return max(self.height, self.width)

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the box in an array ``[H, W, ...]``."""
        return self.with_margin(0)

    def with_margin(self, margin: int) -> tuple[slice, slice]:
        """The same with ``margin`` more pixels on each side, as far as there are any."""
        rows = slice(max(self.top - margin, 0), self.bottom + margin)
        return rows, slice(max(self.left - margin, 0), self.right + margin)


def bounding_box(mask: Mask) -> MaskBox:
    """The smallest box that holds every defect pixel.

    Raises:
        MaskError: the mask is empty.
    """
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        raise MaskError(
            "the mask is empty", "at least one defect pixel", "paint the defect in white"
        )
    columns = np.flatnonzero(mask.any(axis=0))
    height, width = int(rows[-1] - rows[0] + 1), int(columns[-1] - columns[0] + 1)
    return MaskBox(int(rows[0]), int(columns[0]), height, width)


def trimmed(mask: Mask) -> Mask:
    """A copy of the mask, cut to its box: bool ``[h, w]``.

    Raises:
        MaskError: the mask is empty.
    """
    return mask[bounding_box(mask).slices].copy()


def separate_defects(mask: Mask) -> list[Mask]:
    """The defects of a mask that holds several, the largest first.

    Pieces belong to one defect where the gap between their boxes is no longer than the longer of
    them, or than a sixteenth of the picture's longer side: a broken scratch is one, two bites at
    two ends of a board are two. Those of less than a tenth of the largest one's area are left out:
    specks of the labelling.

    Args:
        mask: bool [H, W], not empty.

    Returns:
        Masks of the same size, disjoint. A mask of more than 1000 pieces (noise) is taken whole.
    """
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    if not 1 < count <= _MOST_PIECES:
        return [mask]
    bounds = []
    for rows, columns in ndimage.find_objects(labels):
        bounds.append([[rows.start, rows.stop], [columns.start, columns.stop]])
    boxes = np.array(bounds)
    longest = (boxes[..., 1] - boxes[..., 0]).max(axis=1)
    gaps = (
        np.maximum(boxes[:, None, :, 0], boxes[None, :, :, 0])
        - np.minimum(boxes[:, None, :, 1], boxes[None, :, :, 1])
    ).max(axis=2)
    together = gaps <= np.maximum(np.maximum(longest[:, None], longest[None]), max(mask.shape) / 16)
    defects, group = csgraph.connected_components(together)
    areas = np.bincount(
        group, weights=np.bincount(labels.ravel(), minlength=count + 1)[1:], minlength=defects
    )
    of_pixel = np.append(group, -1)[labels - 1]  # the background's label 0 reads the last
    masks = []
    for defect in np.argsort(-areas, kind="stable").tolist():
        if areas[defect] >= areas.max() / 10:
            masks.append(of_pixel == defect)
    return masks


def mean_width(mask: Mask) -> float:
    """Twice the area over the number of pixels at the mask's edge: about w for a stroke of width w,
    2 for a line of one pixel.

    Args:
        mask: bool [H, W], not empty.
    """
    window = np.pad(mask[bounding_box(mask).slices], 1)
    inner = window[:-2, 1:-1] & window[2:, 1:-1] & window[1:-1, :-2] & window[1:-1, 2:]
    area = int(window.sum())
    return 2 * area / max(area - int((inner & window[1:-1, 1:-1]).sum()), 1)


def feather(mask: Mask, width: float) -> NDArray[np.float32]:
    """How much of the painted picture shows at each pixel: 1 inside the mask, falling smoothly to 0
    (choice 5).

    The fall is the smoothstep of the Euclidean distance to the mask; a pixel ``width`` or more away
    is exactly 0, and all pixels with a value above 0 form the feather band.

    Args:
        mask: bool [H, W], not empty.
        width: in pixels, 0 or more; 0 (or 1, the distance of the nearest outside pixel) is a hard
            edge.

    Returns:
        float32 [H, W] in 0..1.

    Raises:
        MaskError: the mask is empty. SettingError: the width is negative or not finite.
    """
    if not (math.isfinite(width) and width >= 0):
        raise SettingError(
            f"the feather width is {width:g}", "0 or more pixels", "choose a width from 0"
        )
    window = bounding_box(mask).with_margin(math.ceil(width))
    blend = np.zeros(mask.shape, np.float32)
    if width == 0:
        blend[mask] = 1.0
        return blend
    distance = ndimage.distance_transform_edt(~mask[window])
    s = np.clip(1.0 - distance / width, 0.0, 1.0)
    blend[window] = s * s * (3.0 - 2.0 * s)
    return blend


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
