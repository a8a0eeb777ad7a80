"""Eq. 13's signal: the attention that pixels of the mask pay to the defect's words."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import SettingError
from ..attention_maps import MapRecorder
from .signal import Evidence, Signal, missing


class AttentionSignal(Signal):
    """The paper's signal, with the paper's threshold of 1/2."""

    name = "attention"
    summary = "the attention to the defect's words"
    threshold = 0.5
    needs_attention = True

    def heat(self, evidence: Evidence) -> Tensor:
        """:func:`attention_heat`, on the device of the decoded samples where there are any."""
        if evidence.recorder is None:
            raise missing(self, "attention maps")
        attention = attention_heat(evidence.recorder, evidence.size)
        if evidence.painted is None:
            return attention
        return attention.to(evidence.painted.device)


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
