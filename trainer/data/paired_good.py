"""The picture from before the defect, where a data set has it: an aligned good picture of the same
part, in a folder ``paired_good``."""

from __future__ import annotations

import os
from pathlib import Path

from bgdefect_core.errors import PictureError
from bgdefect_core.pictures.picture import Pixels
from bgdefect_core.pictures.reading import folder_white_level, read_picture

from .examples import Example

__all__ = ["before_of", "check_same_size", "load_before"]

_FOLDER = "paired_good"


def before_of(example: Example, root: str | Path | None = None) -> Path | None:
    """The picture before the defect; None where there is none.

    In MVTec AD's form it is ``paired_good/DEFECT/NAME`` beside ``test``. In any other data set it
    has its picture's name and lies in a folder ``paired_good`` beside the picture, or higher up
    to ``root``.

    Args:
        root: of the data set, or its file; None: only MVTec AD's form counts.
    """
    folder = example.image.parent
    if folder.parent.name == "test":
        path = folder.parent.parent / _FOLDER / example.defect / example.image.name
        if path.is_file():
            return path
    if root is None:
        return None
    top = Path(os.path.abspath(root))
    top = top if top.is_dir() else top.parent
    place = Path(os.path.abspath(folder))
    while place.is_relative_to(top):
        path = place / _FOLDER / example.image.name
        if path.is_file():
            return path
        if place == top:
            break
        place = place.parent
    return None


def load_before(example: Example, root: str | Path | None = None) -> Pixels | None:
    """The picture of :func:`before_of`, uint8 ``[H, W, 3]``, by the white level of the defect's own
    picture; None where there is none.

    Raises:
        PictureError: it cannot be read.
    """
    path = before_of(example, root)
    if path is None:
        return None
    return read_picture(path, folder_white_level(example.image.parent))


def check_same_size(example: Example, before: Pixels, shape: tuple[int, ...]) -> None:
    """Compare a picture before the defect with the picture.

    Raises:
        PictureError: their sizes differ.
    """
    if before.shape != shape:
        came = f"the paired good picture of {example.image} is of another size"
        raise PictureError(came, "equal sizes", "remove or correct it")
