"""Ways to hold the background while a defect is sampled (docs/method.md, choice 1): one file each,
registered below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ...declarations import Registry
from .background import Background, BackgroundLatents, joined_backgrounds
from .literal import LiteralBackground
from .masked import MaskedBackground
from .noised import NoisedBackground
from .replay import ReplayBackground

__all__ = [
    "BACKGROUNDS",
    "DEFAULT_BACKGROUND",
    "Background",
    "BackgroundLatents",
    "BackgroundName",
    "joined_backgrounds",
]

BACKGROUNDS: Registry[Background] = Registry(
    "background mode",
    ReplayBackground(),
    NoisedBackground(),
    MaskedBackground(),
    LiteralBackground(),
)
if TYPE_CHECKING:
    BackgroundName = str
else:
    BackgroundName = Literal[tuple(BACKGROUNDS)]
DEFAULT_BACKGROUND: BackgroundName = "noised"
"""Chosen by measurement (``docs/evidence-choices.md``)."""
