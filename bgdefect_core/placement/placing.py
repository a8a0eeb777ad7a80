"""New defect masks, varied from a class's real ones and laid wholly on the part.

A mask is placed exactly: correlating "off the part" with the mask gives for every offset the number
of defect pixels that would fall off; all offsets with none are valid, and one is drawn uniformly.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from ..declarations import Doc, Range, check_settings
from ..errors import DataError, check_range
from ..pictures.masks import Mask, trimmed
from .surroundings import Likeness, Surroundings, Template, template

_BEND_SIDE = 256
_STARTS = 8
_NEIGHBOURS = np.array(
    [(row, column) for row in (-1, 0, 1) for column in (-1, 0, 1) if row or column]
)


class MaskLibrary:
    """The real masks of one defect class: the shapes that new masks are made from.

    Args:
        masks: bool [H, W] each, none empty.
        names: where each came from (file names), for the manifest; None: their numbers.
        surroundings: of each (``surroundings.surroundings_of``), None where its picture is not
            known; None: all unknown.
        origins: of each, its file, or the folder of its parts. files: all that were read, pictures
            too.

    Attributes:
        patches: the masks, each cut to its box. names, surroundings: one for each. origins, files:
            as given.

    Raises:
        DataError: no masks, or another number of names. MaskError: an empty one.
    """

    def __init__(
        self,
        masks: Iterable[Mask],
        names: Sequence[str] | None = None,
        surroundings: Sequence[Surroundings | None] | None = None,
        origins: Sequence[Path] = (),
        files: Sequence[Path] = (),
    ) -> None:
        self.patches = [trimmed(mask) for mask in masks]
        count = len(self.patches)
        self.names = list(map(str, range(count))) if names is None else list(names)
        self.surroundings = [None] * count if surroundings is None else list(surroundings)
        self.origins = list(origins)
        self.files = list(files)
        if not self.patches:
            raise DataError(
                "the mask library is empty",
                "at least one real mask",
                "give masks of the defect class",
            )
        if len(self.names) != len(self.patches):
            raise DataError(
                f"{len(self.names)} names for {len(self.patches)} masks", "one name a mask"
            )


@dataclass(frozen=True)
class PlacementSettings:
    """How far a new mask may differ from the real one that it is made from.

    Raises:
        SettingError: a value out of its range, or the largest scale below the smallest.
    """

    rotate: Annotated[
        float, Range(0, 180), Doc("Largest turn of a new mask either way, in degrees.")
    ] = 180.0
    scale: Annotated[
        tuple[float, float], Range(0.1, 10), Doc("Smallest and largest scale of a new mask.")
    ] = (0.8, 1.25)
    flip: Annotated[bool, Doc("Mirror half of the new masks.")] = True
    elastic: Annotated[
        float,
        Range(0, 0.5),
        Doc("Largest local shift of a new mask, as a share of its longest side."),
    ] = 0.04
    tries: Annotated[
        int, Range(1, math.inf), Doc("Variations that are tried before a placement is given up.")
    ] = 20
    variations: Annotated[
        int,
        Range(1, 1000),
        Doc(
            "Variations whose places are compared with the real defect's surroundings, where these "
            "are known. Every second one is turned by quarters at the real size, within the "
            "ranges: manufactured parts mostly have straight edges."
        ),
    ] = 16
    places: Annotated[
        int,
        Range(1, 10_000),
        Doc("Places of each variation that are compared; with 1 variation and 1 place: none."),
    ] = 200

    def __post_init__(self) -> None:
        check_settings(self)
        check_range("the largest scale", self.scale[1], self.scale[0], 10)


def vary_mask(
    mask: Mask,
    rng: np.random.Generator,
    settings: PlacementSettings,
    around: Surroundings | None = None,
    square: bool = False,
) -> tuple[Mask, Template | None]:
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
        bool [h, w], cut to its box, never empty (with all ranges neutral: the mask itself, cut to
        its box); and what should lie around it, None without surroundings.
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
    if settings.flip and rng.random() < 0.5:
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
        return np.ones((1, 1), np.bool_), None
    varied = values >= min(cut, float(values.max()))
    if colours is None or around is None:
        return trimmed(varied), None
    places = [axis + around.margin - 2 for axis in source]
    bent = [
        ndimage.map_coordinates(channel, places, order=1, mode="constant", cval=np.nan)
        for channel in np.moveaxis(colours, 2, 0)
    ]
    return trimmed(varied), template(varied, np.stack(bent, axis=2), reach, around.contrast)


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


@dataclass(frozen=True, eq=False)
class _Fitting:
    """A variation of a mask, and places for it."""

    patch: Mask
    wanted: Template | None
    allowed: Mask
    """Where its box may begin: ``[rows, columns]``."""
    corners: NDArray[np.int64]
    """``[N, 2]``: top, left."""
    differences: NDArray[np.float32]
    """``[N]``; see :meth:`Likeness.difference`."""


def _fittings(
    part: Mask,
    masks: Sequence[Mask],
    rng: np.random.Generator,
    settings: PlacementSettings,
    surroundings: Sequence[Surroundings | None] | None,
    likeness: Likeness | None,
) -> list[_Fitting]:
    """Variations of one mask that fit on the part, with the places drawn for each; the arguments of
    :func:`place_mask`."""
    compared = likeness is not None and settings.places * settings.variations > 1
    fittings: list[_Fitting] = []
    drawn = 0
    spectrum: NDArray[Any] | None = None
    size = [fft.next_fast_len(length, real=True) for length in part.shape]
    for number in range(settings.tries):
        if not fittings:  # a mask that fits is taken for all: every real mask has its share
            drawn = int(rng.integers(len(masks)))
        around = surroundings[drawn] if surroundings and compared else None
        square = around is not None and number % 2 == 1
        patch, wanted = vary_mask(masks[drawn], rng, settings, around, square)
        rows, columns = part.shape[0] - patch.shape[0] + 1, part.shape[1] - patch.shape[1] + 1
        if rows < 1 or columns < 1 or patch.sum() >= part.size:
            continue
        if part.all():
            allowed = np.ones((rows, columns), np.bool_)
        else:
            if spectrum is None:
                spectrum = fft.rfft2((~part).astype(np.float64), size)
            off = fft.irfft2(spectrum * np.conj(fft.rfft2(patch.astype(np.float64), size)), size)
            allowed = off[:rows, :columns] < 0.5  # whole numbers but for rounding of about 1e-9
        valid = np.flatnonzero(allowed)
        if not valid.size:
            continue
        places = rng.choice(valid, settings.places if wanted else 1)
        corners = np.stack(np.divmod(places, columns), axis=1)
        differences = np.zeros(1, np.float32)
        if wanted and likeness:
            differences = likeness.difference(wanted, corners)
        fittings.append(_Fitting(patch, wanted, allowed, corners, differences))
        if wanted is None or len(fittings) == settings.variations:
            break
    return fittings


def _nearer(fitting: _Fitting, likeness: Likeness, starts: Mask) -> _Fitting:
    """More places: from each of ``starts`` ``[N]``, on to the best of its eight neighbours where
    that is better, in steps from the ring's width down to a pixel."""
    wanted = fitting.wanted
    if wanted is None or not starts.any():
        return fitting
    corners, differences = fitting.corners[starts], fitting.differences[starts]
    step = wanted.reach
    while step:
        around = corners[:, None] + step * _NEIGHBOURS
        inside = ((around >= 0) & (around < fitting.allowed.shape)).all(axis=2)
        inside[inside] = fitting.allowed[tuple(around[inside].T)]
        nearby = np.full(inside.shape, np.inf, np.float32)
        nearby[inside] = likeness.difference(wanted, around[inside])
        best = nearby.argmin(axis=1)
        better = nearby.min(axis=1) < differences
        corners[better] = around[better, best[better]]
        differences[better] = nearby[better, best[better]]
        step //= 2
    return _Fitting(
        fitting.patch,
        wanted,
        fitting.allowed,
        np.concatenate([fitting.corners, corners]),
        np.concatenate([fitting.differences, differences]),
    )


