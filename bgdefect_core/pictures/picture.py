"""A picture with its white level, and the 8-bit view of it that most code works on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import PictureError

__all__ = ["DeepPixels", "Picture", "Pixels"]

Pixels = NDArray[np.uint8]
"""A picture of 8 bits a channel: uint8 ``[H, W, 3]``, RGB."""

DeepPixels = NDArray[np.uint8] | NDArray[np.uint16]
"""Pixels at the depth of their file."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture at the depth of its file. It is painted, stitched and written at this depth; code
    that only looks at it takes ``eight_bit()``.

    Raises:
        PictureError: another type or shape, or a white level that the type cannot hold.
    """

    pixels: DeepPixels
    """uint8 or uint16 ``[H, W, 3]``, RGB, in 0..white."""
    white: int = 255
    """Value of white: 2 to the power of the bits, less 1."""

    def __post_init__(self) -> None:
        pixels = self.pixels
        fits = pixels.dtype in (np.uint8, np.uint16) and pixels.ndim == 3 and pixels.shape[2] == 3
        if not fits or not 255 <= self.white <= np.iinfo(pixels.dtype).max:
            came = f"an array of {pixels.dtype} {list(pixels.shape)} with white at {self.white}"
            expected = "uint8 or uint16 [H, W, 3] that reaches its white level"
            raise PictureError(came, expected, "convert it first")

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]

    @property
    def nbytes(self) -> int:
        """Bytes of its pixels."""
        return self.pixels.nbytes

    @property
    def bits(self) -> int:
        """Bits a channel: 8 for a white level of 255, 12 for 4095."""
        return self.white.bit_length()

    def eight_bit(self) -> Pixels:
        """The highest 8 bits of each value: uint8 ``[H, W, 3]``; the same array where there are no
        more."""
        if self.pixels.dtype == np.uint8:
            return self.pixels.astype(np.uint8, copy=False)
        return (self.pixels >> (self.bits - 8)).astype(np.uint8)
