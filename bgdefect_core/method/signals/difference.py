"""The change that the defect made between two decoded pictures (docs/method.md, choice 3)."""

from __future__ import annotations

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from .signal import Evidence, Signal, missing


class DifferenceSignal(Signal):
    """The change of each pixel. Its threshold was measured (``bgdefect calibrate``)."""

    name = "difference"
    summary = "the change that the defect made"
    threshold = 0.3
    needs_before = True

    def heat(self, evidence: Evidence) -> Tensor:
        """:func:`difference_heat`."""
        if evidence.painted is None or evidence.normal is None:
            raise missing(self, "both pictures")
        return difference_heat(evidence.painted, evidence.normal)

    def on_two_tones(
        self, heat: NDArray[np.float32], changed: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """The change in the stitched picture itself."""
        return changed


def difference_heat(painted: Tensor, normal: Tensor) -> Tensor:
    """How much each pixel changed: the largest channel difference between two decoded pictures,
    smoothed over 3 x 3 pixels.

    Args:
        painted: ``[B, 3, H, W]`` decoded sample, -1..1; a decoder's overshoot is cut off, as in
            every picture.
        normal: the decoded encoding of the good picture, never the raw picture.

    Returns:
        float32 ``[B, H, W]`` in 0..1.
    """
    painted, normal = painted.float().clamp(-1, 1), normal.float().clamp(-1, 1)
    change = (painted - normal).abs().amax(1, keepdim=True) / 2
    padded = F.pad(change, (1, 1, 1, 1), mode="replicate")
    return F.avg_pool2d(padded, 3, stride=1)[:, 0].clamp(0, 1)
