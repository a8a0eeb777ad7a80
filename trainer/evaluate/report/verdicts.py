"""Goals with their verdicts: met, missed, or not measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from .tables import Table

Verdict = Literal["met", "missed", "not measured"]
WORDS: dict[bool | None, str] = {True: "yes", False: "no", None: "not measured"}


@dataclass(frozen=True)
class Goal:
    """One goal and its result."""

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
        lines = [(goal.text, goal.verdict, goal.numbers) for goal in self.goals]
        return Table("Verdicts", "", ("goal", "verdict", "numbers"), tuple(lines))

    def lines(self) -> list[str]:
        """For the terminal."""
        lines = []
        for goal in self.goals:
            lines.append(f"goal {goal.verdict}: {goal.text} ({goal.numbers})")
        return lines


def verdict(reached: Sequence[bool | None]) -> Verdict:
    """The verdict on a goal for all classes: one that fails is enough to miss it, one that was not
    measured leaves it open.

    Args:
        reached: of each class; None: not measured.
    """
    if False in reached:
        return "missed"
    return "not measured" if not reached or None in reached else "met"


def counted(reached: Sequence[bool | None]) -> str:
    """How many classes reach the goal, as text."""
    text = f"in {reached.count(True)} of {len(reached)}"
    return text + (f" ({reached.count(None)} not measured)" if None in reached else "")


def with_column(table: Table | None, title: str, values: Sequence[str]) -> Table | None:
    """The table with one more column, a value a line."""
    if table is None:
        return None
    lines = [(*line, value) for line, value in zip(table.lines, values, strict=True)]
    return replace(table, columns=(*table.columns, title), lines=tuple(lines))
