"""What layouts share in which every picture has a mask, and one that is all black says that the
picture is good: masks are read to tell, each once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from bgdefect_core.errors import DataError, MaskError
from bgdefect_core.pictures.decoding import decode
from bgdefect_core.pictures.mask_values import NONZERO

from ..examples import GOOD, Example
from ..sides import DataSide, is_asked_for
from .layout import Layout, choose, object_name

__all__ = ["BlackMaskLayout", "MaskedPicture", "has_white", "is_black", "with_masks"]

_DEFECT = "defect"
_WHITE = 224
"""Least of 255 that compression leaves of white."""
_REMEMBERED = 1 << 16
"""Masks of which it is kept whether they are black: each is asked for several times a run."""


@dataclass(frozen=True)
class MaskedPicture:
    """A picture with its mask."""

    image: Path
    mask: Path
    group: str = ""
    """Pictures of one part share it; empty: a part of its own."""
    side: DataSide = ""
    """Empty: the data set has no sides."""


class BlackMaskLayout(Layout):
    """A data set of one object, called as its folder is, and of one defect."""

    good_place = "pictures whose mask is all black"

    @abstractmethod
    def pictures(self, root: Path) -> list[MaskedPicture]:
        """All pictures, by listing; empty where the folder is of another layout.

        Raises:
            DataError: a picture without mask, or a mask without picture.
        """

    def classes(self, root: Path) -> dict[str, list[str]]:
        has_defects = any(not is_black(picture.mask) for picture in self.pictures(root))
        return {object_name(root): [_DEFECT] if has_defects else []}

    def examples(self, root: Path, classes: Collection[tuple[str, str]]) -> list[Example]:
        object = object_name(root)
        examples: list[Example] = []
        for picture in self.pictures(root):
            if classes and not is_black(picture.mask):
                masks = (picture.mask,)
                example = Example(
                    picture.image,
                    masks,
                    object,
                    _DEFECT,
                    picture.group,
                    NONZERO,
                    side=picture.side,
                )
                examples.append(example)
        return examples

    def good_examples(self, root: Path, object: str | None, side: str) -> list[Example]:
        name = choose(root, "object", object, [object_name(root)])[0]
        examples: list[Example] = []
        for picture in self.pictures(root):
            if is_asked_for(picture.side, side) and is_black(picture.mask):
                example = Example(picture.image, (), name, GOOD, picture.group, side=picture.side)
                examples.append(example)
        return examples


def with_masks(files: Mapping[str, Path], label: str, suffix: str) -> list[tuple[Path, Path]]:
    """Each picture with its mask, whose name is the picture's and a label.

    Args:
        files: name -> file, of pictures and masks alike. label: as it ends the names of masks.
        suffix: of the masks, for the message.

    Raises:
        DataError: a picture without mask, or a mask without picture.
    """
    pairs: list[tuple[Path, Path]] = []
    for name, path in files.items():
        if name.endswith(label):
            if name.removesuffix(label) not in files:
                raise DataError(f"{path} has no picture", "a picture beside it", "add it")
            continue
        mask = files.get(name + label)
        if mask is None:
            expected = f"{path.stem}{suffix} beside it"
            raise DataError(f"{path} has no mask", expected, "add it or leave it out")
        pairs.append((path, mask))
    return pairs


def is_black(mask: Path) -> bool:
    """Whether a mask has no value but 0; one that cannot be read is not."""
    status = mask.stat()
    return _is_black_file(mask, status.st_size, status.st_mtime_ns)


def has_white(mask: Path) -> bool:
    """Whether a mask is gray and its brightest pixels are white: no numbers of classes."""
    status = mask.stat()
    return _has_white_file(mask, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=_REMEMBERED)
def _is_black_file(mask: Path, size: int, changed: int) -> bool:
    """As :func:`is_black`.

    Args:
        size, changed: of the file; another state is another entry.
    """
    try:
        return not decode(mask, MaskError).pixels.any()
    except MaskError:  # as a defect's mask it is read again, with its error
        return False


@lru_cache(maxsize=_REMEMBERED)
def _has_white_file(mask: Path, size: int, changed: int) -> bool:
    """As :func:`has_white`.

    Args:
        size, changed: as above.
    """
    try:
        decoded = decode(mask, MaskError)
    except MaskError:
        return False
    pixels = decoded.pixels
    is_gray = pixels.ndim == 2 or bool((pixels == pixels[..., :1]).all())
    brightest = int(pixels.max()) >> (8 if pixels.dtype == np.uint16 else 0)
    return decoded.indices is None and is_gray and brightest >= _WHITE
