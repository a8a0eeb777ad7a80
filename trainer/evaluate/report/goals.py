"""What the project wants to reach, judged by code from the measured rows: met, missed, or not
measured, each with its numbers.

The limits stood before the measurement. How the share of the gap is taken changed after the first
one, since a run's gain and its gap share their noise: the plain reading stands beside it. The gap
to all real defects is shown before the gain: where there is none, nothing can be closed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from bgdefect_core.method.signals import SIGNALS

from ...generation.config import GenerateConfig
from ..measures.features import NAME
from ..rows import CEILING, REAL, Row, place
from ..samples.methods import Method
from .rows import Key, grouped
from .statistics import (
    LEAST_GAP,
    Interval,
    Runs,
    closed_gap,
    interval,
    minus,
    other_gaps,
    paired,
    shares,
)
from .tables import POINTS, RUNS_NOTE, Table, pivot

Verdict = Literal["met", "missed", "not measured"]
DISTANCE = f"kernel distance ({NAME}, defect)"
"""The feature distance of the goal: the one that does not depend on the number of pictures."""
JUDGED = "pixel_ap"
OURS = "real+ours refined"
RIVALS = {"real+cutpaste": "CutPaste", "real+perlin": "Perlin"}
MOST_SHOTS = 10
"""The detection goals are about 1 to so many real defects; other numbers are shown."""
CLOSED_SHARE, IOU_GAIN = 0.5, 0.10
_UNWEIGHTED = "disentangled, mask weight 1"
_WORDS: dict[bool | None, str] = {True: "yes", False: "no", None: "not measured"}


@dataclass(frozen=True)
class Measured:
    """The rows of one evaluation and the generators that they name."""

    generators: tuple[Method, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Goal:
    """One goal and what came of it."""

    text: str
    verdict: Verdict
    numbers: str


@dataclass(frozen=True)
class Goals:
    """All goals, and the tables that they were judged by."""

    goals: tuple[Goal, ...]
    tables: tuple[Table, ...]

    def overview(self) -> Table:
        """One line a goal."""
        return Table(
            "Verdicts",
            "",
            ("goal", "verdict", "numbers"),
            tuple((one.text, one.verdict, one.numbers) for one in self.goals),
        )

    def lines(self) -> list[str]:
        """For the terminal."""
        return [f"goal {one.verdict}: {one.text} ({one.numbers})" for one in self.goals]


def judge(measured: Sequence[Measured]) -> Goals:
    """Judge all goals.

    Args:
        measured: evaluations of the classes that count. Runs of one class and number of real
            defects are put together.
    """
    rows = [row for one in measured for row in one.rows]
    distance, distance_table = _distances(measured)
    masks, mask_table = _masks(measured)
    cells = _gain_cells(grouped(rows))
    tables = (distance_table, mask_table, _gain_table(cells))
    return Goals(
        (distance, *masks, *_detection_goals(cells)),
        tuple(table for table in tables if table is not None),
    )


def _verdict(reached: Sequence[bool | None]) -> Verdict:
    """One class that fails is enough; one that was not measured leaves the goal open."""
    if False in reached:
        return "missed"
    return "not measured" if not reached or None in reached else "met"


def _counted(reached: Sequence[bool | None]) -> str:
    text = f"in {reached.count(True)} of {len(reached)}"
    return text + (f" ({reached.count(None)} not measured)" if None in reached else "")


def _alike(generators: Sequence[Method]) -> list[Method]:
    """The generators that differ from the first in nothing but the loss and its weight inside the
    mask."""

    def others(spec: Method) -> dict[str, object]:
        return {
            name: value for name, value in spec.train.items() if name not in ("loss", "mask_weight")
        }

    first = generators[0]
    return [
        spec
        for spec in generators[1:]
        if spec.generate == first.generate and others(spec) == others(first)
    ]


def naive_of(generators: Sequence[Method]) -> Method | None:
    """The generator that differs from the first in its loss, which has no weight inside the mask;
    None where there is none."""
    return next((spec for spec in _alike(generators) if spec.train.get("loss") == "naive"), None)


def unweighted_of(generators: Sequence[Method]) -> Method | None:
    """The one with the first's loss and a weight of 1: it differs from the naive one in the loss
    alone."""
    return next(
        (
            spec
            for spec in _alike(generators)
            if spec.train.get("mask_weight") == 1 and "loss" not in spec.train
        ),
        None,
    )


def _distances(measured: Sequence[Measured]) -> tuple[Goal, Table | None]:
    """Table 4's question: is the first generator nearer to the held-out real defects than the same
    with the naive loss?"""
    cells: dict[tuple[str, str], Runs] = {}
    for one in measured:
        naive = naive_of(one.generators)
        names = {one.generators[0].name: "disentangled"} | ({naive.name: "naive"} if naive else {})
        unweighted = unweighted_of(one.generators)
        names |= {unweighted.name: _UNWEIGHTED} if unweighted else {}
        for key, runs in grouped(one.rows).items():
            if naive and (key.part, key.metric) == ("realism", DISTANCE) and key.subject in names:
                cells.setdefault(
                    (place(key.object, key.defect, key.k), names[key.subject]), {}
                ).update(runs)
    reached: list[bool | None] = []
    for where in dict.fromkeys(line for line, _ in cells):
        ours, theirs = (cells.get((where, name), {}) for name in ("disentangled", "naive"))
        found = cells[where, "naive minus disentangled"] = minus(theirs, ours)
        cells[where, f"naive minus {_UNWEIGHTED}"] = minus(
            theirs, cells.get((where, _UNWEIGHTED), {})
        )
        reached.append(interval(list(found.values())).mean > 0 if found else None)
    text = (
        "the disentangled loss gives a smaller feature distance than the naive one in every class"
    )
    table = _with_column(
        pivot(f"Losses: {DISTANCE}", cells, note=RUNS_NOTE),
        "disentangled is better",
        [_WORDS[one] for one in reached],
    )
    return Goal(
        text, _verdict(reached), _counted(reached) + " classes" if reached else "no pair of losses"
    ), table


def _masks(measured: Sequence[Measured]) -> tuple[list[Goal], Table | None]:
    """Table 5's question on real pictures, for each signal by its name: which one did best is not
    chosen afterwards."""
    cells: dict[tuple[str, str], Runs] = {}
    gains: dict[str, dict[str, Runs]] = {}
    own: dict[str, str] = {}
    for one in measured:
        first = one.generators[0]
        for key, runs in grouped(one.rows).items():
            name, _, signal = key.subject.partition(": ")
            if key.part != "masks on real defects" or name != first.name:
                continue
            where = place(key.object, key.defect, key.k)
            own[where] = str(first.generate.get("signal", GenerateConfig.signal))
            if (key.metric, signal) == ("iou", "requested"):
                cells.setdefault((where, signal), {}).update(runs)
            elif key.metric == "iou minus requested":
                gains.setdefault(where, {}).setdefault(signal, {}).update(runs)
    for where, found in gains.items():
        for signal in SIGNALS:
            cells[where, f"{signal} minus requested"] = found.get(signal, {})
    table = pivot(
        "Masks: IoU with the human mask on held-out real defects, then the gain of each signal",
        cells,
        note=RUNS_NOTE,
    )
    table = _with_column(
        table,
        "the samples' labels are made by",
        [own[line[0]] for line in table.lines] if table else [],
    )
    return [
        _mask_goal(signal, [gains.get(where, {}).get(signal, {}) for where in own])
        for signal in SIGNALS
    ], table


def _mask_goal(signal: str, classes: Sequence[Runs]) -> Goal:
    text = f"the mask refined by {signal} agrees better with the human mask than the requested one in every class, IoU +{IOU_GAIN:.2f}"
    means = [interval(list(runs.values())).mean if runs else None for runs in classes]
    reached = [None if mean is None else mean >= IOU_GAIN for mean in means]
    known = [mean for mean in means if mean is not None]
    numbers = f"{_counted(reached)} classes" + (
        f"; gains from {min(known):+.2f} to {max(known):+.2f}" if known else ""
    )
    return Goal(text, _verdict(reached), numbers if reached else "no masks on real defects")


@dataclass(frozen=True)
class _GainCell:
    """The arms of one class and number of real defects."""

    where: str
    k: int
    arms: dict[str, Runs]

    def minus(self, arm: str, other: str) -> Runs:
        """Paired differences; empty where one was not trained."""
        return minus(self.arms.get(arm, {}), self.arms.get(other, {}))

    def difference(self, arm: str, other: str) -> Interval:
        return paired(self.arms.get(arm, {}), self.arms.get(other, {}))

    @property
    def closed(self) -> Runs:
        """The share of the gap that ours close, run by run; empty where the gap is too small, or
        not measured."""
        return closed_gap(self.arms.get(OURS, {}), self.arms[REAL], self.arms.get(CEILING, {}))

    @property
    def gaps(self) -> Runs:
        """The gaps of the other seeds, of the runs in which they exceed ``LEAST_GAP``."""
        return other_gaps(self.arms[REAL], self.arms.get(CEILING, {}))

    @property
    def hurts(self) -> bool | None:
        """Whether the whole interval of the gain lies below 0; None with fewer than two runs."""
        high = self.difference(OURS, REAL).high
        return None if high is None else high < 0

    @property
    def counts(self) -> bool:
        return 1 <= self.k <= MOST_SHOTS


def _gain_cells(groups: dict[Key, Runs]) -> list[_GainCell]:
    arms: dict[tuple[str, str, int], dict[str, Runs]] = {}
    for key, runs in groups.items():
        if (key.part, key.metric) == ("detection", JUDGED):
            arms.setdefault((key.object, key.defect, key.k), {})[key.subject] = runs
    return [
        _GainCell(place(*where), where[2], found)
        for where, found in arms.items()
        if found.get(REAL)
    ]


def _gain_table(cells: Sequence[_GainCell]) -> Table | None:
    """The gap, then the gain."""
    found: dict[tuple[str, str], Runs] = {}
    for cell in cells:
        found[cell.where, "real"] = cell.arms[REAL]
        found[cell.where, "ceiling"] = cell.arms.get(CEILING, {})
        found[cell.where, "gap"] = cell.minus(CEILING, REAL)
        found[cell.where, "gain of ours"] = cell.minus(OURS, REAL)
        found[cell.where, "share closed (%)"] = cell.closed
        for arm, name in RIVALS.items():
            found[cell.where, f"ours minus {name}"] = cell.minus(OURS, arm)
    note = (
        f"Points of {JUDGED}; differences are paired by fold and seed. Ours: {OURS}. A share is given where the gap of the "
        f"other seeds exceeds {LEAST_GAP * POINTS:.0f} points; it is each run's gain over the gap of the others. {RUNS_NOTE}"
    )
    table = pivot(
        "Detection: the gap to all real defects, then the gain",
        found,
        POINTS,
        note=note,
        decimals=1,
    )
    table = _with_column(table, "hurts", [_WORDS[cell.hurts] for cell in cells])
    return _with_column(table, "counts for the goals", [_WORDS[cell.counts] for cell in cells])


def _detection_goals(cells: Sequence[_GainCell]) -> list[Goal]:
    counted = [cell for cell in cells if cell.counts]
    harmless = [None if cell.hurts is None else not cell.hurts for cell in counted]
    few = f"k up to {MOST_SHOTS}"
    goals = [
        _closed_goal(counted, few),
        Goal(
            f"real + ours hurts in none ({few}): no interval of the paired difference lies below 0",
            _verdict(harmless),
            f"unhurt {_counted(harmless)}{_power(counted)}" if harmless else "no detectors",
        ),
    ]
    for arm, name in RIVALS.items():
        against = [cell.difference(OURS, arm) for cell in counted if cell.arms.get(arm)]
        better = [one.mean > 0 if one.n else None for one in against]
        clear = sum(one.low is not None and one.low > 0 for one in against)
        both = f"{_counted(better)} that have both arms, of {len(counted)}"
        numbers = f"{both}; the interval lies above 0 in {clear}" if better else "no such detectors"
        goals.append(
            Goal(
                f"real + ours beats {name} in each where both were trained ({few})",
                _verdict(better),
                numbers,
            )
        )
    return goals


def _power(counted: Sequence[_GainCell]) -> str:
    """How much harm the widest interval could hide: unhurt may only mean that nothing could be
    seen."""
    found = [cell.difference(OURS, REAL) for cell in counted]
    widest = max((one.mean - one.low for one in found if one.low is not None), default=None)
    return (
        ""
        if widest is None
        else f"; the widest interval is ± {widest * POINTS:.1f} points: a smaller harm cannot be told there"
    )


def _closed_goal(counted: Sequence[_GainCell], few: str) -> Goal:
    text = f"real + ours closes at least half of all gaps in pixel AP that exceed {LEAST_GAP * POINTS:.0f} points, together ({few})"
    wide = [(cell.minus(OURS, REAL), cell.gaps) for cell in counted if cell.gaps]
    numbers = (
        f"the gap of the other seeds exceeds it in {len(wide)} of {len(counted)}"
        if counted
        else "no detectors"
    )
    runs = [(gains, gaps, gains.keys() & gaps.keys()) for gains, gaps in wide]
    sums = [
        (sum(gains[run] for run in both), sum(gaps[run] for run in both))
        for gains, gaps, both in runs
        if both
    ]
    if not sums:
        return Goal(text, "not measured", numbers)
    share = interval(shares([gain for gain, _ in sums], [gap for _, gap in sums]))
    reach = "" if share.low is None else f" ± {(share.mean - share.low) * POINTS:.0f}"
    numbers += (
        f"; closed {share.mean * POINTS:.0f}{reach} % of all (interval over these {len(sums)})"
    )
    numbers += _plain_share(counted)
    return Goal(text, "met" if share.mean >= CLOSED_SHARE else "missed", numbers)


def _plain_share(counted: Sequence[_GainCell]) -> str:
    """The same read plainly: each cell's mean gain over its own mean gap, which share their noise;
    the mean over the wide gaps."""
    pairs = [(cell.difference(OURS, REAL), cell.difference(CEILING, REAL)) for cell in counted]
    found = interval(
        [gain.mean / gap.mean for gain, gap in pairs if gain.n and gap.n and gap.mean > LEAST_GAP]
    )
    if not found.n:
        return ""
    reach = "" if found.low is None else f" ± {(found.mean - found.low) * POINTS:.0f}"
    return f"; the mean of gain over gap, of the {found.n} whose own mean gap exceeds it: {found.mean * POINTS:.0f}{reach} %"


def _with_column(table: Table | None, title: str, values: Sequence[str]) -> Table | None:
    if table is None:
        return None
    lines = tuple((*line, value) for line, value in zip(table.lines, values, strict=True))
    return replace(table, columns=(*table.columns, title), lines=lines)
