"""Signals that a refined mask is made from (docs/method.md, choice 3): one file each, registered
below."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ...declarations import Registry
from .attention import AttentionSignal
from .difference import DifferenceSignal
from .likelihood import LikelihoodSignal
from .product import ProductSignal
from .signal import Evidence, LatentEvidence, Signal

__all__ = ["DEFAULT_SIGNAL", "SIGNALS", "Evidence", "LatentEvidence", "Signal", "SignalName"]

SIGNALS: Registry[Signal] = Registry(
    "mask signal", AttentionSignal(), DifferenceSignal(), ProductSignal(), LikelihoodSignal()
)
if TYPE_CHECKING:
    SignalName = str
else:
    SignalName = Literal[tuple(SIGNALS)]
DEFAULT_SIGNAL: SignalName = "difference"
