"""The segmentation half of DRAEM (Zavrtanik et al. 2021): the detector of the papers' protocols,
trained from scratch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .network import Network


def _block(channels_in: int, channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in (channels_in, channels):
        layers.append(nn.Conv2d(width, channels, 3, padding=1))
        layers.append(nn.BatchNorm2d(channels))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


class SegmentationNet(nn.Module):
    """Pixels -> two logits a pixel: background, defect. Five levels of w, 2w, 4w, 8w and 8w
    channels with skip connections.

    Args:
        width: w; 64 in the literature.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        widths = [width, 2 * width, 4 * width, 8 * width, 8 * width]
        self.down = nn.ModuleList()
        for channels_in, channels in zip([3, *widths[:-1]], widths, strict=True):
            self.down.append(_block(channels_in, channels))
        self.up = nn.ModuleList()
        for low, high in zip(widths[:0:-1], widths[-2::-1], strict=True):
            self.up.append(_block(low + high, high))
        self.out = nn.Conv2d(width, 2, 3, padding=1)

    def forward(self, pictures: Tensor) -> Tensor:
        """``[B, 3, H, W]`` in 0..1, H and W multiples of 16 -> logits ``[B, 2, H, W]``."""
        skips: list[Tensor] = []
        z = pictures
        for level, block in enumerate(self.down):
            z = block(F.max_pool2d(z, 2) if level else z)
            skips.append(z)
        skips.pop()
        for block in self.up:
            skip = skips.pop()
            z = F.interpolate(z, skip.shape[-2:], mode="bilinear", align_corners=False)
            z = block(torch.cat([z, skip], dim=1))
        logits: Tensor = self.out(z)
        return logits


DRAEM = Network(
    "draem",
    "the segmentation half of DRAEM, trained from scratch: the field's protocol",
    make=SegmentationNet,
    lr=1e-3,
)
