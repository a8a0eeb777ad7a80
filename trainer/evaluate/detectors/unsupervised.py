"""Unsupervised baselines: they learn from good pictures alone, and so are the same for every number
of shots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

from bgdefect_core.pictures.picture import Pixels

from ..plan.plan import Cell
from ..rows import Row
from ..store import Store
from .detection import detection_rows
from .metrics import detection_metrics, highest
from .pictures import FoldPictures
from .truth import Map


class Baseline(Protocol):
    """An unsupervised method with its settings."""

    kind: ClassVar[str]
    """Of its units in the store."""
    subject: ClassVar[str]
    """Its name in the tables."""

    @property
    def seed(self) -> int:
        """Of everything random."""

    def key(self) -> dict[str, Any]:
        """All settings that decide its maps, as JSON."""

    def maps(self, good: Sequence[Pixels], test: Sequence[Pixels]) -> Sequence[Map]:
        """Anomaly maps of the test pictures after learning from the good ones."""


def baseline_rows(
    baseline: Baseline, store: Store, cell: Cell, pictures: FoldPictures
) -> list[Row]:
    """The figures of a baseline on one fold."""

    def measure() -> dict[str, Any]:
        test, truths = zip(*pictures.test, strict=True)
        maps = baseline.maps(pictures.good, test)
        return dict(detection_metrics(truths, maps, highest))

    settings = {"split": cell.data.digest, "resolution": pictures.side}
    settings |= cell.data.ignored | baseline.key()
    figures = store.get(baseline.kind, cell.data.name, settings, measure)
    return detection_rows(cell, baseline.subject, figures, baseline.seed)
