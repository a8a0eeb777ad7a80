"""The refined mask (Eq. 13): where inside the requested mask the defect really came out. It is what
a detector is trained on."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..errors import SettingError, check_range
from ..pictures.files import Picture
from ..pictures.masks import Mask, check_mask
from ..pictures.tones import change, two_tones
from .attention import MapRecorder

MapSignal = Literal["attention", "difference", "product"]
MAP_SIGNALS: tuple[str, ...] = get_args(MapSignal)
"""The signals that come of a sample's maps and pictures alone, by :func:`combine`."""
Signal = Literal[MapSignal, "likelihood"]
SIGNALS: tuple[str, ...] = get_args(Signal)
"""All signals; ``likelihood`` asks the network again (:func:`likelihood.likelihood_heat`) and is
not the paper's."""
ATTENTION_SIGNALS = ("attention", "product")
"""The signals that need the attention maps."""
THRESHOLDS: dict[str, float] = {
    "attention": 0.5,
    "difference": 0.3,
    "product": 0.3,
    "likelihood": 0.1,
}
"""The threshold of each signal where none is given: the paper's 1/2 for its attention, a measured
one for the change, and for the likelihood gain one chosen on the training folds of two real classes
(``docs/evidence.md``)."""
PEAK = 95.0
"""Percentile of the map, inside the mask, that counts as its maximum. One bright spot (a joint that
was painted over) must not hide the rest of the defect. On 200 drawn defects the label's IoU with
the truth was 0.74 at 0.3 of this percentile, 0.52 at 1/2 of the maximum, and 0.45 for the requested
mask (the truth grown by 3 pixels): ``bgdefect calibrate``."""


def threshold_in_use(signal: str, given: float | None) -> float:
    """The threshold that is given, or where None is, the signal's own."""
    return THRESHOLDS[signal] if given is None else given


def attention_heat(recorder: MapRecorder, size: tuple[int, int]) -> Tensor:
    """Eq. 13's map: the running means of all grids, each resized bilinearly to ``size`` and
    averaged: float32 ``[B, H, W]``.

    Raises:
        SettingError: no layer took part (latents under 16 cells a side have no grid of 8 cells at
            half their size).
    """
    if not recorder.means:
        raise SettingError(
            "no attention layer is fine enough to refine a mask",
            "latents of at least 16 cells a side",
            "raise the resolution",
        )
    maps = [
        F.interpolate(mean[:, None], size, mode="bilinear", align_corners=False)
        for mean in recorder.means.values()
    ]
    return torch.stack(maps).mean(0)[:, 0]


def difference_heat(painted: Tensor, normal: Tensor) -> Tensor:
    """How much each pixel changed: the largest channel difference between two decoded pictures,
    smoothed over 3 x 3 pixels.

    Args:
        painted: ``[B, 3, H, W]`` decoded sample, -1..1; a decoder's overshoot is cut off, as in
            every picture.
        normal: the decoded encoding of the good picture, never the raw picture (choice 3).

    Returns:
        float32 ``[B, H, W]`` in 0..1.
    """
    change = (painted.float().clamp(-1, 1) - normal.float().clamp(-1, 1)).abs().amax(
        1, keepdim=True
    ) / 2
    return F.avg_pool2d(F.pad(change, (1, 1, 1, 1), mode="replicate"), 3, stride=1)[:, 0].clamp(
        0, 1
    )


def combine(signal: MapSignal, attention: Tensor | None, difference: Tensor | None) -> Tensor:
    """The chosen signal as one map ``[B, H, W]``; ``product`` multiplies both.

    Raises:
        SettingError: a signal that is not made of these maps (``likelihood`` is not), or one of its
            maps is missing.
    """
    needed = {
        "attention": (attention,),
        "difference": (difference,),
        "product": (attention, difference),
    }.get(signal)
    if needed is None or any(heat is None for heat in needed):
        raise SettingError(
            f"signal is {signal!r}",
            f"one of {', '.join(MAP_SIGNALS)}, with its maps",
            "choose another signal",
        )
    maps = [heat for heat in needed if heat is not None]
    return maps[0] if len(maps) == 1 else maps[0] * maps[1]


def stitched_heat(
    signal: Signal, heat: NDArray[np.float32], picture: Picture, result: Picture
) -> NDArray[np.float32]:
    """What a signal is worth once the sample is in its picture. Where that has two tones
    (``tones``), many a faint change came to nothing and no loss of the decoder is left: the signal
    counts on changed pixels alone, and the difference is theirs.

    Args:
        heat: the signal, float32 ``[H, W]``.
        picture, result: uint8 ``[H, W, 3]``, the good picture and what :func:`crop.stitch` made of
            it.

    Returns:
        float32 ``[H, W]``; the heat itself for any other picture.
    """
    if two_tones(picture) is None:
        return heat
    changed = change(picture, result)
    return changed if signal == "difference" else np.where(changed > 0, heat, 0)


def refine(
    heat: NDArray[np.float32], requested: Mask, threshold: float, peak: float = PEAK
) -> tuple[Mask, NDArray[np.float32]]:
    """Divide the map by its peak inside the requested mask and threshold it there (choice 3).

    Args:
        heat: float32 ``[H, W]``, at least 0.
        requested: bool ``[H, W]``, not empty.
        threshold: 0..1 of the peak; 0 returns the requested mask.
        peak: the percentile, inside the mask, that is the peak; 100 is the maximum.

    Returns:
        The refined mask (within ``requested``, never empty unless the map is 0 there and the
        threshold above 0) and the map in 0..1, 0 outside the mask.

    Raises:
        SettingError: threshold or peak out of range. MaskError: a bad mask.
    """
    check_range("threshold", threshold, 0, 1)
    check_range("peak", peak, 0, 100)
    check_mask(requested, heat.shape)
    inside = np.where(requested, heat, 0).astype(np.float32)
    largest = (
        np.float32(np.percentile(inside[requested], peak)) or inside.max()
    )  # a speck in a large mask has a percentile of 0
    if largest <= 0:
        return requested & (threshold == 0), inside
    inside = np.minimum(inside / largest, 1)
    return requested & (inside >= threshold), inside
