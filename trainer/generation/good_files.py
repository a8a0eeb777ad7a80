"""The good pictures of a run as they are read: pictures, where defects may lie, and what the coarse
look sees, each kept while there is room."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from bgdefect_core.errors import BGDefectError
from bgdefect_core.pictures.area_reading import Areas, read_area
from bgdefect_core.pictures.masks import Mask
from bgdefect_core.pictures.picture import Picture
from bgdefect_core.pictures.reading import load_picture, white_level
from bgdefect_core.placement.coarse import CoarsePicture, Grid
from bgdefect_core.placement.part import PartKind, part_mask

_PICTURES, _MASKS, _COARSE = 1 << 28, 1 << 27, 1 << 28
"""Bytes of each kind that are kept, so that most runs read each picture once."""


class Sized(Protocol):
    """Anything that says how much memory it takes."""

    @property
    def nbytes(self) -> int:
        """Bytes."""


Kept = TypeVar("Kept", bound=Sized)


class Memory(Generic[Kept]):
    """Results by key, up to a number of bytes; the oldest go first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = 0
        self._results: dict[Hashable, Kept] = {}

    def get(self, key: Hashable, make: Callable[[], Kept]) -> Kept:
        """The result of a key; made where it is not there."""
        if key not in self._results:
            result = make()
            self._results[key] = result
            self._bytes += result.nbytes
            while self._bytes > self._limit and len(self._results) > 1:
                oldest = next(iter(self._results))
                self._bytes -= self._results.pop(oldest).nbytes
        return self._results[key]


class GoodFiles:
    """Good pictures by their numbers.

    Args:
        paths: their files.
        part: where defects may lie on them; "auto" decides for each picture, until it is set.
        allowed: marks where alone defects may lie; None: anywhere. forbidden: where they may not.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        part: PartKind,
        allowed: Areas | None = None,
        forbidden: Areas | None = None,
    ) -> None:
        self.paths = paths
        self.part: PartKind = part
        self.allowed = allowed
        self.forbidden = forbidden
        self.white = white_level(paths)
        """White level of the 16-bit pictures; None: there are none."""
        self._pictures = Memory[Picture](_PICTURES)
        self._parts = Memory[Mask](_MASKS)
        self._coarse = Memory[CoarsePicture](_COARSE)
        self._shapes: dict[int, tuple[int, int]] = {}

    def __len__(self) -> int:
        return len(self.paths)

    def picture(self, number: int) -> Picture:
        """A picture, at the depth of its file.

        Raises:
            PictureError: it cannot be read.
        """
        path = self.paths[number]
        return self._pictures.get(number, lambda: load_picture(path, self.white))

    def part_of(self, number: int) -> Mask:
        """Where defects may lie: bool ``[H, W]``, on the part, where allowed, not where forbidden.

        Raises:
            PictureError, MaskError: a file cannot be read.
        """
        return self._parts.get(number, lambda: self._make_part(number))

    def _make_part(self, number: int) -> Mask:
        path, picture = self.paths[number], self.picture(number)
        part = part_mask(picture.eight_bit(), self.part)
        if self.allowed is not None:
            file = self.allowed.of(path)
            part = part & (False if file is None else read_area(file, picture.size))
        if self.forbidden is not None:
            file = self.forbidden.of(path)
            part = part if file is None else part & ~read_area(file, picture.size)
        return part

    def unusable(self, number: int) -> str:
        """Why a picture cannot be used at all; "" where it can."""
        path = self.paths[number]
        if self.allowed is not None and self.allowed.of(path) is None:
            return f"{self.allowed.place} has no mask for it"
        if number in self._shapes:
            return ""
        try:
            if not self.part_of(number).any():
                return "nothing of the part is allowed"
        except BGDefectError as error:
            return str(error)
        self._shapes[number] = self.picture(number).size
        return ""

    def shape(self, number: int) -> tuple[int, int]:
        """Rows and columns in pixels."""
        if number not in self._shapes:
            self._shapes[number] = self.picture(number).size
        return self._shapes[number]

    def coarse(self, number: int, grid: Grid) -> CoarsePicture:
        """A picture on a grid."""

        def make() -> CoarsePicture:
            return CoarsePicture(self.picture(number).eight_bit(), self.part_of(number), grid)

        return self._coarse.get((number, grid), make)
