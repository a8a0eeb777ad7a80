"""The known real defects of a class, cut as samples are (docs/method.md, choice 20)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..codec import Codec
from ..pictures.crop import Crop, Zoom, crop_box, take
from ..pictures.filling import filled
from ..pictures.masks import Mask
from ..pictures.picture import Pixels
from ..pictures.pixels import as_pictures, to_pixels
from ..pictures.tones import lighter_tone
from ..placement.library import MaskLibrary
from ..placement.surroundings import Surroundings

_BATCH = 4


@dataclass(frozen=True, eq=False)
class KnownSquare:
    """A real defect in the square in which the network would see it."""

    painted: NDArray[np.float32]
    """``[r, r, 3]`` in 0..1: the real picture, after the VAE where there is one."""
    normal: NDArray[np.float32]
    """The same with the mask filled from its ring."""
    mask: Mask
    """``[r, r]``."""


def known_defects(
    library: MaskLibrary, resolution: int, zoom: Zoom, codec: Codec | None = None
) -> list[KnownSquare]:
    """The real defects of a library whose picture is known, each with its mask filled from its
    ring.

    Args:
        library: masks with their surroundings. Beyond these the square is mirrored.
        resolution: side of the network's picture. zoom: what the square around the mask shows.
        codec: the squares go through it, as samples do; None: they do not.
    """
    squares: list[Pixels] = []
    masks: list[Mask] = []
    for real in library.masks:
        around = real.surroundings
        if around is None:
            continue
        mask = np.pad(real.patch, around.margin)
        before = _filled(around, mask)
        if before is None:
            continue
        for colours in (around.colours, before):
            square, inside = square_of(colours, mask, around, resolution, zoom)
            squares.append(square)
        masks.append(inside)
    decoded = _through(codec, squares)
    defects: list[KnownSquare] = []
    for number, inside in enumerate(masks):
        defects.append(KnownSquare(decoded[2 * number], decoded[2 * number + 1], inside))
    return defects


def _filled(around: Surroundings, mask: Mask) -> NDArray[np.float32] | None:
    """:func:`filled` for surroundings, which have done it themselves but for two tones."""
    if lighter_tone(around.colours) is not None:
        return filled(around.colours, mask)
    return around.before if np.isfinite(around.before[mask]).all() else None


def square_of(
    colours: NDArray[np.float32],
    mask: Mask,
    around: Surroundings,
    resolution: int,
    zoom: Zoom,
) -> tuple[Pixels, Mask]:
    """The square around a defect of which only the surroundings are known.

    Args:
        colours: ``[H, W, C]`` in 0..1, 1 or 3 channels; NaN: not known. mask: bool ``[H, W]``.
        around: where they come from.

    Returns:
        uint8 ``[resolution, resolution, 3]`` and bool ``[resolution, resolution]``.
    """
    unknown = ~np.isfinite(colours[..., 0])
    if unknown.any():
        rows, columns = ndimage.distance_transform_edt(
            unknown, return_distances=False, return_indices=True
        )
        colours = colours[rows, columns]
    pixels = np.rint(np.clip(colours, 0, 1) * 255).astype(np.uint8)
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    side = max(around.size)
    if zoom == "defect":
        side = min(crop_box(_roomy(mask, resolution), resolution, zoom).side, side)
    lacking = [max(side - length, 0) for length in mask.shape]
    pads = [(length // 2, length - length // 2) for length in lacking]
    pixels = np.pad(pixels, (*pads, (0, 0)), mode="symmetric")
    mask = np.pad(mask, pads)
    top, left = (mask.shape[0] - side) // 2, (mask.shape[1] - side) // 2
    crop = Crop(top, left, side)
    return take(pixels, crop, resolution), take(mask, crop, resolution)


def _roomy(mask: Mask, resolution: int) -> Mask:
    """The mask in a picture that bounds no square."""
    return np.pad(mask, 2 * max(*mask.shape, resolution))


def _through(codec: Codec | None, squares: Sequence[Pixels]) -> list[NDArray[np.float32]]:
    """Squares in 0..1, encoded and decoded where there is a codec."""
    pictures: list[NDArray[np.float32]] = []
    if codec is None:
        for square in squares:
            pictures.append(np.divide(square, 255, dtype=np.float32))
        return pictures
    for first in range(0, len(squares), _BATCH):
        batch = squares[first : first + _BATCH]
        pictures += list(as_pictures(codec.decode(codec.encode(to_pixels(batch)))))
    return pictures
