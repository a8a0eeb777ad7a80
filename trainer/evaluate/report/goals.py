"""The goals of the project, judged from the measured rows.

The limits were fixed before the measurement. How the share of the gap is taken changed after the
first one, since the gain and the gap of a run share their noise; the plain reading is given beside
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bgdefect_core.method.signals import DEFAULT_SIGNAL, SIGNALS

from ..measures.features import NAME
from ..rows import Row, place
from ..samples.methods import Method
from .alarm_goals import alarm_goal
from .detection_goals import detection_goals, gain_cells, gain_table
from .statistics import Runs, interval, minus
from .summary import grouped
from .tables import RUNS_NOTE, Cells, Table, lines_of, pivot
from .verdicts import WORDS, Goal, Goals, counted, verdict, with_column

DISTANCE = f"kernel distance ({NAME}, defect)"
"""The feature distance of the goal: it does not depend on the number of pictures."""
IOU_GAIN = 0.10
_FIRST, _NAIVE, _UNWEIGHTED = "disentangled", "naive", "disentangled, mask weight 1"


@dataclass(frozen=True)
class Measured:
    """The rows of one evaluation and the generation methods that they name."""

    methods: tuple[Method, ...]
    rows: tuple[Row, ...]


def judge(measured: Sequence[Measured]) -> Goals:
    """Judge all goals.

    Args:
        measured: evaluations of the classes that count. Runs of one class and number of real
            defects are joined.
    """
    rows: list[Row] = []
    for evaluation in measured:
        rows += evaluation.rows
    loss_goal, loss_table = _loss_goal(measured)
    mask_goals, mask_table = _mask_goals(measured)
    groups = grouped(rows)
    cells = gain_cells(groups)
    tables = (loss_table, mask_table, gain_table(cells))
    goals = (loss_goal, *mask_goals, *detection_goals(cells), alarm_goal(groups))
    return Goals(goals, tuple(filter(None, tables)))


def _alike(methods: Sequence[Method]) -> list[Method]:
    """The methods that differ from the first in the loss and its weight inside the mask alone."""

    def training(method: Method) -> dict[str, object]:
        settings = dict(method.train)
        settings.pop("loss", None)
        settings.pop("mask_weight", None)
        return settings

    first = methods[0]
    alike = []
    for method in methods[1:]:
        if method.generate == first.generate and training(method) == training(first):
            alike.append(method)
    return alike


def naive_of(methods: Sequence[Method]) -> Method | None:
    """The method that differs from the first in its loss alone; None where there is none. The naive
    loss has no weight inside the mask."""
    for method in _alike(methods):
        if method.train.get("loss") == "naive":
            return method
    return None


def unweighted_of(methods: Sequence[Method]) -> Method | None:
    """The method with the loss of the first and a weight of 1; None where there is none. It differs
    from the naive one in the loss alone."""
    for method in _alike(methods):
        if method.train.get("mask_weight") == 1 and "loss" not in method.train:
            return method
    return None


def _loss_goal(measured: Sequence[Measured]) -> tuple[Goal, Table | None]:
    """The question of Table 4: is the first method nearer to the held-out real defects than the
    same method with the naive loss?"""
    cells: Cells = {}
    for evaluation in measured:
        naive, unweighted = naive_of(evaluation.methods), unweighted_of(evaluation.methods)
        if naive is None:
            continue
        columns = {evaluation.methods[0].name: _FIRST, naive.name: _NAIVE}
        if unweighted is not None:
            columns[unweighted.name] = _UNWEIGHTED
        for key, runs in grouped(evaluation.rows).items():
            if (key.part, key.metric) == ("realism", DISTANCE) and key.subject in columns:
                line = place(key.object, key.defect, key.k)
                cells.setdefault((line, columns[key.subject]), {}).update(runs)

    reached: list[bool | None] = []
    for line in lines_of(cells):
        naive_runs = cells.get((line, _NAIVE), {})
        gains = minus(naive_runs, cells.get((line, _FIRST), {}))
        cells[line, f"{_NAIVE} minus {_FIRST}"] = gains
        unweighted_runs = cells.get((line, _UNWEIGHTED), {})
        cells[line, f"{_NAIVE} minus {_UNWEIGHTED}"] = minus(naive_runs, unweighted_runs)
        reached.append(interval(list(gains.values())).mean > 0 if gains else None)

    table = pivot(f"Losses: {DISTANCE}", cells, note=RUNS_NOTE)
    table = with_column(table, "disentangled is better", [WORDS[better] for better in reached])
    text = (
        "the disentangled loss gives a smaller feature distance than the naive one in every class"
    )
    numbers = f"{counted(reached)} classes" if reached else "no pair of losses"
    return Goal(text, verdict(reached), numbers), table


def _mask_goals(measured: Sequence[Measured]) -> tuple[list[Goal], Table | None]:
    """The question of Table 5 on real pictures, for each signal by its name: the best one is not
    chosen afterwards."""
    cells: Cells = {}
    gains: Cells = {}
    label_signals: dict[str, str] = {}
    for evaluation in measured:
        first = evaluation.methods[0]
        for key, runs in grouped(evaluation.rows).items():
            name, _, signal = key.subject.partition(": ")
            if key.part != "masks on real defects" or name != first.name:
                continue
            line = place(key.object, key.defect, key.k)
            label_signals[line] = str(first.generate.get("signal", DEFAULT_SIGNAL))
            if (key.metric, signal) == ("iou", "requested"):
                cells.setdefault((line, signal), {}).update(runs)
            elif key.metric == "iou minus requested":
                gains.setdefault((line, signal), {}).update(runs)
    for line in lines_of(gains):
        for signal in SIGNALS:
            cells[line, f"{signal} minus requested"] = gains.get((line, signal), {})

    title = "Masks: IoU with the human mask on held-out real defects, then the gain of each signal"
    table = pivot(title, cells, note=RUNS_NOTE)
    if table is not None:
        signals = [label_signals[line[0]] for line in table.lines]
        table = with_column(table, "the samples' labels are made by", signals)
    goals = []
    for signal in SIGNALS:
        classes = [gains.get((line, signal), {}) for line in label_signals]
        goals.append(_mask_goal(signal, classes))
    return goals, table


def _mask_goal(signal: str, classes: Sequence[Runs]) -> Goal:
    """The goal of one signal.

    Args:
        classes: gains in IoU; empty where they were not measured.
    """
    reached: list[bool | None] = []
    means = []
    for runs in classes:
        mean = interval(list(runs.values())).mean
        reached.append(mean >= IOU_GAIN if runs else None)
        if runs:
            means.append(mean)
    text = (
        f"the mask refined by {signal} agrees better with the human mask than the requested one in "
        f"every class, IoU +{IOU_GAIN:.2f}"
    )
    numbers = f"{counted(reached)} classes"
    if means:
        numbers += f"; gains from {min(means):+.2f} to {max(means):+.2f}"
    return Goal(text, verdict(reached), numbers if reached else "no masks on real defects")
