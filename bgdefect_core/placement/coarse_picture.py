"""A good picture shrunk to cells and transformed, for the coarse look (:mod:`coarse`)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from ..pictures.masks import Mask
from ..pictures.picture import Pixels
from .likeness import block_sums, picture_colours

Spectra = NDArray[np.complex64]


@dataclass(frozen=True)
class Grid:
    """Cells over a picture with a margin."""

    shape: tuple[int, int]
    """Of the picture in pixels."""
    cell: int
    """Side of a cell in pixels."""
    margin: int
    """Cells around the picture."""

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the transforms: cells with both margins, or a little more."""
        height, width = self.shape
        rows = -(-height // self.cell) + 2 * self.margin
        columns = -(-width // self.cell) + 2 * self.margin
        return fft.next_fast_len(rows, real=True), fft.next_fast_len(columns, real=True)


class CoarsePicture:
    """One good picture, and where its defects may lie, on a grid.

    Args:
        picture: uint8 ``[H, W, 3]``.
        part: bool ``[H, W]``.
    """

    def __init__(self, picture: Pixels, part: Mask, grid: Grid) -> None:
        cell, margin = grid.cell, grid.margin * grid.cell
        beyond = ((margin, margin), (margin, margin))
        pixels = picture_colours(picture)
        inside = block_sums(np.pad(np.ones(picture.shape[:2], np.float32), beyond), cell)
        sums = block_sums(np.pad(pixels, (*beyond, (0, 0))), cell)
        colours = sums / np.maximum(inside, 1)[..., None]
        share = inside / cell**2
        layers = [share * np.square(colours).mean(axis=2), share]
        layers += list(np.moveaxis(share[..., None] * colours, 2, 0))
        self.grid = grid
        self.spectra: Spectra = fft.rfft2(np.stack(layers).astype(np.float32), grid.size)
        """``[2 + C, rows, columns]``: squares, share of picture, colours."""
        self.off: Spectra | None = None
        """Of the pixels off the part; None: there are none."""
        if not part.all():
            off = block_sums(np.pad((~part).astype(np.float32), beyond), cell)
            self.off = fft.rfft2(off / cell**2, grid.size)

    @property
    def nbytes(self) -> int:
        """Memory in bytes."""
        return self.spectra.nbytes + (0 if self.off is None else self.off.nbytes)
