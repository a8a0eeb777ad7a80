"""Finding examples and good pictures in a data set, whatever its layout.

A new layout is one module of this package, and one line in ``LAYOUTS``. Finding examples reads
names only; ``examples.validate`` reads every file once. Of the layouts, the first that recognises
the data set is taken.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from bgdefect_core.declarations import Choice, Doc, Range, Registry
from bgdefect_core.errors import DataError, SettingError
from bgdefect_core.paths import system_errors
from bgdefect_core.pictures.listing import report_once, shown_names
from bgdefect_core.pictures.mask_values import MASK_VALUES_HELP, MaskValues

from ..annotations.record import AnnotationOptions
from ..examples import Example
from .annotated import AnnotationLayout
from .btad import Btad
from .coco import Coco
from .csv_list import CsvList
from .kolektor_sdd import KolektorSDD
from .kolektor_sdd2 import KolektorSDD2
from .labelme import LabelMe
from .layout import Layout, choose, file_in
from .mvtec_ad import MVTecAD, is_object_folder, unfit_manifest
from .mvtec_loco import MVTecLoco
from .plain import PlainFolder
from .real_iad import RealIAD
from .visa import VisA
from .yolo import Yolo

__all__ = [
    "AS_FOUND",
    "LAYOUTS",
    "AnnotationLayout",
    "CsvList",
    "Layout",
    "MVTecAD",
    "PlainFolder",
    "ReadingSettings",
    "find_class",
    "find_examples",
    "good_examples",
    "good_pictures",
    "is_object_folder",
    "layout_of",
]

LAYOUTS: Registry[Layout] = Registry(
    "data layout",
    CsvList(),
    Coco(),
    Yolo(),
    LabelMe(),
    VisA(),
    RealIAD(),
    KolektorSDD(),
    KolektorSDD2(),
    Btad(),
    MVTecLoco(),
    MVTecAD(),
    PlainFolder(),
)

LAYOUT_HELP = "Layout of the data set, where another one would be recognised. Default: detected."
OUTSIDE_HELP = (
    "Read pictures that annotations name outside the data set's folder too, by absolute paths or "
    "by links."
)


@dataclass(frozen=True)
class ReadingSettings:
    """How a data set is read."""

    layout: Annotated[str | None, Choice(LAYOUTS), Doc(LAYOUT_HELP)] = None
    group_pattern: Annotated[
        str | None,
        Doc(
            "Regular expression with one group in parentheses, searched in each picture's file "
            "name; pictures with the same text there show one part and stay on one side, such as "
            '"^(board[0-9]+)_". Default: groups of the data set, if it has any.'
        ),
    ] = None
    mask_values: Annotated[str | None, Doc(MASK_VALUES_HELP)] = None
    line_width: Annotated[
        float, Range(0.1, 1000), Doc("Width in pixels of lines that LabelMe's files hold.")
    ] = 10.0
    outside_files: Annotated[bool, Doc(OUTSIDE_HELP)] = False

    def check(self) -> None:
        """Raise SettingError where the pattern or the values of masks are none."""
        MaskValues.parse(self.mask_values)
        _compiled(self.group_pattern)

    @property
    def options(self) -> AnnotationOptions:
        """What the layouts with annotations read."""
        return AnnotationOptions(self.outside_files, self.line_width)


AS_FOUND = ReadingSettings()
_reading = system_errors(DataError, "a data set that can be read")
_EXPECTED = "one of: " + "; ".join(layout.summary for layout in LAYOUTS.values())


@_reading
def find_examples(
    root: str | Path,
    object: str | None = None,
    defect: str | None = None,
    reading: ReadingSettings = AS_FOUND,
) -> list[Example]:
    """All examples of an object and a defect (None: of all), sorted by object, defect and file; a
    csv keeps its order.

    Args:
        root: a data set of several objects, one object's folder, a csv, or a folder that holds one.
        reading: layout, groups and values of masks, where they are not as found.

    Raises:
        DataError: nothing there, an unknown layout, object or defect (the message lists the known
            ones), a picture without mask, a mask without picture; the message names the file.
        SettingError: the pattern or the values of masks are none.
    """
    root = Path(root)
    layout = layout_of(root, reading)
    if isinstance(layout, PlainFolder):
        raise _unknown(root)
    known = layout.classes(root)
    objects = choose(root, "object", object, known)
    names: set[str] = set()
    for name in objects:
        names.update(known[name])
    defects = choose(root, "defect", defect, names)
    classes: set[tuple[str, str]] = set()
    for name in objects:
        for member in known[name]:
            if member in defects:
                classes.add((name, member))
    examples = _grouped(root, layout.examples(root, classes), reading.group_pattern)
    values = MaskValues.parse(reading.mask_values)
    if values.is_white:
        return examples
    return [replace(example, values=values) for example in examples]


def find_class(
    root: str | Path,
    object: str | None = None,
    defect: str | None = None,
    reading: ReadingSettings = AS_FOUND,
) -> list[Example]:
    """The examples of the one class that the names leave, as :func:`find_examples`.

    Raises:
        DataError: as there, or several classes; the message lists them.
    """
    examples = find_examples(root, object, defect, reading)
    classes = sorted({(example.object, example.defect) for example in examples})
    if len(classes) != 1:
        names = ", ".join(f"{name} / {defect}" for name, defect in classes[:20])
        came = f"{root} holds {len(classes)} classes"
        raise DataError(came, f"one of {names}", "name the object and the defect")
    return examples


@_reading
def good_pictures(
    root: str | Path, object: str | None = None, reading: ReadingSettings = AS_FOUND
) -> list[Path]:
    """Good pictures: ``train/good`` of the object, a csv's good rows, or the pictures that lie in
    the folder itself.

    Raises:
        DataError: none there, an unknown object, or several objects and none chosen.
    """
    root = Path(root)
    layout = layout_of(root, reading)
    examples = layout.good_examples(root, object, "train")
    if not examples:
        name = f" of {object}" if object else ""
        raise DataError(f"{root} holds no good pictures{name}", layout.good_place, "add some")
    return [example.image for example in examples]


@_reading
def good_examples(
    root: str | Path, object: str, side: str = "train", reading: ReadingSettings = AS_FOUND
) -> list[Example]:
    """Good pictures of an object with their groups, as examples without masks.

    Args:
        side: "train" or "test", for ``train/good`` or ``test/good``; a csv, which knows no sides,
            gives all its good rows for either. Empty where the object has none.

    Raises:
        DataError: as `find_examples`.
    """
    root = Path(root)
    examples = layout_of(root, reading).good_examples(root, object, side)
    return _grouped(root, examples, reading.group_pattern)


def _grouped(root: Path, examples: list[Example], pattern: str | None) -> list[Example]:
    """The examples with the groups that a pattern finds in their names.

    Raises:
        DataError: it matches no name at all. SettingError: it is no pattern with one group.
    """
    expression = _compiled(pattern)
    if expression is None or not examples:
        return examples
    grouped: list[Example] = []
    unmatched: list[str] = []
    for example in examples:
        match = expression.search(example.image.name)
        if match is None or not match[1]:
            unmatched.append(example.image.name)
            grouped.append(example)
        else:
            grouped.append(replace(example, group=match[1]))
    if len(unmatched) == len(examples):
        came = f"group_pattern {pattern!r} matches no file name in {root}"
        raise DataError(came, f"a pattern for names such as {unmatched[0]}", "correct it")
    if unmatched:
        text = f"{root}: group_pattern does not match {shown_names(unmatched)}: each of them is "
        report_once(f"{text}taken for a part of its own", expected=False)
    return grouped


def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    """The pattern of groups.

    Raises:
        SettingError: it is no regular expression with one group.
    """
    if pattern is None:
        return None
    do = 'correct it, such as "^(board[0-9]+)_"'
    try:
        expression = re.compile(pattern)
    except re.error as reason:
        came = f"group_pattern is {pattern!r} ({reason})"
        raise SettingError(came, "a regular expression", do) from reason
    if expression.groups != 1:
        came = f"group_pattern {pattern!r} has {expression.groups} groups in parentheses"
        raise SettingError(came, "one", do)
    return expression


@_reading
def layout_of(root: Path, reading: ReadingSettings = AS_FOUND) -> Layout:
    """The layout of a data set: as the settings say, else the first that recognises it.

    Raises:
        DataError: nothing there, or no layout recognises it.
    """
    if not root.exists():
        raise DataError(f"{root} does not exist", "a data set's folder or csv", "check the path")
    if root.is_dir() and not any(root.iterdir()):
        raise DataError(f"{root} is an empty folder", _EXPECTED, "check the path")
    if reading.layout is not None:
        forced = LAYOUTS.named(reading.layout)
        if not forced.recognises(root):
            came = f"{root} has not the layout {forced.name}"
            raise DataError(came, forced.summary, "check the path, or leave --layout out")
        return forced.reading(reading.options)
    for layout in LAYOUTS.values():
        if layout.recognises(root):
            return layout.reading(reading.options)
    if not root.is_dir():
        raise DataError(f"{root} is neither a folder nor a csv", _EXPECTED, "check the path")
    raise _unknown(root)


def _unknown(root: Path) -> DataError:
    manifest = file_in(root, "manifest.csv")
    if manifest is not None:
        return unfit_manifest(manifest)
    return DataError(f"{root} has an unknown layout", _EXPECTED, "check the path, or write a csv")