def _all_nearer(fittings: Sequence[_Fitting], likeness: Likeness) -> list[_Fitting]:
    """Move on from the ``_STARTS`` best places of all variations together."""
    differences = [fitting.differences for fitting in fittings]
    order = np.argsort(np.concatenate(differences), kind="stable")
    best = np.zeros(len(order), np.bool_)
    best[order[:_STARTS]] = True
    moved = []
    first = 0
    for fitting in fittings:
        after = first + len(fitting.differences)
        moved.append(_nearer(fitting, likeness, best[first:after]))
        first = after
    return moved


def place_mask(
    part: Mask,
    masks: Sequence[Mask],
    rng: np.random.Generator,
    settings: PlacementSettings | None = None,
    surroundings: Sequence[Surroundings | None] | None = None,
    likeness: Likeness | None = None,
) -> Mask | None:
    """A new mask that lies wholly on the part.

    Each try draws one of the masks, varies it, and finds every offset at which none of its pixels
    falls off the part or the picture; one of them is drawn uniformly. Where the mask's real
    surroundings are known, ``settings.variations`` of it that fit draw ``settings.places`` offsets
    each; the best are moved to where it fits better still, and one is drawn of those where the good
    picture looks most like them (:meth:`Template.alike`).

    Args:
        part: bool [H, W] from ``part_mask``.
        masks: a library's ``patches``, or one alone, ``[library.patches[i]]``, to record its origin
            ``names[i]``.
        rng: the only source of randomness: the same generator state gives the same mask.
        settings: ranges and number of tries; None: the defaults.
        surroundings: a library's own, one for each of ``masks``, or None. likeness: of the good
            picture; needed with them.

    Returns:
        bool [H, W], or None where no variation fits: the caller counts these.
    """
    settings = settings or PlacementSettings()
    fittings = _fittings(part, masks, rng, settings, surroundings, likeness)
    if not fittings:
        return None
    if likeness is not None and fittings[0].wanted is not None:
        fittings = _all_nearer(fittings, likeness)
    least = min(float(fitting.differences.min()) for fitting in fittings)
    alike: list[tuple[Mask, NDArray[Any]]] = []
    for fitting in fittings:
        limit = fitting.wanted.alike(least) if fitting.wanted else least
        for corner in fitting.corners[fitting.differences <= limit]:
            alike.append((fitting.patch, corner))
    patch, (top, left) = alike[int(rng.integers(len(alike)))]
    placed = np.zeros(part.shape, np.bool_)
    placed[top : top + patch.shape[0], left : left + patch.shape[1]] = patch
    return placed
