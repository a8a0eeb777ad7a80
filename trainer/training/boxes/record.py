"""Boxes and masks as a data set that ``bgdefect review`` shows."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from bgdefect_core.files import atomic_write
from bgdefect_core.pictures.reading import folder_white_level, load_picture
from bgdefect_core.records.dataset import DatasetWriter
from bgdefect_core.records.dataset_place import accepted_files
from bgdefect_core.records.run_record import read_inputs
from bgdefect_core.records.sample import Sample, SampleFacts

from ...data.examples import load_example
from ...data.paired_good import before_of
from ...data.splits import relative_file
from ..config import TrainConfig
from .labels import read_box_label
from .pictures import DIFFERENCE, DRAWN, OUTLINE, BoxPicture

_VERDICTS = {
    DRAWN: "drawn by a person",
    DIFFERENCE: "tightened by the difference from its good picture",
    OUTLINE: "tightened by the edges of its picture",
}


def write_record(root: Path, config: TrainConfig, pictures: Sequence[BoxPicture]) -> None:
    """Write pictures, boxes and masks; those that are there already are left, with what a person
    decided on them.

    Args:
        root: of the data set. pictures: of one class, at least one.

    Raises:
        OutputError: the place cannot be written to, or holds another run.
    """
    example = pictures[0].example
    files: dict[str, Path] = {}
    for picture in pictures:
        files[picture.name] = picture.example.image
        if picture.mask is not None:
            files[f"{picture.name}, mask"] = picture.mask
    white = folder_white_level(example.image.parent)
    settings = {"masks_from": config.masks_from, "seed": config.seed}
    with DatasetWriter(
        root, example.object, example.defect, settings, read_inputs(files), white=white
    ) as writer:
        for index, picture in enumerate(pictures):
            if not writer.attempts(index):
                writer.add(_sample(index, picture, config, white))
    if any(picture.example.group for picture in pictures):
        _write_groups(root.with_name("groups.csv"), pictures)


def _write_groups(path: Path, pictures: Sequence[BoxPicture]) -> None:
    """The groups of the pictures, for ``--group-file``."""
    with atomic_write(path, "w") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("file", "group"))
        for index, picture in enumerate(pictures):
            example = picture.example
            if example.group:
                name = accepted_files(example.object, example.defect, index).file
                rows.writerow((name, example.group))


def _sample(index: int, picture: BoxPicture, config: TrainConfig, white: int | None) -> Sample:
    example = picture.example
    before = before_of(example, config.data)
    boxes = read_box_label(example).filled
    mask = load_example(picture.learned)[1]
    verdict = _VERDICTS.get(picture.origin, f"tightened by its class, {picture.origin}")
    facts = SampleFacts(
        index=index,
        attempt=0,
        source=before or example.image,
        mask_origin={"picture": relative_file(example, config.data), "origin": picture.origin},
        seed=config.seed,
        quality={"box_share": float(mask.sum() / boxes.sum())},
        verdict=verdict,
        accepted=True,
        source_is_good=before is not None,
    )
    return Sample(facts, load_picture(example.image, white), mask, requested=boxes, heatmap=None)
