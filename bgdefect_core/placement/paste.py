"""A real defect's own pixels laid over a good picture: the start of sampling from a real defect,
and at start level 0 the sample itself (docs/method.md, choice 15)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..pictures.masks import Mask, bounding_box, feather
from ..pictures.picture import Picture
from ..pictures.tones import nearest_tone, two_tones
from .exemplar import Exemplar

SOFT_EDGE = 2.0
"""Width of the soft edge around the mask in pixels, of which the last is 0: half of the pixel
beside the mask is the real picture's."""
_HALO = 1
"""Pixels beside the mask that are left out of the ring's mean: a defect shines into them."""


def paste(picture: Picture, exemplars: Sequence[Exemplar]) -> Picture:
    """Lay real defects over a good picture.

    Each is shifted by the difference of the rings' mean colours, its own and that of the good
    picture at its place, and has a soft edge of :data:`SOFT_EDGE`. A gray picture stays gray. A
    picture of two tones keeps to them: no shift, a hard edge. Where the real picture had ended, the
    good one stays.

    Args:
        picture: ``[H, W, 3]``; left as it is.
        exemplars: of all defects; a later one lies over an earlier one.

    Returns:
        A picture of the same depth and white level, equal in all bits beyond the soft edges.
    """
    pixels, white = picture.pixels, picture.white
    tones = two_tones(pixels, white)
    is_gray = bool((pixels == pixels[..., :1]).all())
    result = pixels.copy()
    for exemplar in exemplars:
        inside, window = _overlap(exemplar, picture.size)
        colours = _channels(exemplar.colours, is_gray)[inside]
        known: Mask = np.asarray(np.isfinite(colours).all(axis=2))
        good = np.divide(pixels[window], white, dtype=np.float32)
        below = np.divide(result[window], white, dtype=np.float32)
        if tones is not None:
            new = nearest_tone(np.where(known[..., None], colours, below), tones, white)
            laid = exemplar.mask[inside] & known
            result[window] = np.where(laid[..., None], new, result[window])
            continue
        ring = _ring(exemplar.mask)[inside] & known
        shift = (good[ring] - colours[ring]).mean(axis=0) if ring.any() else 0.0
        weight = np.where(known, feather(exemplar.mask, SOFT_EDGE)[inside], 0)[..., None]
        mixed = below + weight * (np.where(known[..., None], colours, below) + shift - below)
        levels = np.rint(np.clip(mixed, 0, 1) * white).astype(pixels.dtype)
        result[window] = np.where(weight > 0, levels, result[window])
    return Picture(result, white)


def edge_width(picture: Picture) -> float:
    """Width of the pasted defects' soft edge in this picture: 0 where it has two tones."""
    return 0.0 if two_tones(picture.pixels, picture.white) is not None else SOFT_EDGE


def core_of(mask: Mask, share: float) -> Mask:
    """The innermost part of a defect's mask.

    Args:
        mask: bool ``[H, W]``.
        share: of the mask's pixels that it has, 0..1; equally deep pixels go together, so that it
            may have fewer.

    Returns:
        bool ``[H, W]``, within ``mask``: its pixels farthest from the outside.
    """
    core = np.zeros_like(mask)
    wanted = round(share * float(mask.sum()))
    if wanted < 1:
        return core
    window = bounding_box(mask).slices
    inside = mask[window]
    depth = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
    depths = np.sort(depth[inside])[::-1]
    if wanted >= len(depths):
        return mask.copy()
    limit = depths[wanted - 1]
    deep = depth > limit if depths[wanted] == limit else depth >= limit
    core[window] = deep & inside
    return core


def with_core(result: Picture, pasted: Picture, core: Mask) -> Picture:
    """A sample with the core of its real defect put back, softly around it.

    Args:
        result: the sample, ``[H, W, 3]``. pasted: :func:`paste` of its good picture, of the same
            depth. core: bool ``[H, W]``; within it the result is ``pasted`` in all bits.
    """
    if not core.any():
        return result
    width = edge_width(pasted)
    window = bounding_box(core).with_margin(math.ceil(width))
    weight = feather(core[window], width)[..., None]
    below, above = result.pixels[window], pasted.pixels[window]
    mixed = np.rint(weight * above + (1 - weight) * below).astype(below.dtype)
    pixels = result.pixels.copy()
    pixels[window] = np.where(weight > 0, mixed, below)
    return Picture(pixels, result.white)


def _overlap(
    exemplar: Exemplar, size: tuple[int, int]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The part of an exemplar that lies on a picture of ``size``: its index in the exemplar, and in
    the picture."""
    inside: list[slice] = []
    window: list[slice] = []
    corner = (exemplar.top, exemplar.left)
    for start, length, available in zip(corner, exemplar.mask.shape, size, strict=True):
        first, end = max(start, 0), min(start + length, available)
        window.append(slice(first, end))
        inside.append(slice(first - start, end - start))
    return (inside[0], inside[1]), (window[0], window[1])


def _channels(colours: NDArray[np.float32], is_gray: bool) -> NDArray[np.float32]:
    """``[h, w, 3]``, of three equal channels where the picture is gray."""
    if is_gray:
        colours = colours.mean(axis=2, keepdims=True)
    return np.repeat(colours, 3, axis=2) if colours.shape[2] == 1 else colours


def _ring(mask: Mask) -> Mask:
    """The pixels around the mask that are compared: all of its box but those beside the mask, as
    long as there are others."""
    near = ndimage.binary_dilation(mask, np.ones((3, 3), np.bool_), iterations=_HALO)
    return ~mask if near.all() else ~near
