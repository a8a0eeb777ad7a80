"""Settings of the advice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bgdefect_core.declarations import Doc, Range


@dataclass(frozen=True)
class AdviceSettings:
    """Whether advice is asked for, and on what terms."""

    advise: Annotated[
        bool,
        Doc(
            "Measure what is needed for a plain answer on this data set, and write advice.html and "
            "advice.json: generated defects or not, which recipe, how sure that is. Chooses arms, "
            "folds, draws, seeds, shares and schedules itself; k is the first of --shots, at most "
            "half of the training side."
        ),
    ] = False
    tolerated_false_alarms: Annotated[
        float,
        Range(0.001, 0.5),
        Doc("Share of good pictures that may be called defective, for the advice's threshold."),
    ] = 0.05
    advise_hours: Annotated[
        float | None,
        Range(0.001, 1000),
        Doc(
            "Most hours that the advice's measurement may take by its estimate. Default: 1 on a "
            "GPU, 10 elsewhere."
        ),
    ] = None

    def hours(self, on_gpu: bool) -> float:
        """The budget in hours."""
        if self.advise_hours is not None:
            return self.advise_hours
        return 1.0 if on_gpu else 10.0
