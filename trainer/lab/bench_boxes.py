"""``bgdefect bench boxes``: how near the masks that training makes of boxes come to human masks.

The human masks of a data set are replaced by boxes; ``bgdefect train --masks-from boxes`` tightens
these, and what comes out of each round is compared with the human masks. Picture, box, round and
mask stay in the output folder, for ``bgdefect review``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
from scipy import ndimage

from bgdefect_core.declarations import Doc, Range, check_settings
from bgdefect_core.files import atomic_write
from bgdefect_core.pictures.masks import Mask, bounding_box, separate_defects
from bgdefect_core.pictures.overlap import overlap

from ..data.annotations.record import Region
from ..data.annotations.shapes import Box, Click
from ..data.examples import Example, load_example
from ..data.layouts import ReadingSettings, find_examples
from ..data.splits import Split, split_k_shots
from ..evaluate.measures.agreement import requested_box
from ..training.boxes.pictures import BoxPicture
from ..training.boxes.rounds import tighten_boxes
from ..training.config import TrainConfig
from ..training.run import TrainingClass
from ..training.run_folder import RunFolder
from ..training.train import learn
from .options import BaseOption, DefectOption, DeviceOption, HumanMasksOption, ObjectOption

BOX, POINT = "box", "circle"
"""The boxes, or the circles around points, among the rounds."""


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
    rounds: Annotated[int, Range(1, 3), Doc("Rounds at most.")] = 3
    point_size: Annotated[
        float | None,
        Range(1, 10_000),
        Doc(
            "Diameter in pixels of circles around points, one in each defect where it is thickest, "
            "in place of boxes. Default: boxes."
        ),
    ] = None
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
        train = split_k_shots(examples, min(config.shots, len(examples))).train
        figures.append(_measure(config, object, defect, train))
        with atomic_write(config.output / "boxes.json", "w") as file:
            json.dump([vars(row) for row in figures], file, indent=1)
    return figures


def _measure(
    config: BenchBoxesConfig, object: str, defect: str, examples: Sequence[Example]
) -> BoxFigures:
    """One class."""
    truths: dict[Path, Mask] = {}
    boxed: list[Example] = []
    for example in examples:
        truths[example.image] = load_example(example)[1]
        if config.point_size is None:
            boxed.append(with_boxes(example, config.dilated))
        else:
            boxed.append(with_points(example, config.point_size))
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
    run = RunFolder((config.output / f"{object}-{defect}.safetensors").absolute())
    target = TrainingClass(object, defect, Split(tuple(boxed), ()), run)
    iou = {BOX if config.point_size is None else POINT: _mean_iou(truths, boxed)}

    def after(name: str, pictures: Sequence[BoxPicture]) -> None:
        iou[name] = _mean_iou(truths, [picture.learned for picture in pictures])

    tighten_boxes(training, target, learn, config.aligned, after)
    return BoxFigures(f"{object} {defect}", len(boxed), iou)


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
    """The figures as a Markdown table."""
    columns: list[str] = []
    for row in figures:
        columns += [name for name in row.iou if name not in columns]
    columns.sort(key=lambda name: (name not in (BOX, POINT), name))
    lines = [
        f"| class | pictures | {' | '.join(columns)} |",
        "|---|" + "---:|" * (len(columns) + 1),
    ]
    for row in figures:
        cells = [f"{row.iou[name]:.3f}" if name in row.iou else "-" for name in columns]
        lines.append(f"| {row.name} | {row.pictures} | {' | '.join(cells)} |")
    return lines
