"""Arms of real defects alone: the reference of all comparisons, and the ceiling."""

from __future__ import annotations

from .arm import Arm

REAL = Arm(
    "real",
    "the known real defects; turned, mirrored, with other brightness, contrast and noise, as in "
    "every other arm; all other arms are compared with it",
    landscape=True,
    maps=True,
)
AS_IT_IS = Arm("real, as it is", "the known real defects without augmentation", augment=False)
CEILING = Arm("all real", "all real defects of the training side", known="all", maps=True)
