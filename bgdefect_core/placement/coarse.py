"""A coarse look for places: all places of a picture for many variations of a mask at once.

The mean squared difference of :meth:`Likeness.difference`, on cells of several pixels, is a sum of
correlations of the shrunk picture with shrunk templates, so that Fourier transforms give it for all
places. Templates are sampled from the real picture at the cells' width; no variation is made at
full size for it. Bends are left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from ..pictures.masks import Mask
from ..pictures.picture import Pixels
from .surroundings import UNDER, Surroundings, block_sums, picture_colours
from .variation import Change

_CELLS = 128
"""Most cells along a side of a picture."""
_CELL = 2 / 3
"""Side of a cell over the width of the ring that is compared."""
_WIDEST = 8
"""Largest cell in pixels, where the picture needs no larger one."""
_OFF = 0.02
"""Share of a mask that may seem to lie off the part: cells round."""

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
        rows, columns = (-(-length // self.cell) + 2 * self.margin for length in self.shape)
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


@dataclass(frozen=True, eq=False)
class CoarsePlaces:
    """How far all places of a picture differ, for each variation."""

    differences: NDArray[np.float32]
    """``[V, rows, columns]``; infinite where the mask does not fit."""
    changes: NDArray[np.float32]
    """``[V, rows, columns]``: mean squared difference of what lies under the mask from the real
    defect."""
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
        self._contrast = around.contrast**2
        self._change = around.change
        self._reach = around.reach * max(change.scale for change in changes)
        self._made: dict[tuple[Grid, int], _Made] = {}

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
        grid, channels = picture.grid, len(picture.spectra) - 2
        made = self._templates(grid, channels).first(count)
        several = len(made.near[0]) - 2
        shown = picture.spectra
        if several > channels:  # a gray picture, a coloured template
            gray = np.repeat(shown[2:], several, axis=0)
            shown = np.concatenate([shown[:2], gray])
        nears = np.einsum("vkrc,krc->vrc", made.near, shown)
        unders = np.einsum("vkrc,krc->vrc", made.under, np.delete(shown, 1, axis=0))
        near = fft.irfft2(nears, grid.size) + made.near_rest[:, None, None]
        under = fft.irfft2(unders, grid.size) + made.under_rest[:, None, None]
        lacking = np.maximum(self._change / 2 - under, 0)
        differences = np.maximum(near, 0) + 2 * lacking
        fits = self._fits(made, grid)
        if picture.off is not None:
            off = fft.irfft2(made.cover * picture.off, grid.size)
            fits &= off <= _OFF
        differences[~fits] = np.inf
        return CoarsePlaces(differences.astype(np.float32), under, made.centres, grid.cell)

    def _fits(self, made: _Made, grid: Grid) -> NDArray[np.bool_]:
        """Where the whole mask lies in the picture, but for rounding: ``[V, rows, columns]``."""
        fits = np.ones((len(made.centres), *grid.size), np.bool_)
        for axis in (0, 1):
            steps = np.arange(grid.size[axis]) * grid.cell
            middles = made.centres[:, axis, None] + steps
            half = made.sides[:, axis, None] / 2
            room = (middles - half > -0.5 - grid.cell / 2) & (
                middles + half < grid.shape[axis] - 0.5 + grid.cell / 2
            )
            fits &= room[:, :, None] if axis == 0 else room[:, None, :]
        return fits

    def _templates(self, grid: Grid, channels: int) -> _Made:
        key = (grid, channels)
        if key not in self._made:
            self._made[key] = self._make(grid, channels)
        return self._made[key]

    def _make(self, grid: Grid, channels: int) -> _Made:
        """Sample the templates of all variations on the cells of a grid, and transform them."""
        cell, around = grid.cell, self._around
        layers = _source_layers(self._patch, around)
        blurred = _Blurred(layers)
        defined = around.colours.shape[2]
        channels = max(channels, defined)
        near, under = [], []
        cover, rests, centres, sides = [], [], [], []
        for change in self._changes:
            sampled, side = _sampled(blurred, self._patch.shape, change, cell, around.reach)
            covered, rim, known = sampled[..., 0], sampled[..., 1], sampled[..., 2]
            means = sampled[..., 3:] / np.maximum(known, 1e-6)[..., None]
            defect = _in_channels(means[..., :defined], channels)
            before = _in_channels(means[..., defined:], channels)
            cover.append(covered / max(float(covered.sum()), 1e-6))
            counted = rim / max(float(rim.sum()), 1e-6) + UNDER * cover[-1]
            weight = counted * known
            seen = weight * np.square(before).mean(axis=2)
            seen += self._contrast * counted * (1 - 2 * known)
            near.append(_stack(weight, seen, weight, before))
            under.append(_stack(cover[-1], None, cover[-1], defect))
            rest = self._contrast * float((counted * np.square(known)).sum())
            rests.append((rest, float((cover[-1] * np.square(defect).mean(axis=2)).sum())))
            rows, columns = known.shape
            first = np.array([rows, columns]) / 2 - grid.margin
            centres.append(first * cell - 0.5)
            sides.append(side)
        return _Made(
            _spectra(near, grid),
            _spectra(under, grid),
            _spectra([layer[None] for layer in cover], grid)[:, 0],
            np.array([rest for rest, _ in rests], np.float32),
            np.array([rest for _, rest in rests], np.float32),
            np.array(centres),
            np.array(sides),
        )


@dataclass(frozen=True, eq=False)
class _Made:
    """Conjugate spectra of the templates of V variations, and what does not depend on the place."""

    near: Spectra
    """``[V, 2 + C, rows, columns]``: for squares, share of picture, colours, of what was before the
    defect."""
    under: Spectra
    """``[V, 1 + C, rows, columns]``: for squares, colours, of the defect."""
    cover: Spectra
    """``[V, rows, columns]``"""
    near_rest: NDArray[np.float32]
    under_rest: NDArray[np.float32]
    centres: NDArray[np.float64]
    sides: NDArray[np.float64]
    """``[V, 2]``: height and width of the turned and scaled box in pixels."""

    def first(self, count: int | None) -> _Made:
        """Those of the first variations; None: of all."""
        return _Made(
            self.near[:count],
            self.under[:count],
            self.cover[:count],
            self.near_rest[:count],
            self.under_rest[:count],
            self.centres[:count],
            self.sides[:count],
        )


def _source_layers(patch: Mask, around: Surroundings) -> NDArray[np.float32]:
    """The real defect: ``[h, w, 3 + 2 C]``: mask, ring, known, colours with and without the defect
    (0 where not known)."""
    mask = np.pad(patch, around.margin)
    distance = ndimage.distance_transform_edt(~mask)
    known = np.isfinite(around.colours[..., 0])
    ring = (distance > 0) & (distance <= around.reach)
    both = np.concatenate([around.colours, around.before], axis=2)
    colours = np.where(np.isfinite(both), both, 0)
    layers = np.stack([mask, ring, known], axis=2)
    return np.concatenate([layers, colours], axis=2).astype(np.float32)


def _in_channels(colours: NDArray[np.floating], channels: int) -> NDArray[np.float32]:
    """Colours ``[h, w, C]`` in ``channels``: gray ones are repeated."""
    return np.broadcast_to(colours, (*colours.shape[:2], channels)).astype(np.float32)


class _Blurred:
    """Layers ``[h, w, K]`` averaged over squares, each size and mirror once."""

    def __init__(self, layers: NDArray[np.float32]) -> None:
        self._layers = layers
        self._made: dict[tuple[int, bool], NDArray[np.float32]] = {}

    def at(self, side: int, flipped: bool) -> NDArray[np.float32]:
        """Averages over ``side`` x ``side`` pixels, with a point more on each side that is 0."""
        key = (side, flipped)
        if key not in self._made:
            layers = self._layers[:, ::-1] if flipped else self._layers
            averages = ndimage.uniform_filter(layers, (side, side, 1), mode="constant")
            self._made[key] = np.pad(averages, ((1, 1), (1, 1), (0, 0)))
        return self._made[key]


def _sampled(
    blurred: _Blurred, shape: tuple[int, ...], change: Change, cell: int, reach: int
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The layers turned, scaled and shrunk to cells: ``[rows, columns, 3 + C]``; and the height and
    width of the turned box in pixels."""
    scale, angle = change.scale, math.radians(change.angle)
    cos, sin = math.cos(angle), math.sin(angle)
    height, width = shape
    side = scale * np.array(
        [abs(cos) * height + abs(sin) * width, abs(sin) * height + abs(cos) * width]
    )
    rows, columns = np.ceil((side + 2 * reach * scale) / cell).astype(int).tolist()
    layers = blurred.at(max(round(cell / scale), 1), change.flipped)
    y = (np.arange(rows)[:, None] - (rows - 1) / 2) * (cell / scale)
    x = (np.arange(columns)[None, :] - (columns - 1) / 2) * (cell / scale)
    row = cos * y + sin * x + (layers.shape[0] - 1) / 2
    column = cos * x - sin * y + (layers.shape[1] - 1) / 2
    return _bilinear(layers, row, column), side


