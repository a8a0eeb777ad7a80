"""The running mean of the attention to the defect's words (Eq. 13)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

SMALLEST_GRID = 8
"""Attention grids under this many cells a side are too coarse to tell where a defect is (choice
3)."""


class MapRecorder:
    """Running means of the attention that pixels inside the mask pay to the defect's words,
    averaged over heads, layers and steps (Eq. 13).

    Only layers whose grid is at most half the latent size (rounded up) and at least 8 cells a side
    take part (choice 3). One mean for each grid size is stored, never the maps themselves.

    Args:
        words: for each defect the positions of its word tokens in the context, long ``[n]``.
    """

    def __init__(self, words: Sequence[Tensor]) -> None:
        self.words = words
        self.means: dict[tuple[int, int], Tensor] = {}
        """Grid ``(h, w)`` -> float32 ``[B, h, w]``: at a pixel of defect i the attention to the
        words of i; 0 in the background."""
        self.rows: tuple[Tensor, int] | None = None
        """Which samples the next calls hold, long ``[n]``, and how many there are in all; None:
            the calls hold all of them."""
        self._counts: dict[tuple[int, int], int] = {}
        self._counts_of_rows: dict[tuple[int, int], Tensor] = {}
        self._marks: Tensor | None = None

    @property
    def samples(self) -> int:
        """Number of samples in the maps; 0 before the first."""
        return max((len(mean) for mean in self.means.values()), default=0)

    def wants(self, grid: tuple[int, int], latent: tuple[int, int]) -> bool:
        """Whether a layer with this grid takes part."""
        fine = min(grid) >= SMALLEST_GRID
        coarse = 2 * grid[0] <= latent[0] + 1 and 2 * grid[1] <= latent[1] + 1
        return fine and coarse

    def marks(self, value: Tensor) -> Tensor:
        """1 at all defects' word tokens, 0 elsewhere: ``[T, 1]`` for values ``[..., T, d]``, in
        their type.

        The boolean mask keeps the words of one defect from the pixels of all other regions.
        """
        if self._marks is None:
            marks = torch.zeros(value.shape[-2], 1)
            marks[torch.cat(list(self.words))] = 1
            self._marks = marks.to(value.device, value.dtype)
        return self._marks

    def add(self, share: Tensor, grid: tuple[int, int]) -> None:
        """Take in one layer's attention to the words: ``[B, h*w]`` on this grid."""
        attention = share.float().view(len(share), *grid)
        if self.rows is not None or grid in self._counts_of_rows:
            self._add_rows(attention, grid)
            return
        count = self._counts.get(grid, 0) + 1
        self._counts[grid] = count
        mean = self.means.get(grid)
        self.means[grid] = attention if mean is None else mean.lerp_(attention, 1 / count)

    def _add_rows(self, attention: Tensor, grid: tuple[int, int]) -> None:
        """Take in a layer's attention of some samples: each has its own number of maps."""
        rows, samples = self.rows or (torch.arange(len(attention)), len(attention))
        rows = rows.to(attention.device)
        mean = self.means.setdefault(grid, attention.new_zeros(samples, *grid))
        if grid not in self._counts_of_rows:
            before = self._counts.get(grid, 0)
            self._counts_of_rows[grid] = attention.new_full((samples, 1, 1), before)
        counts = self._counts_of_rows[grid]
        counts[rows] += 1
        mean[rows] = mean[rows].lerp(attention, 1 / counts[rows])
