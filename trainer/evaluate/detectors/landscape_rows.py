"""Loss landscapes of the detectors: one unit of the store for each cell and arm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from bgdefect_core.pictures.picture import Pixels

from ..plan.plan import Cell
from ..rows import Measurement, Row
from .detection import Detectors
from .fit import draw_batch
from .landscape import Batches, landscape, top_eigenvalue
from .pictures import FoldPictures, Pair
from .plans import ArmPlan
from .settings import LandscapeSettings
from .training_data import ArmData
from .truth import defect_of

BATCH = 8
"""Crops a batch."""
Grid = list[list[float]]
"""Losses: rows a = -1..1, columns b = -1..1."""


@dataclass(frozen=True)
class Landscapes:
    """Measures the first seed's detectors of the arms that declare a landscape."""

    settings: LandscapeSettings
    detectors: Detectors
    seed: int
    """Of the crops and the directions."""

    def rows(
        self, cell: Cell, pictures: FoldPictures, plans: Sequence[ArmPlan]
    ) -> tuple[list[Row], dict[str, Grid]]:
        """Rows, and name -> loss surface of each detector, on crops of the test side."""
        rows: list[Row] = []
        grids: dict[str, Grid] = {}
        points, crops = self.settings.landscape_points, self.settings.landscape_crops
        first_seed = self.detectors.seeds[0]
        reference = f"focal loss on {crops} crops of the test side"
        for plan in plans:
            if not plan.arm.landscape:
                continue
            name, settings = self.detectors.key(cell, plan, first_seed)
            settings |= {"points": points, "crops": crops, "eigenvalue": "lanczos"}
            measure = partial(self._measure, cell, pictures, plan)
            unit = self.detectors.store.get("landscape", name, settings, measure)
            grids[f"{cell.name}: {plan.arm.name}"] = unit["grid"]
            middle = unit["grid"][points // 2][points // 2]
            figures = Measurement("landscape", cell, plan.arm.name, crops, reference, first_seed)
            rows.append(figures.row("top Hessian eigenvalue", unit["eigenvalue"]))
            rows.append(figures.row("loss at the minimum", middle))
        return rows, grids

    def _measure(self, cell: Cell, pictures: FoldPictures, plan: ArmPlan) -> dict[str, Any]:
        net = self.detectors.detector(cell, pictures, plan)
        batches = self._batches(pictures)
        grid = landscape(net, batches, self.settings.landscape_points, self.seed)
        return {"grid": grid.tolist(), "eigenvalue": top_eigenvalue(net, batches, self.seed)}

    def _batches(self, pictures: FoldPictures) -> Batches:
        """Fixed crops of the test side; half of the draws have a defect."""
        defects: list[Pair] = []
        good: list[Pixels] = []
        for picture, truth in pictures.test:
            if defect_of(truth).any():
                defects.append((picture, truth))
            else:
                good.append(picture)
        data = ArmData(good, defects)
        side, device = self.detectors.settings.crop, self.detectors.device
        batches = []
        for step in range(self.settings.landscape_crops // BATCH):
            crops, truths = draw_batch(data, BATCH, side, 0.0, self.seed, step)
            batches.append((crops.to(device), truths.to(device)))
        return batches
