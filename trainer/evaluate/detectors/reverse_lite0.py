"""Reverse distillation (Deng and Li 2022) with efficientnet-lite0 as the teacher: an unsupervised
baseline that needs no download.

Features of three inner layers of the frozen teacher pass a bottleneck; a student behind it learns
to reproduce them on good pictures. Where it fails, a picture differs from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bgdefect_core.pictures.picture import Pixels

from ..measures.features import inner_features, to_input
from .patchcore import smoothed
from .truth import Map

_BLOCKS = {2: 24, 4: 40, 10: 112}
"""Blocks of the teacher with their channels, at 1/4, 1/8 and 1/16 of the side."""
_WIDTH = 128
"""Channels of the bottleneck, at 1/32 of the side."""
_LR, _BETAS = 5e-3, (0.5, 0.999)
_BATCH = 8


@dataclass(frozen=True)
class ReverseLite0:
    """Reverse distillation with its settings."""

    steps: int
    seed: int
    device: torch.device
    kind: ClassVar[str] = "reverse-lite0"
    subject: ClassVar[str] = "reverse distillation (efficientnet-lite0)"

    def key(self) -> dict[str, Any]:
        return {"steps": self.steps, "seed": self.seed}

    def maps(self, good: Sequence[Pixels], test: Sequence[Pixels]) -> list[Map]:
        """Summed cosine distances; all pictures of one size, sides multiples of 32."""
        student = make_student(self.seed).to(self.device)
        fit_student(student, good, self.steps, self.seed)
        return score_maps(student, test)


def _layer(channels_in: int, channels: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )


class Student(nn.Module):
    """Bottleneck and student: three maps of the teacher -> three maps of the same shapes."""

    def __init__(self) -> None:
        super().__init__()
        fine, middle, coarse = _BLOCKS.values()
        self.fine = nn.Sequential(_layer(fine, fine, 2), _layer(fine, middle, 2))
        self.middle = _layer(middle, middle, 2)
        self.bottleneck = _layer(2 * middle + coarse, _WIDTH, 2)
        self.up = nn.ModuleList()
        self.out = nn.ModuleList()
        width = _WIDTH
        for channels in (coarse, middle, fine):
            self.up.append(_layer(width, channels))
            self.out.append(nn.Conv2d(channels, channels, 1))
            width = channels

    def forward(self, fine: Tensor, middle: Tensor, coarse: Tensor) -> list[Tensor]:
        """``[B, 24, h, w]``, ``[B, 40, h/2, w/2]``, ``[B, 112, h/4, w/4]`` -> the same."""
        joined = torch.cat([self.fine(fine), self.middle(middle), coarse], dim=1)
        z = self.bottleneck(joined)
        maps: list[Tensor] = []
        for up, out in zip(self.up, self.out, strict=True):
            z = up(F.interpolate(z, scale_factor=2.0, mode="nearest"))
            maps.append(out(z))
        return maps[::-1]


def make_student(seed: int) -> Student:
    """A fresh student whose weights follow from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Student()


def distances(student: Student, pictures: Sequence[Pixels]) -> list[Tensor]:
    """Cosine distances between teacher and student: ``[B, h, w]`` of each of the three layers,
    0..2."""
    device = next(student.parameters()).device
    teacher = inner_features(to_input(pictures).to(device), tuple(_BLOCKS))
    maps = student(*teacher)
    return [1 - F.cosine_similarity(a, b, dim=1) for a, b in zip(teacher, maps, strict=True)]


def fit_student(student: Student, good: Sequence[Pixels], steps: int, seed: int) -> None:
    """Train on good pictures; their order follows from the seed alone."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(student.parameters(), lr=_LR, betas=_BETAS)
    student.train()
    for _ in range(steps):
        chosen = torch.randint(len(good), (_BATCH,), generator=generator).tolist()
        batch = [good[index] for index in chosen]
        means = [distance.mean() for distance in distances(student, batch)]
        loss = torch.stack(means).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    student.eval()


@torch.no_grad()
def score_maps(student: Student, pictures: Sequence[Pixels]) -> list[Map]:
    """Anomaly maps, float32 ``[H, W]`` each: the sum of the three distances."""
    maps: list[Map] = []
    size = pictures[0].shape[:2]
    for first in range(0, len(pictures), _BATCH):
        total = torch.zeros(())
        for distance in distances(student, pictures[first : first + _BATCH]):
            full = F.interpolate(distance[:, None], size, mode="bilinear", align_corners=False)
            total = total + full[:, 0].cpu()
        maps += smoothed(total)
    return maps
