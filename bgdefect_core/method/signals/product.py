"""Attention and change multiplied: what changed and answers to the defect's words."""

from __future__ import annotations

from torch import Tensor

from .attention import AttentionSignal
from .difference import DifferenceSignal
from .signal import Evidence, Signal


class ProductSignal(Signal):
    """The product of the signals ``attention`` and ``difference``."""

    name = "product"
    summary = "the product of attention and difference"
    threshold = 0.3
    needs_attention = True
    needs_before = True

    def heat(self, evidence: Evidence) -> Tensor:
        """Both maps, pixel by pixel."""
        attention = AttentionSignal().heat(evidence)
        return attention * DifferenceSignal().heat(evidence)
