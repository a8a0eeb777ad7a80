"""The real masks of a defect class, from which new masks are made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError
from ..pictures.masks import Mask, trimmed
from .surroundings import Surroundings


@dataclass(frozen=True, eq=False)
class RealMask:
    """The mask of one real defect."""

    patch: Mask
    """bool ``[h, w]``, cut to its box."""
    name: str
    """Where it came from, for the manifest."""
    surroundings: Surroundings | None = None
    """None where its picture is not known."""
    origin: Path | None = None
    """Its file, or the folder of its parts; None: it came from no file."""


@dataclass(frozen=True, eq=False)
class MaskLibrary:
    """The real masks of one defect class.

    Raises:
        DataError: no masks.
    """

    masks: Sequence[RealMask]
    files: Sequence[Path] = ()
    """All files that were read for them, pictures too."""

    def __post_init__(self) -> None:
        if not self.masks:
            raise DataError(
                "the mask library is empty",
                "at least one real mask",
                "give masks of the defect class",
            )

    @property
    def patches(self) -> list[Mask]:
        """Each mask, cut to its box."""
        return [mask.patch for mask in self.masks]

    @property
    def names(self) -> list[str]:
        """Where each mask came from."""
        return [mask.name for mask in self.masks]


def numbered_library(
    masks: Iterable[Mask], surroundings: Sequence[Surroundings | None] | None = None
) -> MaskLibrary:
    """The library of masks that came from no file; their names are their numbers.

    Args:
        masks: bool ``[H, W]`` each. surroundings: of each; None: all unknown.

    Raises:
        DataError: no masks. MaskError: an empty one.
    """
    numbered: list[RealMask] = []
    for number, mask in enumerate(masks):
        around = None if surroundings is None else surroundings[number]
        numbered.append(RealMask(trimmed(mask), str(number), around))
    return MaskLibrary(numbered)
