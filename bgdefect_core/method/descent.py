"""The way down of samples that start together (docs/method.md, choice 15): their levels, their
background and their solver. A batch holds one descent for each start level in it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .backgrounds import Background, BackgroundLatents
from .backgrounds.background import LatentsAt, rows_of
from .randomness import seeded_noise
from .sample_batch import SampleBatch
from .schedule import Levels, NoiseSchedule
from .solvers import Solver, Step
from .start import NOISE, levels_from


@dataclass(frozen=True, eq=False)
class Held:
    """Cells that stay those of the pasted picture."""

    core: Tensor
    """bool ``[n, 1, h, w]``."""
    pasted: Tensor
    """``[n, C, h, w]``."""
    noise: Tensor
    """``[n, C, h, w]``: the samples' own noise."""

    def put_back(self, z: Tensor, levels: Levels, level: int) -> Tensor:
        """``z`` with the held cells of the forward process (Eq. 6) at ``level``; at level 0 the
        paste itself."""
        return torch.where(self.core, levels.noised(self.pasted, self.noise, level), z)


@dataclass(frozen=True, eq=False)
class Descent:
    """Samples that start at one level."""

    rows: Tensor
    """long ``[n]``: their places in the batch."""
    levels: Levels
    """From their start down; level 0 alone where nothing is sampled."""
    first: Tensor
    """``[n, C, h, w]``: their latents at the start."""
    mode: Background
    latents_at: LatentsAt
    step: Step
    held: Held | None = None

    def down(self, z: Tensor, eps: Tensor, m: Tensor, level: int) -> Tensor:
        """The latents ``[n, C, h, w]`` at ``level - 1``, from ``z`` and its noise at ``level``."""
        z = self.mode.put_back(self.step(z, eps, level), m, self.latents_at(level - 1))
        if self.held is None:
            return z
        return self.held.put_back(z, self.levels, level - 1)


def descents(
    schedule: NoiseSchedule,
    background: BackgroundLatents,
    batch: SampleBatch,
    solver: Solver,
) -> list[Descent]:
    """The descents of B samples, one for each start level, in the order of their first sample.

    Arguments as in :func:`.sampling.sample`.
    """
    mode, regions, start = background.mode, batch.regions, batch.start
    shares = [NOISE] * len(batch.seeds) if start is None else list(start.levels)
    members: dict[float, list[int]] = {}
    for row, share in enumerate(shares):
        members.setdefault(share, []).append(row)
    lowest = background.latents[0]
    noise = seeded_noise(batch.seeds, lowest.shape[1:]).to(lowest)
    groups: list[Descent] = []
    for share, places in members.items():
        lower = levels_from(schedule, background.levels, share)
        rows = torch.tensor(places, device=regions.device)
        latents = mode.cut(background.latents, background.levels, lower)
        if len(members) > 1:
            latents = rows_of(latents, rows)
        seeds = [batch.seeds[place] for place in places]
        latents_at = mode.latents_at(latents, lower, seeds)
        m = (regions[rows] > 0)[:, None]
        inside, held = noise[rows], None
        if start is not None and share < NOISE:
            pasted = start.pasted[rows]
            if start.core is not None:
                held = Held(start.core[rows][:, None], pasted, inside)
            inside = lower.noised(pasted, inside, lower.steps)
        first = torch.where(m, inside, latents_at(lower.steps))
        step = solver.start(lower)
        groups.append(Descent(rows, lower, first, mode, latents_at, step, held))
    return groups
