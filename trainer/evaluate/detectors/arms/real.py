"""Arms of real defects alone: the reference of all comparisons, and the ceiling."""

from __future__ import annotations

from .arm import Arm

REAL = Arm(
    "real",
    "the known real defects alone; all other arms are compared with it",
    landscape=True,
    maps=True,
)
CLASSICAL = Arm(
    "real+classical",
    "the known real defects; flips, quarter turns, brightness, contrast and noise on every crop",
    augment=True,
)
CEILING = Arm("ceiling", "all real defects of the training side", known="all", maps=True)
