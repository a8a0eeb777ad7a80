"""How many more real defects generated ones are worth: read off the curve of detectors on real
defects alone over their number k."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor

import numpy as np

from ..report.statistics import Interval


@dataclass(frozen=True)
class Worth:
    """A number of further real defects."""

    least: int | None
    """Lower end; None: cannot be told from 0."""
    about: int | None
    """None where the gain lies outside of the measured range, or is not told."""
    most: int | None
    """Upper end; None where it lies outside of the measured range."""
    measured: int
    """The largest number of further real defects that was measured."""

    def text(self) -> str:
        """In words; never more than the interval says."""
        if self.least is None and self.most is None:
            return (
                "How many real defects that is worth cannot be told: more real defects, up to "
                f"{self.measured} further ones, did not tell either."
            )
        if self.least is None:
            return f"Worth at most about {_noun(self.most or 0)}."
        if self.about is None or self.most is None:
            end = "" if self.least < self.measured else ", the most that were measured"
            return f"Worth at least about {_noun(self.least)}{end}."
        ends = f"{self.least} to {self.most}"
        return f"Worth about {_noun(self.about)} (by the intervals {ends})."


def _noun(count: int) -> str:
    return f"{count} more real {'defect' if count == 1 else 'defects'}"


def worth(gain: Interval, k: int, curve: Mapping[int, Interval]) -> Worth | None:
    """The number of further real defects that gains as much.

    The lower end is where the curve's upper bound reaches the gain's lower bound, the upper end
    where its lower bound reaches the gain's upper bound: rather too wide.

    Args:
        gain: of the generated defects at k. curve: larger number of real defects -> its gain over
            k.

    Returns:
        None where no larger number was measured, or one of the intervals is missing.
    """
    points = sorted(curve)
    intervals = [curve[point] for point in points]
    if not points or gain.low is None or gain.high is None:
        return None
    lows: list[float] = []
    highs: list[float] = []
    for point in intervals:
        if point.low is None or point.high is None:
            return None
        lows.append(point.low)
        highs.append(point.high)
    further = [point - k for point in points]
    most_measured = further[-1]
    least = _reached(gain.low, further, highs)
    about = _reached(gain.mean, further, [point.mean for point in intervals])
    most = _reached(gain.high, further, lows)
    lower = most_measured if least is None else floor(least)
    return Worth(
        least=lower if lower >= 1 else None,
        about=None if about is None else round(about),
        most=None if most is None else round(most),
        measured=most_measured,
    )


def _reached(gain: float, further: Sequence[int], gains: Sequence[float]) -> float | None:
    """Where the curve from (0, 0) through the points, made to rise, first reaches a gain; None
    where it does not."""
    rising = np.maximum.accumulate([0.0, *gains])
    numbers = [0, *further]
    if gain <= 0:
        return 0.0
    for index in range(1, len(numbers)):
        low, high = float(rising[index - 1]), float(rising[index])
        if high >= gain:
            share = (gain - low) / (high - low)
            return numbers[index - 1] + share * (numbers[index] - numbers[index - 1])
    return None
