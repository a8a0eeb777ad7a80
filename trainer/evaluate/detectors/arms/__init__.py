"""The arms of the detectors. A new arm is one file (or one record) and one line of ``ARMS``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from bgdefect_core.declarations import Registry

from .arm import Arm
from .cut_paste import CUT_PASTE
from .generated import CLASSICAL_OURS, OURS, OURS_ALONE, OURS_REQUESTED
from .perlin import PERLIN
from .real import CEILING, CLASSICAL, REAL

ARMS: Registry[Arm] = Registry(
    "arm",
    REAL,
    CLASSICAL,
    CUT_PASTE,
    PERLIN,
    OURS_REQUESTED,
    OURS,
    CLASSICAL_OURS,
    OURS_ALONE,
    CEILING,
)

if TYPE_CHECKING:
    ArmName = str
else:
    ArmName = Literal[tuple(ARMS)]
