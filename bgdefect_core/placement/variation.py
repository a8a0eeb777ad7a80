"""New defect masks, varied from a class's real ones: mirrored, turned, scaled and bent."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..pictures.masks import Mask, bounding_box, trimmed
from .likeness import Template, template
from .settings import PlacementSettings
from .surroundings import Surroundings

_BEND_SIDE = 32
"""Points a side on which the field of shifts is drawn; it is smooth over a seventh of the side."""


@dataclass(frozen=True)
class Change:
    """How a real mask becomes a new one."""

    angle: float
    """Turn after the mirror, in degrees, counter-clockwise as seen."""
    scale: float
    flipped: bool
    """Mirrored left to right."""
    bend: float
    """Largest local shift, as a share of the longest side."""
    seed: int
    """Of the field of local shifts."""


@dataclass(frozen=True, eq=False)
class Variation:
    """A new mask, and how it was made from the real one."""

    mask: Mask
    """``[h, w]``, cut to its box, never empty."""
    wanted: Template | None
    """What should lie around it; None where the real surroundings are not known."""
    change: Change
    middle: tuple[float, float]
    """Where the middle of the real mask's box came to lie: row and column from the new box's first
    pixel."""


def draw_change(
    rng: np.random.Generator, settings: PlacementSettings, square: bool = False
) -> Change:
    """A change within the ranges of the settings.

    Args:
        rng: the only source of randomness.
        settings: ranges; a turn or mirror of None (not settled) is taken for the widest.
        square: turned by quarters, at the real size.
    """
    rotate = 180.0 if settings.rotate is None else settings.rotate
    smallest, largest = settings.scale
    if square:
        quarters = [turns for turns in (0, 1, -1, 2) if 90 * abs(turns) <= rotate]
        angle = 90.0 * float(rng.choice(quarters))
        scale = min(max(1.0, smallest), largest)
    else:
        angle = float(rng.uniform(-rotate, rotate))
        scale = float(np.exp(rng.uniform(math.log(smallest), math.log(largest))))
    flipped = settings.flip is not False and bool(rng.random() < 0.5)
    return Change(angle, scale, flipped, settings.elastic, int(rng.integers(2**32)))


def vary_mask(
    mask: Mask,
    rng: np.random.Generator,
    settings: PlacementSettings,
    around: Surroundings | None = None,
    square: bool = False,
) -> Variation:
    """A new mask of the same kind, by a change that is drawn (:func:`draw_change`,
    :func:`changed`)."""
    return changed(mask, draw_change(rng, settings, square), around)


def changed(mask: Mask, change: Change, around: Surroundings | None = None) -> Variation:
    """A new mask of the same kind: flipped, turned, scaled and bent.

    One interpolation does all of it. As many of the strongest pixels are kept as the scaled mask
    has area (a shrunk scratch counts as one pixel wide at least), so that thin masks neither break
    nor vanish.

    Args:
        mask: bool [H, W], not empty.
        change: what is done.
        around: the surroundings of the real defect, varied alike.

    Returns:
        The variation; a neutral change gives the real mask, cut to its box.
    """
    patch, scale = trimmed(mask), change.scale
    colours = None if around is None else np.concatenate([around.colours, around.before], axis=2)
    if change.flipped:
        patch = patch[:, ::-1]
        colours = None if colours is None else colours[:, ::-1]
    reach = 0 if around is None else max(round(around.reach * scale), 1)
    source, middle = _source(patch.shape, change, reach)
    soft = np.pad(patch, 2).astype(np.float32)  # scipy interpolates nothing beyond the array's edge
    if scale < 1:  # sampling fewer points than pixels must not step over thin parts
        soft = ndimage.gaussian_filter(soft, 0.5 * (1 / scale - 1))
    values = ndimage.map_coordinates(soft, source, order=1, mode="constant")
    if values.max() <= 0:
        return Variation(np.ones((1, 1), np.bool_), None, change, (0.0, 0.0))
    area = min(max(round(_scaled_area(patch, scale)), 1), values.size)
    cut = max(float(np.partition(values.ravel(), -area)[-area]), 1e-6)
    varied = values >= min(cut, float(values.max()))
    box = bounding_box(varied)
    middle = (middle[0] - box.top, middle[1] - box.left)
    if colours is None or around is None:
        return Variation(trimmed(varied), None, change, middle)
    places = [axis + (around.margin - 2) for axis in source]
    bent = [
        ndimage.map_coordinates(channel, places, order=1, mode="constant", cval=np.nan)
        for channel in np.moveaxis(colours, 2, 0)
    ]
    channels = around.colours.shape[2]
    both = np.stack(bent, axis=2)
    wanted = template(
        varied,
        both[..., :channels],
        both[..., channels:],
        reach,
        around.contrast,
        around.change,
    )
    return Variation(trimmed(varied), wanted, change, middle)


def _source(
    shape: tuple[int, ...], change: Change, reach: int
) -> tuple[list[NDArray[np.float64]], tuple[float, float]]:
    """Where each pixel of the new mask, with room for a ring of ``reach``, lies in the real one of
    ``shape`` that is padded by 2; and the middle of the new array."""
    height, width = shape
    scale, angle = change.scale, math.radians(change.angle)
    bend = change.bend * max(height, width) * scale
    cos, sin = math.cos(angle), math.sin(angle)
    margin = 2 * math.ceil(bend) + 2 * reach  # even: the centre stays on the same half pixel
    rows = math.ceil(scale * (abs(cos) * height + abs(sin) * width) - 1e-6) + margin
    columns = math.ceil(scale * (abs(sin) * height + abs(cos) * width) - 1e-6) + margin
    y, x = np.mgrid[:rows, :columns].astype(np.float64)
    if bend > 0:
        rng = np.random.default_rng(change.seed)
        y += bend * _smooth_noise((rows, columns), rng)
        x += bend * _smooth_noise((rows, columns), rng)
    middle = ((rows - 1) / 2, (columns - 1) / 2)
    y, x = (y - middle[0]) / scale, (x - middle[1]) / scale
    source = [cos * y + sin * x + (height + 3) / 2, cos * x - sin * y + (width + 3) / 2]
    return source, middle


def _scaled_area(patch: Mask, scale: float) -> float:
    """Pixels of a mask at another scale."""
    depths = ndimage.distance_transform_edt(np.pad(patch, 1))[1:-1, 1:-1]
    depth = float(depths[patch].mean())
    # The mean depth is 1 in a line one pixel wide, and a quarter of the width in a wide one.
    thickness = max(4 * depth - 3, 1.0)
    return float(patch.sum()) * scale * max(scale, 1 / thickness)


def _smooth_noise(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """A smooth random field in -1..1 whose largest magnitude is 1; drawn on at most ``_BEND_SIDE``
    points a side, the rest between them."""
    step = max(shape) / min(max(shape), _BEND_SIDE)
    few = (max(round(shape[0] / step), 1), max(round(shape[1] / step), 1))
    field: NDArray[np.float64] = ndimage.gaussian_filter(
        rng.standard_normal(few), 0.15 * max(few), mode="wrap"
    )
    if few != shape:
        field = ndimage.zoom(
            field, (shape[0] / few[0], shape[1] / few[1]), order=1, grid_mode=True, mode="nearest"
        )
    return field / max(float(np.abs(field).max()), 1e-12)
