"""Which samples, timesteps and noise each iteration takes: functions of (seed, step) alone, so that
a run can resume.

The global batch of an iteration is drawn as one and then cut: two accumulation steps, or two
    processes, of B see the
very samples that one batch of 2B would see.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bgdefect_core.method.randomness import generator

from .cache import LatentCache

NOISE, ORDER, VALIDATION = 1, 2, 3
"""Streams of random numbers; see :func:`bgdefect_core.method.randomness.generator`."""


@dataclass(frozen=True)
class Batch:
    """What one forward of the loss reads."""

    z_0: Tensor
    """``[B, C, h, w]``."""
    regions: Tensor
    """long ``[B, h, w]``."""
    t: Tensor
    """long ``[B]``."""
    eps: Tensor
    """``[B, C, h, w]``."""


class Batches:
    """The iterations' batches of one process."""

    def __init__(
        self,
        cache: LatentCache,
        size: int,
        timesteps: int,
        seed: int,
        accumulate: int = 1,
        process: int = 0,
        processes: int = 1,
    ) -> None:
        self.cache, self.size, self.timesteps, self.seed = cache, size, timesteps, seed
        self.accumulate, self.process, self.processes = accumulate, process, processes
        self._order: tuple[int, Tensor] = (-1, torch.empty(0))

    def at(self, step: int) -> list[Batch]:
        """The ``accumulate`` batches of one iteration."""
        total = self.size * self.accumulate * self.processes
        rng = generator(self.seed, step, NOISE)
        views = torch.randint(0, self.cache.views, (total,), generator=rng)
        t = torch.randint(0, self.timesteps, (total,), generator=rng)
        eps = torch.randn((total, *self.cache.latents.shape[1:]), generator=rng)
        index = self._pictures(step * total, total) * self.cache.views + views
        batches = []
        for part in range(self.accumulate):
            start = (part * self.processes + self.process) * self.size
            batches.append(
                take_batch(self.cache, index[start : start + self.size], t[start:], eps[start:])
            )
        return batches

    def _pictures(self, start: int, count: int) -> Tensor:
        """Pictures number ``start`` and on in an endless row of shuffled rounds: each comes equally
        often."""
        length = len(self.cache)
        numbers = []
        for number in range(start, start + count):
            if self._order[0] != number // length:
                rng = generator(self.seed, number // length, ORDER)
                self._order = (number // length, torch.randperm(length, generator=rng))
            numbers.append(self._order[1][number % length])
        return torch.stack(numbers)


def take_batch(cache: LatentCache, index: Tensor, t: Tensor, eps: Tensor) -> Batch:
    """The samples ``index`` ``[B]``, with the first B of ``t`` and ``eps``, on the cache's
    device."""
    device, count = cache.latents.device, len(index)
    index = index.to(device)
    return Batch(
        cache.latents[index], cache.regions[index], t[:count].to(device), eps[:count].to(device)
    )


def validation_batches(
    cache: LatentCache, size: int, timesteps: int, seed: int, draws: int = 4, most: int = 64
) -> list[Batch]:
    """Fixed batches of held-out pictures: at most ``most``, evenly spaced, each at ``draws`` spread
    noise levels.

    Always the same for one seed, so that the loss before and after the training compare.
    """
    rng = generator(seed, 0, VALIDATION)
    pictures = torch.linspace(0, len(cache) - 1, min(most, len(cache))).round().long()
    index = pictures.repeat_interleave(draws) * cache.views
    slots = torch.arange(draws).repeat(len(pictures)) + torch.rand(len(index), generator=rng)
    t = (slots / draws * timesteps).long().clamp_max(timesteps - 1)
    eps = torch.randn((len(index), *cache.latents.shape[1:]), generator=rng)
    return [
        take_batch(cache, index[i : i + size], t[i:], eps[i:]) for i in range(0, len(index), size)
    ]
