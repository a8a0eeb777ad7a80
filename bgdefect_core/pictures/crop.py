"""The zoom rule of training and generation (docs/method.md, choice 5).

A defect must be painted at the scale at which it was learned, so both sides cut their squares with
``crop_box`` and ``take``. ``stitching`` puts the painted square back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import PictureError, SettingError
from .masks import Mask, bounding_box, mean_width
from .picture import Picture

__all__ = [
    "CONTEXT",
    "FEATHER_SHARE",
    "Crop",
    "Window",
    "Zoom",
    "crop_box",
    "default_feather",
    "put_back",
    "resized_window",
    "take",
    "take_picture",
]

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

    def within(self, shape: tuple[int, ...]) -> Mask:
        """The part of a picture ``[H, W, ...]`` that it covers: bool ``[H, W]``."""
        covered = np.zeros(shape[:2], np.bool_)
        rows = slice(max(self.top, 0), self.top + self.side)
        covered[rows, max(self.left, 0) : self.left + self.side] = True
        return covered


@dataclass(frozen=True)
class Window:
    """A part of the picture, rows top..bottom and columns left..right (ends excluded)."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the window in an array ``[H, W, ...]``."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


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

    box = bounding_box(mask)
    wanted = math.ceil(CONTEXT * box.longest)
    side = min(max(wanted, resolution // 2), longest)

    def slide(start: int, length: int, available: int) -> int:
        if side > available:
            return (available - side) // 2
        centred = (2 * start + length - side) // 2
        return min(max(centred, 0), available - side)

    return Crop(slide(box.top, box.height, height), slide(box.left, box.width, width), side)


def default_feather(crop: Crop, mask: Mask) -> int:
    """The default feather width in picture pixels: a quarter of the mask's mean width, at most 1/32
    of the crop's side, at least 2. The label does not cover the seam, so it must be thin around a
    thin scratch.

    Args:
        crop: the square.
        mask: the requested mask, bool [H, W], not empty.
    """
    return max(2, min(round(mean_width(mask) / 4), round(crop.side * FEATHER_SHARE)))


def take(array: NDArray[Any], crop: Crop, resolution: int) -> NDArray[Any]:
    """Cut the square out and bring it to the network's size.

    What lies beyond the picture is mirrored, in the mask too: a mirrored defect is a defect, and
    left unmarked it would be learned as background.

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
    if array.dtype == np.bool_ and array.ndim == 2:
        rows = _any_along_rows(_square(array, crop), resolution)
        return _any_along_rows(rows.T, resolution).T.copy()
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        came = f"an array of {array.dtype} {list(array.shape)}"
        expected = "a picture (uint8 [H, W, 3]) or a mask (bool [H, W])"
        raise PictureError(came, expected, "convert it first")
    return take_picture(Picture(array), crop, resolution).pixels


def take_picture(picture: Picture, crop: Crop, resolution: int) -> Picture:
    """``take`` of a picture at its depth: ``[resolution, resolution, 3]`` with its white level."""
    square = np.ascontiguousarray(_square(picture.pixels, crop))
    size = (resolution, resolution)
    method = _SHRINK if resolution < crop.side else _ENLARGE
    if crop.side == resolution:
        square = np.array(square)
    elif square.dtype == np.uint8:
        square = np.asarray(Image.fromarray(square).resize(size, method)).copy()
    else:  # Pillow resizes no colour of 16 bits
        resized = np.empty((*size, 3), np.float32)
        for channel in range(3):
            plane = Image.fromarray(square[..., channel].astype(np.float32))
            resized[..., channel] = np.asarray(plane.resize(size, method))
        square = np.rint(resized).clip(0, picture.white).astype(np.uint16)
    return Picture(square, picture.white)


def _square(array: NDArray[Any], crop: Crop) -> NDArray[Any]:
    """The crop's part of the array, mirrored where it reaches beyond."""
    height, width = array.shape[:2]
    if 0 <= crop.top <= height - crop.side and 0 <= crop.left <= width - crop.side:
        return array[crop.top : crop.top + crop.side, crop.left : crop.left + crop.side]
    rows = _mirrored(crop.top, crop.side, height)
    columns = _mirrored(crop.left, crop.side, width)
    return array[rows[:, None], columns]


def _mirrored(start: int, side: int, available: int) -> NDArray[np.int64]:
    """Indices of ``side`` pixels from ``start``, symmetrically mirrored at both ends as often as
    needed."""
    index = np.arange(start, start + side) % (2 * available)
    return np.where(index < available, index, 2 * available - 1 - index)


def _any_along_rows(mask: Mask, count: int) -> Mask:
    """Squeeze or stretch the rows to ``count``: a new row is the union of the old ones that it
    overlaps."""
    old = mask.shape[0]
    rows = np.empty((count, mask.shape[1]), np.bool_)
    for row in range(count):
        first = row * old // count
        end = -(-(row + 1) * old // count)
        rows[row] = mask[first:end].any(axis=0)
    return rows


def resized_window(
    plane: NDArray[np.float32], crop: Crop, window: Window, method: Image.Resampling | None = None
) -> NDArray[np.float32]:
    """The window's part of the crop's ``plane`` after resizing it to the crop's side.

    Pillow computes only the window and reads beyond its edges: the values are those of resizing the
    whole plane.

    Args:
        plane: float32 ``[resolution, resolution]``, of the whole crop.
        crop: where it lies.
        window: within the crop.
        method: None: Lanczos when shrinking and bicubic when enlarging.

    Returns:
        float32 ``[rows, columns]`` of the window.
    """
    if method is None:
        method = _SHRINK if crop.side < plane.shape[0] else _ENLARGE
    scale = plane.shape[0] / crop.side
    box = (
        (window.left - crop.left) * scale,
        (window.top - crop.top) * scale,
        min((window.right - crop.left) * scale, plane.shape[1]),
        min((window.bottom - crop.top) * scale, plane.shape[0]),
    )
    size = (window.right - window.left, window.bottom - window.top)
    image = Image.fromarray(np.ascontiguousarray(plane, np.float32))
    return np.asarray(image.resize(size, method, box=box))


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
    bottom = min(crop.top + crop.side, shape[0])
    right = min(crop.left + crop.side, shape[1])
    window = Window(max(crop.top, 0), bottom, max(crop.left, 0), right)
    if window.top < window.bottom and window.left < window.right:
        placed[window.slices] = resized_window(heat, crop, window, Image.Resampling.BILINEAR)
    return placed
