"""PatchCore (Roth et al. 2022) on efficientnet-lite0: the unsupervised baseline that runs without a
download.

Patches are the features of two inner layers, averaged over 3 x 3 neighbours and joined at the finer
grid; a greedy coreset of them is kept; a test patch scores its distance to the nearest kept one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from bgdefect_core.pictures.files import Picture

from ..measures.features import patch_features, to_input

PROJECTED = 64
"""Width to which patches are projected at random while the coreset is chosen."""
SMOOTHING = 4.0
"""Standard deviation in pixels of the blur on the finished map (the paper's)."""
_BATCH = 4
MOST_PATCHES = 40_000
"""Patches that the coreset is chosen from, at most: drawn at random before."""


@torch.no_grad()
def patches(pictures: Sequence[Picture]) -> tuple[Tensor, tuple[int, int]]:
    """Patch features ``[n, cells, C]`` and the grid (rows, columns) of pictures of one size, sides
    multiples of 32."""
    parts = []
    for first in range(0, len(pictures), _BATCH):
        fine, coarse = patch_features(to_input(pictures[first : first + _BATCH]))
        fine, coarse = (
            F.avg_pool2d(one, 3, 1, 1, count_include_pad=False) for one in (fine, coarse)
        )
        coarse = F.interpolate(coarse, fine.shape[-2:], mode="bilinear", align_corners=False)
        parts.append(
            torch.cat([F.normalize(fine, dim=1), F.normalize(coarse, dim=1)], dim=1)
            .flatten(2)
            .transpose(1, 2)
        )
    grid = (fine.shape[-2], fine.shape[-1])
    return torch.cat(parts), grid


def coreset(rows: Tensor, share: float, seed: int) -> Tensor:
    """A greedy k-centre choice: each next row is the one farthest from all chosen before.

    Args:
        rows: ``[n, C]``. share: of n to keep, 0..1. seed: of the random projection and the first
            row.
    """
    generator = torch.Generator().manual_seed(seed)
    rows = rows[torch.randperm(len(rows), generator=generator)[:MOST_PATCHES]]
    projection = torch.randn(rows.shape[1], PROJECTED, generator=generator) / PROJECTED**0.5
    small = rows @ projection
    chosen = [0]
    distance = (small - small[0]).square().sum(1)
    for _ in range(max(1, round(share * len(rows))) - 1):
        farthest = int(distance.argmax())
        chosen.append(farthest)
        distance = torch.minimum(distance, (small - small[farthest]).square().sum(1))
    return rows[chosen]


def score_maps(memory: Tensor, pictures: Sequence[Picture]) -> list[NDArray[np.float32]]:
    """Anomaly maps, float32 ``[H, W]`` each: distances, not probabilities."""
    maps = []
    for first in range(0, len(pictures), _BATCH):
        found, grid = patches(pictures[first : first + _BATCH])
        distance = torch.cdist(found, memory[None]).amin(2).view(-1, 1, *grid)
        height, width = pictures[0].shape[:2]
        full = F.interpolate(distance, (height, width), mode="bilinear", align_corners=False)[
            :, 0
        ].numpy()
        maps += [ndimage.gaussian_filter(one, SMOOTHING).astype(np.float32) for one in full]
    return maps


def patchcore(
    good: Sequence[Picture], test: Sequence[Picture], share: float, seed: int
) -> list[NDArray[np.float32]]:
    """Learn from good pictures, score test pictures; all of one size, sides multiples of 32."""
    found, _ = patches(good)
    return score_maps(coreset(found.flatten(0, 1), share, seed), test)
