"""When a detector sees synthetic and when real defects. A new schedule is one function and one line
of ``SCHEDULES``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bgdefect_core.declarations import Registry

STAGES = 0.5
"""Share of the steps after which the second of two stages begins."""


@dataclass(frozen=True)
class Schedule:
    """One schedule of the arms that have both kinds of defects."""

    name: str
    summary: str
    share: Callable[[float, float], float]
    """(share of the steps that are done, ``synthetic_share``) -> share of synthetic defects among
    the defect draws, 0..1."""


def _mixed(progress: float, share: float) -> float:
    return share


def _two_stage(progress: float, share: float) -> float:
    return 1.0 if progress < STAGES else 0.0


SCHEDULES: Registry[Schedule] = Registry(
    "schedule",
    Schedule(
        "mixed", "real and synthetic defects together, synthetic_share of them synthetic", _mixed
    ),
    Schedule(
        "two-stage",
        "synthetic defects in the first half of the steps, real ones in the second",
        _two_stage,
    ),
)

if TYPE_CHECKING:
    ScheduleName = str
else:
    ScheduleName = Literal[tuple(SCHEDULES)]
