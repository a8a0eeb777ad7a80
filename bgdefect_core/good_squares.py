"""The squares of good pictures that samples are painted into, encoded and decoded once in a run.

Several pairs show the same square: a whole picture under another mask, or a ready mask that comes
round again. Squares are known by their content.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from .codec import Codec
from .pictures.picture import Picture
from .pictures.pixels import to_pixels

_MEMORY = 1 << 28
"""Bytes of latents and decoded squares that are kept."""


class GoodSquares:
    """Latents and reconstructions of good squares; the oldest go first where memory is full."""

    def __init__(self, memory: int = _MEMORY) -> None:
        self._memory, self._bytes = memory, 0
        self._coded: dict[bytes, tuple[Tensor, Tensor]] = {}

    def coded(self, codec: Codec, squares: Sequence[Picture]) -> tuple[Tensor, Tensor]:
        """Each square encoded, and decoded again.

        What is not known yet is computed in one batch, filled up to as many squares as came: the
        size of a batch decides last digits.

        Args:
            codec: the same at every call.
            squares: B pictures ``[R, R, 3]`` of one size.

        Returns:
            Latents ``[B, C, h, w]`` and reconstructions ``[B, 3, R, R]`` in -1..1.
        """
        names = [_content(square) for square in squares]
        missing = dict(zip(names, squares, strict=True))
        coded: dict[bytes, tuple[Tensor, Tensor]] = {}
        for name in names:
            if name in self._coded:
                coded[name] = self._coded[name]
                missing.pop(name, None)
        if missing:
            batch = list(missing.values())
            batch += [batch[0]] * (len(squares) - len(batch))
            latents = codec.encode(to_pixels(batch))
            decoded = codec.decode(latents)
            for number, name in enumerate(missing):
                coded[name] = (latents[number].clone(), decoded[number].clone())
                self._keep(name, coded[name])
        encoded: list[Tensor] = []
        reconstructed: list[Tensor] = []
        for name in names:
            encoded.append(coded[name][0])
            reconstructed.append(coded[name][1])
        return torch.stack(encoded), torch.stack(reconstructed)

    def _keep(self, name: bytes, tensors: tuple[Tensor, Tensor]) -> None:
        self._coded[name] = tensors
        self._bytes += _size(tensors)
        while self._bytes > self._memory:
            oldest = next(iter(self._coded))
            self._bytes -= _size(self._coded.pop(oldest))


def _content(square: Picture) -> bytes:
    digest = hashlib.blake2b(square.pixels.tobytes(), digest_size=16)
    digest.update(str((square.pixels.dtype, square.white)).encode())
    return digest.digest()


def _size(tensors: tuple[Tensor, Tensor]) -> int:
    return tensors[0].nbytes + tensors[1].nbytes
