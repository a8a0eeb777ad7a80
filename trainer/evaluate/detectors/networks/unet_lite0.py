"""A U-Net (Ronneberger et al. 2015) on the pretrained efficientnet-lite0: the detector that
engineers would train today on few defects.

The decoder is ours: segmentation-models-pytorch and timm need a torchvision that fits the installed
torch, and name the encoder's weights in another way than the package that brings them.
"""

from __future__ import annotations

from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import Self

from ...measures.features import network
from .network import Network

_SKIPS = {0: 16, 2: 24, 4: 40}
"""Encoder blocks whose outputs the decoder reads, with their channels: at 1/2, 1/4 and 1/8 of the
side."""
_LAST, _LAST_WIDTH = 10, 112
"""The last encoder block, at 1/16 of the side. The deeper ones cost a third more for maps of four
pixels a side."""
_WIDTHS = (48, 32, 16)
"""Channels of the decoder at 1/8, 1/4 and 1/2 of the side."""


def _block(channels_in: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )


class UNetLite0(nn.Module):
    """Pixels -> two logits a pixel: background, defect. The decoder ends at half of the side; its
    logits are enlarged."""

    def __init__(self) -> None:
        super().__init__()
        lite0 = deepcopy(network()).requires_grad_(True)
        self.stem = nn.Sequential(lite0._conv_stem, lite0._bn0, lite0._swish)
        self.blocks = nn.ModuleList(lite0._blocks[: _LAST + 1])
        self.up = nn.ModuleList()
        width_in = _LAST_WIDTH
        for skip, width in zip(reversed(_SKIPS.values()), _WIDTHS, strict=True):
            self.up.append(_block(width_in + skip, width))
            width_in = width
        self.out = nn.Conv2d(width_in, 2, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """``[B, 3, H, W]`` in 0..1, H and W multiples of 16 -> logits ``[B, 2, H, W]``."""
        z = self.stem((255 * pictures - 127) / 128)
        skips: list[Tensor] = []
        for number, block in enumerate(self.blocks):
            z = block(z)
            if number in _SKIPS:
                skips.append(z)
        for block in self.up:
            skip = skips.pop()
            z = F.interpolate(z, skip.shape[-2:], mode="nearest")
            z = block(torch.cat([z, skip], dim=1))
        logits: Tensor = self.out(z)
        return F.interpolate(logits, pictures.shape[-2:], mode="bilinear", align_corners=False)

    def train(self, mode: bool = True) -> Self:
        """Training or evaluation mode. The encoder's batch norms keep ImageNet's statistics: those
        of a few crops of a few defects are worse, and slower."""
        super().train(mode)
        for module in (self.stem, self.blocks):
            module.eval()
        return self


def _make(width: int) -> UNetLite0:
    """The width is fixed by the pretrained weights."""
    return UNetLite0()


UNET_LITE0 = Network(
    "unet-lite0",
    "a U-Net on the pretrained efficientnet-lite0, fine-tuned whole",
    make=_make,
    lr=3e-3,
    pretrained=("stem", "blocks"),
)
