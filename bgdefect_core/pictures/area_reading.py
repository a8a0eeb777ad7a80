"""Areas that a user marks in pictures: where defects may lie, or may not."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import DataError, MaskError
from .decoding import decode
from .listing import list_pictures, mask_key, picture_key, unique_names
from .mask_colours import coloured_mask
from .masks import Mask

__all__ = ["Areas", "read_area"]


def read_area(path: Path, size: tuple[int, int]) -> Mask:
    """Read an area: white = marked; any share may be white, none or all included.

    Args:
        path: the file; values above 127 are white, and so is one colour on a constant background.
        size: (height, width) of its picture.

    Returns:
        bool ``[H, W]``.

    Raises:
        MaskError: missing, damaged, of another size, of several colours, or with a shape of which
            nothing is white; the message names it.
    """
    decoded = decode(path, MaskError)
    values = decoded.pixels
    has_indices = decoded.indices is not None and decoded.indices.any()
    if not values.any() and (decoded.alpha_varies or has_indices):
        where = "alpha channel holds a shape" if decoded.alpha_varies else "palette indices differ"
        came = f"{path} is black: only its {where}"
        raise MaskError(came, "white where the area is", "save that as a black and white picture")
    coloured = coloured_mask(path, values) if values.ndim == 3 else None
    if coloured is not None:
        values = coloured.astype(np.uint8) * 255
    elif values.ndim == 3:
        values = values.max(axis=2)
    if values.shape != tuple(size):
        raise MaskError(
            f"{path} is {values.shape[1]} x {values.shape[0]} pixels",
            f"{size[1]} x {size[0]}, as the picture",
            "give an area of the picture's size, or a folder with one for each picture",
        )
    white = 127 if values.itemsize == 1 else values.max() / 2
    area: Mask = values > white
    if values.any() and not area.any():
        came = f"{path} has no value above {white} (its highest is {values.max()})"
        raise MaskError(came, "255 where the area is", "scale its values to 0 and 255")
    return area


class Areas:
    """The areas of a set of pictures: one file for all, or a folder of NAME.png or NAME_mask.png.

    Args:
        place: the file or folder.

    Raises:
        DataError: neither, a folder without masks, or two files of one name.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self._files: dict[str, Path] | None = None
        if place.is_dir():
            self._files = unique_names(list_pictures(place), mask_key)
        elif not place.is_file():
            raise DataError(
                f"{place} is not there", "a mask or a folder of masks", "check the path"
            )
        if self._files is not None and not self._files:
            raise DataError(f"{place} is empty", "a mask for each picture", "check the path")

    @property
    def files(self) -> list[Path]:
        """All files, in order of their names."""
        return [self.place] if self._files is None else sorted(self._files.values())

    def of(self, picture: Path) -> Path | None:
        """The file of a picture; None where the folder has none."""
        if self._files is None:
            return self.place
        return self._files.get(picture_key(picture))
