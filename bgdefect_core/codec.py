"""What the core asks of a VAE."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Codec(Protocol):
    """A VAE: pictures to latents and back."""

    def encode(self, pixels: Tensor) -> Tensor:
        """``[B, 3, H, W]`` in -1..1 on the CPU -> latents ``[B, C, h, w]``, scaled, on the
        network's device."""

    def decode(self, latents: Tensor) -> Tensor:
        """Latents ``[B, C, h, w]`` -> ``[B, 3, H, W]`` in -1..1."""
