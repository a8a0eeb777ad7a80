"""PatchCore (Roth et al. 2022) on efficientnet-lite0: the unsupervised baseline that needs no
download.

A patch is the features of two inner layers, averaged over 3 x 3 neighbours and joined at the finer
grid. A greedy coreset of the good patches is the memory; the score of a test patch is its distance
to the nearest patch of the memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from bgdefect_core.pictures.picture import Pixels

from ..measures.features import patch_features, to_input
from .truth import Map

PROJECTED = 64
"""Width to which patches are projected at random while the coreset is chosen."""
SMOOTHING = 4.0
"""Standard deviation in pixels of the blur of the final map (as in the paper)."""
MOST_PATCHES = 40_000
"""Maximum number of patches that the coreset is chosen from; a random subset of more."""
_BATCH = 4


@dataclass(frozen=True)
class PatchCore:
    """PatchCore with its settings."""

    share: float
    """Share of the patches in the memory, 0..1."""
    seed: int
    kind: ClassVar[str] = "patchcore"
    subject: ClassVar[str] = "patchcore (efficientnet-lite0)"

    def key(self) -> dict[str, Any]:
        return {"share": self.share, "seed": self.seed}

    def maps(self, good: Sequence[Pixels], test: Sequence[Pixels]) -> list[Map]:
        """Distances of the test pictures; all pictures of one size, sides multiples of 32."""
        features, _ = patches(good)
        memory = coreset(features.flatten(0, 1), self.share, self.seed)
        return score_maps(memory, test)


@torch.no_grad()
def patches(pictures: Sequence[Pixels]) -> tuple[Tensor, tuple[int, int]]:
    """Patch features ``[n, cells, C]`` and their grid (rows, columns).

    Args:
        pictures: of one size, sides multiples of 32.
    """
    parts = []
    for first in range(0, len(pictures), _BATCH):
        fine, coarse = patch_features(to_input(pictures[first : first + _BATCH]))
        fine = F.avg_pool2d(fine, 3, 1, 1, count_include_pad=False)
        coarse = F.avg_pool2d(coarse, 3, 1, 1, count_include_pad=False)
        coarse = F.interpolate(coarse, fine.shape[-2:], mode="bilinear", align_corners=False)
        joined = torch.cat([F.normalize(fine, dim=1), F.normalize(coarse, dim=1)], dim=1)
        parts.append(joined.flatten(2).transpose(1, 2))
    grid = (fine.shape[-2], fine.shape[-1])
    return torch.cat(parts), grid


def coreset(rows: Tensor, share: float, seed: int) -> Tensor:
    """A greedy k-centre choice: each next row is the farthest from all rows chosen before.

    Args:
        rows: ``[n, C]``. share: of n that is chosen, 0..1. seed: of the random projection and the
            first row.
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


def score_maps(memory: Tensor, pictures: Sequence[Pixels]) -> list[Map]:
    """Anomaly maps, float32 ``[H, W]`` each: distances, not probabilities."""
    maps: list[Map] = []
    size = pictures[0].shape[:2]
    for first in range(0, len(pictures), _BATCH):
        features, grid = patches(pictures[first : first + _BATCH])
        distance = torch.cdist(features, memory[None]).amin(2).view(-1, 1, *grid)
        full = F.interpolate(distance, size, mode="bilinear", align_corners=False)[:, 0]
        maps += smoothed(full)
    return maps


def smoothed(scores: Tensor) -> list[Map]:
    """The final maps, float32 ``[H, W]`` each, of scores ``[B, H, W]`` on the CPU."""
    maps: list[Map] = []
    for heat in scores.numpy():
        maps.append(ndimage.gaussian_filter(heat, SMOOTHING).astype(np.float32))
    return maps
