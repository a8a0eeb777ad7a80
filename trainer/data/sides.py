"""The sides of a data set: train, val and test, by whatever names tools call them."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Literal

from bgdefect_core.pictures.listing import comparable

__all__ = ["DataSide", "are_divided", "is_asked_for", "is_held", "side_called", "side_of_place"]

DataSide = Literal["", "train", "val", "test"]
"""Empty: the data set does not say."""
_NAMES: dict[str, DataSide] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
_BETWEEN = re.compile(r"[\W\d_]+")
_FILLERS = frozenset(
    {
        "annotation",
        "annotations",
        "coco",
        "data",
        "dataset",
        "image",
        "images",
        "instances",
        "label",
        "labels",
        "set",
        "side",
        "split",
    }
)
"""Words that stand beside the name of a side."""


def side_called(name: str) -> DataSide:
    """The side that has this name, such as ``val``, ``Test set``, ``train2017``, ``train_images``;
    empty: none has."""
    words = [word for word in _BETWEEN.split(comparable(name)) if word and word not in _FILLERS]
    return _NAMES.get(words[0], "") if len(words) == 1 else ""


def side_of_place(root: Path, file: Path) -> DataSide:
    """The side that a folder between the data set's and a file names, the outermost first."""
    relative = os.path.relpath(file.parent, root)
    for part in Path(relative).parts:
        side = side_called(part)
        if side:
            return side
    return ""


def is_held(side: DataSide) -> bool:
    """Whether nothing is learned from a side."""
    return side in ("val", "test")


def are_divided(sides: Collection[DataSide]) -> bool:
    """Whether the sides of a data set's pictures divide them: of one side alone there is nothing to
    keep apart."""
    return "train" in sides and any(map(is_held, sides))


def is_asked_for(side: DataSide, asked: str) -> bool:
    """Whether a picture of a side is among those that a command asks for: one without a side is
    good for both.

    Args:
        asked: "train" or "test"; val goes with the latter.
    """
    return side == "" or is_held(side) == (asked == "test")
