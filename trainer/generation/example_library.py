"""Mask libraries from the examples of a data set, whatever its layout."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bgdefect_core.errors import DataError
from bgdefect_core.pictures.masks import separate_defects, trimmed
from bgdefect_core.placement.library import MaskLibrary, RealMask
from bgdefect_core.placement.surroundings import surroundings_of

from ..data.examples import Example, load_example, load_others
from ..data.layouts import PlainFolder, ReadingSettings, find_examples, layout_of
from ..data.splits import listed_in, own_sides, relative_file

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExampleLibrary:
    """The real masks of some examples."""

    masks: MaskLibrary
    labels: str | None
    """Digest of what annotations draw; None: all masks are files."""


def library_of(examples: Sequence[Example], apart: bool) -> ExampleLibrary:
    """The masks of real defects, each with its surroundings in its own picture.

    Args:
        apart: defects far from each other in one picture give a mask each.

    Raises:
        PictureError, MaskError: a bad picture or mask, named. DataError: no examples.
    """
    masks: list[RealMask] = []
    files: list[Path] = []
    drawn: list[str] = []
    for number, example in enumerate(examples):
        picture, mask = load_example(example)
        others = load_others(example, (mask.shape[0], mask.shape[1]))
        defects = separate_defects(mask) if apart else [mask]
        for part, defect in enumerate(defects, start=1):
            suffix = f"#{part}" if len(defects) > 1 else ""
            name = f"{number:03d}_{example.image.stem}_mask.png{suffix}"
            around = surroundings_of(picture, defect, others)
            masks.append(RealMask(trimmed(defect), name, around, example.label_file))
        files += [*example.label_files, example.image]
        drawn += filter(None, (example.regions_digest, example.others_digest))
    digest = hashlib.sha256("".join(drawn).encode()).hexdigest() if drawn else None
    return ExampleLibrary(MaskLibrary(masks, files), digest)


def is_data_set(place: Path, reading: ReadingSettings) -> bool:
    """Whether a place holds a data set, and not mask files alone.

    Raises:
        DataError: there is nothing.
    """
    if reading.layout is not None:
        return True
    try:
        return not isinstance(layout_of(place), PlainFolder)
    except DataError:
        if place.is_dir() and any(place.iterdir()):  # folders of parts of masks
            return False
        raise


def examples_in(
    place: Path,
    object: str,
    defect: str,
    split: Path | None,
    reading: ReadingSettings,
) -> list[Example]:
    """The examples of a class in a data set, without those that a split does not train on, or that
    are on another side of the data set than train.

    Args:
        object: the object, where the data set has several.
        split: split file of the training.

    Raises:
        DataError: no such class, or none of its pictures is trained on.
    """
    known = layout_of(place, reading).classes(place)
    examples = find_examples(place, object if len(known) > 1 else None, defect, reading)
    if split is None:
        sides = own_sides(examples, place)
        if sides is None:
            return examples
        log.info("%s has sides of its own (%s): defects of train alone are used", place, sides)
        return list(sides.train)
    trained_on = listed_in(split, "train")
    chosen: list[Example] = []
    for example in examples:
        if relative_file(example, place) in trained_on:
            chosen.append(example)
    if not chosen:
        came = f"{split} trains on none of the pictures of {defect} in {place}"
        raise DataError(came, "the split of this class", "check both paths")
    return chosen


def warn_of_held_out(place: Path, examples: Sequence[Example], split: Path) -> None:
    """Warn where examples are used that the training held out."""
    try:
        held_out = listed_in(split, "held_out") if split.is_file() else set()
    except DataError as error:
        log.warning("%s", error)
        return
    count = 0
    for example in examples:
        count += relative_file(example, place) in held_out
    if count:
        log.warning(
            "%d of %d defects in %s were held out by the training. Tests on these pictures are no "
            "longer independent; --mask-split %s leaves them out",
            count,
            len(examples),
            place,
            split,
        )