def _bilinear(
    layers: NDArray[np.float32], row: NDArray[np.float64], column: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Layers ``[h, w, K]`` between their points; those of the edge beyond it."""
    row = np.clip(row, 0, layers.shape[0] - 1.001)
    column = np.clip(column, 0, layers.shape[1] - 1.001)
    top, left = row.astype(np.int64), column.astype(np.int64)
    down = (row - top)[..., None].astype(np.float32)
    across = (column - left)[..., None].astype(np.float32)
    upper = layers[top, left] * (1 - across) + layers[top, left + 1] * across
    lower = layers[top + 1, left] * (1 - across) + layers[top + 1, left + 1] * across
    return (upper * (1 - down) + lower * down).astype(np.float32)


def _stack(
    squares: NDArray[np.float32],
    share: NDArray[np.float32] | None,
    weight: NDArray[np.float32],
    colours: NDArray[np.float32],
) -> NDArray[np.float32]:
    """What the layers of a picture are correlated with: ``[K, rows, columns]``."""
    crossed = -2 / colours.shape[2] * weight[..., None] * colours
    layers: list[NDArray[Any]] = [squares] if share is None else [squares, share]
    return np.stack([*layers, *np.moveaxis(crossed, 2, 0)])


def _spectra(templates: Sequence[NDArray[np.float32]], grid: Grid) -> Spectra:
    """Conjugate spectra ``[V, K, rows, columns]`` of templates of several sizes."""
    full = np.zeros((len(templates), len(templates[0]), *grid.size), np.float32)
    for number, template in enumerate(templates):
        layers = template[:, : grid.size[0], : grid.size[1]]
        full[number, :, : layers.shape[1], : layers.shape[2]] = layers
    spectra: Spectra = np.conj(fft.rfft2(full))
    return spectra
