"""One picture on its way into a data set of another format."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from scipy import ndimage

from bgdefect_core.errors import OutputError
from bgdefect_core.paths import system_errors
from bgdefect_core.pictures.mask_reading import read_masks
from bgdefect_core.pictures.masks import Mask
from bgdefect_core.pictures.picture import Picture
from bgdefect_core.pictures.reading import load_picture, read_of_folder
from bgdefect_core.pictures.writing import ENDINGS, ImageFormat, write_picture

from ..annotations.outlines import Face, outlines_of
from ..annotations.record import Region, union_of
from ..annotations.shapes import Size
from ..examples import Example, check_size
from ..sides import DataSide

__all__ = [
    "Defect",
    "LabelledFile",
    "Provenance",
    "Side",
    "copy_picture",
    "provenance_names",
    "provenance_values",
]

_ALL_VALUES = 65535
"""White level at which the values of every file stay as they are."""
Side = Literal["train", "val", "test"]
Provenance = Mapping[str, str | int | float]
"""How a picture was made: method, seed, exemplar, base and its licence; empty of real pictures."""


@dataclass(frozen=True, eq=False)
class Defect:
    """One labelled defect of a picture."""

    label: str
    """Name of its class."""
    mask: Mask
    """bool ``[H, W]``, not empty."""

    @cached_property
    def faces(self) -> list[Face]:
        """Outlines of its pieces, those of the largest area first."""
        return [face for area in outlines_of(self.mask) for face in area]


@dataclass(frozen=True, eq=False)
class LabelledFile:
    """A picture with its labels; its pixels are read when they are asked for."""

    picture: Path
    name: str
    """File name in the new data set, with its ending; unique."""
    object: str
    examples: tuple[Example, ...]
    """One a class; none: a good picture."""
    group: str = ""
    """Pictures of one part share it; empty: a part of its own."""
    side: Side = "train"
    source_side: DataSide = ""
    """In the data set that it comes from; empty: that has none."""
    image_format: ImageFormat | None = None
    """Of its file in the new data set; None: copied as it is."""
    provenance: Provenance = field(default_factory=dict)

    @property
    def stem(self) -> str:
        """The name without its ending."""
        return Path(self.name).stem

    def written_as(self, image_format: ImageFormat | None) -> LabelledFile:
        """The same with a file of this format in the new data set; None: copied as it is."""
        if image_format is None:
            return self
        name = self.stem + ENDINGS[image_format]
        return replace(self, name=name, image_format=image_format)

    @property
    def size(self) -> Size:
        """Height and width in pixels.

        Raises:
            PictureError: the picture cannot be read.
        """
        shape = read_of_folder(self.picture).shape
        return shape[0], shape[1]

    def defects(self, size: Size) -> list[Defect]:
        """The labelled defects: a drawn region each, or a connected area of mask files each.

        Args:
            size: of the picture.

        Raises:
            MaskError: a label cannot be read.
        """
        defects: list[Defect] = []
        for example in self.examples:
            if example.regions:
                check_size(example.image, size, example.size)
            for region in example.regions:
                mask = region.fill(size)
                if mask.any():
                    defects.append(Defect(example.defect, mask))
            if example.masks:
                defects += _areas_of(example, size)
        return defects

    @property
    def undecided(self) -> tuple[Region, ...]:
        """The regions that may hold something to be ignored: those drawn of another class of this
        picture do not."""
        labels = {example.defect for example in self.examples}
        regions: dict[Region, None] = {}
        for example in self.examples:
            for region in example.others:
                if region.files or region.label not in labels:
                    regions[region] = None
        return tuple(regions)

    def ignored(self, size: Size) -> Mask | None:
        """The pixels that are neither defect nor background: bool ``[H, W]``; None: there are none.

        Args:
            size: of the picture.

        Raises:
            MaskError: a label cannot be read.
        """
        regions = self.undecided
        if not regions:
            return None
        mask = union_of(regions, size)
        for defect in self.defects(size):
            mask &= ~defect.mask
        return mask if mask.any() else None

    def masks(self, size: Size) -> dict[str, Mask]:
        """The union of the defects of each class, by its name."""
        masks: dict[str, Mask] = {}
        for defect in self.defects(size):
            before = masks.get(defect.label)
            masks[defect.label] = defect.mask if before is None else before | defect.mask
        return masks


def _areas_of(example: Example, size: Size) -> list[Defect]:
    name = f"the union of the masks of {example.image}"
    mask = read_masks(example.masks, name, size, values=example.values, picture=example.image)
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    return [Defect(example.defect, labels == number) for number in range(1, count + 1)]


def provenance_names(files: Sequence[LabelledFile]) -> list[str]:
    """Names of all that is known of how pictures were made, in their order."""
    names: dict[str, None] = {}
    for labelled in files:
        names |= dict.fromkeys(labelled.provenance)
    return list(names)


def provenance_values(
    labelled: LabelledFile, names: Sequence[str]
) -> tuple[str | int | float, ...]:
    """What is known of a picture by these names; "" where nothing is."""
    return tuple(labelled.provenance.get(name, "") for name in names)


def copy_picture(labelled: LabelledFile, folder: Path) -> Path:
    """Put a picture into a folder that is being made: byte for byte, or with its values in a file
    of another format.

    Raises:
        OutputError: it cannot be written. PictureError: it cannot be read.
    """
    target = folder / labelled.name
    if labelled.image_format is not None:
        pixels = load_picture(labelled.picture, _ALL_VALUES).pixels
        if pixels.dtype == np.uint8 and (pixels == pixels[..., :1]).all():
            gray = pixels[..., 0].astype(np.uint8, copy=False)
            write_picture(target, gray, labelled.image_format)
        else:
            picture = Picture(pixels, int(np.iinfo(pixels.dtype).max))
            write_picture(target, picture, labelled.image_format)
        return target
    with system_errors(OutputError, "a writable folder with room on the disk"):
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(labelled.picture, target)
    return target
