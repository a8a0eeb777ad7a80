"""One picture of one defect, or a good one: where its files lie, and what is in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bgdefect_core.errors import BGDefectError, DataError
from bgdefect_core.pictures.mask_files import report_large_masks
from bgdefect_core.pictures.mask_reading import read_masks
from bgdefect_core.pictures.mask_values import WHITE, MaskValues
from bgdefect_core.pictures.masks import Mask
from bgdefect_core.pictures.picture import Pixels
from bgdefect_core.pictures.reading import read_of_folder

__all__ = ["GOOD", "Example", "load_example", "validate"]

GOOD = "good"
"""What stands in place of a defect where there is none."""
_REMEMBERED = 1 << 29
"""Bytes of pictures and masks that are kept, so that each file is decoded once a run."""
_State = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Example:
    """One picture of one defect."""

    image: Path
    masks: tuple[Path, ...]
    """One file or more; their union is the defect."""
    object: str
    defect: str
    """With ``object`` the class, by folder names."""
    group: str
    """Pictures of one part share it; empty: a part of its own."""
    values: MaskValues = WHITE
    """What counts as defect in its masks."""


_loaded: dict[tuple[Example, _State], tuple[Pixels, Mask]] = {}


def load_example(example: Example) -> tuple[Pixels, Mask]:
    """The picture, ``uint8 [H, W, 3]``, and the union of its masks, ``bool [H, W]``. The caller
    owns the arrays.

    Raises:
        PictureError, MaskError: see `read_picture` and `read_masks`.
    """
    key = (example, _state(example))
    pair = _loaded.get(key)
    if pair is None:
        picture = read_of_folder(example.image)
        size = (picture.shape[0], picture.shape[1])
        union = f"the union of the masks of {example.image}"
        mask = read_masks(example.masks, union, size, values=example.values, picture=example.image)
        pair = _loaded[key] = (picture, mask)
        size_in_memory = sum(map(_bytes_of, _loaded.values()))
        while size_in_memory > _REMEMBERED:
            oldest = _loaded.pop(next(iter(_loaded)))
            size_in_memory -= _bytes_of(oldest)
    return pair[0].copy(), pair[1].copy()


def _bytes_of(pair: tuple[Pixels, Mask]) -> int:
    picture, mask = pair
    return picture.nbytes + mask.nbytes


def _state(example: Example) -> _State:
    """Another value where a file has changed; missing files are left to their readers."""
    states = []
    for path in (example.image, *example.masks):
        if path.is_file():
            status = path.stat()
            states.append((status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(states)


def validate(examples: Sequence[Example]) -> None:
    """Read every picture and mask once, before any time goes into training.

    Raises:
        DataError: naming up to five files that cannot be used, and why.
    """
    if not examples:
        raise DataError("there are no examples", "at least one picture with its mask")
    problems: list[str] = []
    shares: dict[str, list[float]] = {}
    for example in examples:
        try:
            mask = load_example(example)[1]
        except BGDefectError as error:
            problems.append(str(error))
            continue
        shares.setdefault(f"{example.object} / {example.defect}", []).append(float(mask.mean()))
    if problems:
        lines = [f"{len(problems)} of {len(examples)} examples cannot be used:", *problems[:5]]
        if len(problems) > 5:
            lines.append(f"and {len(problems) - 5} more")
        raise DataError("\n  ".join(lines))
    for name, covered in shares.items():
        report_large_masks(name, covered)
