"""Examples and good pictures of a data set, whatever its layout."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from bgdefect_core.errors import DataError
from bgdefect_core.paths import system_errors
from bgdefect_core.pictures.listing import report_once
from bgdefect_core.pictures.mask_values import MaskValues
from bgdefect_core.records.dataset_place import check_text

from ..annotations.mask_classes import MaskClasses
from ..examples import Example
from .annotated import AnnotationLayout
from .class_masks import ClassMasks, MaskFolders
from .grouping import grouped_by_file, grouped_by_name
from .known import LAYOUTS
from .layout import Layout, choose, file_in
from .mvtec_ad import unfit_manifest
from .plain import PlainFolder
from .settings import AS_FOUND, ReadingSettings

__all__ = [
    "all_good_examples",
    "find_class",
    "find_examples",
    "good_examples",
    "good_pictures",
    "layout_of",
]

_reading = system_errors(DataError, "a data set that can be read")
_EXPECTED = (
    f"one of the layouts {', '.join(LAYOUTS)}, such as OBJECT/test/DEFECT (mvtec); "
    "bgdefect data check --help says where the files of each lie"
)


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
    for name, member in sorted(classes):
        check_text("object", name)  # they become prompts and records
        check_text("defect", member)
    examples = _grouped(root, layout.examples(root, classes), reading)
    if reading.sides == "none":
        examples = [replace(example, side="") for example in examples]
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
    examples = _good_of(layout, root, object, "train", reading)
    if not examples:
        name = f" of {object}" if object else ""
        do = "add some"
        if _good_of(layout, root, object, "test", reading):
            do = "add some on the side train, or read the sides together: --sides none"
        raise DataError(f"{root} holds no good pictures{name}", layout.good_place, do)
    return [example.image for example in examples]


@_reading
def good_examples(
    root: str | Path, object: str, side: str = "train", reading: ReadingSettings = AS_FOUND
) -> list[Example]:
    """Good pictures of an object with their groups, as examples without masks.

    Args:
        side: "train" or "test", for ``train/good`` or ``test/good``; a data set without sides
            gives all its good pictures for either. Empty where the object has none.

    Raises:
        DataError: as `find_examples`.
    """
    root = Path(root)
    examples = _good_of(layout_of(root, reading), root, object, side, reading)
    return _grouped(root, examples, reading, must_have=False)


def all_good_examples(
    root: str | Path, object: str, reading: ReadingSettings = AS_FOUND
) -> list[Example]:
    """The good pictures of an object on both sides, each once, as :func:`good_examples`."""
    by_picture: dict[Path, Example] = {}
    for side in ("train", "test"):
        for example in good_examples(root, object, side, reading):
            by_picture.setdefault(example.image, example)
    return list(by_picture.values())


def _good_of(
    layout: Layout, root: Path, object: str | None, side: str, reading: ReadingSettings
) -> list[Example]:
    """Good pictures of a side, or of both where sides are read together."""
    if reading.sides == "own":
        return layout.good_examples(root, object, side)
    by_picture: dict[Path, Example] = {}
    for part in ("train", "test"):
        for example in layout.good_examples(root, object, part):
            by_picture.setdefault(example.image, replace(example, side=""))
    return list(by_picture.values())


def _grouped(
    root: Path, examples: list[Example], reading: ReadingSettings, must_have: bool = True
) -> list[Example]:
    """The examples with the groups that the settings name, else with those of the data set.

    Args:
        must_have: whether a key that no example has is refused.
    """
    if reading.group_file is not None:
        return grouped_by_file(root, examples, reading.group_file, reading.options.group_key)
    if reading.group_pattern is not None:
        return grouped_by_name(root, examples, reading.group_pattern)
    has_none = bool(examples) and not any(example.group for example in examples)
    if reading.group_key is not None and must_have and has_none:
        came = f"no picture of {root} has the entry or tag {reading.group_key!r}"
        raise DataError(came, "a name that its annotation holds", "correct group_key")
    return examples


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
        return _as_set(forced, root, reading)
    for layout in LAYOUTS.values():
        if layout.recognises(root):
            if isinstance(layout, AnnotationLayout):
                _report_others(root, layout.name)
            return _as_set(layout, root, reading)
    if not root.is_dir():
        raise DataError(f"{root} is neither a folder nor a csv", _EXPECTED, "check the path")
    raise _unknown(root)


def _as_set(layout: Layout, root: Path, reading: ReadingSettings) -> Layout:
    """A layout with the options of reading."""
    if isinstance(layout, MaskFolders):
        _report_tables(root, reading)
    chosen = layout.reading(reading.options)
    if reading.mask_classes is not None:
        return ClassMasks(chosen, MaskClasses.parse(reading.mask_classes))
    return chosen.reading_at(root) if reading.mask_values is None else chosen


@lru_cache(maxsize=64)
def _report_others(root: Path, name: str) -> None:
    """Say which other layouts have labels in a data set too.

    Args:
        name: of the layout that is read.
    """
    others: list[str] = []
    for layout in LAYOUTS.values():
        is_other = isinstance(layout, AnnotationLayout) and layout.name != name
        if is_other and layout.recognises(root):
            others.append(layout.name)
    if others:
        text = f"{root}: read as {name}; it holds labels of {', '.join(others)} too, which are not "
        report_once(f"{text}read: --layout {others[0]} reads them in their place", expected=False)


def _report_tables(root: Path, reading: ReadingSettings) -> None:
    """Say which tables beside folders of masks and pictures are not read: they may name the
    defects."""
    for path in sorted(root.glob("*.csv")):
        if reading.group_file is None or not path.samefile(reading.group_file):
            text = f"{path} is not read: where it has the columns image, mask, class and defect, "
            report_once(f"{text}give it as the data set itself", expected=False)


def _unknown(root: Path) -> DataError:
    manifest = file_in(root, "manifest.csv")
    if manifest is not None:
        return unfit_manifest(manifest)
    return DataError(f"{root} has an unknown layout", _EXPECTED, "check the path, or write a csv")
