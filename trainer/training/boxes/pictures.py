"""A picture with boxes on its way to a mask."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bgdefect_core.errors import DataError
from bgdefect_core.pictures.mask_values import WHITE
from bgdefect_core.pictures.overlap import overlap

from ...data.examples import Example, load_example
from .labels import read_box_label

DIFFERENCE = "difference"
"""Origin of a mask that an aligned good picture gave."""
OUTLINE = "outline"
"""Origin of a mask that the edges of its picture gave."""
DRAWN = "drawn"
"""Origin of a label without a box: it stays."""


@dataclass(frozen=True)
class BoxPicture:
    """A picture, and the mask that stands in its boxes' place."""

    example: Example
    """As the data set has it."""
    name: str
    """Of its mask, such as "train-0003"."""
    number: int
    """Among all pictures of the class; the noise follows from it."""
    origin: str
    """"drawn", "box", "difference", "outline", or the name of a round."""
    mask: Path | None = None
    """None: its own label."""

    @property
    def is_open(self) -> bool:
        """Whether the class may tighten it."""
        return self.origin not in (DRAWN, DIFFERENCE)

    @property
    def learned(self) -> Example:
        """As the class learns it."""
        if self.mask is None:
            return self.example
        return replace(self.example, masks=(self.mask,), regions=(), values=WHITE)

    def with_mask(self, mask: Path, origin: str) -> BoxPicture:
        """The picture with another mask."""
        return replace(self, mask=mask, origin=origin)


def box_pictures(side: str, examples: Iterable[Example], first: int = 0) -> list[BoxPicture]:
    """The examples of one side.

    Args:
        side: "train" or "held-out", in the names of masks. first: number of the first one.
    """
    pictures: list[BoxPicture] = []
    for place, example in enumerate(examples):
        origin = "box" if read_box_label(example).boxes else DRAWN
        pictures.append(BoxPicture(example, f"{side}-{place:04d}", first + place, origin))
    return pictures


def check_boxes(pictures: Sequence[BoxPicture]) -> None:
    """Refuse a class without boxes.

    Raises:
        DataError: no picture has one.
    """
    if all(picture.origin == DRAWN for picture in pictures):
        example = pictures[0].example
        came = f"no label of {example.object} / {example.defect} is a box or a point"
        expected = "boxes, or mask files in which they are filled; points with --point-size"
        raise DataError(came, expected, "leave --masks-from out: the labels are drawn")


def agreement(before: Sequence[BoxPicture], after: Sequence[BoxPicture]) -> float:
    """Mean IoU, 0..1, of the masks of open pictures with those of the round before."""
    overlaps: list[float] = []
    for old, new in zip(before, after, strict=True):
        if new.is_open:
            masks = load_example(old.learned)[1], load_example(new.learned)[1]
            overlaps.append(overlap(*masks)["iou"])
    return float(np.mean(overlaps))
