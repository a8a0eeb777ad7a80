"""The change that the defect made between two decoded pictures (docs/method.md, choice 3)."""

from __future__ import annotations

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from ...pictures.masks import Mask
from ...pictures.picture import Pixels
from ...pictures.tones import change
from .signal import Evidence, Signal, missing

PEAK = 95.0
"""Percentile of the map, inside the mask, that counts as its maximum. One bright spot (a joint that
was painted over) must not hide the rest of the defect. On 200 drawn defects the label's IoU with
the truth was 0.74 at 0.3 of this percentile, 0.52 at 1/2 of the maximum, and 0.45 for the requested
mask (the truth grown by 3 pixels): ``bgdefect calibrate``."""
_CORE = 80
"""Percentile of the changes in the mask from which pixels tell the defect's tone."""
_MOST = 2
"""Greatest factor by which a change is raised: below half of the threshold nothing is labelled."""
SMOOTHED = 3
"""Pixels a side over which the change was smoothed."""


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

    def on_shades(
        self, heat: NDArray[np.float32], picture: Pixels, result: Pixels, requested: Mask
    ) -> NDArray[np.float32]:
        """:func:`with_covered`."""
        return with_covered(heat, picture, result, requested)


def with_covered(
    heat: NDArray[np.float32], picture: Pixels, result: Pixels, requested: Mask
) -> NDArray[np.float32]:
    """The change, raised where the defect covers its ground but differs little from it.

    A dark crack changes a light joint more than a gray brick, and is a crack on both. The defect's
    tone is the median of the strongest fifth of the changed pixels; a pixel is covered by the share
    of the way from the good picture to that tone that it went. The result is that share of the
    peak, at most twice the change itself, which keeps out what merely looks like the defect.

    Args:
        heat: :func:`difference_heat` at the picture's size, float32 ``[H, W]`` in 0..1.
        picture, result: uint8 ``[H, W, 3]``, before and after. requested: bool ``[H, W]``.

    Returns:
        float32 ``[H, W]`` in 0..1, not below ``heat``.
    """
    peak = np.float32(np.percentile(heat[requested], PEAK)) if requested.any() else np.float32(0)
    if peak == 0:
        return heat
    changes = change(picture, result)
    core = requested & (changes >= np.percentile(changes[requested], _CORE))
    tone = np.median(result[core], axis=0)
    way = np.abs(picture - tone).max(axis=2) / 255
    way = ndimage.uniform_filter(way, SMOOTHED, mode="nearest")
    covered = np.minimum(heat / np.maximum(way, 1 / 255), 1)
    raised = np.minimum(peak * covered, _MOST * heat)
    return np.where(requested, np.maximum(heat, raised), heat).astype(np.float32)


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
    return F.avg_pool2d(padded, SMOOTHED, stride=1)[:, 0].clamp(0, 1)
