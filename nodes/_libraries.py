"""The good pictures and mask libraries that a workflow names, below the host's input folder or one
of its folders of data sets."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch

from ..bgdefect_core.errors import DataError
from ..bgdefect_core.pictures.mask_files import pictures_beside, read_library
from ..bgdefect_core.pictures.mask_values import WHITE, MaskValues
from ..bgdefect_core.pictures.picture import Pixels
from ..bgdefect_core.pictures.reading import read_picture, white_level
from ..bgdefect_core.placement.library import MaskLibrary, numbered_library
from ._convert import masks_of
from ._folders import ASSETS, DEMO, FileStates, inside, picture_files, refuse_outside, state

NO_LIBRARY = "(masks input)"
"""The choice that stands for the masks input."""


def good_files(folder: str, base: Path) -> list[Path]:
    """The pictures of a choice of Load Good Pictures, sorted by name.

    Args:
        base: the host's folder that it lies in.
    """
    if folder == DEMO:
        return picture_files(ASSETS / "demo" / "good", ASSETS)
    return picture_files(inside(base, folder, "folder"), base)


def page_of(files: list[Path], page: int, count: int) -> list[Path]:
    """``count`` files from number ``page * count`` on, going round; none twice."""
    numbers = range(page * count, page * count + min(count, len(files)))
    return [files[number % len(files)] for number in numbers]


def folder_state(files: list[Path], page: int | None, count: int | None) -> tuple[object, ...]:
    """Another value where a page of a folder's pictures would be read as something else: where one
    of its files has changed, or the white level of the folder.

    Args:
        files: all pictures of the folder. page, count: as of :func:`page_of`; None: not known yet.
    """
    several = files if page is None or count is None else page_of(files, page, count)
    return _white_level(tuple(files), state(files)), state(several)


def good_batches(files: list[Path], page: int, count: int) -> list[list[Pixels]]:
    """The pictures of a page, uint8 ``[H, W, 3]`` each, in one list for each size. All pictures of
    the folder have one white level.

    Args:
        files: all pictures of the folder. page, count: as of :func:`page_of`.

    Raises:
        PictureError: a file that cannot be read.
    """
    white = _white_level(tuple(files), state(files))
    batches: dict[tuple[int, ...], list[Pixels]] = {}
    for path in page_of(files, page, count):
        picture = read_picture(path, white)
        batches.setdefault(picture.shape, []).append(picture)
    return list(batches.values())


@lru_cache(maxsize=16)
def _white_level(files: tuple[Path, ...], states: FileStates) -> int | None:
    """``white_level`` of a folder's pictures, decided anew where one of them has changed."""
    return white_level(files)


def mask_files(library: str, base: Path) -> list[Path]:
    """The files of a choice of Place Defect Mask.

    Raises:
        SettingError: a link among them leads out of ``base``, the host's input folder.
    """
    if library == DEMO:
        return picture_files(ASSETS / "demo" / "masks", ASSETS)
    return refuse_outside(inside(base, library, "library"), base, "library")


def mask_library(
    library: str, masks: torch.Tensor | None, base: Path, values: MaskValues = WHITE
) -> MaskLibrary:
    """The masks of a folder, or of the masks input.

    Args:
        values: what counts as defect in the masks of a folder.

    Raises:
        DataError: neither of the two, or both.
    """
    if library == NO_LIBRARY:
        if masks is None:
            do = "connect masks, or choose a folder of masks in library"
            raise DataError("neither masks is connected nor a library chosen", "one of them", do)
        return numbered_library(masks_of(masks, "masks"))
    if masks is not None:
        raise DataError(
            "masks is connected and a library chosen too",
            "one of them",
            f"set library to {NO_LIBRARY!r} or unplug masks",
        )
    files = mask_files(library, base)
    if library == DEMO:
        return read_library(files[0].parent, pictures=ASSETS / "demo" / "defects")
    folder = inside(base, library, "library")
    return read_library(folder, pictures=_defect_pictures(folder, base), values=values)


def library_files(library: str, base: Path) -> list[Path]:
    """All files that :func:`mask_library` reads for a folder: masks, and the pictures beside."""
    files = mask_files(library, base)
    if library == DEMO:
        return files
    pictures = _defect_pictures(inside(base, library, "library"), base)
    return files if pictures is None else [*files, *picture_files(pictures, pictures)]


def _defect_pictures(folder: Path, base: Path) -> Path | None:
    """The real pictures beside a folder of masks, where they too lie below ``base``."""
    pictures = pictures_beside(folder)
    if pictures is None or not pictures.is_relative_to(base):
        return None
    refuse_outside(pictures, base, "library")
    return pictures
