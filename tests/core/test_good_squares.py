"""Good squares are encoded and decoded once, and come back as they were."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from bgdefect_core.good_squares import GoodSquares
from bgdefect_core.pictures.picture import Picture


class CountingCodec:
    """Halves and doubles; remembers the sizes of the batches."""

    def __init__(self) -> None:
        self.encoded: list[int] = []
        self.decoded: list[int] = []

    def encode(self, pixels: Tensor) -> Tensor:
        self.encoded.append(len(pixels))
        return pixels[:, :, ::2, ::2] / 2

    def decode(self, latents: Tensor) -> Tensor:
        self.decoded.append(len(latents))
        return (2 * latents).repeat_interleave(2, 2).repeat_interleave(2, 3)


def square(value: int) -> Picture:
    return Picture(np.full((4, 4, 3), value, np.uint8))


def test_a_square_is_coded_once_and_batches_are_full() -> None:
    codec, squares = CountingCodec(), GoodSquares()
    z_0, normal = squares.coded(codec, [square(0), square(255)])
    assert (z_0[0] == -0.5).all() and (z_0[1] == 0.5).all()
    assert (normal[0] == -1).all() and (normal[1] == 1).all()
    again = squares.coded(codec, [square(255), square(0)])
    assert torch.equal(again[0], z_0.flip(0)) and torch.equal(again[1], normal.flip(0))
    assert codec.encoded == codec.decoded == [2]
    squares.coded(codec, [square(255), square(51)])  # one is new: the batch is filled up
    squares.coded(codec, [square(7), square(7)])
    assert codec.encoded == codec.decoded == [2, 2, 2]


def test_the_depth_belongs_to_the_square() -> None:
    codec, squares = CountingCodec(), GoodSquares()
    dark = Picture(np.full((4, 4, 3), 255, np.uint16), 65535)
    z_0, _ = squares.coded(codec, [square(255), dark])
    assert (z_0[0] == 0.5).all() and (z_0[1] < -0.49).all()


def test_the_oldest_go_where_memory_is_full() -> None:
    # of a square: 3 x 2 x 2 latents and 3 x 4 x 4 pixels in 4 bytes
    codec, squares = CountingCodec(), GoodSquares(memory=2 * 4 * (12 + 48))
    for value in (1, 2, 3):
        squares.coded(codec, [square(value)])
    squares.coded(codec, [square(3)])
    squares.coded(codec, [square(2)])
    assert len(codec.encoded) == 3
    squares.coded(codec, [square(1)])
    assert len(codec.encoded) == 4
