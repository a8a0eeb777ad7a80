"""How a data set is read: the options that every command has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from bgdefect_core.declarations import Choice, Doc, Range
from bgdefect_core.errors import SettingError
from bgdefect_core.pictures.mask_values import MASK_VALUES_HELP, MaskValues

from ..annotations.mask_classes import MASK_CLASSES_HELP, MaskClasses
from ..annotations.record import AnnotationOptions
from .grouping import compiled
from .known import LAYOUTS

__all__ = ["AS_FOUND", "ReadingSettings", "SidesRead"]

SidesRead = Literal["own", "none"]

LAYOUT_HELP = "Layout of the data set, where another one would be recognised. Default: detected."
OUTSIDE_HELP = (
    "Read pictures that annotations name outside the data set's folder too, by absolute paths or "
    "by links."
)
SIDES_HELP = (
    "own: where a data set has sides of its own (train, val, test), train learns from the side "
    "train and validates on val, generate uses the defects and good pictures of train, and "
    "evaluate tests on the side test, or on val where there is none. none: sides are read "
    "together, as in a data set without any."
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
    point_size: Annotated[
        float | None,
        Range(1, 10_000),
        Doc(
            "Diameter in pixels of the circle that stands for a point of LabelMe, Label Studio or "
            "CVAT: as large as the defects are, for train --masks-from points. Default: points are "
            "not read."
        ),
    ] = None
    outside_files: Annotated[bool, Doc(OUTSIDE_HELP)] = False
    sides: Annotated[SidesRead, Doc(SIDES_HELP)] = "own"

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
        return AnnotationOptions(self.outside_files, self.line_width, key, self.point_size)

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
