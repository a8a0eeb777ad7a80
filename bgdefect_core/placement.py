"""Where on a part a defect may lie, and new defect masks made from a class's own real ones.

An object is told from its tray by colour: a quadratic surface of colour is fitted to the picture's border (trays are
rarely lit evenly), then again to all that looks like it; Otsu's threshold (1979) splits the distances to it, and of
what is left the large components stay. It works on dark and light trays alike, for only the distance counts.

A mask is placed exactly: correlating "off the part" with the mask gives for every offset the number of defect pixels
that would fall off; the offsets with none are all valid, and one is drawn uniformly.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import fft, ndimage

from .errors import DataError, SettingError, check_range
from .masks import Mask, bounding_box
from .surroundings import Likeness, Surroundings, Template, template

PartKind = Literal["auto", "object", "texture"]

_BEND_SIDE = 256
_STARTS = 8
_NEIGHBOURS = np.array([(row, column) for row in (-1, 0, 1) for column in (-1, 0, 1) if row or column])
_WORK_SIDE = 512  # the part is looked for on a picture of at most this side: enough, and fast at any size


def part_mask(picture: NDArray[np.uint8], kind: PartKind = "auto") -> Mask:
    """Where defects may lie.

    "texture": everywhere. "object": the foreground: the largest component that differs from the tray and all others of
    at least 5 % of its area; holes are filled unless they show the tray itself (the bore of a ring). "auto": "object"
    where the border is nearly all tray and the foreground stands out from it with few colours in between, else
    "texture"; a part that fills the picture or leaves it on a side is "texture" so: name the kind where it matters.

    Args:
        picture: uint8 [H, W, 3], a normal picture.
        kind: the rule.

    Returns:
        bool [H, W], never empty: with "object" and a picture of one colour, everywhere.

    Raises:
        SettingError: unknown kind.
    """
    if kind not in ("auto", "object", "texture"):
        raise SettingError(f"kind is {kind!r}", "'auto', 'object' or 'texture'", "choose one of the three")
    height, width = picture.shape[:2]
    everywhere = np.ones((height, width), np.bool_)
    if kind == "texture":
        return everywhere
    small, shrink = Image.fromarray(np.ascontiguousarray(picture)), max(height, width) / _WORK_SIDE
    if shrink > 1:
        size = (max(round(width / shrink), 1), max(round(height / shrink), 1))
        small = small.resize(size, Image.Resampling.BOX)
    distance = _tray_distance(np.asarray(small, np.float32))
    threshold = _otsu(distance)
    part = _clean(distance > threshold, distance, threshold)
    if not part.any() or (kind == "auto" and not _stands_out(part, distance)):
        return everywhere
    if shrink > 1:
        part = np.asarray(Image.fromarray(part).resize((width, height), Image.Resampling.NEAREST))
    return part.copy()


def _border(shape: tuple[int, ...]) -> Mask:
    """A frame of 2 % of the shorter side, at least 2 pixels."""
    frame = max(2, round(0.02 * min(shape[:2])))
    border = np.ones(shape[:2], np.bool_)
    border[frame:-frame, frame:-frame] = False
    return border


def _tray_distance(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """Distance of each colour from a smooth model of the tray: float32 [H, W], in 0..255 per channel."""
    height, width = picture.shape[:2]
    row, column = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    terms = np.stack([np.ones_like(row), row, column, row * row, row * column, column * column], axis=2)
    border = _border(picture.shape)
    known, colours = terms[border], picture[border]
    near = np.abs(colours - np.median(colours, axis=0)).max(axis=1)
    trusted = near <= np.median(near) + 1  # the half nearest to the median: a part that touches the border is left out
    for _ in range(3):
        surface, *_ = np.linalg.lstsq(known[trusted], colours[trusted], rcond=None)
        residual = np.linalg.norm(colours - known @ surface, axis=1)
        trusted = residual <= 3 * np.median(residual) + 1
    distance = np.linalg.norm(picture - terms @ surface, axis=2)
    tray = distance <= 0.5 * _otsu(distance)
    if tray.sum() > border.sum():
        surface, *_ = np.linalg.lstsq(terms[tray], picture[tray], rcond=None)
        distance = np.linalg.norm(picture - terms @ surface, axis=2)
    return np.asarray(ndimage.gaussian_filter(distance, 1.0), np.float32)


def _otsu(values: NDArray[np.float32]) -> float:
    """The threshold that separates two classes of ``values`` with the largest variance between them (Otsu 1979)."""
    counts, edges = np.histogram(values, bins=256)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1].astype(np.float64)
    sums = np.cumsum(counts * centres)
    above = below[-1] + counts[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums[:-1] / below - (sums[-1] - sums[:-1]) / above) ** 2
    best = np.nan_to_num(between, posinf=0.0)
    ties = np.flatnonzero(best >= best.max() * (1 - 1e-9))  # an empty valley is one long tie: take its middle
    return float(edges[1:-1][ties].mean())


def _clean(foreground: Mask, distance: NDArray[np.float32], threshold: float) -> Mask:
    """Keep the large components, fill the holes that are not the tray showing through."""
    labels, count = ndimage.label(foreground, np.ones((3, 3)))
    if count == 0:
        return foreground
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    part: Mask = (areas >= 0.05 * areas.max())[labels]
    holes, count = ndimage.label(ndimage.binary_fill_holes(part) & ~part)
    tray, area = 0.5 * threshold, 0.02 * part.sum()
    for number in range(1, count + 1):
        hole = holes == number
        if hole.sum() < area or np.median(distance[hole]) > tray:
            part |= hole
    return part


def _stands_out(part: Mask, distance: NDArray[np.float32]) -> bool:
    """Whether this is an object on a tray: its border is far cleaner than a texture's, where the border holds as much
    "part" as the rest, and the two classes lie apart (uneven light gives a gap without a valley)."""
    if part.all():
        return False
    border, tray = part[_border(part.shape)].mean(), float(distance[~part].mean())
    gap = float(distance[part].mean()) - tray
    between = (np.abs(distance - tray - gap / 2) < 0.2 * gap).mean()
    return bool(0.01 <= part.mean() <= 0.95 and border <= 0.15 and border <= 0.3 * part.mean() and gap >= 20 and between <= 0.14)


def part_kind(pictures: Iterable[NDArray[np.uint8]]) -> Literal["object", "texture"]:
    """What "auto" says of most of these pictures: one kind for a class, surer than picture by picture.

    Args:
        pictures: normal pictures of one class, uint8 [H, W, 3]; eight are plenty.

    Raises:
        DataError: none given.
    """
    votes = [not part_mask(picture, "auto").all() for picture in pictures]
    if not votes:
        raise DataError("no pictures to tell the kind of part from", "at least one", "give good pictures")
    return "object" if sum(votes) > len(votes) / 2 else "texture"


class MaskLibrary:
    """The real masks of one defect class: the shapes that new masks are made from.

    Args:
        masks: bool [H, W] each, none empty.
        names: where each came from (file names), for the manifest; None: their numbers.
        surroundings: of each (``surroundings.surroundings_of``), None where its picture is not known; None: all unknown.

    Attributes:
        patches: the masks, each cut to its box. names, surroundings: one for each.

    Raises:
        DataError: no masks, or another number of names. MaskError: an empty one.
    """

    def __init__(
        self, masks: Iterable[Mask], names: Sequence[str] | None = None, surroundings: Sequence[Surroundings | None] | None = None
    ) -> None:
        self.patches = [_trimmed(mask) for mask in masks]
        self.names = [str(index) for index in range(len(self.patches))] if names is None else list(names)
        self.surroundings = [None] * len(self.patches) if surroundings is None else list(surroundings)
        if not self.patches:
            raise DataError("the mask library is empty", "at least one real mask", "give masks of the defect class")
        if len(self.names) != len(self.patches):
            raise DataError(f"{len(self.names)} names for {len(self.patches)} masks", "one name a mask")


@dataclass(frozen=True)
class PlacementSettings:
    """How far a new mask may differ from the real one that it is made from.

    Attributes:
        rotate: largest turn either way, degrees in 0..180.
        scale: smallest and largest factor of size, in 0.1..10.
        flip: mirror half of them.
        elastic: largest local shift as a share of the mask's longest side, in 0..0.5.
        tries: how many variations are tried before a placement is given up, 1 or more.
        variations, places: how many variations, and places of each, are compared with the real defect's surroundings where these are
            known; 1 and 1: none.
    """

    rotate: float = 180.0
    scale: tuple[float, float] = (0.8, 1.25)
    flip: bool = True
    elastic: float = 0.04
    tries: int = 20
    variations: int = 8
    places: int = 200

    def __post_init__(self) -> None:
        check_range("rotate", self.rotate, 0, 180)
        check_range("the smallest scale", self.scale[0], 0.1, 10)
        check_range("the largest scale", self.scale[1], self.scale[0], 10)
        check_range("elastic", self.elastic, 0, 0.5)
        check_range("tries", self.tries, 1, math.inf)
        check_range("variations", self.variations, 1, 1000)
        check_range("places", self.places, 1, 10_000)


def _trimmed(mask: Mask) -> Mask:
    top, left, height, width = bounding_box(mask)
    return mask[top : top + height, left : left + width].copy()


def vary_mask(mask: Mask, rng: np.random.Generator, settings: PlacementSettings | None = None) -> Mask:
    """A new mask of the same kind: flipped, turned, scaled and bent at random.

    One interpolation does all of it. As many of the strongest pixels are kept as the scaled mask has area (a shrunk
    scratch counts as one pixel wide at least), so that thin masks neither break nor vanish.

    Args:
        mask: bool [H, W], not empty.
        rng: the only source of randomness.
        settings: ranges; None: the defaults.

    Returns:
        bool [h, w], cut to its box, never empty. With all ranges neutral: the mask itself, cut to its box.
    """
    return _vary(mask, None, rng, settings or PlacementSettings())[0]


def _vary(mask: Mask, around: Surroundings | None, rng: np.random.Generator, settings: PlacementSettings) -> tuple[Mask, Template | None]:
    """:func:`vary_mask`, and what the surroundings of the real defect become with it."""
    patch = _trimmed(mask)
    angle = math.radians(rng.uniform(-settings.rotate, settings.rotate))
    scale = float(np.exp(rng.uniform(*np.log(settings.scale))))
    colours = None if around is None else around.colours
    if settings.flip and rng.random() < 0.5:
        patch, colours = patch[:, ::-1], None if colours is None else colours[:, ::-1]
    height, width = patch.shape
    bend = settings.elastic * max(height, width) * scale
    cos, sin = math.cos(angle), math.sin(angle)
    reach = 0 if around is None else max(round(around.reach * scale), 1)
    margin = 2 * math.ceil(bend) + 2 * reach  # even, so that the centre stays on the same half pixel
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
    thickness = max(4 * depth - 3, 1.0)  # mean depth is 1 in a line one pixel wide, a quarter of the width in a wide one
    area = min(max(round(float(patch.sum()) * scale * max(scale, 1 / thickness)), 1), values.size)
    cut = max(float(np.partition(values.ravel(), -area)[-area]), 1e-6)
    if values.max() <= 0:
        return np.ones((1, 1), np.bool_), None
    varied = values >= min(cut, float(values.max()))
    if colours is None or around is None:
        return _trimmed(varied), None
    places = [axis + around.margin - 2 for axis in source]
    bent = [ndimage.map_coordinates(one, places, order=1, mode="constant", cval=np.nan) for one in np.moveaxis(colours, 2, 0)]
    return _trimmed(varied), template(varied, np.stack(bent, axis=2), reach, around.contrast)


def _smooth_noise(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """A smooth random field in -1..1 whose largest magnitude is 1; drawn on at most ``_BEND_SIDE`` points a side, the rest between them."""
    step = max(shape) / min(max(shape), _BEND_SIDE)
    few = (max(round(shape[0] / step), 1), max(round(shape[1] / step), 1))
    field: NDArray[np.float64] = ndimage.gaussian_filter(rng.standard_normal(few), 0.15 * max(few), mode="wrap")
    if few != shape:
        field = ndimage.zoom(field, (shape[0] / few[0], shape[1] / few[1]), order=1, grid_mode=True, mode="nearest")
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


def _nearer(fitting: _Fitting, likeness: Likeness, most: float) -> _Fitting:
    """More places: from each that differs by ``most`` at most, on to the best of its eight neighbours where that is better, in steps from
    the ring's width down to a pixel."""
    wanted, starts = fitting.wanted, fitting.differences <= most
    if wanted is None or not starts.any():
        return fitting
    corners, differences = fitting.corners[starts], fitting.differences[starts]
    step = wanted.reach
    while step:
        around = corners[:, None] + step * _NEIGHBOURS
        inside = ((around >= 0) & (around < fitting.allowed.shape)).all(axis=2)
        inside[inside] = fitting.allowed[tuple(around[inside].T)]
        found = np.full(inside.shape, np.inf, np.float32)
        found[inside] = likeness.difference(wanted, around[inside])
        best = found.argmin(axis=1)
        better = found.min(axis=1) < differences
        corners[better] = around[better, best[better]]
        differences[better] = found[better, best[better]]
        step //= 2
    return _Fitting(
        fitting.patch,
        wanted,
        fitting.allowed,
        np.concatenate([fitting.corners, corners]),
        np.concatenate([fitting.differences, differences]),
    )


