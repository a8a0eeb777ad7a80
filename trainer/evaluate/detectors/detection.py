"""The detectors of an evaluation: one unit of the store for each cell, arm and seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import nn

from bgdefect_core.files import atomic_write
from bgdefect_core.pictures.writing import write_picture

from ..plan.plan import Cell
from ..rows import Measurement, Row, place
from ..store import Store
from .arms.real import CEILING, REAL
from .fit import fit, score_detector
from .maps import map_strip
from .metrics import METRICS, picture_figures
from .networks import NETWORKS
from .networks.network import seeded
from .pictures import FoldPictures
from .plans import ALL_KNOWN, ArmPlan
from .settings import DetectorSettings

PICTURES = "pictures"
"""Key of the figures of each test picture."""


@dataclass(frozen=True)
class Detectors:
    """Trains and tests detectors, each once; those of the first draw and seed are
    kept where their arm shows a landscape or maps."""

    settings: DetectorSettings
    seeds: tuple[int, ...]
    store: Store
    device: torch.device

    def rows(self, cell: Cell, pictures: FoldPictures, plans: Sequence[ArmPlan]) -> list[Row]:
        """The figures of every arm and seed. Seeds are the inner loop, so that a stopped run
        compares whole arms."""
        rows: list[Row] = []
        for plan in plans:
            for seed in self.seeds:
                figures = self.figures(cell, pictures, plan, seed)
                rows += detection_rows(cell, plan.arm.name, figures, seed)
        return rows

    def figures(
        self, cell: Cell, pictures: FoldPictures, plan: ArmPlan, seed: int
    ) -> dict[str, Any]:
        """The metrics of one detector, and the figures of each test picture under ``PICTURES``."""
        name, settings = self.key(cell, plan, seed)
        measure = partial(self._measure, cell, pictures, plan, seed)
        return self.store.get("detector", name, settings, measure)

    def picture_figures(
        self, cell: Cell, pictures: FoldPictures, plan: ArmPlan, seed: int
    ) -> dict[str, Any]:
        """The figures of each test picture, of one detector."""
        return dict(self.figures(cell, pictures, plan, seed)[PICTURES])

    def map_files(self, cell: Cell, plans: Sequence[ArmPlan]) -> dict[str, Path]:
        """Title -> picture of the first seed's maps, of the arms that show them."""
        files = {}
        for plan in plans:
            path = self._file(cell, plan, "pictures", "png")
            if plan.arm.maps and path.is_file():
                data, k = cell.data, trained_on(cell, plan).k
                title = (
                    f"{place(data.object, data.defect, k)}, fold {data.number}, {plan.arm.name}, "
                    f"seed {self.seeds[0]}: held-out defects with their human masks, each beside "
                    "the detector's map"
                )
                files[title] = path
        return files

    def detector(self, cell: Cell, pictures: FoldPictures, plan: ArmPlan) -> nn.Module:
        """The first seed's trained detector; trained again where its file is gone."""
        seed = self.seeds[0]
        path = self._file(cell, plan, "detectors", "safetensors")
        if not path.is_file():
            self._measure(cell, pictures, plan, seed)
        net = seeded(NETWORKS[self.settings.network], self.settings.width, seed)
        net.load_state_dict(load_file(path))
        return net.to(self.device).eval()

    def key(self, cell: Cell, plan: ArmPlan, seed: int) -> tuple[str, dict[str, Any]]:
        """Name and settings of a unit. Where all real defects are known, real only is the ceiling
        and shares its unit."""
        cell = trained_on(cell, plan)
        arm, data = plan.arm.name, plan.settings
        if plan.arm == REAL and cell.k == 0:
            arm, data = CEILING.name, ALL_KNOWN
        settings: dict[str, Any] = {"split": cell.data.digest, "arm": arm, "seed": seed}
        for name, value in asdict(self.settings).items():
            if plan.arm.has_both or name not in ("schedule", "synthetic_share"):
                settings[name.removeprefix("detector_")] = value
        return f"{cell.name}-{arm}-s{seed}", settings | cell.data.ignored | data

    def _measure(
        self, cell: Cell, pictures: FoldPictures, plan: ArmPlan, seed: int
    ) -> dict[str, Any]:
        net = fit(plan.data(), self.settings, seed, self.device)
        metrics, maps = score_detector(net, pictures.test)
        truths = [truth for _, truth in pictures.test]
        figures = {**metrics, PICTURES: picture_figures(truths, maps)}
        if cell.draw or seed != self.seeds[0]:
            return figures
        if plan.arm.landscape:
            state = net.cpu().state_dict()
            weights = {name: tensor.contiguous() for name, tensor in state.items()}
            with atomic_write(self._file(cell, plan, "detectors", "safetensors")) as file:
                file.write(save(weights))
        if plan.arm.maps:
            strip = map_strip(pictures.test, maps)
            write_picture(self._file(cell, plan, "pictures", "png"), strip)
        return figures

    def _file(self, cell: Cell, plan: ArmPlan, folder: str, suffix: str) -> Path:
        """File of the first seed's detector, named after its unit."""
        unit = self.store.path("detector", *self.key(cell, plan, self.seeds[0]))
        return self.store.root / folder / f"{unit.stem}.{suffix}"


def trained_on(cell: Cell, plan: ArmPlan) -> Cell:
    """The cell; with all real defects known where the arm knows them, whatever the cell's k."""
    if plan.arm.known == "all":
        return replace(cell, k=0, shots=cell.data.fold.pool, draw=0)
    return cell


def detection_rows(
    cell: Cell, subject: str, figures: dict[str, Any], seed: int | None
) -> list[Row]:
    """The rows of a detector's metrics."""
    fold = cell.data.fold
    reference = f"{len(fold.test)} held-out defects, {len(fold.good_test)} good pictures"
    count = len(fold.test) + len(fold.good_test)
    measurement = Measurement("detection", cell, subject, count, reference, seed)
    return [measurement.row(metric, figures[metric]) for metric in METRICS]
