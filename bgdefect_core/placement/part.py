"""Where on a part a defect may lie.

An object is told from its tray by colour: a quadratic surface of colour is fitted to the picture's
border (trays are rarely lit evenly), then again to all that looks like it; Otsu's threshold (1979)
splits the distances to it, and of what is left the large components stay. It works on dark and
light trays alike, for only the distance counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from ..errors import DataError, SettingError
from ..pictures.masks import Mask

PartKind = Literal["auto", "object", "texture"]

_WORK_SIDE = 512
"""Longest side, in pixels, of the shrunk picture on which the part is looked for."""


def part_mask(picture: NDArray[np.uint8], kind: PartKind = "auto") -> Mask:
    """Where defects may lie.

    "texture": everywhere. "object": the foreground: the largest component that differs from the
    tray and all others of at least 5 % of its area; holes are filled unless they show the tray
    itself (the bore of a ring). "auto": "object" where the border is nearly all tray and the
    foreground stands out from it with few colours in between, else "texture"; a part that fills the
    picture or leaves it on a side is "texture" so: name the kind where it matters.

    Args:
        picture: uint8 [H, W, 3], a normal picture.
        kind: the rule.

    Returns:
        bool [H, W], never empty: with "object" and a picture of one colour, everywhere.

    Raises:
        SettingError: unknown kind.
    """
    if kind not in ("auto", "object", "texture"):
        raise SettingError(
            f"kind is {kind!r}", "'auto', 'object' or 'texture'", "choose one of the three"
        )
    height, width = picture.shape[:2]
    everywhere = np.ones((height, width), np.bool_)
    if kind == "texture":
        return everywhere
    small = Image.fromarray(np.ascontiguousarray(picture))
    shrink = max(height, width) / _WORK_SIDE
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
    """Distance of each colour from a smooth model of the tray: float32 [H, W], in 0..255 per
    channel."""
    height, width = picture.shape[:2]
    row, column = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    terms = np.stack(
        [np.ones_like(row), row, column, row * row, row * column, column * column], axis=2
    )
    border = _border(picture.shape)
    known, colours = terms[border], picture[border]
    near = np.abs(colours - np.median(colours, axis=0)).max(axis=1)
    # The half nearest to the median: a part that touches the border is left out.
    trusted = near <= np.median(near) + 1
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
    """The threshold that separates two classes of ``values`` with the largest variance between them
    (Otsu 1979)."""
    counts, edges = np.histogram(values, bins=256)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1].astype(np.float64)
    sums = np.cumsum(counts * centres)
    above = below[-1] + counts[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums[:-1] / below - (sums[-1] - sums[:-1]) / above) ** 2
    best = np.nan_to_num(between, posinf=0.0)
    # An empty valley is one long tie: take its middle.
    ties = np.flatnonzero(best >= best.max() * (1 - 1e-9))
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
    """Whether this is an object on a tray: its border is far cleaner than a texture's, where the
    border holds as much "part" as the rest, and the two classes lie apart (uneven light gives a gap
    without a valley)."""
    if part.all():
        return False
    border, tray = part[_border(part.shape)].mean(), float(distance[~part].mean())
    gap = float(distance[part].mean()) - tray
    between = (np.abs(distance - tray - gap / 2) < 0.2 * gap).mean()
    return bool(
        0.01 <= part.mean() <= 0.95
        and border <= 0.15
        and border <= 0.3 * part.mean()
        and gap >= 20
        and between <= 0.14
    )


def part_kind(pictures: Iterable[NDArray[np.uint8]]) -> Literal["object", "texture"]:
    """What "auto" says of most of these pictures: one kind for a class, surer than picture by
    picture.

    Args:
        pictures: normal pictures of one class, uint8 [H, W, 3]; eight are plenty.

    Raises:
        DataError: none given.
    """
    votes = [not part_mask(picture, "auto").all() for picture in pictures]
    if not votes:
        raise DataError(
            "no pictures to tell the kind of part from", "at least one", "give good pictures"
        )
    return "object" if sum(votes) > len(votes) / 2 else "texture"
