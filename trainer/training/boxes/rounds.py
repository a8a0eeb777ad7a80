"""Rounds: boxes are tightened by the edges of their pictures, a class is learned from that,
tightens the boxes, and is learned again from what came out.

NAME.run/boxes/difference/train-0000_mask.png  from an aligned good picture, before any round
NAME.run/boxes/outline/train-0000_mask.png     by the edges of its picture, before any round
NAME.run/boxes/round-1.safetensors             the class as it was learned in this round
NAME.run/boxes/round-1/train-0000_mask.png     what it made of the boxes
NAME.run/boxes/review/                         boxes and final masks of the training pictures,
                                               for ``bgdefect review``
NAME.run/boxes/groups.csv                      their groups, for ``--group-file``

Each round is a training run of its own, and each mask a file: what is there is not made again.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from bgdefect_core.errors import SettingError
from bgdefect_core.pictures.writing import write_mask

from ...bases.devices import pick_device
from ...data.paired_good import check_same_size, load_before
from ...data.splits import Split, spread_evenly
from ..config import TrainConfig
from ..run import TrainingClass
from ..run_folder import RunFolder
from .labels import BoxLabel, read_box_label
from .pictures import DIFFERENCE, OUTLINE, BoxPicture, agreement, box_pictures, check_boxes
from .record import write_record
from .tighten import Tightened, Tightener, by_difference, by_outline

log = logging.getLogger(__name__)

SETTLED = 0.97
"""Mean IoU with the masks of the round before from which nothing changes."""
Learn = Callable[[TrainConfig, TrainingClass], Path]
"""Trains a class by its examples' masks; returns the weights."""
After = Callable[[str, Sequence[BoxPicture]], None]
"""Takes the name of a round and the training pictures with its masks."""


def tighten_boxes(
    config: TrainConfig,
    target: TrainingClass,
    learn: Learn,
    aligned: bool = True,
    after: After | None = None,
) -> TrainingClass:
    """The class with masks in place of its boxes. Held-out pictures are tightened too, as far as
    they validate.

    Args:
        aligned: whether aligned good pictures are used.
        after: called with the masks of each round.

    Raises:
        DataError: no label is a box. SettingError: several processes. And whatever training raises.
    """
    folder = target.folder.boxes
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        do = f"tighten in one process, then train on {folder / 'review'} in several"
        raise SettingError("boxes are tightened by several processes", "one process", do)
    train = box_pictures("train", target.split.train)
    check_boxes(train)
    validating = spread_evenly(target.split.held_out, config.validation_pictures)
    held_out = box_pictures("held-out", validating, len(train))
    if aligned:
        train = _by_difference(train, folder / DIFFERENCE, config.data)
        held_out = _by_difference(held_out, folder / DIFFERENCE, config.data)
        if after is not None and any(picture.origin == DIFFERENCE for picture in train):
            after(DIFFERENCE, train)
    train = _by_outline(train, folder / OUTLINE)
    if after is not None and any(picture.origin == OUTLINE for picture in train):
        after(OUTLINE, train)
    train, weights = _rounds(config, target, train, learn, after)
    if weights is None:
        held_out = _by_outline(held_out, folder / OUTLINE)
    else:
        held_out = _by_class(held_out, config, weights)
    write_record(folder / "review", config, train)
    learned = {picture.example: picture.learned for picture in held_out}
    others = tuple(learned.get(example, example) for example in target.split.held_out)
    return replace(target, split=Split(tuple(picture.learned for picture in train), others))


def _rounds(
    config: TrainConfig,
    target: TrainingClass,
    train: list[BoxPicture],
    learn: Learn,
    after: After | None,
) -> tuple[list[BoxPicture], Path | None]:
    """The pictures after the last round, and the weights that tightened them; None where no box was
    left for a round."""
    weights: Path | None = None
    quiet = replace(config, validation_pictures=0, validate_every=0, early_stop=0, sample_every=0)
    for number in range(1, config.box_rounds + 1):
        if not any(picture.is_open for picture in train):
            break
        run = RunFolder(target.folder.boxes / f"round-{number}.safetensors")
        split = Split(tuple(picture.learned for picture in train), target.split.held_out)
        weights = learn(quiet, replace(target, split=split, folder=run))
        shutil.rmtree(run.checkpoints, ignore_errors=True)
        before, train = train, _by_class(train, config, weights)
        same = agreement(before, train)
        log.info("round %d of boxes: IoU with the masks before %.3f", number, same)
        if after is not None:
            after(weights.stem, train)
        if same >= SETTLED:
            break
    return train, weights


def _by_difference(pictures: Sequence[BoxPicture], folder: Path, root: Path) -> list[BoxPicture]:
    """The pictures; where an aligned good picture is known, with its mask.

    Raises:
        PictureError: a good picture that cannot be read, or of another size.
    """
    tightened: list[BoxPicture] = []
    unfit = 0
    for picture in pictures:
        before = load_before(picture.example, root) if picture.is_open else None
        if before is None:
            tightened.append(picture)
            continue
        label = read_box_label(picture.example)
        check_same_size(picture.example, before, label.picture.shape)
        result = by_difference(label, before)
        if result is None:
            unfit += 1
            tightened.append(picture)
            continue
        path = folder / f"{picture.name}_mask.png"
        write_mask(path, result.mask)
        tightened.append(picture.with_mask(path, DIFFERENCE))
    if unfit:
        text = "%d paired good pictures do not show where the defect is: the class tightens there"
        log.warning(text, unfit)
    return tightened


def _by_outline(pictures: Sequence[BoxPicture], folder: Path) -> list[BoxPicture]:
    """The pictures with the masks that the edges of each give its boxes."""
    return _masked(pictures, folder, lambda number, label: by_outline(label))


def _by_class(
    pictures: Sequence[BoxPicture], config: TrainConfig, weights: Path
) -> list[BoxPicture]:
    """The pictures with the masks that a class gives their boxes."""

    @cache
    def tightener() -> Tightener:
        return Tightener(weights, config.base, pick_device(config.device), config.seed)

    def tighten(number: int, label: BoxLabel) -> Tightened:
        return tightener().tightened(label, number)

    return _masked(pictures, weights.with_suffix(""), tighten)


def _masked(
    pictures: Sequence[BoxPicture], folder: Path, tighten: Callable[[int, BoxLabel], Tightened]
) -> list[BoxPicture]:
    """The pictures with the masks that ``tighten`` makes of open ones' boxes in a folder; those on
    the disk are kept.

    Args:
        tighten: takes the picture's number and its label.
    """
    tightened: list[BoxPicture] = []
    for picture in pictures:
        if not picture.is_open:
            tightened.append(picture)
            continue
        path = folder / f"{picture.name}_mask.png"
        if not path.is_file():
            result = tighten(picture.number, read_box_label(picture.example))
            write_mask(path, result.mask)
        tightened.append(picture.with_mask(path, folder.name))
    return tightened
