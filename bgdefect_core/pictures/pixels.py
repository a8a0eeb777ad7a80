"""Pictures of bytes to the VAE's pixels, and decoded pixels back to pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .files import Picture


def to_pixels(pictures: Sequence[Picture]) -> Tensor:
    """Pictures uint8 ``[H, W, 3]`` of one size -> float32 ``[B, 3, H, W]`` in -1..1."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


def as_pictures(decoded: Tensor) -> NDArray[np.float32]:
    """Decoded ``[B, 3, H, W]``, clamped to -1..1 -> float32 ``[B, H, W, 3]`` in 0..1 on the
    CPU."""
    shares = (decoded.float().clamp(-1, 1) + 1) / 2
    pictures: NDArray[np.float32] = shares.permute(0, 2, 3, 1).cpu().numpy()
    return pictures
