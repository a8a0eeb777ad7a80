"""Settings of the measures of realism and of masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from bgdefect_core.declarations import Doc, Range


@dataclass(frozen=True)
class MeasureSettings:
    """How samples and masks are measured."""

    features: Annotated[
        Literal["efficientnet-lite0"],
        Doc(
            "Network of the feature statistics. FID, KID and LPIPS are added where their own "
            "weights are on this machine."
        ),
    ] = "efficientnet-lite0"
    mask_levels: Annotated[
        int, Range(1, 999), Doc("Noise levels at which attention is recorded on real pictures.")
    ] = 10
