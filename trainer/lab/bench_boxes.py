"""``bgdefect bench boxes``: how near the masks that training makes of boxes come to human masks.

The human masks of a data set are replaced by boxes; ``bgdefect train --masks-from boxes`` tightens
these, and what comes out of each round is compared with the human masks; on request detectors
learn from each kind of label. Picture, box, round and mask stay in the output folder, for
``bgdefect review``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import numpy as np
from scipy import ndimage

from bgdefect_core.declarations import Doc, Range, check_settings
from bgdefect_core.files import atomic_write
from bgdefect_core.pictures.masks import Mask, bounding_box, separate_defects
from bgdefect_core.pictures.overlap import overlap

from ..bases.devices import pick_device
from ..data.annotations.record import Region
from ..data.annotations.shapes import Box, Click
from ..data.examples import Example, load_example
from ..data.layouts import ReadingSettings, find_examples
from ..data.splits import Split, split_k_shots
from ..evaluate.detectors.settings import DetectorSettings
from ..evaluate.measures.agreement import requested_box
from ..evaluate.plan.fold import Fold
from ..evaluate.plan.folds import make_folds
from ..evaluate.plan.settings import PlanSettings
from ..training.boxes.pictures import BoxPicture
from ..training.boxes.rounds import After, tighten_boxes
from ..training.config import TrainConfig
from ..training.run import TrainingClass
from ..training.run_folder import RunFolder
from ..training.train import learn
from .box_detectors import BoxDetectors
from .options import BaseOption, DefectOption, DeviceOption, HumanMasksOption, ObjectOption

BOX, POINT = "box", "circle"
"""The boxes, or the circles around points, among the rounds."""
HUMAN = "human"
"""The masks that people drew, among the labels of detectors."""


@dataclass(frozen=True)
class BenchBoxesConfig:
    """IoU of boxes, and of the masks that each round makes of them, with the human masks."""

    data: HumanMasksOption
    output: Annotated[Path, Doc("Folder of runs, masks and figures; a stopped run resumes.")]
    object: ObjectOption = None
    defect: DefectOption = None
    shots: Annotated[int, Range(1, 10_000), Doc("Pictures of each class, at most.")] = 10
    steps: Annotated[int, Range(1, 1_000_000), Doc("Training iterations of a round.")] = 200
    batch: Annotated[int, Range(1, 1024), Doc("Pictures per iteration.")] = 4
    rounds: Annotated[int, Range(0, 3), Doc("Rounds of the class at most.")] = 3
    point_size: Annotated[
        float | None,
        Range(1, 10_000),
        Doc(
            "Diameter in pixels of circles around points, one in each defect where it is thickest, "
            "in place of boxes. Default: boxes."
        ),
    ] = None
    detector_seeds: Annotated[
        tuple[int, ...],
        Range(0, 2**31),
        Doc(
            "Seeds of detectors that learn from the boxes, from the last round's masks and from "
            "the human ones, tested on the other half of the class's pictures. Default: none."
        ),
    ] = ()
    detector_steps: Annotated[int, Range(1, 10_000_000), Doc("Steps of a detector.")] = 360
    dilated: Annotated[
        bool,
        Doc("Boxes wider than the human mask on each side by 0.15 of its length; off: just it."),
    ] = True
    aligned: Annotated[
        bool, Doc("Use aligned good pictures (paired_good) where there are such.")
    ] = True
    base: BaseOption = None
    device: DeviceOption = "auto"
    seed: Annotated[int, Range(0, 2**31), Doc("Seed of the training and of the noise.")] = 0


@dataclass(frozen=True)
class BoxFigures:
    """What was measured of one class."""

    name: str
    """Object and defect."""
    pictures: int
    iou: dict[str, float]
    """"box", "circle", "difference" or a round -> mean IoU with the human masks, 0..1."""
    pixel_ap: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """"box" or "circle", the last round, "human" -> pixel AP on held-out human masks, 0..1, one a
    detector's seed."""


def bench_boxes(config: BenchBoxesConfig) -> list[BoxFigures]:
    """Measure every class; the figures are written to ``boxes.json``, too.

    Raises:
        SettingError: a number out of its range. DataError: no such class. And whatever training
            raises.
    """
    check_settings(config)
    classes: dict[tuple[str, str], list[Example]] = {}
    for example in find_examples(config.data, config.object, config.defect):
        classes.setdefault((example.object, example.defect), []).append(example)
    figures: list[BoxFigures] = []
    for (object, defect), examples in classes.items():
        bench = _ClassBench(config, object, defect)
        figures.append(bench.measure(examples))
        with atomic_write(config.output / "boxes.json", "w") as file:
            json.dump([vars(row) for row in figures], file, indent=1)
    return figures


