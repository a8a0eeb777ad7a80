"""A coarse look for places: all places of a picture for many variations of a mask at once.

The mean squared difference of :meth:`Likeness.difference`, on cells of several pixels, is a sum of
correlations of the shrunk picture with shrunk templates, so that Fourier transforms give it for all
places.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from ..pictures.masks import Mask
from .coarse_picture import CoarsePicture, Grid, Spectra
from .coarse_templates import Templates, templates_on
from .surroundings import Surroundings
from .variation import Change

__all__ = ["CoarsePicture", "CoarsePlaces", "CoarseTemplates", "Grid"]

_CELLS = 128
"""Most cells along a side of a picture."""
_CELL = 2 / 3
"""Side of a cell over the width of the ring that is compared."""
_WIDEST = 8
"""Largest cell in pixels, where the picture needs no larger one."""
_OFF = 0.02
"""Share of a mask that may seem to lie off the part: cells round."""


@dataclass(frozen=True, eq=False)
class CoarsePlaces:
    """How far all places of a picture differ, for each variation."""

    differences: NDArray[np.float32]
    """``[V, rows, columns]``; infinite where the mask does not fit."""
    centres: NDArray[np.float64]
    """``[V, 2]``: row and column in pixels of the mask's middle for the first place; each further
    place is a cell further."""
    cell: int

    @property
    def least(self) -> float:
        """The least difference; infinite where no variation fits."""
        return float(self.differences.min())


class CoarseTemplates:
    """Variations of one real defect, shrunk.

    Args:
        patch: bool ``[h, w]``, the real mask cut to its box.
        around: its surroundings.
        changes: the variations.
    """

    def __init__(self, patch: Mask, around: Surroundings, changes: Sequence[Change]) -> None:
        self._patch = patch
        self._around = around
        self._changes = list(changes)
        self._change = around.change
        self._reach = around.reach * max(change.scale for change in changes)
        self._templates: dict[tuple[Grid, int], Templates] = {}

    def grid(self, shape: tuple[int, int]) -> Grid:
        """The grid on which these templates are compared with a picture of ``[H, W]`` pixels."""
        fine = min(round(_CELL * self._around.reach), _WIDEST)
        cell = max(fine, math.ceil(max(shape) / _CELLS), 2)
        return Grid(shape, cell, math.ceil(self._reach / cell) + 1)

    def places(self, picture: CoarsePicture, count: int | None = None) -> CoarsePlaces:
        """All places of a picture, whose grid is :meth:`grid`'s.

        Args:
            picture: as it was shrunk.
            count: of variations, from the first on; None: all.
        """
        grid, shown = picture.grid, picture.spectra
        templates = self._on_grid(grid, len(shown) - 2).first(count)
        shown = _with_channels(shown, templates.near.shape[1] - 2)
        nears = np.einsum("vkrc,krc->vrc", templates.near, shown)
        unders = np.einsum("vkrc,krc->vrc", templates.under, np.delete(shown, 1, axis=0))
        near = fft.irfft2(nears, grid.size) + templates.near_rest[:, None, None]
        under = fft.irfft2(unders, grid.size) + templates.under_rest[:, None, None]
        lacking = np.maximum(self._change / 2 - under, 0)
        differences = np.maximum(near, 0) + 2 * lacking
        fits = _fitting(templates, grid)
        if picture.off is not None:
            off = fft.irfft2(templates.cover * picture.off, grid.size)
            fits &= off <= _OFF
        differences[~fits] = np.inf
        return CoarsePlaces(differences.astype(np.float32), templates.centres, grid.cell)

    def _on_grid(self, grid: Grid, channels: int) -> Templates:
        key = (grid, channels)
        if key not in self._templates:
            self._templates[key] = templates_on(
                grid, self._patch, self._around, self._changes, channels
            )
        return self._templates[key]


def _with_channels(shown: Spectra, channels: int) -> Spectra:
    """Spectra of a picture ``[2 + C, rows, columns]`` for templates of ``channels`` colours: the
    gray of a gray picture stands for each of them."""
    if channels == len(shown) - 2:
        return shown
    return np.concatenate([shown[:2], np.repeat(shown[2:], channels, axis=0)])


def _fitting(templates: Templates, grid: Grid) -> NDArray[np.bool_]:
    """Where the whole mask lies in the picture, but for rounding: ``[V, rows, columns]``."""
    rows = _fitting_along(0, templates, grid)
    columns = _fitting_along(1, templates, grid)
    return rows[:, :, None] & columns[:, None, :]


def _fitting_along(axis: int, templates: Templates, grid: Grid) -> NDArray[np.bool_]:
    """The same for rows (0) or columns (1) alone: ``[V, cells]``."""
    steps = np.arange(grid.size[axis]) * grid.cell
    middles = templates.centres[:, axis, None] + steps
    half = templates.sides[:, axis, None] / 2
    after_first = middles - half > -0.5 - grid.cell / 2
    before_last = middles + half < grid.shape[axis] - 0.5 + grid.cell / 2
    fitting: NDArray[np.bool_] = after_first & before_last
    return fitting
