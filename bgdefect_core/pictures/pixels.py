"""Pictures to the VAE's pixels, and decoded pixels back to pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .picture import Picture, Pixels

__all__ = ["as_pictures", "to_pixels"]


def to_pixels(pictures: Sequence[Picture] | Sequence[Pixels]) -> Tensor:
    """Pictures ``[H, W, 3]`` of one size, uint8 or of any depth -> float32 ``[B, 3, H, W]`` in
    -1..1."""
    squares = []
    for picture in pictures:
        source = picture if isinstance(picture, Picture) else Picture(picture)
        values = torch.from_numpy(source.pixels.astype(np.float32))
        squares.append(values / (source.white / 2) - 1)
    return torch.stack(squares).permute(0, 3, 1, 2)


def as_pictures(decoded: Tensor) -> NDArray[np.float32]:
    """Decoded ``[B, 3, H, W]``, clamped to -1..1 -> float32 ``[B, H, W, 3]`` in 0..1 on the
    CPU."""
    shares = (decoded.float().clamp(-1, 1) + 1) / 2
    pictures: NDArray[np.float32] = shares.permute(0, 2, 3, 1).cpu().numpy()
    return pictures
