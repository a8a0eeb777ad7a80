"""Random numbers that depend on explicit numbers alone, never on the global generator
(docs/method.md, choice 13)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def seeded_noise(seeds: Sequence[int], shape: Sequence[int], stream: int = 0) -> Tensor:
    """Normal noise that depends on each sample's seed alone.

    Args:
        seeds: one for each sample, 0 .. 2^63 - 1.
        shape: ``(C, h, w)`` of one latent.
        stream: 0 for the defect's noise, 1 for the background's (``noised``), 2 and up for the
            likelihood signal: independent draws from one seed.

    Returns:
        float32 ``[len(seeds), C, h, w]`` on the CPU.
    """
    samples = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        for _ in range(stream):
            torch.randn(tuple(shape), generator=generator)
        samples.append(torch.randn(tuple(shape), generator=generator))
    return torch.stack(samples)


def attempt_seed(seed: int, index: int, attempt: int) -> int:
    """Seed of one attempt at a sample, 0 .. 2^63 - 1: a function of these three numbers alone,
    mixed so that no two runs share samples (choice 19).

    Args:
        seed: of the run, 0 and up. index: of the sample. attempt: its number, counted from 0.
    """
    sequence = np.random.SeedSequence((seed, index, attempt))
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))


def generator(seed: int, step: int, stream: int = 0) -> torch.Generator:
    """The random source of one training step: a CPU generator that depends on ``(seed, step,
    stream)`` alone.

    Args:
        stream: 0 .. 15, independent draws from one seed and step.
    """
    mixed = (seed * 1_000_003 + step) * 16 + stream
    return torch.Generator().manual_seed(mixed % (2**63))