def place_mask(
    part: Mask,
    masks: Sequence[Mask],
    rng: np.random.Generator,
    settings: PlacementSettings | None = None,
    surroundings: Sequence[Surroundings | None] | None = None,
    likeness: Likeness | None = None,
) -> Mask | None:
    """A new mask that lies wholly on the part.

    Each try draws one of the masks, varies it, and finds every offset at which none of its pixels falls off the part
    or the picture; one of them is drawn uniformly. Where the mask's real surroundings are known, ``settings.variations`` of it that fit
    draw ``settings.places`` offsets each; the best are moved to where it fits better still, and one is drawn of those where the good
    picture looks most like them (:meth:`Template.alike`).

    Args:
        part: bool [H, W] from ``part_mask``.
        masks: a library's ``patches``, or one alone, ``[library.patches[i]]``, to record its origin ``names[i]``.
        rng: the only source of randomness: the same generator state gives the same mask.
        settings: ranges and number of tries; None: the defaults.
        surroundings: a library's own, one for each of ``masks``, or None. likeness: of the good picture; needed with them.

    Returns:
        bool [H, W], or None where no variation fits: the caller counts these.
    """
    settings = settings or PlacementSettings()
    compared = likeness is not None and settings.places * settings.variations > 1
    found: list[_Fitting] = []
    drawn = 0
    spectrum: NDArray[Any] | None = None
    size = [fft.next_fast_len(length, real=True) for length in part.shape]
    for _ in range(settings.tries):
        drawn = drawn if found else int(rng.integers(len(masks)))  # one that fits is kept: every real mask has its share
        patch, wanted = _vary(masks[drawn], surroundings[drawn] if surroundings and compared else None, rng, settings)
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
        corners = np.stack(np.divmod(rng.choice(valid, settings.places if wanted else 1), columns), axis=1)
        differences = likeness.difference(wanted, corners) if wanted and likeness else np.zeros(1, np.float32)
        found.append(_Fitting(patch, wanted, allowed, corners, differences))
        if wanted is None or len(found) == settings.variations:
            break
    if not found:
        return None
    if likeness is not None and found[0].wanted is not None:
        starts = np.sort(np.concatenate([one.differences for one in found]))[:_STARTS][-1]
        found = [_nearer(one, likeness, float(starts)) for one in found]
    least = min(float(one.differences.min()) for one in found)
    alike: list[tuple[Mask, NDArray[Any]]] = []
    for one in found:
        alike += [(one.patch, corner) for corner in one.corners[one.differences <= (one.wanted.alike(least) if one.wanted else least)]]
    patch, (top, left) = alike[int(rng.integers(len(alike)))]
    placed = np.zeros(part.shape, np.bool_)
    placed[top : top + patch.shape[0], left : left + patch.shape[1]] = patch
    return placed
