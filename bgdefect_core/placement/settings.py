"""Settings of placement: how far a new mask may differ from the real one, and how many variations
and pictures are compared."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from ..declarations import Doc, Range, check_settings
from ..errors import check_range


@dataclass(frozen=True)
class PlacementSettings:
    """How far a new mask may differ from the real one that it is made from.

    Raises:
        SettingError: a value out of its range, or the largest scale below the smallest.
    """

    rotate: Annotated[
        float | None,
        Range(0, 180),
        Doc(
            "Largest turn of a new mask either way, in degrees. Default: as far as the real masks "
            "vary, where the ground has a direction; else 180."
        ),
    ] = None
    scale: Annotated[
        tuple[float, float], Range(0.1, 10), Doc("Smallest and largest scale of a new mask.")
    ] = (0.8, 1.25)
    flip: Annotated[
        bool | None,
        Doc(
            "Mirror half of the new masks. Default: unless the real masks all lie one way that a "
            "mirror would change."
        ),
    ] = None
    elastic: Annotated[
        float,
        Range(0, 0.5),
        Doc("Largest local shift of a new mask, as a share of its longest side."),
    ] = 0.04
    tries: Annotated[
        int, Range(1, math.inf), Doc("Variations that are tried before a placement is given up.")
    ] = 20
    variations: Annotated[
        int,
        Range(0, 1000),
        Doc(
            "Variations whose places are compared with the real defect's surroundings, where these "
            "are known; 0: none are. Every second one is turned by quarters at the real size, "
            "within the ranges: manufactured parts mostly have straight edges."
        ),
    ] = 16
    candidates: Annotated[
        int,
        Range(1, 1000),
        Doc(
            "Good pictures that a mask looks at, where its real surroundings are known: it takes "
            "the first that is near enough to them, else the nearest."
        ),
    ] = 12

    def __post_init__(self) -> None:
        check_settings(self)
        check_range("the largest scale", self.scale[1], self.scale[0], 10)
