"""Finding examples and good pictures in a data set, whatever its layout.

A new layout is one module of this package, and one line in ``LAYOUTS``. Finding examples reads
names only; ``examples.validate`` reads every file once. Of the layouts, the first that recognises
the data set is taken.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from bgdefect_core.declarations import Choice, Doc, Range, Registry
from bgdefect_core.errors import DataError, SettingError
from bgdefect_core.paths import system_errors
from bgdefect_core.pictures.mask_values import MASK_VALUES_HELP, MaskValues

from ..annotations.mask_classes import MASK_CLASSES_HELP, MaskClasses
from ..annotations.record import AnnotationOptions
from ..examples import Example
from .annotated import AnnotationLayout
from .btad import Btad
from .class_masks import ClassMasks, MaskFolders
from .coco import Coco
from .csv_list import CsvList
from .cvat import CvatImages
from .grouping import compiled, grouped_by_file, grouped_by_name
from .kolektor_sdd import KolektorSDD
from .kolektor_sdd2 import KolektorSDD2
from .label_studio import LabelStudio
from .labelme import LabelMe
from .labelme_xml import LabelMeXml
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
    "MASK_CLASSES_HELP",
    "AnnotationLayout",
    "CsvList",
    "Layout",
    "MVTecAD",
    "PlainFolder",
    "ReadingSettings",
    "all_good_examples",
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
    LabelStudio(),
    CvatImages(),
    LabelMeXml(),
    MaskFolders(),
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
GROUP_KEY_HELP = (
    "Column of a csv, or entry or tag of a picture in an annotation, that names its part: COCO's "
    "image entry, LabelMe's entry or flag, Label Studio's data, CVAT's tag or its attribute. "
    "Default: group."
)
GROUP_FILE_HELP = (
    "A csv with the columns file (relative to the data set's folder, or the name alone) and group, "
    "or that of --group-key, beside any layout."
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
    group_key: Annotated[str | None, Doc(GROUP_KEY_HELP)] = None
    group_file: Annotated[Path | None, Doc(GROUP_FILE_HELP)] = None
    mask_values: Annotated[str | None, Doc(MASK_VALUES_HELP)] = None
    mask_classes: Annotated[str | None, Doc(MASK_CLASSES_HELP)] = None
    line_width: Annotated[
        float, Range(0.1, 1000), Doc("Width in pixels of lines that LabelMe's files hold.")
    ] = 10.0
    outside_files: Annotated[bool, Doc(OUTSIDE_HELP)] = False

    def check(self) -> None:
        """Raise SettingError where the pattern or the values of masks are none, or contradict."""
        MaskValues.parse(self.mask_values)
        compiled(self.group_pattern)
        if self.mask_values is not None and self.mask_classes is not None:
            came = "mask_values and mask_classes are given"
            raise SettingError(came, "one of them", "name the classes alone")
        if self.mask_classes is not None:
            MaskClasses.parse(self.mask_classes)
        if self.group_pattern is not None and self.group_file is not None:
            came = "group_pattern and group_file are given"
            raise SettingError(came, "one of them", "leave one out")

    @property
    def options(self) -> AnnotationOptions:
        """What the layouts with annotations read."""
        key = AnnotationOptions.group_key if self.group_key is None else self.group_key
        return AnnotationOptions(self.outside_files, self.line_width, key)

    def values_of(self, defect: str) -> MaskValues:
        """What counts as this defect in mask files."""
        if self.mask_classes is None:
            return MaskValues.parse(self.mask_values)
        classes = MaskClasses.parse(self.mask_classes)
        if defect not in classes.defects:
            came = f"mask_classes does not name {defect!r}"
            raise SettingError(came, f"it among {', '.join(classes.defects)}", "name its value")
        return classes.values_of((defect,))


AS_FOUND = ReadingSettings()
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
    examples = _grouped(root, layout.examples(root, classes), reading)
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
            return _as_set(layout, root, reading)
    if not root.is_dir():
        raise DataError(f"{root} is neither a folder nor a csv", _EXPECTED, "check the path")
    raise _unknown(root)


def _as_set(layout: Layout, root: Path, reading: ReadingSettings) -> Layout:
    """A layout with the options of reading."""
    chosen = layout.reading(reading.options)
    if reading.mask_classes is not None:
        return ClassMasks(chosen, MaskClasses.parse(reading.mask_classes))
    return chosen.reading_at(root) if reading.mask_values is None else chosen


def _unknown(root: Path) -> DataError:
    manifest = file_in(root, "manifest.csv")
    if manifest is not None:
        return unfit_manifest(manifest)
    return DataError(f"{root} has an unknown layout", _EXPECTED, "check the path, or write a csv")
