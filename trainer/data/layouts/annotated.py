"""What the layouts with annotations share: the record of all pictures is read once, and answers
every question."""

from __future__ import annotations

import copy
import gc
import os
from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bgdefect_core.errors import DataError
from bgdefect_core.pictures.listing import comparable, picture_files, report_once, shown_names

from ..annotations.record import (
    AnnotatedSet,
    AnnotationOptions,
    LabelledPicture,
    Region,
    defect_regions,
    others_of,
    with_called,
    without_slips,
)
from ..examples import GOOD, Example
from ..sides import DataSide, are_divided, is_asked_for, side_of_place
from .annotated_report import lines_of
from .layout import Layout, check_defect_names, choose, object_name
from .peeking import folders_below

__all__ = ["AnnotationLayout"]

_REMEMBERED = 4
"""Data sets whose annotations are kept: they are asked several times a run."""
_MASKS = frozenset({"masks", "scribbles", "segmentationclass", "segmentationobject"})
"""Folders of masks that tools write beside annotations."""
_State = tuple[tuple[str, int, int], ...]
_read: OrderedDict[tuple[str, str, AnnotationOptions, _State], AnnotatedSet] = OrderedDict()


class AnnotationLayout(Layout):
    """A data set of one object, called as its folder is. Each class of the annotation is a defect;
    pictures without a region are good ones. Sides are those that the annotation, or a folder,
    names, where there are several."""

    good_place = "pictures without a label"

    def __init__(self, options: AnnotationOptions | None = None) -> None:
        self.options = options or AnnotationOptions()

    def reading(self, options: AnnotationOptions) -> Layout:
        """The layout with other options."""
        if options == self.options:
            return self
        layout = copy.copy(self)
        layout.options = options
        return layout

    def recognises(self, root: Path) -> bool:
        return bool(self.files(root))

    @abstractmethod
    def files(self, root: Path) -> list[Path]:
        """The annotation files."""

    @abstractmethod
    def read(self, root: Path) -> AnnotatedSet:
        """All pictures with their regions.

        Raises:
            DataError: an annotation that cannot be used; the message names the file and the place.
        """

    def folder(self, root: Path) -> Path:
        """The data set's folder; nothing outside it is read."""
        return root if root.is_dir() else root.parent

    def object_name(self, root: Path) -> str:
        """What the object is called."""
        return object_name(self.folder(root))

    def annotated(self, root: Path) -> AnnotatedSet:
        """:meth:`read`, once for each state of the files.

        Raises:
            DataError: as there, two entries of one picture, or a class that cannot be a folder.
        """
        states: list[tuple[str, int, int]] = []
        for path in self.files(root):
            status = path.stat()
            states.append((str(path), status.st_size, status.st_mtime_ns))
        key = (self.name, os.path.abspath(root), self.options, tuple(states))
        if key not in _read:
            with _no_collection():
                record = self._on_sides(root, with_called(without_slips(self.read(root))))
            _check(root, record)
            for text, expected in lines_of(record, self.name, self.options.point_size is not None):
                report_once(f"{root}: {text}", expected=expected)
            _report_unlisted(self.folder(root), record, expected=root.is_file())
            _read[key] = record
            if len(_read) > _REMEMBERED:
                _read.popitem(last=False)
        return _read[key]

    def classes(self, root: Path) -> dict[str, set[str]]:
        defects: set[str] = set()
        for picture in self.annotated(root).pictures:
            defects.update(region.label for region in defect_regions(picture.regions))
        return {self.object_name(root): defects}

    def examples(self, root: Path, classes: Collection[tuple[str, str]]) -> list[Example]:
        object = self.object_name(root)
        wanted = {defect for _, defect in classes}
        examples: list[Example] = []
        for picture in self.annotated(root).pictures:
            by_label: dict[str, list[Region]] = {}
            for region in defect_regions(picture.regions):
                by_label.setdefault(region.label, []).append(region)
            for label in sorted(by_label.keys() & wanted):
                example = Example(
                    picture.image,
                    (),
                    object,
                    label,
                    picture.group,
                    regions=tuple(by_label[label]),
                    size=picture.size,
                    others=others_of(picture.regions, label),
                    side=picture.side,
                )
                examples.append(example)
        return sorted(examples, key=lambda example: (example.defect, example.image))

    def good_examples(self, root: Path, object: str | None, side: str) -> list[Example]:
        name = choose(root, "object", object, [self.object_name(root)])[0]
        examples: list[Example] = []
        for picture in sorted(self.annotated(root).pictures, key=lambda picture: picture.image):
            if picture.is_good and is_asked_for(picture.side, side):
                example = Example(picture.image, (), name, GOOD, picture.group, side=picture.side)
                examples.append(example)
        return examples

    def _on_sides(self, root: Path, record: AnnotatedSet) -> AnnotatedSet:
        """The record with the side of each picture; with none where they do not divide it."""
        folder = self.folder(root)
        sides: dict[Path, DataSide] = {}
        for picture in record.pictures:
            sides[picture.image] = picture.side or side_of_place(folder, picture.image)
        divided = are_divided(set(sides.values()))
        pictures: list[LabelledPicture] = []
        for picture in record.pictures:
            side = sides[picture.image] if divided else ""
            pictures.append(replace(picture, side=side) if side != picture.side else picture)
        return AnnotatedSet(tuple(pictures), record.notes)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Without Python's search for garbage: a file of 100,000 labels makes millions of objects and
    no garbage, and the search takes as long as all the rest."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _report_unlisted(root: Path, record: AnnotatedSet, expected: bool) -> None:
    """Say which pictures lie in the data's folder, but do not stand in the annotation.

    Args:
        expected: of a single file, which may be that of one side.
    """
    listed: set[Path] = set()
    for picture in record.pictures:
        listed.add(picture.image)
        for region in picture.regions:
            listed.update(region.files)
    folders = {path.parent for path in listed}
    for folder in sorted(folders):
        rest = [path.name for path in picture_files(folder) if path not in listed]
        if rest:
            text = f"{folder}: {len(rest)} pictures stand in no annotation and are not used: "
            report_once(text + shown_names(rest), expected)
    others: list[str] = []
    for folder in (root, *folders_below(root)):
        is_known = folder in folders or comparable(folder.name) in _MASKS
        if not is_known and picture_files(folder):
            others.append(root.name if folder == root else folder.relative_to(root).as_posix())
    if others:
        text = f"{root}: no picture in {shown_names(others)} stands in an annotation: not used"
        report_once(text, expected)


def _check(root: Path, record: AnnotatedSet) -> None:
    """Refuse what cannot be used.

    Raises:
        DataError: two entries of one picture, two classes of one name, or a class whose name cannot
            be a folder.
    """
    listed: dict[Path, LabelledPicture] = {}
    names: set[str] = set()
    for picture in record.pictures:
        if picture.image in listed:
            came = f"{root} has two entries of {picture.image}"
            raise DataError(came, "one a picture", "join their labels")
        listed[picture.image] = picture
        names.update(region.label for region in defect_regions(picture.regions))
    spelled: dict[str, str] = {}
    for name in sorted(names):
        other = spelled.setdefault(comparable(name), name)
        if other != name:
            came = f"{root} has the classes {other!r} and {name!r}"
            raise DataError(came, "names that differ in more than case", "give them one name")
    check_defect_names(root, names)
