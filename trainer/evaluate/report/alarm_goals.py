"""The goal about false alarms: at the threshold that finds the known defects, each held out in
turn, no more good pictures are called defective than without generated defects."""

from __future__ import annotations

from ..detectors.alarms import ALARMS, DETECTED, FOUND, PART
from ..detectors.arms.generated import OURS
from ..detectors.arms.real import REAL
from ..rows import place
from .statistics import Runs, minus, of_cells
from .summary import Key
from .tables import MOST_SHOTS, POINTS, Cells, Table, in_points, pivot
from .verdicts import Goal


def alarm_goal(groups: dict[Key, Runs]) -> Goal:
    """Ours against real, in the mean over the cells that count; each at its own threshold."""
    text = (
        f"{OURS.name}: good pictures called defective at the threshold that finds {FOUND:.0%} of "
        f"the known defects, each held out in turn: not more than {REAL.name} at its own, mean "
        f"(k up to {MOST_SHOTS})"
    )
    classes: dict[str, list[Runs]] = {}
    for key, runs in groups.items():
        if (key.part, key.metric, key.subject) != (PART, ALARMS, OURS.name):
            continue
        added = minus(runs, groups.get(key._replace(subject=REAL.name), {}))
        if added and 1 <= key.k <= MOST_SHOTS:
            classes.setdefault(f"{key.object}/{key.defect}", []).append(added)
    mean = of_cells(classes)
    if not mean.n:
        return Goal(text, "not measured", "no threshold of held-out known defects")
    return Goal(text, "met" if mean.mean <= 0 else "missed", in_points(mean))


def alarm_tables(groups: dict[Key, Runs]) -> list[Table]:
    """Alarms of every arm, their paired differences against real, and the held-out defects that
    the same thresholds find."""
    alarms: Cells = {}
    differences: Cells = {}
    detected: Cells = {}
    for key, runs in groups.items():
        line = place(key.object, key.defect, key.k)
        if (key.part, key.metric) == (PART, DETECTED):
            detected[line, key.subject] = runs
        if (key.part, key.metric) != (PART, ALARMS):
            continue
        alarms[line, key.subject] = runs
        if key.subject != REAL.name:
            real = groups.get(key._replace(subject=REAL.name), {})
            differences[line, key.subject] = minus(runs, real)
    note = (
        "Points. The threshold of each arm is its own: detectors that do not know a part of the "
        "known defects score that part. It is applied to the detector that knows all of them."
    )
    tables = (
        pivot(f"Alarms: {ALARMS}", alarms, POINTS, note=note, decimals=1),
        pivot(
            "Alarms: difference against real only, paired",
            differences,
            POINTS,
            sign=True,
            note="Points.",
            decimals=1,
        ),
        pivot(f"Alarms: {DETECTED}", detected, POINTS, note="Points.", decimals=1),
    )
    return list(filter(None, tables))
