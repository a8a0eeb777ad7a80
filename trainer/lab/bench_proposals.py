"""``bgdefect bench proposals``: how near the regions that ``bgdefect data propose`` finds come to
human masks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import tyro
from tqdm import tqdm

from bgdefect_core.declarations import Doc, Range, check_settings
from bgdefect_core.files import atomic_write
from bgdefect_core.pictures.masks import Mask, separate_defects
from bgdefect_core.pictures.overlap import overlap

from ..data.examples import Example, load_example
from ..data.layouts import find_examples, good_pictures
from ..data.splits import by_class, spread_evenly
from ..evaluate.proposals.config import RegionSettings
from ..evaluate.proposals.regions import boxes_around, regions_of
from ..evaluate.proposals.scoring import LearnedGoods
from .options import DefectOption, HumanMasksOption, ObjectOption


@dataclass(frozen=True)
class BenchProposalsConfig:
    """Whether proposed regions show the defects that people drew."""

    data: HumanMasksOption
    output: Annotated[Path, Doc("JSON file of the figures.")]
    object: ObjectOption = None
    defect: DefectOption = None
    pictures: Annotated[
        int, Range(1, 10_000), Doc("Pictures of each class, at most, evenly out of all.")
    ] = 20
    levels: Annotated[
        tuple[float, ...], Range(0.05, 1), Doc("Shares of the highest score that are tried.")
    ] = (0.5,)
    region_settings: Annotated[RegionSettings, tyro.conf.arg(name="")] = field(
        default_factory=RegionSettings
    )


@dataclass(frozen=True)
class ProposalFigures:
    """What was measured of one class at one level."""

    name: str
    """Object and defect."""
    level: float
    pictures: int
    first: float
    """Share of the pictures whose first region meets a human mask."""
    defects: float
    """Share of the human masks' defects that a region meets."""
    regions: float
    """Regions a picture."""
    iou: float
    """Mean IoU of all regions with the human mask."""
    box_iou: float
    """The same of the regions' boxes."""


def bench_proposals(config: BenchProposalsConfig) -> list[ProposalFigures]:
    """Measure every class at every level.

    Raises:
        SettingError: a number out of its range. DataError: no such class, too few good pictures.
    """
    check_settings(config)
    check_settings(config.region_settings)
    classes = by_class(find_examples(config.data, config.object, config.defect))
    known: dict[str, LearnedGoods] = {}
    figures: list[ProposalFigures] = []
    for (object, defect), examples in classes.items():
        if object not in known:
            known[object] = LearnedGoods(good_pictures(config.data, object), config.region_settings)
        chosen = spread_evenly(examples, config.pictures)
        figures += _measure(f"{object} {defect}", known[object], chosen, config)
    with atomic_write(config.output, "w") as file:
        json.dump([vars(row) for row in figures], file, indent=1)
    return figures


def _measure(
    name: str, known: LearnedGoods, examples: Sequence[Example], config: BenchProposalsConfig
) -> list[ProposalFigures]:
    """One class."""
    measured: dict[float, list[PictureFigures]] = {level: [] for level in config.levels}
    for example in tqdm(examples, desc=name, unit="picture"):
        picture, truth = load_example(example)
        scores = known.scores(picture)
        for level in config.levels:
            regions = regions_of(scores, known.score, level, config.region_settings.regions)
            measured[level].append(compared(regions, truth))
    figures: list[ProposalFigures] = []
    for level, rows in measured.items():
        means = [float(mean) for mean in np.mean(rows, axis=0)]
        figures.append(ProposalFigures(name, level, len(rows), *means))
    return figures


class PictureFigures(NamedTuple):
    """The figures of one picture, in the order of :class:`ProposalFigures`."""

    first: float
    """1 where the first region meets the human mask, else 0."""
    defects: float
    """Share of its defects that a region meets."""
    regions: int
    iou: float
    box_iou: float
    """Of the regions' boxes."""


def compared(regions: Sequence[Mask], truth: Mask) -> PictureFigures:
    """The figures of one picture with its human mask."""
    union = np.logical_or.reduce(regions)
    defects = separate_defects(truth)
    met = float(np.mean([(defect & union).any() for defect in defects]))
    first = float((regions[0] & truth).any())
    boxes = boxes_around(regions)
    iou, box_iou = overlap(union, truth)["iou"], overlap(boxes, truth)["iou"]
    return PictureFigures(first, met, len(regions), iou, box_iou)


def proposals_table(figures: Sequence[ProposalFigures]) -> list[str]:
    """The figures as a Markdown table."""
    head = "class | level | pictures | first region meets | defects met | regions | IoU | box IoU"
    lines = [f"| {head} |", "|---|" + "---:|" * 7]
    for row in figures:
        cells = (row.first, row.defects, row.regions, row.iou, row.box_iou)
        shown = " | ".join(f"{cell:.2f}" for cell in cells)
        lines.append(f"| {row.name} | {row.level:g} | {row.pictures} | {shown} |")
    return lines
