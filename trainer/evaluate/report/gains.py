"""Gains of the arms over the known real defects with the half-widths of their intervals, and how
many more draws of the known defects a wanted half-width takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..detectors.arms.real import REAL
from ..rows import Row, place
from .metric_tables import DIFFERENCES
from .statistics import CONFIDENCE, Interval, Runs, more_draws, of_cells, of_runs
from .statistics import minus as difference_of
from .summary import Key, grouped
from .tables import POINTS, Table

WANTED = 0.04
"""Half-width that is aimed at for one class and number of real defects."""
WANTED_MEAN = 0.02
"""The same for the mean over all."""
MEAN = "mean"


@dataclass(frozen=True)
class Gains:
    """Gains of one arm over the known real defects in one metric."""

    arm: str
    cells: Mapping[Key, Runs]
    """Class and number of real defects (the subject is empty) -> gain of each run, paired."""

    @property
    def mean(self) -> Interval:
        """Over all cells, each of which counts once."""
        classes: dict[str, list[Runs]] = {}
        for key, runs in self.cells.items():
            classes.setdefault(f"{key.object}/{key.defect}", []).append(runs)
        return of_cells(classes)

    def of_number(self, k: int) -> Gains:
        """Those of the cells with k known real defects."""
        return Gains(self.arm, {cell: runs for cell, runs in self.cells.items() if cell.k == k})


def gains_of(rows: Sequence[Row], metric: str) -> list[Gains]:
    """The gains of every arm of detectors in one metric, in the order of the rows."""
    gains: dict[str, dict[Key, Runs]] = {}
    groups = grouped(rows)
    for key, runs in groups.items():
        real = groups.get(key._replace(subject=REAL.name), {})
        if (key.part, key.metric) == ("detection", metric) and key.subject != REAL.name:
            difference = difference_of(runs, real)
            if difference:
                gains.setdefault(key.subject, {})[key._replace(subject="")] = difference
    return [Gains(arm, cells) for arm, cells in gains.items()]


def gain_tables(rows: Sequence[Row]) -> list[Table]:
    """The gains in each metric that decides; empty without detectors."""
    tables = [gain_intervals(rows, metric) for metric in DIFFERENCES]
    return list(filter(None, tables))


def gain_intervals(rows: Sequence[Row], metric: str) -> Table | None:
    """Gains in one metric: classes and numbers of real defects down, arms across; last their mean
    for each number, where there are several, and over all. None where there are none."""
    arms = gains_of(rows, metric)
    if not arms:
        return None
    cells = cells_of(arms)
    lines = []
    for cell in cells:
        texts = [place(cell.object, cell.defect, cell.k)]
        for arm in arms:
            runs = arm.cells.get(cell, {})
            texts.append(_text(of_runs(runs), _draws(runs), WANTED))
        lines.append(tuple(texts))
    numbers = list(dict.fromkeys(cell.k for cell in cells))
    if len(numbers) > 1:
        for k in numbers:
            of_number = [_mean_text(arm.of_number(k)) for arm in arms]
            lines.append((f"{MEAN}, k = {k or 'all'}", *of_number))
    if len(cells) > 1:
        lines.append((MEAN, *map(_mean_text, arms)))
    note = (
        f"Points of {metric} over {REAL.name}, paired by fold, draw and seed, ± half of the "
        f"{CONFIDENCE:.0%} interval. In brackets: more draws of the known defects for each fold, "
        f"class and number that ± {WANTED * POINTS:.0f} points would take, ± "
        f"{WANTED_MEAN * POINTS:.0f} for the mean. n: cells of the mean."
    )
    columns = ("class", *(arm.arm for arm in arms))
    return Table(f"{metric}: gains and their half-widths", note, columns, tuple(lines))


def cells_of(arms: Sequence[Gains]) -> list[Key]:
    """The cells of all arms, each once, in their order."""
    cells: dict[Key, None] = {}
    for arm in arms:
        cells |= dict.fromkeys(arm.cells)
    return list(cells)


def _mean_text(arm: Gains) -> str:
    """The mean over the cells of one arm; empty without any."""
    if not arm.cells:
        return ""
    draws = max(map(_draws, arm.cells.values()))
    return f"{_text(arm.mean, draws, WANTED_MEAN)} (n = {len(arm.cells)})"


def _draws(runs: Runs) -> int:
    """Draws of a fold, the largest number of them."""
    draws: dict[int, set[int]] = {}
    for fold, draw, _ in runs:
        draws.setdefault(fold, set()).add(draw)
    return max(map(len, draws.values()), default=0)


def _text(gain: Interval, draws: int, wanted: float) -> str:
    if not gain.n:
        return ""
    text = f"{gain.mean * POINTS:+.1f}"
    if gain.half is None:
        return text
    further = more_draws(gain.half, wanted, draws)
    return f"{text} ± {gain.half * POINTS:.1f} ({f'{further} more' if further else 'enough'})"
