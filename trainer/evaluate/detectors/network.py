"""The detector: a small discriminative U-Net (the segmentation half of DRAEM, Zavrtanik et al.
2021) and its focal loss."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from bgdefect_core.pictures.picture import Pixels

GAMMA = 2.0
_TEST_BATCH = 4


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


def focal_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Focal loss on the softmax (Lin et al. 2017): mean of ``-(1 - p_t)^2 log p_t`` over all
    pixels.

    Args:
        logits: ``[B, 2, H, W]``. truth: bool or float ``[B, H, W]``, 1 = defect.
    """
    log_p = F.log_softmax(logits, dim=1)
    log_pt = torch.where(truth > 0.5, log_p[:, 1], log_p[:, 0])
    return -((1 - log_pt.exp()) ** GAMMA * log_pt).mean()


def make_net(width: int, seed: int) -> SegmentationNet:
    """A fresh network whose weights follow from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SegmentationNet(width)


def to_tensor(pictures: Sequence[Pixels]) -> Tensor:
    """``uint8 [H, W, 3]`` each -> ``[B, 3, H, W]`` in 0..1."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255


@torch.no_grad()
def probability_maps(net: SegmentationNet, pictures: Sequence[Pixels]) -> list[NDArray[np.float32]]:
    """P(defect) of whole pictures of one size: float32 ``[H, W]`` in 0..1 each."""
    training = net.training
    net.eval()
    device = next(net.parameters()).device
    maps: list[NDArray[np.float32]] = []
    for first in range(0, len(pictures), _TEST_BATCH):
        batch = to_tensor(pictures[first : first + _TEST_BATCH])
        probability = net(batch.to(device)).softmax(1)[:, 1]
        maps += list(probability.cpu().numpy())
    net.train(training)
    return maps
