"""The one zoom rule of training and generation, and the way back into the picture (docs/method.md,
choice 5).

A defect must be painted at the scale at which it was learned, so both sides cut their squares with
``crop_box`` and ``take``. ``stitch`` puts the painted square back: outside the feather band the
picture stays byte for byte.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import MaskError, PictureError, SettingError
from .detail import with_detail
from .masks import Mask, bounding_box, feather, mean_width
from .tones import nearest_tone, two_tones

Zoom = Literal["whole", "defect"]

CONTEXT = 2.5
"""Side of a "defect" crop over the longest side of the mask's box: 0.75 of that side is seen on
either side of it."""

FEATHER_SHARE = 1 / 32
"""Largest default feather width over the crop's side: 16 of 512 pixels, two cells of Stable
Diffusion's latents, the reach of the VAE's mixing across the mask's edge."""

_ENLARGE, _SHRINK = Image.Resampling.BICUBIC, Image.Resampling.LANCZOS


@dataclass(frozen=True)
class Crop:
    """A square of a picture, in the picture's pixels; it may reach beyond the picture (mirrored
    there)."""

    top: int
    left: int
    side: int


def crop_box(mask: Mask, resolution: int, zoom: Zoom) -> Crop:
    """The square to work on.

    "whole": the square of side max(H, W) centred on the picture. "defect": centred on the mask's
    box, with side = 2.5 x the longest side of the box, but at least resolution / 2 (beyond an
    enlargement of 2 there is no more detail to show, only blur to learn) and at most max(H, W)
    (then it is the "whole" square). It is slid inside the picture as far as possible, so that real
    surroundings are seen rather than mirrored ones; along an axis that is shorter than the side the
    picture stands in the middle.

    Args:
        mask: bool [H, W]; for "whole" only its size counts, for "defect" it must not be empty.
        resolution: side of the network's picture in pixels.
        zoom: the rule.

    Raises:
        MaskError: "defect" and the mask is empty. SettingError: unknown zoom or resolution below 1.
    """
    if resolution < 1:
        raise SettingError(
            f"resolution is {resolution}", "1 or more pixels", "use the base model's native size"
        )
    height, width = int(mask.shape[0]), int(mask.shape[1])
    longest = max(height, width)
    if zoom == "whole":
        return Crop((height - longest) // 2, (width - longest) // 2, longest)
    if zoom != "defect":
        raise SettingError(f"zoom is {zoom!r}", "'whole' or 'defect'", "choose one of the two")
    top, left, box_height, box_width = bounding_box(mask)
    side = min(max(math.ceil(CONTEXT * max(box_height, box_width)), resolution // 2), longest)

    def slide(start: int, length: int, available: int) -> int:
        if side > available:
            return (available - side) // 2
        return min(max((2 * start + length - side) // 2, 0), available - side)

    return Crop(slide(top, box_height, height), slide(left, box_width, width), side)


def default_feather(crop: Crop, mask: Mask) -> int:
    """The feather width in picture pixels where none is given: a quarter of the mask's mean width,
    at most 1/32 of the crop's side, at least 2. What shows in the seam is in no label: around a
    thin scratch it must be thin.

    Args:
        crop: the square. mask: the requested mask, bool [H, W], not empty.
    """
    return max(2, min(round(mean_width(mask) / 4), round(crop.side * FEATHER_SHARE)))


def _mirrored(start: int, side: int, available: int) -> NDArray[np.int64]:
    """Indices of ``side`` pixels from ``start``, symmetrically mirrored at both ends as often as
    needed."""
    index = np.arange(start, start + side) % (2 * available)
    return np.where(index < available, index, 2 * available - 1 - index)


def _any_along_rows(mask: Mask, count: int) -> Mask:
    """Squeeze or stretch the rows to ``count``: a new row is the union of the old ones that it
    overlaps."""
    rows = mask.shape[0]
    return np.stack(
        [mask[i * rows // count : -(-(i + 1) * rows // count)].any(axis=0) for i in range(count)]
    )


def take(array: NDArray[Any], crop: Crop, resolution: int) -> NDArray[Any]:
    """Cut the square out and bring it to the network's size.

    What lies beyond the picture is mirrored, in the mask too: a mirrored defect is a defect, and
        left unmarked it would
    be learned as background.

    Args:
        array: a picture, uint8 [H, W, 3], or a mask, bool [H, W].
        crop: the square.
        resolution: side of the result in pixels.

    Returns:
        uint8 [resolution, resolution, 3], Lanczos when shrinking and bicubic when enlarging; or
        bool [resolution, resolution], True wherever any defect pixel overlaps, so that none is
        lost.

    Raises:
        PictureError: neither of the two.
    """
    is_mask = array.dtype == np.bool_ and array.ndim == 2
    if not is_mask and not (array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] == 3):
        came = f"an array of {array.dtype} {list(array.shape)}"
        raise PictureError(
            came, "a picture (uint8 [H, W, 3]) or a mask (bool [H, W])", "convert it first"
        )
    height, width = array.shape[:2]
    if 0 <= crop.top <= height - crop.side and 0 <= crop.left <= width - crop.side:
        square = array[crop.top : crop.top + crop.side, crop.left : crop.left + crop.side]
    else:
        rows = _mirrored(crop.top, crop.side, height)
        square = array[rows[:, None], _mirrored(crop.left, crop.side, width)]
    if is_mask:
        return _any_along_rows(_any_along_rows(square, resolution).T, resolution).T.copy()
    if crop.side == resolution:
        return np.array(square)
    method = _SHRINK if resolution < crop.side else _ENLARGE
    return np.asarray(
        Image.fromarray(np.ascontiguousarray(square)).resize((resolution, resolution), method)
    ).copy()


@dataclass(frozen=True)
class _Window:
    """A part of the picture, rows top..bottom and columns left..right (ends excluded)."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def slices(self) -> tuple[slice, slice]:
        return slice(self.top, self.bottom), slice(self.left, self.right)


def _resized(
    plane: NDArray[np.float32], crop: Crop, window: _Window, method: Image.Resampling
) -> NDArray[np.float32]:
    """The window's share of ``plane`` [resolution, resolution] resized to the crop's side: float32
    [rows, columns].

    Pillow computes only the window, and reads beyond its edges: the same values as cutting it from
        the whole.
    """
    scale = plane.shape[0] / crop.side
    box = (
        (window.left - crop.left) * scale,
        (window.top - crop.top) * scale,
        min((window.right - crop.left) * scale, plane.shape[1]),
        min((window.bottom - crop.top) * scale, plane.shape[0]),
    )
    image = Image.fromarray(np.ascontiguousarray(plane, np.float32))
    return np.asarray(
        image.resize((window.right - window.left, window.bottom - window.top), method, box=box)
    )


def _resized_colours(
    square: NDArray[np.float32], crop: Crop, window: _Window
) -> NDArray[np.float32]:
    method = _SHRINK if crop.side < square.shape[0] else _ENLARGE
    return np.stack(
        [_resized(square[..., channel], crop, window, method) for channel in range(3)], axis=2
    )


def stitch(
    picture: NDArray[np.uint8],
    painted: NDArray[np.float32],
    mask: Mask,
    crop: Crop,
    feather_width: float | None = None,
    normal: NDArray[np.float32] | None = None,
) -> NDArray[np.uint8]:
    """Blend the painted square into the picture through the feathered mask. A gray picture stays
    gray, and one of two tones keeps to them (``tones``): it has no seam, which would mix them.

    Args:
        picture: uint8 [H, W, 3], the normal picture; left as it is.
        painted: float32 [resolution, resolution, 3] in 0..1, the crop after painting.
        mask: bool [H, W], the requested mask; inside it only the painted picture shows.
        crop: where ``painted`` was taken from.
        feather_width: in picture pixels; None: ``default_feather``; 0: a hard edge.
        normal: float32 [resolution, resolution, 3] in 0..1, the crop's encoding, decoded: what the
            VAE lost of the picture comes back where little changed (``detail.with_detail``). None:
            it does not.

    Returns:
        uint8 [H, W, 3]; outside the feather band byte for byte ``picture``.

    Raises:
        MaskError: empty, of another size, or reaching out of the crop. PictureError: ``painted`` or
            ``normal`` is not finite.
    """
    if mask.shape != picture.shape[:2]:
        came = f"the mask is {mask.shape[1]} x {mask.shape[0]} pixels"
        raise MaskError(
            came, f"{picture.shape[1]} x {picture.shape[0]}", "use the picture's own mask"
        )
    tones = two_tones(picture)
    if tones is not None:
        feather_width = 0
    width = default_feather(crop, mask) if feather_width is None else feather_width
    top, left, height, length = bounding_box(mask)
    bottom, right = crop.top + crop.side, crop.left + crop.side
    if top < crop.top or left < crop.left or top + height > bottom or left + length > right:
        raise MaskError(
            "the mask reaches out of the crop",
            "a crop that holds it",
            "use crop_box with this mask",
        )
    for name, square in (("painted", painted), ("normal", normal)):
        if square is not None and not np.isfinite(square).all():
            raise PictureError(
                f"the {name} picture holds NaN or infinity",
                "finite numbers",
                "decode in 32-bit floats",
            )
    reach = math.ceil(max(width, 0))
    window = _Window(
        max(top - reach, crop.top, 0),
        min(top + height + reach, bottom, mask.shape[0]),
        max(left - reach, crop.left, 0),
        min(left + length + reach, right, mask.shape[1]),
    )
    blend = feather(mask[window.slices], width)[..., None]
    new, old = _resized_colours(painted, crop, window), picture[window.slices]
    if normal is not None:
        new = with_detail(
            new, _resized_colours(normal, crop, window), np.divide(old, 255, dtype=np.float32)
        )
    if (
        picture == picture[..., :1]
    ).all():  # what colour the decoder adds would give the defect away
        new = np.repeat(new.mean(axis=2, keepdims=True), 3, axis=2)
    if tones is not None:
        mixed = nearest_tone(new, tones)
    else:
        mixed = np.rint(blend * (np.clip(new, 0.0, 1.0) * 255.0) + (1.0 - blend) * old).astype(
            np.uint8
        )
    result = picture.copy()
    result[window.slices] = np.where(blend > 0, mixed, old)
    return result


def put_back(heat: NDArray[np.float32], crop: Crop, shape: tuple[int, int]) -> NDArray[np.float32]:
    """A map of the crop (attention, difference) at its place in the picture, 0 outside the crop.

    Args:
        heat: float32 [resolution, resolution].
        crop: where it belongs.
        shape: (H, W) of the picture.

    Returns:
        float32 [H, W], resized bilinearly (as Eq. 13): never beyond the map's own range.
    """
    placed = np.zeros(shape, np.float32)
    window = _Window(
        max(crop.top, 0),
        min(crop.top + crop.side, shape[0]),
        max(crop.left, 0),
        min(crop.left + crop.side, shape[1]),
    )
    if window.top < window.bottom and window.left < window.right:
        placed[window.slices] = _resized(heat, crop, window, Image.Resampling.BILINEAR)
    return placed
