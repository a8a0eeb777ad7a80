"""What the benches have in common: contenders that take turns, the scene that they work on, and the
rows of their tables.

The order of the contenders is reversed at each turn. The median of the ratios of each turn counts,
so that a machine that slows down for a while does not decide.
"""

from __future__ import annotations

import operator
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from bgdefect_core.method.regions import RegionPrompts

from ..bases.load import Base
from .options import PROMPTS

Contender = Callable[[], Any]


def race(
    contenders: Mapping[str, Contender], repeats: int, device: torch.device
) -> dict[str, list[float]]:
    """Seconds of each contender in each turn, after one turn to warm up."""
    turns: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in tqdm(range(repeats + 1), desc="measuring", unit="turn", leave=False):
        names = list(contenders) if turn % 2 else list(contenders)[::-1]
        for name in names:
            _wait(device)
            started = time.perf_counter()
            contenders[name]()
            _wait(device)
            if turn:
                turns[name].append(time.perf_counter() - started)
    return turns


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
    elif device.type == "mps":
        torch.mps.synchronize()


def heading(title: str, reference: str, seconds: Sequence[float]) -> list[str]:
    """The first rows of a table; ``seconds``: of the reference."""
    return [
        f"{title} ({len(seconds)} turns, medians, {torch.get_num_threads()} threads)",
        f"{'':44} {'time':>11} {'over bare':>10}",
        f"{reference:44} {statistics.median(seconds):9.3f} s {1:10.3f}",
    ]


def row(title: str, seconds: Sequence[float], bare: Sequence[float]) -> str:
    """A row of a table: median seconds, and their ratio to the bare U-Net's."""
    ratio = median_ratio(seconds, bare)
    return f"{title:44} {statistics.median(seconds):9.3f} s {ratio:10.3f}"


def median_ratio(seconds: Sequence[float], reference: Sequence[float]) -> float:
    """Median of the ratios of each turn."""
    return statistics.median(map(operator.truediv, seconds, reference))


def bench_prompts(base: Base) -> RegionPrompts:
    """The prompts of all benches."""
    return base.prompts(PROMPTS.background, [PROMPTS.defect], PROMPTS.mask)


def bench_scene(base: Base, resolution: int | None, count: int) -> tuple[Tensor, Tensor]:
    """Random latents ``[count, C, h, w]`` and a region map with a square of a quarter of the side
    in the middle.

    Raises:
        SettingError: a resolution out of range, or not a multiple of the base's factor.
    """
    cells = base.working_resolution(resolution) // base.factor
    channels = int(base.unet.config["in_channels"])
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(count, channels, cells, cells, generator=generator)
    regions = torch.zeros(count, cells, cells, dtype=torch.long)
    low, high = 3 * cells // 8, 5 * cells // 8
    regions[:, low:high, low:high] = 1
    return latents.to(base.unet.device), regions.to(base.unet.device)
