"""Which values or colours of a mask file mean the defect, where it is no black and white mask."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import MaskError, SettingError
from .decoding import Decoded
from .masks import Mask

__all__ = [
    "MASK_VALUES_HELP",
    "NONZERO",
    "WHITE",
    "MaskValues",
    "counted_colours",
    "counted_values",
    "numbers_of",
    "shown_values",
]

MASK_VALUES_HELP = (
    "Values or colours of the masks that mean the defect, separated by commas, where masks hold "
    "several classes: gray values or the indices of a palette (1 or 2,3), colours (#ff0000), or "
    "nonzero. Default: white on black."
)
_COLOUR = re.compile(r"#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})", re.IGNORECASE)
_NEAR = 24
"""Largest difference in a channel of a pixel from a named colour: compression moves them a bit."""
_SHOWN = 8


@dataclass(frozen=True)
class MaskValues:
    """What counts as defect; without any, white on black."""

    numbers: tuple[int, ...] = ()
    """Gray values, or indices of a palette."""
    colours: tuple[tuple[int, int, int], ...] = ()
    """RGB, 0 to 255."""
    nonzero: bool = False
    """Every value but 0, which is MVTec LOCO's definition (there the value names the defect's entry
    in ``defects_config.json``)."""
    near: int = field(default=_NEAR, repr=False)
    """Largest difference in a channel of a pixel from a named colour."""

    @staticmethod
    def parse(text: str | None) -> MaskValues:
        """Values as users write them: "1", "2,3", "#ff0000", "nonzero"; None or empty: white.

        Raises:
            SettingError: something else.
        """
        numbers: list[int] = []
        colours: list[tuple[int, int, int]] = []
        nonzero = False
        for word in re.split(r"[,\s]+", (text or "").strip()):
            colour = _COLOUR.fullmatch(word)
            if colour is not None:
                colours.append((int(colour[1], 16), int(colour[2], 16), int(colour[3], 16)))
            elif word.isdecimal() and int(word) <= 65535:
                numbers.append(int(word))
            elif word.lower() == "nonzero":
                nonzero = True
            elif word:
                expected = "numbers from 0 to 65535, colours such as #ff0000, or nonzero"
                raise SettingError(f"mask_values names {word!r}", expected, "separate by commas")
        return MaskValues(tuple(numbers), tuple(colours), nonzero)

    @property
    def is_white(self) -> bool:
        """Whether nothing is named: white is the defect."""
        return not (self.numbers or self.colours or self.nonzero)

    def select(self, path: Path, decoded: Decoded) -> Mask:
        """The pixels of a file that have one of the values; bool ``[H, W]``.

        Raises:
            MaskError: none has; the values that the file holds are listed.
        """
        mask = self.pixels_of(decoded)
        if mask.any():
            return mask
        values, pixels = numbers_of(decoded), decoded.pixels
        is_coloured = values is None or (decoded.indices is not None and not self.numbers)
        holds = counted_colours(pixels) if is_coloured else counted_values(values)
        came = f"{path} has no pixel of the mask values {self}; it holds {holds}"
        raise MaskError(came, "some of the defect", "correct mask_values, or leave the picture out")

    def pixels_of(self, decoded: Decoded) -> Mask:
        """As :meth:`select`; none at all is fine."""
        values, pixels = numbers_of(decoded), decoded.pixels
        mask = np.zeros(pixels.shape[:2], np.bool_)
        if self.nonzero:
            mask |= (pixels if pixels.ndim == 2 else pixels.any(axis=2)) != 0
        if self.numbers and values is not None:
            mask |= np.isin(values, self.numbers)
        if self.colours:
            rgb = eight_bit_colours(pixels).astype(np.int16)
            for colour in self.colours:
                mask |= (np.abs(rgb - np.array(colour, np.int16)) <= self.near).all(axis=2)
        return mask

    def __str__(self) -> str:
        words = [str(number) for number in self.numbers]
        words += [_hexadecimal(colour) for colour in self.colours]
        return ",".join(words + ["nonzero"] * self.nonzero) or "white"


WHITE = MaskValues()
NONZERO = MaskValues(nonzero=True)


def shown_values(decoded: Decoded) -> str:
    """What a file holds: its gray values or indices, else its colours, with their pixels."""
    values = numbers_of(decoded)
    return counted_colours(decoded.pixels) if values is None else counted_values(values)


def numbers_of(decoded: Decoded) -> NDArray[np.integer] | None:
    """Gray values, or indices of a palette; None: the file is coloured without a palette."""
    pixels = decoded.pixels
    if pixels.ndim == 2:
        return pixels
    if decoded.indices is not None and not pixels.any():  # a palette of blacks
        return decoded.indices
    if (pixels == pixels[..., :1]).all():
        return pixels[..., 0]
    return decoded.indices


def eight_bit_colours(pixels: NDArray[np.integer]) -> NDArray[np.uint8]:
    """The highest 8 bits of pixels ``[H, W]`` or ``[H, W, 3]``: uint8 ``[H, W, 3]``."""
    if pixels.dtype == np.uint16:
        pixels = pixels >> max(int(pixels.max()).bit_length() - 8, 0)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    return pixels.astype(np.uint8)


def counted_values(values: NDArray[np.integer] | None) -> str:
    """The values of a file with the number of pixels of each, such as "0: 9000 pixels, 1: 216"; of
    many values the most frequent."""
    if values is None:
        return "nothing"
    numbers, counts = np.unique(values, return_counts=True)
    if len(numbers) > _SHOWN:
        order = np.argsort(-counts, kind="stable")
        numbers, counts = numbers[order], counts[order]
    return _counted([str(number) for number in numbers.tolist()], counts.tolist())


def counted_colours(pixels: NDArray[np.integer]) -> str:
    """The colours of a file, the most frequent first, with the number of pixels of each."""
    rgb = eight_bit_colours(pixels).reshape(-1, 3)
    colours, counts = np.unique(rgb, axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    names = [_hexadecimal(colour) for colour in colours[order].tolist()]
    return _counted(names, counts[order].tolist())


def _counted(names: list[str], counts: list[int]) -> str:
    words: list[str] = []
    for name, count in zip(names[:_SHOWN], counts, strict=False):
        words.append(f"{name}: {count}" + (" pixels" if not words else ""))
    if len(names) > _SHOWN:
        words.append(f"{len(names) - _SHOWN} more values")
    return ", ".join(words)


def _hexadecimal(colour: tuple[int, int, int] | list[int]) -> str:
    return "#" + "".join(f"{channel:02x}" for channel in colour)
