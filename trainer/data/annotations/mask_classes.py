"""Mask files whose values or colours are classes: the name of each, and what is to be ignored."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from bgdefect_core.errors import DataError, MaskError, SettingError
from bgdefect_core.pictures.decoding import decode
from bgdefect_core.pictures.mask_values import MaskValues, shown_values
from bgdefect_core.pictures.masks import Mask
from bgdefect_core.records.dataset_place import check_name

from .reading import read_small_text
from .record import is_background, is_defect
from .shapes import Size

__all__ = ["MASK_CLASSES_HELP", "MaskClasses", "OtherPixels"]

MASK_CLASSES_HELP = (
    "Classes of masks that hold several: values or colours with names, such as "
    '"1=scratch,2=dent,255=ignore" or "#ff0000=scratch,#00ff00=dent", or names in the order of the '
    'values, "background,scratch,dent", or the file labelmap.txt of CVAT. What is called ignore is '
    "neither defect nor background. Default: white on black."
)
_EXAMPLE = 'such as "1=scratch,2=dent,255=ignore"'
_VOID = (224, 224, 192)
"""What Pascal VOC, whose layout CVAT writes, leaves undecided along outlines."""
_NEAR = 24
_State = tuple[int, int]


@dataclass(frozen=True)
class MaskClasses:
    """Names of the values of mask files. 0 and black are background where they have no name."""

    values: tuple[tuple[str, MaskValues], ...]
    """Class and what its pixels have; background and ignored ones too."""
    _defects: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        defects = [name for name, _ in self.values if is_defect(name)]
        object.__setattr__(self, "_defects", tuple(dict.fromkeys(defects)))

    @staticmethod
    def parse(text: str) -> MaskClasses:
        """What users write, see ``MASK_CLASSES_HELP``.

        Raises:
            SettingError: something else. DataError: a labelmap.txt that is none.
        """
        if text.lower().endswith(".txt"):
            return MaskClasses.read(Path(text))
        words = [word.strip() for word in text.split(",") if word.strip()]
        if not words:
            raise SettingError(f"mask_classes is {text!r}", "values with names", _EXAMPLE)
        pairs: list[tuple[str, str]] = []
        for number, word in enumerate(words):
            value, mark, name = word.partition("=")
            pairs.append((name.strip(), value.strip()) if mark else (word, str(number)))
        if len({"=" in word for word in words}) > 1:
            raise SettingError(f"mask_classes is {text!r}", "names alone, or each with a value")
        return _of_pairs(pairs, SettingError, "mask_classes")

    @staticmethod
    def read(path: Path) -> MaskClasses:
        """A labelmap.txt: a line ``name:red,green,blue:parts:actions`` for each class.

        Raises:
            DataError: unreadable, or another form.
        """
        pairs: list[tuple[str, str]] = []
        for number, line in enumerate(read_small_text(path).split("\n"), start=1):
            if not line.strip() or line.startswith("#"):
                continue
            name, _, rest = line.partition(":")
            channels = re.fullmatch(r"\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*(:.*)?", rest)
            if channels is None or max(map(int, channels.groups()[:3])) > 255:
                came = f"{path}, line {number} is {line[:40]!r}"
                raise DataError(came, "name:red,green,blue::", "export it again")
            red, green, blue = map(int, channels.groups()[:3])
            pairs.append((name.strip(), f"#{red:02x}{green:02x}{blue:02x}"))
        classes = _of_pairs(pairs, DataError, str(path))
        for _, values in classes.values:
            if _VOID in values.colours:
                return classes
        void = MaskValues(colours=(_VOID,), near=0)
        return MaskClasses((*classes.values, ("ignore", void)))

    @property
    def defects(self) -> tuple[str, ...]:
        """Names of the classes of defects."""
        return self._defects

    def values_of(self, names: Iterable[str]) -> MaskValues:
        """What pixels of some classes have."""
        wanted = set(names)
        numbers: list[int] = []
        colours: list[tuple[int, int, int]] = []
        near = _NEAR
        for name, values in self.values:
            if name in wanted:
                numbers += values.numbers
                colours += values.colours
                near = min(near, values.near)
        return MaskValues(tuple(numbers), tuple(colours), near=near)

    def others_of(self, name: str) -> MaskValues:
        """What pixels of the other classes and of those to be ignored have."""
        others: list[str] = []
        for label, _ in self.values:
            if label != name and not is_background(label):
                others.append(label)
        return self.values_of(others)

    def in_file(self, path: Path) -> tuple[str, ...]:
        """Classes of defects that a file holds; "ignore" where it holds nothing but that.

        Raises:
            MaskError: it cannot be read, or holds a value without a name.
        """
        status = path.stat()
        return _present(self, path, (status.st_size, status.st_mtime_ns))


@dataclass(frozen=True)
class OtherPixels:
    """What mask files hold of other classes."""

    paths: tuple[Path, ...]
    values: MaskValues

    def fill(self, size: Size) -> Mask:
        """As ``Shape``."""
        mask = np.zeros(size, np.bool_)
        for path in self.paths:
            pixels = self.values.pixels_of(decode(path, MaskError))
            if pixels.shape != size:
                came = f"{path} is {pixels.shape[1]} x {pixels.shape[0]} pixels"
                raise DataError(came, f"{size[1]} x {size[0]}, as its picture")
            mask |= pixels
        return mask


@lru_cache(maxsize=1 << 16)
def _present(classes: MaskClasses, path: Path, state: _State) -> tuple[str, ...]:
    """Args: state: of the file; another one is another entry."""
    decoded = decode(path, MaskError)
    present: list[str] = []
    named = np.zeros(decoded.pixels.shape[:2], np.bool_)
    has_ignored = False
    for name in dict.fromkeys(name for name, _ in classes.values):
        pixels = classes.values_of((name,)).pixels_of(decoded)
        named |= pixels
        if pixels.any():
            has_ignored |= not is_defect(name) and not is_background(name)
            if is_defect(name):
                present.append(name)
    pixels = decoded.pixels
    unnamed = ~named & ((pixels if pixels.ndim == 2 else pixels.any(axis=2)) != 0)
    if unnamed.any():
        names = ", ".join(f"{values}={name}" for name, values in classes.values)
        came = f"{path}: {int(unnamed.sum())} pixels have none of the values {names[:200]}; "
        came += f"it holds {shown_values(decoded)}"
        do = "name the others too; as ignore where they are neither defect nor background"
        raise MaskError(came, "values with names", do)
    return tuple(present) or (("ignore",) if has_ignored else ())


def _of_pairs(
    pairs: Iterable[tuple[str, str]], error: type[DataError] | type[SettingError], where: str
) -> MaskClasses:
    """Classes of names and values as text."""
    classes: list[tuple[str, MaskValues]] = []
    taken: dict[object, str] = {}
    for name, text in pairs:
        try:
            values = MaskValues.parse(text)
            if is_defect(name):
                check_name("defect", name)
        except SettingError as reason:
            raise error(f"{where}: {reason.came}", reason.expected, _EXAMPLE) from reason
        if values.is_white or values.nonzero or not name:
            raise error(f"{where} holds {text!r} for {name!r}", "a value with a name", _EXAMPLE)
        for value in (*values.numbers, *values.colours):
            if taken.setdefault(value, name) != name:
                raise error(f"{where} has two names of {text}", "one each", _EXAMPLE)
        classes.append((name, values))
    if not any(is_defect(name) for name, _ in classes):
        raise error(f"{where} names no defect", "a value with its name", _EXAMPLE)
    return MaskClasses(_apart(classes))


def _apart(classes: list[tuple[str, MaskValues]]) -> tuple[tuple[str, MaskValues], ...]:
    """The classes, with less tolerance where two colours are close; black counts as one."""
    colours: list[tuple[int, int, int]] = []
    for _, values in classes:
        colours += values.colours
    if colours and (0, 0, 0) not in colours:
        colours.append((0, 0, 0))
    near = _NEAR
    for number, colour in enumerate(colours):
        for earlier in colours[:number]:
            apart = int(np.abs(np.subtract(colour, earlier)).max())
            near = min(near, max(apart - 1, 0) // 2)
    result: list[tuple[str, MaskValues]] = []
    for name, values in classes:
        result.append((name, MaskValues(values.numbers, values.colours, near=near)))
    return tuple(result)
