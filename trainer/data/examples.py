"""One picture of one defect, or a good one: where its files lie, and what is in them.

The defect stands in mask files, or is drawn by an annotation (:mod:`annotations`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bgdefect_core.errors import BGDefectError, DataError, MaskError
from bgdefect_core.pictures.decoding import orientation_of
from bgdefect_core.pictures.listing import report_once
from bgdefect_core.pictures.mask_files import report_large_masks
from bgdefect_core.pictures.mask_reading import read_masks
from bgdefect_core.pictures.mask_values import WHITE, MaskValues
from bgdefect_core.pictures.masks import Mask, check_mask
from bgdefect_core.pictures.picture import Pixels
from bgdefect_core.pictures.reading import read_of_folder

from .annotations.overhang import Overhangs
from .annotations.record import Region, regions_digest, union_of
from .annotations.shapes import Size
from .sides import DataSide, is_held

__all__ = ["GOOD", "Example", "check_size", "load_example", "load_others", "validate"]

log = logging.getLogger(__name__)

GOOD = "good"
"""What stands in place of a defect where there is none."""
_SWAPS_SIDES = 5
"""Least EXIF orientation that swaps width and height."""
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
    regions: tuple[Region, ...] = ()
    """In place of mask files: what an annotation draws; their union is the defect."""
    size: Size | None = None
    """Height and width of the picture as the annotation has them; None: it does not say."""
    others: tuple[Region, ...] = ()
    """What is neither this defect nor its background: other classes, and what is to be ignored."""
    side: DataSide = ""
    """Of the data set, where it has sides on which classes are divided."""

    @property
    def is_good(self) -> bool:
        """Whether it shows no defect."""
        return not self.masks and not self.regions

    @property
    def is_held(self) -> bool:
        """Whether the data set keeps it on a side from which nothing is learned."""
        return is_held(self.side)

    @property
    def label_file(self) -> Path:
        """The file of its (first) mask; of an annotation the picture that it is about."""
        return self.masks[0] if self.masks else self.image

    @property
    def label_files(self) -> tuple[Path, ...]:
        """The mask files that say where its defect is, and what is neither."""
        files = dict.fromkeys(self.masks)
        for region in (*self.regions, *self.others):
            files |= dict.fromkeys(region.files)
        return tuple(files)

    @property
    def regions_digest(self) -> str | None:
        """SHA-256 of what its annotation draws; None: it has mask files, which are known by their
        own content."""
        return regions_digest(self.regions) if self.regions else None

    @property
    def others_digest(self) -> str | None:
        """As ``regions_digest``, of the others; None: there are none."""
        return regions_digest(self.others) if self.others else None


def load_others(example: Example, size: Size) -> Mask | None:
    """Pixels that are neither the example's defect nor its background: bool ``[H, W]``; None: there
    are none.

    Args:
        size: of the picture.

    Raises:
        MaskError: they cannot be read or drawn.
    """
    if not example.others:
        return None
    others = union_of(example.others, size)
    return others if others.any() else None


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
        pair = _loaded[key] = (picture, _read_mask(example, size))
        size_in_memory = sum(map(_bytes_of, _loaded.values()))
        while size_in_memory > _REMEMBERED:
            oldest = _loaded.pop(next(iter(_loaded)))
            size_in_memory -= _bytes_of(oldest)
    return pair[0].copy(), pair[1].copy()


def _read_mask(example: Example, size: Size) -> Mask:
    union = f"the union of the masks of {example.image}"
    if not example.regions:
        return read_masks(example.masks, union, size, values=example.values, picture=example.image)
    check_size(example.image, size, example.size)
    _compare_orientation(example.image, size, example.size)
    mask = union_of(example.regions, size)
    if not mask.any():
        came = f"the labels of {example.image} have no pixel in its {size[1]} x {size[0]}"
        do = "correct their coordinates, or annotate the picture at this size"
        raise MaskError(came, "an area inside the picture", do)
    check_mask(mask, size, union)
    return mask


def check_size(image: Path, size: Size, annotated: Size | None) -> None:
    """Compare a picture with the size that its annotation gives.

    Raises:
        MaskError: they differ.
    """
    if annotated is not None and annotated != size:
        came = f"{image} is {size[1]} x {size[0]} pixels"
        expected = f"{annotated[1]} x {annotated[0]}, as its annotation has it"
        do = "annotate the picture at this size, upright"
        orientation = orientation_of(image)
        if orientation >= _SWAPS_SIDES and annotated == size[::-1]:
            came += f", turned by its EXIF orientation {orientation}"
            do = "annotate the turned picture, or remove the orientation from its EXIF data"
        raise MaskError(came, expected, do)


def _compare_orientation(image: Path, size: Size, annotated: Size | None) -> None:
    """Warn where a picture is turned by EXIF and nothing tells whether its annotation is too."""
    orientation = orientation_of(image)
    shows_turn = orientation >= _SWAPS_SIDES and annotated == size and size[0] != size[1]
    if orientation != 1 and not shows_turn:
        text = "%s is turned by its EXIF orientation %d: check that its labels fit"
        log.warning(text, image, orientation)


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
    """Read every picture and mask once, before any time goes into training. Labels that reach
    beyond their pictures are named in the log.

    Raises:
        DataError: naming up to five files that cannot be used, and why.
    """
    if not examples:
        raise DataError("there are no examples", "at least one picture with its mask")
    problems: list[str] = []
    shares: dict[str, list[float]] = {}
    overhangs = Overhangs()
    for example in examples:
        try:
            mask = load_example(example)[1]
        except BGDefectError as error:
            problems.append(str(error))
            continue
        overhangs.add(example.image, example.regions, (mask.shape[0], mask.shape[1]))
        shares.setdefault(f"{example.object} / {example.defect}", []).append(float(mask.mean()))
    if problems:
        lines = [f"{len(problems)} of {len(examples)} examples cannot be used:", *problems[:5]]
        if len(problems) > 5:
            lines.append(f"and {len(problems) - 5} more")
        raise DataError("\n  ".join(lines))
    for name, covered in shares.items():
        report_large_masks(name, covered)
    if overhangs.text:
        report_once(overhangs.text, expected=False)
