"""Samples, timesteps and noise of each iteration: functions of (seed, step) alone, so that a run
can resume.

The batch of an iteration is drawn as one and then divided: two accumulation steps, or two
processes, of B see the samples that one batch of 2B would see.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bgdefect_core.method.loss import NoisyBatch
from bgdefect_core.method.randomness import generator

from .cache import LatentCache
from .timesteps import DEFAULT_TIMESTEP_DRAW, TIMESTEP_DRAWS, TimestepDraw

NOISE, ORDER, VALIDATION = 1, 2, 3
"""Streams of random numbers; see :func:`bgdefect_core.method.randomness.generator`."""


class Batches:
    """The batches of one process.

    Args:
        cache: latents of all views.
        size: samples of a batch.
        timesteps: length of the schedule.
        seed: of the run.
        accumulate: batches of an iteration.
        process: number of this process.
        processes: number of all processes.
        draw: of the timesteps.
    """

    def __init__(
        self,
        cache: LatentCache,
        size: int,
        timesteps: int,
        seed: int,
        accumulate: int = 1,
        process: int = 0,
        processes: int = 1,
        draw: TimestepDraw = TIMESTEP_DRAWS[DEFAULT_TIMESTEP_DRAW],
    ) -> None:
        self.cache = cache
        self.size = size
        self.timesteps = timesteps
        self.seed = seed
        self.accumulate = accumulate
        self.process = process
        self.processes = processes
        self.draw = draw
        self._order: tuple[int, Tensor] = (-1, torch.empty(0))

    def at(self, step: int) -> list[NoisyBatch]:
        """The ``accumulate`` batches of one iteration."""
        total = self.size * self.accumulate * self.processes
        rng = generator(self.seed, step, NOISE)
        views = torch.randint(0, self.cache.views, (total,), generator=rng)
        t = self.draw.draw(total, self.timesteps, rng)
        eps = torch.randn((total, *self.cache.latents.shape[1:]), generator=rng)
        index = self._pictures(step * total, total) * self.cache.views + views
        batches = []
        for part in range(self.accumulate):
            start = (part * self.processes + self.process) * self.size
            samples = index[start : start + self.size]
            batches.append(take_batch(self.cache, samples, t[start:], eps[start:]))
        return batches

    def _pictures(self, start: int, count: int) -> Tensor:
        """Pictures number ``start`` and on in an endless sequence of shuffled rounds: each picture
        occurs equally often."""
        length = len(self.cache)
        pictures = []
        for number in range(start, start + count):
            round_number = number // length
            if self._order[0] != round_number:
                rng = generator(self.seed, round_number, ORDER)
                self._order = (round_number, torch.randperm(length, generator=rng))
            pictures.append(self._order[1][number % length])
        return torch.stack(pictures)


def take_batch(cache: LatentCache, index: Tensor, t: Tensor, eps: Tensor) -> NoisyBatch:
    """The samples ``index`` ``[B]``, with the first B of ``t`` and ``eps``, on the cache's
    device."""
    device, count = cache.latents.device, len(index)
    index = index.to(device)
    return NoisyBatch(
        z_0=cache.latents[index],
        regions=cache.regions[index],
        t=t[:count].to(device),
        eps=eps[:count].to(device),
    )


def validation_batches(
    cache: LatentCache, size: int, timesteps: int, seed: int, draws: int = 4
) -> list[NoisyBatch]:
    """Fixed batches of held-out pictures, so that the loss before and after the training compare.

    Args:
        cache: of the held-out pictures.
        size: samples of a batch.
        timesteps: length of the schedule.
        seed: of the run.
        draws: spread noise levels of each picture.
    """
    rng = generator(seed, 0, VALIDATION)
    index = torch.arange(len(cache)).repeat_interleave(draws) * cache.views
    slots = torch.arange(draws).repeat(len(cache)) + torch.rand(len(index), generator=rng)
    t = (slots / draws * timesteps).long().clamp_max(timesteps - 1)
    eps = torch.randn((len(index), *cache.latents.shape[1:]), generator=rng)
    batches = []
    for start in range(0, len(index), size):
        samples = index[start : start + size]
        batches.append(take_batch(cache, samples, t[start:], eps[start:]))
    return batches
