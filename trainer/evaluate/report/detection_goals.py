"""The goals about detectors. The gap to all real defects comes before the gain: where there is no
gap, nothing can be closed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..detectors.arms import ARMS
from ..detectors.arms.arm import Arm
from ..detectors.arms.generated import FROM_NOISE, OURS, PASTE
from ..detectors.arms.real import CEILING, REAL
from ..rows import place
from .statistics import (
    LEAST_GAP,
    Interval,
    Runs,
    closed_gap,
    interval,
    of_cells,
    other_gaps,
    paired,
    shares,
)
from .statistics import minus as difference_of
from .summary import Key
from .tables import MOST_SHOTS, POINTS, RUNS_NOTE, Cells, Table, in_points, pivot
from .verdicts import WORDS, Goal, counted, verdict, with_column

JUDGED = "pixel_ap"
CLOSED_SHARE = 0.5
LEAST_GAIN = 0.05
"""Gain over the known real defects that the recommended method should give in the mean."""
WIDEST_HALF = 0.06
"""Half-width up to which an interval can tell that nothing was harmed."""
_FEW = f"k up to {MOST_SHOTS}"


@dataclass(frozen=True)
class GainCell:
    """The arms of one class and number of real defects."""

    title: str
    group: str
    """The class: its cells know the same defects."""
    k: int
    arms: dict[str, Runs]
    """Name -> values of ``JUDGED``."""

    def runs(self, arm: str) -> Runs:
        """Empty where the arm was not trained."""
        return self.arms.get(arm, {})

    def minus(self, arm: str, other: str) -> Runs:
        """Paired differences; empty where an arm was not trained."""
        return difference_of(self.runs(arm), self.runs(other))

    def difference(self, arm: str, other: str) -> Interval:
        """The interval of the paired differences."""
        return paired(self.runs(arm), self.runs(other))

    @property
    def gain(self) -> Interval:
        """Of ours against real only."""
        return self.difference(OURS.name, REAL.name)

    @property
    def closed(self) -> Runs:
        """The share of the gap that ours closes, run by run; empty where the gap is too small or
        was not measured."""
        return closed_gap(self.runs(OURS.name), self.runs(REAL.name), self.runs(CEILING.name))

    @property
    def gaps(self) -> Runs:
        """The gaps of the other seeds, of the runs in which they exceed ``LEAST_GAP``."""
        return other_gaps(self.runs(REAL.name), self.runs(CEILING.name))

    @property
    def hurts(self) -> bool | None:
        """Whether the whole interval of the gain lies below 0; None with fewer than two runs."""
        high = self.gain.high
        return None if high is None else high < 0

    @property
    def counts(self) -> bool:
        """Whether the goals are about this number of real defects."""
        return 1 <= self.k <= MOST_SHOTS


def _rivals() -> list[Arm]:
    return [arm for arm in ARMS.values() if arm.rival]


def gain_cells(groups: dict[Key, Runs]) -> list[GainCell]:
    """The cells in which real only was trained."""
    arms: dict[tuple[str, str, int], dict[str, Runs]] = {}
    for key, runs in groups.items():
        if (key.part, key.metric) == ("detection", JUDGED):
            arms.setdefault((key.object, key.defect, key.k), {})[key.subject] = runs
    cells = []
    for (object, defect, k), runs_of in arms.items():
        if runs_of.get(REAL.name):
            title, group = place(object, defect, k), f"{object}/{defect}"
            cells.append(GainCell(title, group, k, runs_of))
    return cells


def gain_table(cells: Sequence[GainCell]) -> Table | None:
    """The gap, then the gain."""
    columns: Cells = {}
    for cell in cells:
        columns[cell.title, REAL.name] = cell.runs(REAL.name)
        columns[cell.title, CEILING.name] = cell.runs(CEILING.name)
        columns[cell.title, "gap"] = cell.minus(CEILING.name, REAL.name)
        columns[cell.title, "gain of ours"] = cell.minus(OURS.name, REAL.name)
        columns[cell.title, "share closed (%)"] = cell.closed
        for arm in _rivals():
            columns[cell.title, f"ours minus {arm.rival}"] = cell.minus(OURS.name, arm.name)
    note = (
        f"Points of {JUDGED}; differences are paired by fold, draw and seed. Ours: "
        f"{OURS.name}. A share is given where the gap of the other seeds exceeds "
        f"{LEAST_GAP * POINTS:.0f} points; it is "
        f"each run's gain over the gap of the others. {RUNS_NOTE}"
    )
    title = "Detection: the gap to all real defects, then the gain"
    table = pivot(title, columns, POINTS, note=note, decimals=1)
    hurts, counts = [], []
    for cell in cells:
        hurts.append(WORDS[cell.hurts])
        counts.append(WORDS[cell.counts])
    table = with_column(table, "hurts", hurts)
    return with_column(table, "counts for the goals", counts)


def detection_goals(cells: Sequence[GainCell]) -> list[Goal]:
    """Closing the gap, harming nothing, and beating each rival."""
    judged = [cell for cell in cells if cell.counts]
    least = f"at least +{LEAST_GAIN * POINTS:.0f} points"
    goals = [
        _mean_goal(judged, OURS.name, REAL.name, least, LEAST_GAIN),
        _mean_goal(judged, OURS.name, PASTE.name),
        _mean_goal(judged, FROM_NOISE.name, REAL.name),
        _closed_goal(judged),
        _harm_goal(judged),
    ]
    for arm in _rivals():
        if arm != PASTE:
            goals.append(_rival_goal(judged, arm.name, arm.rival))
    return goals


def _mean_goal(
    cells: Sequence[GainCell], arm: str, other: str, wanted: str = "", least: float = 0.0
) -> Goal:
    """The mean of the paired differences over all cells.

    Args:
        wanted: of the mean, in words. least: smallest mean; the interval must lie above 0 in any
            case.
    """
    text = f"{arm} over {other}, mean of {JUDGED} ({_FEW}): " + (f"{wanted}, " if wanted else "")
    text += "interval above 0"
    classes: dict[str, list[Runs]] = {}
    for cell in cells:
        difference = cell.minus(arm, other)
        if difference:
            classes.setdefault(cell.group, []).append(difference)
    mean = of_cells(classes)
    if not mean.n:
        return Goal(text, "not measured", "no such detectors")
    numbers = f"{in_points(mean)} of {len(cells)}"
    if mean.low is None:
        return Goal(text, "not measured", numbers)
    return Goal(text, "met" if mean.mean >= least and mean.low > 0 else "missed", numbers)


def _harm_goal(cells: Sequence[GainCell]) -> Goal:
    harmless: list[bool | None] = []
    for cell in cells:
        half = cell.gain.half
        tells = bool(cell.hurts) or (half is not None and half <= WIDEST_HALF)
        harmless.append(not cell.hurts if tells else None)
    text = (
        f"real + ours hurts in none ({_FEW}): no interval of the paired difference lies below 0, "
        f"half-widths of at most {WIDEST_HALF * POINTS:.0f} points"
    )
    numbers = f"unhurt {counted(harmless)}{_power(cells)}" if harmless else "no detectors"
    return Goal(text, verdict(harmless), numbers)


def _power(cells: Sequence[GainCell]) -> str:
    """The harm that the widest interval could hide: unhurt may only mean that nothing could be
    detected."""
    widest = None
    for cell in cells:
        half = cell.gain.half
        if half is not None and (widest is None or half > widest):
            widest = half
    if widest is None:
        return ""
    return (
        f"; the widest interval is ± {widest * POINTS:.1f} points: a smaller harm cannot be "
        "told there"
    )


def _rival_goal(cells: Sequence[GainCell], rival: str, name: str) -> Goal:
    better: list[bool | None] = []
    clear = 0
    for cell in cells:
        if not cell.runs(rival):
            continue
        difference = cell.difference(OURS.name, rival)
        better.append(difference.mean > 0 if difference.n else None)
        clear += difference.low is not None and difference.low > 0
    text = f"real + ours beats {name} in each where both were trained ({_FEW})"
    numbers = "no such detectors"
    if better:
        numbers = (
            f"{counted(better)} that have both arms, of {len(cells)}; "
            f"the interval lies above 0 in {clear}"
        )
    return Goal(text, verdict(better), numbers)


def _closed_goal(cells: Sequence[GainCell]) -> Goal:
    text = (
        "real + ours closes at least half of all gaps in pixel AP that exceed "
        f"{LEAST_GAP * POINTS:.0f} points, together ({_FEW})"
    )
    if not cells:
        return Goal(text, "not measured", "no detectors")
    wide = 0
    gains, gaps = [], []
    for cell in cells:
        cell_gains, cell_gaps = cell.minus(OURS.name, REAL.name), cell.gaps
        wide += bool(cell_gaps)
        runs = cell_gains.keys() & cell_gaps.keys()
        if runs:
            gains.append(sum(map(cell_gains.__getitem__, runs)))
            gaps.append(sum(map(cell_gaps.__getitem__, runs)))
    numbers = f"the gap of the other seeds exceeds it in {wide} of {len(cells)}"
    if not gaps:
        return Goal(text, "not measured", numbers)
    share = interval(shares(gains, gaps))
    numbers += f"; closed {_percent(share)} % of all (interval over these {len(gaps)})"
    numbers += _plain_share(cells)
    return Goal(text, "met" if share.mean >= CLOSED_SHARE else "missed", numbers)


def _plain_share(cells: Sequence[GainCell]) -> str:
    """The plain reading: the mean gain of each cell over its own mean gap, which share their noise;
    the mean over the wide gaps."""
    ratios = []
    for cell in cells:
        gain, gap = cell.gain, cell.difference(CEILING.name, REAL.name)
        if gain.n and gap.n and gap.mean > LEAST_GAP:
            ratios.append(gain.mean / gap.mean)
    mean = interval(ratios)
    if not mean.n:
        return ""
    return (
        f"; the mean of gain over gap, of the {mean.n} whose own mean gap exceeds it: "
        f"{_percent(mean)} %"
    )


def _percent(share: Interval) -> str:
    text = f"{share.mean * POINTS:.0f}"
    return text if share.half is None else f"{text} ± {share.half * POINTS:.0f}"
