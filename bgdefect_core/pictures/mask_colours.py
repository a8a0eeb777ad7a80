"""Coloured masks: one colour on a constant background is the defect, several are classes.

Edges may be smooth and the file may be compressed: colours between two others, and those that
compression leaves beside an edge, are none of their own.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import MaskError
from .mask_values import eight_bit_colours
from .masks import Mask

__all__ = ["coloured_mask"]

logger = logging.getLogger(__name__)

_GRAY = 24
"""Largest difference between the channels of a gray: compression leaves such ones."""
_ALIKE = 48
"""Largest difference in a channel between pixels of one colour."""
_APART = 120
"""Least difference in a channel between two classes that compression leaves no area of."""
_BETWEEN = 32
"""Largest distance from the line between two colours, of those that smooth edges make of them."""
_MOST_EXACT = 64
"""Colours of a file that was stored without loss."""
_MOST_CLASSES = 32
_FLAT = 16
"""Largest difference in a channel within 3 x 3 pixels of an area in a compressed file."""
_CONSTANT, _STEADY = 0.3, 0.4
"""Least share of the pixels of a background that have its most frequent colour, and of the pixels
of a drawn area that are within 4 of theirs. Photographs stay far below."""
_SMALL = 400
"""Pixels of an area up to which its edges may reach everywhere."""
_DARK = 48
_SQUARE = np.ones((3, 3))
_Pixels = NDArray[np.int16]


@dataclass(frozen=True)
class _Colour:
    rgb: tuple[int, int, int]
    """The most frequent value of its pixels."""
    pixels: int
    share: float
    """Of its pixels that have this value."""
    where: Mask

    def __str__(self) -> str:
        return "#{:02x}{:02x}{:02x}".format(*self.rgb)

    @property
    def is_drawn(self) -> bool:
        """Whether it fills an area with one value."""
        return self.share >= 0.5 and bool(ndimage.binary_erosion(self.where, _SQUARE).any())

    def distance(self, rgb: _Pixels) -> NDArray[np.int16]:
        """Largest difference in a channel."""
        distance: NDArray[np.int16] = np.abs(rgb - np.array(self.rgb, np.int16)).max(axis=-1)
        return distance


def coloured_mask(path: Path, pixels: NDArray[np.integer]) -> Mask | None:
    """The mask of a file with one colour on a constant background.

    Args:
        pixels: ``[H, W, 3]``.

    Returns:
        bool ``[H, W]``; None where all is gray, or where the background is not constant, as in a
        photograph.

    Raises:
        MaskError: several colours, which mean classes; each is named with its number of pixels.
    """
    rgb = eight_bit_colours(pixels).astype(np.int16)
    if int(np.ptp(rgb, axis=2).max()) <= _GRAY:
        return None
    background = _background(rgb)
    if background.share < _CONSTANT:
        return None
    others = _other_colours(rgb, background)
    if len(others) > _MOST_CLASSES:
        came = f"{path} holds {len(others)} colours on a constant background"
        do = "check that this is not the picture itself, cut out"
        raise MaskError(came, "black and white", do)
    if len(others) > 1:
        raise _classes(path, background, others)
    distance = background.distance(rgb)
    strong = distance > 0.6 * float(distance.max())
    first = others[0] if others else _colour_of(rgb, _most_frequent(rgb[strong] // 32 * 32 + 16))
    second = strong & (first.distance(rgb) > _APART)
    if second.sum() > max(12, 0.03 * strong.sum()) and ndimage.binary_erosion(second).any():
        colour = _colour_of(rgb, _most_frequent(rgb[second]))
        raise _classes(path, background, [first, colour])
    if others and not _is_steady(rgb, first):
        return None
    mask: Mask = first.distance(rgb) < distance if others else distance > distance.max() / 2
    if max(background.rgb) > _DARK:
        text = "%s: %s on %s: that colour is taken for the defect (%.1f%% of the picture)"
        logger.warning(text, path, first, background, 100 * mask.mean())
    return mask


def _background(rgb: _Pixels) -> _Colour:
    """The colour along most of the border, else the most frequent one."""
    border = np.concatenate([rgb[0], rgb[-1], rgb[:, 0], rgb[:, -1]])
    colour = _colour_of(rgb, _most_frequent(border))
    if (colour.distance(border) <= _ALIKE).mean() > 0.5:
        return colour
    return _colour_of(rgb, _most_frequent(rgb))


def _most_frequent(rgb: _Pixels) -> tuple[int, int, int]:
    values, counts = np.unique(_packed(rgb), return_counts=True)
    return _unpacked(int(values[np.argmax(counts)]))


def _colour_of(rgb: _Pixels, value: tuple[int, int, int]) -> _Colour:
    distance = np.abs(rgb - np.array(value, np.int16)).max(axis=2)
    where = distance <= _ALIKE
    count = int(where.sum())
    return _Colour(value, count, float((distance == 0).sum()) / max(count, 1), where)


def _other_colours(rgb: _Pixels, background: _Colour) -> list[_Colour]:
    """The colours beside the background, the most frequent first, without those of edges."""
    packed = _packed(rgb)
    outside = ~background.where
    if len(np.unique(packed)) > _MOST_EXACT:
        window = (3, 3, 1)
        span = ndimage.maximum_filter(rgb, window) - ndimage.minimum_filter(rgb, window)
        outside &= (span <= _FLAT).all(axis=2)
    values, counts = np.unique(packed[outside], return_counts=True)
    values = values[np.argsort(-counts, kind="stable")]
    triples = np.stack([values >> 16, values >> 8 & 255, values & 255], axis=1).astype(np.int16)
    colours: list[_Colour] = []
    while len(triples) and len(colours) <= _MOST_CLASSES:
        red, green, blue = triples[0].tolist()
        colours.append(_colour_of(rgb, (red, green, blue)))
        triples = triples[colours[-1].distance(triples) > _ALIKE]
    drawn = []
    for colour in colours:
        ends = [background, *(end for end in colours if end is not colour)]
        if colour.is_drawn or not _is_between(colour, ends):
            drawn.append(colour)
    return drawn


def _is_between(colour: _Colour, ends: list[_Colour]) -> bool:
    """Whether a colour lies on the line between two others."""
    point = np.array(colour.rgb, np.float64)
    for number, start in enumerate(ends):
        for end in ends[number + 1 :]:
            origin = np.array(start.rgb, np.float64)
            line = np.array(end.rgb, np.float64) - origin
            place = float((point - origin) @ line / max(float(line @ line), 1.0))
            off = np.abs(point - origin - place * line).max()
            if 0 < place < 1 and off <= _BETWEEN:
                return True
    return False


def _is_steady(rgb: _Pixels, colour: _Colour) -> bool:
    close = colour.distance(rgb) <= 4
    return colour.pixels <= _SMALL or float(close.sum()) >= _STEADY * colour.pixels


def _classes(path: Path, background: _Colour, others: list[_Colour]) -> MaskError:
    counts = ", ".join(f"{colour}: {colour.pixels} pixels" for colour in others[:8])
    if len(others) > 8:
        counts += f", {len(others) - 8} more colours"
    came = f"{path} holds several colours, which look like classes ({counts})"
    expected = f"one colour on {background}, or white on black"
    do = f"name the defect's by mask_values, such as {others[0]}"
    return MaskError(came, expected, f"{do}, or save a mask of that class alone")


def _packed(rgb: _Pixels) -> NDArray[np.int32]:
    channels = rgb.astype(np.int32)
    packed: NDArray[np.int32] = channels[..., 0] << 16 | channels[..., 1] << 8 | channels[..., 2]
    return packed


def _unpacked(value: int) -> tuple[int, int, int]:
    return value >> 16, value >> 8 & 255, value & 255
