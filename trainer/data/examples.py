"""One picture of one defect, or a good one: where its files lie, and what is in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bgdefect_core.errors import BGDefectError, DataError
from bgdefect_core.pictures.files import Picture, read_masks, read_picture
from bgdefect_core.pictures.masks import Mask

__all__ = ["GOOD", "Example", "load_example", "validate"]

GOOD = "good"
"""What stands in place of a defect where there is none."""


@dataclass(frozen=True)
class Example:
    """One picture of one defect.

    Attributes:
        image: the picture's file. masks: one file or more; their union is the defect.
        object, defect: the class, by folder names. group: pictures of one part share it; empty: a
            part of its own.
        nonzero: MVTec LOCO's masks, in which every value but 0 counts.
    """

    image: Path
    masks: tuple[Path, ...]
    object: str
    defect: str
    group: str
    nonzero: bool = False


def load_example(example: Example) -> tuple[Picture, Mask]:
    """The picture, ``uint8 [H, W, 3]``, and the union of its masks, ``bool [H, W]``.

    Raises:
        PictureError, MaskError: see `read_picture` and `read_mask`; the union is held to what each
            mask is.
    """
    picture = read_picture(example.image)
    size = (picture.shape[0], picture.shape[1])
    return picture, read_masks(
        example.masks, f"the union of the masks of {example.image}", size, nonzero=example.nonzero
    )


def validate(examples: Sequence[Example]) -> None:
    """Read every picture and mask once, before any time goes into training.

    Raises:
        DataError: naming up to five files that cannot be used, and why.
    """
    if not examples:
        raise DataError("there are no examples", "at least one picture with its mask")
    problems = []
    for example in examples:
        try:
            load_example(example)
        except BGDefectError as error:
            problems.append(str(error))
    if problems:
        more = [f"and {len(problems) - 5} more"] if len(problems) > 5 else []
        what = f"{len(problems)} of {len(examples)} examples cannot be used:"
        raise DataError("\n  ".join([what, *problems[:5], *more]))
