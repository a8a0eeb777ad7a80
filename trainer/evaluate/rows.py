"""One figure of the results, and what was not measured."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from .plan.plan import Cell


@dataclass(frozen=True)
class Row:
    """One measured figure."""

    part: str
    object: str
    defect: str
    fold: int
    k: int
    """Known real defects; 0: all of the training side."""
    draw: int
    """Number of the random choice of the known ones."""
    seed: int | None
    """Of the detector, or of subsets; None where nothing is random."""
    subject: str
    """Arm, method or signal."""
    metric: str
    value: float | None
    """None: not defined there."""
    n: int
    """Number of pictures."""
    reference: str
    """What it is measured against, with the number of pictures."""
    split: str
    """Split file, relative to the output."""


@dataclass(frozen=True)
class Measurement:
    """Figures of one subject in one cell, which share everything but metric and value."""

    part: str
    cell: Cell
    subject: str
    n: int
    """Number of pictures."""
    reference: str
    seed: int | None = None

    def row(self, metric: str, value: float | None) -> Row:
        """The row of one metric; a value that is not finite counts as not defined."""
        data = self.cell.data
        return Row(
            part=self.part,
            object=data.object,
            defect=data.defect,
            fold=data.number,
            k=self.cell.k,
            draw=self.cell.draw,
            seed=self.seed,
            subject=self.subject,
            metric=metric,
            value=None if value is None or not isfinite(value) else float(value),
            n=self.n,
            reference=self.reference,
            split=data.split_file,
        )


@dataclass(frozen=True)
class Skip:
    """What was not measured, and why."""

    what: str
    why: str


def place(object: str, defect: str, k: int) -> str:
    """Title of a class with its number of known real defects."""
    return f"{object} / {defect}, k = {k or 'all'}"
