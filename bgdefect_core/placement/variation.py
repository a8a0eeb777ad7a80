"""New defect masks, varied from a class's real ones: mirrored, turned, scaled and bent."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..pictures.masks import Mask, trimmed
from .settings import PlacementSettings
from .surroundings import Surroundings, Template, template

_BEND_SIDE = 256


@dataclass(frozen=True, eq=False)
class Variation:
    """A new mask, and how it was made from the real one."""

    mask: Mask
    """``[h, w]``, cut to its box, never empty."""
    wanted: Template | None
    """What should lie around it; None where the real surroundings are not known."""
    angle: float
    """Turn after the mirror, in degrees, counter-clockwise as seen."""
    scale: float
    flipped: bool
    """Mirrored left to right."""


def vary_mask(
    mask: Mask,
    rng: np.random.Generator,
    settings: PlacementSettings,
    around: Surroundings | None = None,
    square: bool = False,
) -> Variation:
    """A new mask of the same kind: flipped, turned, scaled and bent at random.

    One interpolation does all of it. As many of the strongest pixels are kept as the scaled mask
    has area (a shrunk scratch counts as one pixel wide at least), so that thin masks neither break
    nor vanish.

    Args:
        mask: bool [H, W], not empty.
        rng: the only source of randomness.
        settings: ranges.
        around: the surroundings of the real defect, varied alike.
        square: turned by quarters, at the real size.

    Returns:
        The variation; with all ranges neutral its mask is the real one, cut to its box.
    """
    patch = trimmed(mask)
    if square:
        quarters = [turns for turns in (0, 1, -1, 2) if 90 * abs(turns) <= settings.rotate]
        angle = math.pi / 2 * float(rng.choice(quarters))
        scale = min(max(1.0, settings.scale[0]), settings.scale[1])
    else:
        angle = math.radians(rng.uniform(-settings.rotate, settings.rotate))
        scale = float(np.exp(rng.uniform(*np.log(settings.scale))))
    colours = None if around is None else around.colours
    flipped = bool(settings.flip and rng.random() < 0.5)
    if flipped:
        patch = patch[:, ::-1]
        colours = None if colours is None else colours[:, ::-1]
    height, width = patch.shape
    bend = settings.elastic * max(height, width) * scale
    cos, sin = math.cos(angle), math.sin(angle)
    reach = 0 if around is None else max(round(around.reach * scale), 1)
    margin = 2 * math.ceil(bend) + 2 * reach  # even: the centre stays on the same half pixel
    rows = math.ceil(scale * (abs(cos) * height + abs(sin) * width) - 1e-6) + margin
    columns = math.ceil(scale * (abs(sin) * height + abs(cos) * width) - 1e-6) + margin
    y, x = np.mgrid[:rows, :columns].astype(np.float64)
    if bend > 0:
        y += bend * _smooth_noise((rows, columns), rng)
        x += bend * _smooth_noise((rows, columns), rng)
    y, x = (y - (rows - 1) / 2) / scale, (x - (columns - 1) / 2) / scale
    source = [cos * y + sin * x + (height + 3) / 2, cos * x - sin * y + (width + 3) / 2]
    soft = np.pad(patch, 2).astype(np.float64)  # scipy interpolates nothing beyond the array's edge
    if scale < 1:  # sampling fewer points than pixels must not step over thin parts
        soft = ndimage.gaussian_filter(soft, 0.5 * (1 / scale - 1))
    values = ndimage.map_coordinates(soft, source, order=1, mode="constant")
    depth = ndimage.distance_transform_edt(np.pad(patch, 1))[1:-1, 1:-1][patch].mean()
    # The mean depth is 1 in a line one pixel wide, and a quarter of the width in a wide one.
    thickness = max(4 * depth - 3, 1.0)
    area = min(max(round(float(patch.sum()) * scale * max(scale, 1 / thickness)), 1), values.size)
    cut = max(float(np.partition(values.ravel(), -area)[-area]), 1e-6)
    if values.max() <= 0:
        speck = np.ones((1, 1), np.bool_)
        return Variation(speck, None, math.degrees(angle), scale, flipped)
    varied = values >= min(cut, float(values.max()))
    if colours is None or around is None:
        return Variation(trimmed(varied), None, math.degrees(angle), scale, flipped)
    places = [axis + around.margin - 2 for axis in source]
    bent = [
        ndimage.map_coordinates(channel, places, order=1, mode="constant", cval=np.nan)
        for channel in np.moveaxis(colours, 2, 0)
    ]
    wanted = template(varied, np.stack(bent, axis=2), reach, around.contrast)
    return Variation(trimmed(varied), wanted, math.degrees(angle), scale, flipped)


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