@dataclass(frozen=True)
class _ClassBench:
    """One class."""

    config: BenchBoxesConfig
    object: str
    defect: str

    def measure(self, examples: Sequence[Example]) -> BoxFigures:
        """The figures of the class, whose pictures are given."""
        config, drawn = self.config, BOX if self.config.point_size is None else POINT
        fold = self._fold() if config.detector_seeds else None
        known = self._known(examples, fold)
        truths: dict[Path, Mask] = {}
        boxed: list[Example] = []
        for example in known:
            truths[example.image] = load_example(example)[1]
            if config.point_size is None:
                boxed.append(with_boxes(example, config.dilated))
            else:
                boxed.append(with_points(example, config.point_size))
        iou = {drawn: _mean_iou(truths, boxed)}
        labels: dict[str, Sequence[Example]] = {drawn: boxed}

        def after(name: str, pictures: Sequence[BoxPicture]) -> None:
            labels[name] = [picture.learned for picture in pictures]
            iou[name] = _mean_iou(truths, labels[name])

        self._tighten(boxed, after)
        pixel_ap: dict[str, tuple[float, ...]] = {}
        if fold is not None:
            last = list(labels)[-1]
            compared = {drawn: boxed, last: labels[last], HUMAN: known}
            settings = DetectorSettings(detector_steps=config.detector_steps)
            device = pick_device(config.device)
            detectors = BoxDetectors(settings, config.detector_seeds, device)
            pixel_ap = detectors.measure(fold, compared)
        return BoxFigures(f"{self.object} {self.defect}", len(known), iou, pixel_ap)

    def _fold(self) -> Fold:
        plan = PlanSettings(self.config.data)
        return make_folds(plan, self.config.seed, self.object, [self.defect], 0)[0]

    def _known(self, examples: Sequence[Example], fold: Fold | None) -> Sequence[Example]:
        """The pictures to train on; with detectors those of one half."""
        if fold is not None:
            return fold.shots(min(self.config.shots, len(fold.pool)), self.config.seed)
        return split_k_shots(examples, min(self.config.shots, len(examples))).train

    def _tighten(self, boxed: Sequence[Example], after: After) -> None:
        config = self.config
        training = TrainConfig(
            data=config.data,
            output=config.output,
            base=config.base,
            masks_from="boxes" if config.point_size is None else "points",
            reading=ReadingSettings(point_size=config.point_size),
            box_rounds=config.rounds,
            steps=config.steps,
            batch=config.batch,
            validation_pictures=0,
            device=config.device,
            seed=config.seed,
        )
        name = f"{self.object}-{self.defect}.safetensors"
        run = RunFolder((config.output / name).absolute())
        target = TrainingClass(self.object, self.defect, Split(tuple(boxed), ()), run)
        tighten_boxes(training, target, learn, config.aligned, after)


def with_boxes(example: Example, dilated: bool) -> Example:
    """The example with a box around each of its defects in place of its mask."""
    mask = load_example(example)[1]
    regions: list[Region] = []
    for defect in separate_defects(mask):
        wide = requested_box(defect) if dilated else defect
        box = bounding_box(wide)
        drawn = Box(box.left, box.top, box.right, box.bottom)
        regions.append(Region(example.defect, drawn, f"the mask of {example.image}"))
    return replace(example, masks=(), regions=tuple(regions))


def with_points(example: Example, size: float) -> Example:
    """The example with a circle in place of its mask: around a point in each of its defects, where
    it is thickest.

    Args:
        size: diameter in pixels.
    """
    regions: list[Region] = []
    for defect in separate_defects(load_example(example)[1]):
        depth = ndimage.distance_transform_edt(np.pad(defect, 1))[1:-1, 1:-1]
        row, column = np.unravel_index(int(depth.argmax()), depth.shape)
        click = Click(float(column) + 0.5, float(row) + 0.5, size / 2)
        regions.append(Region(example.defect, click, f"the mask of {example.image}"))
    return replace(example, masks=(), regions=tuple(regions))


def _mean_iou(truths: dict[Path, Mask], examples: Sequence[Example]) -> float:
    overlaps: list[float] = []
    for example in examples:
        overlaps.append(overlap(load_example(example)[1], truths[example.image])["iou"])
    return float(np.mean(overlaps))


def boxes_table(figures: Sequence[BoxFigures]) -> list[str]:
    """The figures as Markdown tables: the IoU, and the pixel AP of detectors where there are
    some."""
    lines = _table(figures, [row.iou for row in figures])
    if any(row.pixel_ap for row in figures):
        means: list[dict[str, float]] = []
        for row in figures:
            means.append({kind: float(np.mean(scores)) for kind, scores in row.pixel_ap.items()})
        lines += ["", "Pixel AP of detectors that learned from these labels:", ""]
        lines += _table(figures, means)
    return lines


def _table(rows: Sequence[BoxFigures], values: Sequence[dict[str, float]]) -> list[str]:
    columns: list[str] = []
    for figures in values:
        columns += [name for name in figures if name not in columns]
    columns.sort(key=lambda name: (name not in (BOX, POINT), name == HUMAN, name))
    lines = [
        f"| class | pictures | {' | '.join(columns)} |",
        "|---|" + "---:|" * (len(columns) + 1),
    ]
    for row, figures in zip(rows, values, strict=True):
        cells = [f"{figures[name]:.3f}" if name in figures else "-" for name in columns]
        lines.append(f"| {row.name} | {row.pictures} | {' | '.join(cells)} |")
    return lines
