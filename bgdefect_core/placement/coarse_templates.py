"""Templates of the coarse look: variations of a real defect, sampled from its picture at the width
of the cells and transformed. No variation is made at full size for it. Bends are left out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from ..pictures.masks import Mask
from .coarse_picture import Grid, Spectra
from .likeness import UNDER
from .surroundings import Surroundings
from .variation import Change

Layers = NDArray[np.float32]
"""``[h, w, 3 + 2 C]`` of a real defect: mask, ring, known, colours with and without the defect (0
where not known)."""


@dataclass(frozen=True, eq=False)
class Templates:
    """Conjugate spectra of the templates of V variations, and what does not depend on the place."""

    near: Spectra
    """``[V, 2 + C, rows, columns]``: for squares, share of picture, colours, of what was before the
    defect."""
    under: Spectra
    """``[V, 1 + C, rows, columns]``: for squares, colours, of the defect."""
    cover: Spectra
    """``[V, rows, columns]``: the mask."""
    near_rest: NDArray[np.float32]
    """``[V]``: added to the correlation with ``near``."""
    under_rest: NDArray[np.float32]
    """``[V]``: added to the correlation with ``under``."""
    centres: NDArray[np.float64]
    """``[V, 2]``: row and column in pixels of the mask's middle for the first place."""
    sides: NDArray[np.float64]
    """``[V, 2]``: height and width of the turned and scaled box in pixels."""

    def first(self, count: int | None) -> Templates:
        """Those of the first variations; None: of all."""
        return Templates(
            self.near[:count],
            self.under[:count],
            self.cover[:count],
            self.near_rest[:count],
            self.under_rest[:count],
            self.centres[:count],
            self.sides[:count],
        )


@dataclass(frozen=True, eq=False)
class _Template:
    """The template of one variation, in cells."""

    near: NDArray[np.float32]
    """``[2 + C, rows, columns]``"""
    under: NDArray[np.float32]
    """``[1 + C, rows, columns]``"""
    cover: NDArray[np.float32]
    """``[rows, columns]``, 1 in all."""
    near_rest: float
    under_rest: float
    side: NDArray[np.float64]
    """``[2]``: height and width of the turned and scaled box in pixels."""


def templates_on(
    grid: Grid, patch: Mask, around: Surroundings, changes: Sequence[Change], channels: int
) -> Templates:
    """Sample the templates of all variations on the cells of a grid, and transform them.

    Args:
        patch: bool ``[h, w]``, the real mask cut to its box. around: its surroundings.
        channels: of the picture that they are compared with.
    """
    layers = _source_layers(patch, around)
    blurred = _Blurred(layers)
    channels = max(channels, around.colours.shape[2])
    templates: list[_Template] = []
    for change in changes:
        sampled, side = _sampled(blurred, patch.shape, change, grid.cell, around.reach)
        templates.append(_template(sampled, side, channels, around.contrast**2))
    return _transformed(templates, grid)


def _transformed(templates: Sequence[_Template], grid: Grid) -> Templates:
    """The templates of all variations, with the spectra of a grid's size."""
    nears: list[NDArray[np.float32]] = []
    unders: list[NDArray[np.float32]] = []
    covers: list[NDArray[np.float32]] = []
    rests: list[tuple[float, float]] = []
    centres: list[NDArray[np.float64]] = []
    sides: list[NDArray[np.float64]] = []
    for template in templates:
        nears.append(template.near)
        unders.append(template.under)
        covers.append(template.cover[None])
        rests.append((template.near_rest, template.under_rest))
        first = np.array(template.cover.shape) / 2 - grid.margin
        centres.append(first * grid.cell - 0.5)
        sides.append(template.side)
    near_rest, under_rest = np.array(rests, np.float32).T
    return Templates(
        _spectra(nears, grid),
        _spectra(unders, grid),
        _spectra(covers, grid)[:, 0],
        near_rest,
        under_rest,
        np.array(centres),
        np.array(sides),
    )


def _template(
    sampled: Layers, side: NDArray[np.float64], channels: int, contrast: float
) -> _Template:
    """What the layers of a picture are correlated with, from a variation's layers in cells.

    Args:
        contrast: the squared contrast of the real defect.
    """
    covered, rim, known = sampled[..., 0], sampled[..., 1], sampled[..., 2]
    means = sampled[..., 3:] / np.maximum(known, 1e-6)[..., None]
    defined = means.shape[2] // 2
    defect = _in_channels(means[..., :defined], channels)
    before = _in_channels(means[..., defined:], channels)
    cover = covered / max(float(covered.sum()), 1e-6)
    counted = rim / max(float(rim.sum()), 1e-6) + UNDER * cover
    weight = counted * known
    share = weight * np.square(before).mean(axis=2)
    share += contrast * counted * (1 - 2 * known)
    return _Template(
        np.stack([weight, share, *_crossed(weight, before)]),
        np.stack([cover, *_crossed(cover, defect)]),
        cover,
        contrast * float((counted * np.square(known)).sum()),
        float((cover * np.square(defect).mean(axis=2)).sum()),
        side,
    )


def _in_channels(colours: NDArray[np.floating], channels: int) -> NDArray[np.float32]:
    """Colours ``[h, w, C]`` in ``channels``: gray ones are repeated."""
    return np.broadcast_to(colours, (*colours.shape[:2], channels)).astype(np.float32)


def _crossed(weight: NDArray[np.float32], colours: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the colours of a picture are correlated with: ``[C, rows, columns]``, the mixed term of
    the mean squared difference."""
    crossed: NDArray[np.float32] = -2 / colours.shape[2] * weight[..., None] * colours
    return np.moveaxis(crossed, 2, 0)


def _source_layers(patch: Mask, around: Surroundings) -> Layers:
    """The layers of the real defect."""
    mask = np.pad(patch, around.margin)
    distance = ndimage.distance_transform_edt(~mask)
    known = np.isfinite(around.colours[..., 0])
    ring = (distance > 0) & (distance <= around.reach)
    both = np.concatenate([around.colours, around.before], axis=2)
    colours = np.where(np.isfinite(both), both, 0)
    layers = np.stack([mask, ring, known], axis=2)
    return np.concatenate([layers, colours], axis=2).astype(np.float32)


class _Blurred:
    """Layers ``[h, w, K]`` averaged over squares, each size and mirror once."""

    def __init__(self, layers: Layers) -> None:
        self._layers = layers
        self._averages: dict[tuple[int, bool], Layers] = {}

    def at(self, side: int, flipped: bool) -> NDArray[np.float32]:
        """Averages over ``side`` x ``side`` pixels, with a point more on each side that is 0."""
        key = (side, flipped)
        if key not in self._averages:
            layers = self._layers[:, ::-1] if flipped else self._layers
            averages = ndimage.uniform_filter(layers, (side, side, 1), mode="constant")
            self._averages[key] = np.pad(averages, ((1, 1), (1, 1), (0, 0)))
        return self._averages[key]


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


def _spectra(templates: Sequence[NDArray[np.float32]], grid: Grid) -> Spectra:
    """Conjugate spectra ``[V, K, rows, columns]`` of templates of several sizes."""
    full = np.zeros((len(templates), len(templates[0]), *grid.size), np.float32)
    for number, template in enumerate(templates):
        layers = template[:, : grid.size[0], : grid.size[1]]
        full[number, :, : layers.shape[1], : layers.shape[2]] = layers
    spectra: Spectra = np.conj(fft.rfft2(full))
    return spectra
