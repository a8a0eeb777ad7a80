"""The arms of the detectors. A new arm is one file (or one record) and one line of ``ARMS``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from bgdefect_core.declarations import Registry

from .arm import Arm
from .cut_paste import CUT_PASTE
from .generated import FROM_NOISE, MIXED, OURS, OURS_ALONE, OURS_REQUESTED, PASTE
from .perlin import PERLIN
from .real import AS_IT_IS, CEILING, REAL

ARMS: Registry[Arm] = Registry(
    "arm",
    REAL,
    AS_IT_IS,
    CUT_PASTE,
    PERLIN,
    PASTE,
    FROM_NOISE,
    MIXED,
    OURS,
    OURS_REQUESTED,
    OURS_ALONE,
    CEILING,
)
USUAL_ARMS = tuple(name for name, arm in ARMS.items() if arm.usual)

if TYPE_CHECKING:
    ArmName = str
else:
    ArmName = Literal[tuple(ARMS)]
