"""The csv layout: one row a picture, with the columns image, mask, class, defect and group."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bgdefect_core.errors import DataError, SettingError
from bgdefect_core.pictures.listing import (
    comparable,
    is_good_name,
    picture_files,
    report_once,
    shown_names,
)
from bgdefect_core.records.dataset_place import check_name

from ..annotations.picture_index import picture_at_end
from ..annotations.reading import inside
from ..annotations.record import AnnotationOptions, Region, is_background, is_defect
from ..annotations.shapes import MaskFiles
from ..examples import Example
from ..sides import DataSide, are_divided, is_asked_for, side_called
from .layout import Layout, choose, file_in, find_file
from .tables import read_table

_COLUMNS = ("image", "mask", "class", "defect")
_SIDES = ("side", "split")
"""Columns that may name a picture's side; what they say of other things is not read."""


class CsvList(Layout):
    """A csv, or a folder that holds a ``manifest.csv`` of this kind. The order is the file's."""

    name = "csv"
    summary = (
        "a csv with the columns image, mask, class, defect, group, between commas, semicolons, "
        "tabs or bars, or a folder with such a manifest.csv; paths relative to it; the defect "
        "good, ok, normal or none: a good picture; ignore: a mask of what is neither; a column "
        "side or split: train, val or test"
    )
    good_place = "rows with the defect good"

    def __init__(self, options: AnnotationOptions | None = None) -> None:
        self._options = options or AnnotationOptions()

    def reading(self, options: AnnotationOptions) -> Layout:
        """The layout with another column of groups, or with files outside the csv's folder."""
        return self if options == self._options else CsvList(options)

    def recognises(self, root: Path) -> bool:
        return _table_of(root) is not None

    def classes(self, root: Path) -> dict[str, set[str]]:
        classes: dict[str, set[str]] = {}
        for row in _rows(root, self._options):
            defects = classes.setdefault(row.object, set())
            if row.masks and is_defect(row.defect):
                defects.add(row.defect)
        return classes

    def examples(self, root: Path, classes: Collection[tuple[str, str]]) -> list[Example]:
        rows = _rows(root, self._options)
        by_picture: dict[Path, list[Example]] = {}
        for row in rows:
            by_picture.setdefault(row.image, []).append(row)
        examples = []
        for row in rows:
            if row.masks and is_defect(row.defect) and (row.object, row.defect) in classes:
                others: list[Region] = []
                for label in by_picture[row.image]:
                    is_other = label.defect != row.defect and not is_background(label.defect)
                    if is_other and label.masks:
                        shape = MaskFiles(label.masks, label.values, label.image)
                        others.append(Region(label.defect, shape, str(label.masks[0])))
                examples.append(replace(row, others=tuple(others)))
        return examples

    def good_examples(self, root: Path, object: str | None, side: str) -> list[Example]:
        rows = _rows(root, self._options)
        objects = choose(root, "object", object, {row.object for row in rows})
        examples: list[Example] = []
        for row in rows:
            if not row.masks and row.object in objects and is_asked_for(row.side, side):
                examples.append(row)
        return examples


def _table_of(root: Path) -> Path | None:
    if root.is_file():
        return root if root.suffix.lower() == ".csv" else None
    path = file_in(root, "manifest.csv")
    if path is None or not {"image", "mask"} <= set(read_table(path)[0]):
        return None
    return path


def _rows(root: Path, options: AnnotationOptions) -> list[Example]:
    """Every row; those of good pictures have no masks."""
    path = _table_of(root) or root
    header, rows = read_table(path)
    group = options.group_key.lower()
    columns = _COLUMNS if group == AnnotationOptions.group_key else (*_COLUMNS, group)
    missing = [name for name in columns if name not in header]
    if missing:
        came = f"{path} lacks the columns {', '.join(missing)}"
        raise DataError(came, "image, mask, class, defect, group", "add them")
    if not rows:
        raise DataError(f"{path} holds no rows", "a row a picture")
    examples: list[Example] = []
    listed: set[tuple[str, str]] = set()
    for number, row in enumerate(rows, start=1):
        example = _read_row(row, path.parent, f"{path}, row {number}", options)
        key = (comparable(str(example.image)), example.defect)
        if key in listed:
            came = f"{path}, row {number}: {row['image']} stands there twice"
            raise DataError(came, "once a defect", "join the masks into one")
        listed.add(key)
        examples.append(example)
    _report_sides(path, rows)
    _check_names(path, examples)
    _check_good(path, examples)
    _check_sides(path, examples)
    _report_odd(path, examples, root.is_file())
    if are_divided({example.side for example in examples}):
        return examples
    return [replace(example, side="") for example in examples]


def _report_sides(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    """Say which words of a column of sides name none, where others do."""
    for column in _SIDES:
        words = list(dict.fromkeys(row.get(column, "") for row in rows))
        unknown = [word for word in words if word and not side_called(word)]
        if unknown and len(unknown) < len(list(filter(None, words))):
            text = f"{path}: the column {column} holds {shown_names(unknown)}, which are no sides: "
            report_once(f"{text}train, val and test are", expected=False)


def _check_names(path: Path, examples: Sequence[Example]) -> None:
    """Refuse names of objects or defects that a person would call the same.

    Raises:
        DataError: there are two.
    """
    spelled: dict[str, str] = {}
    for example in examples:
        names = [example.object]
        if not example.is_good:
            names.append(f"{example.object} / {example.defect}")
        for name in names:
            other = spelled.setdefault(comparable(name), name)
            if other != name:
                came = f"{path} names {other!r} and {name!r}"
                raise DataError(came, "names that differ in more than case", "give them one name")


def _check_good(path: Path, examples: Sequence[Example]) -> None:
    """Refuse a picture that is good in one row and shows a defect in another.

    Raises:
        DataError: there is one.
    """
    defects: dict[tuple[str, Path], str] = {}
    for example in examples:
        if not example.is_good and is_defect(example.defect):
            defects[example.object, example.image] = example.defect
    for example in examples:
        defect = defects.get((example.object, example.image))
        if example.is_good and defect is not None:
            came = f"{path} lists {example.image.name} as good, and with the defect {defect}"
            raise DataError(came, "one of them", "remove the other row")


def _check_sides(path: Path, examples: Sequence[Example]) -> None:
    """Refuse a picture that stands on two sides.

    Raises:
        DataError: there is one.
    """
    sides: dict[Path, DataSide] = {}
    for example in examples:
        other = sides.setdefault(example.image, example.side)
        if other != example.side:
            came = f"{path} has {example.image.name} on the sides {other!r} and {example.side!r}"
            raise DataError(came, "one side a picture", "correct the column side")


def _report_odd(path: Path, examples: Sequence[Example], is_named: bool) -> None:
    """Say which masks stand for several pictures, and which pictures beside the listed ones stand
    in no row.

    Args:
        is_named: the user names the csv itself, which may list what is wanted of a folder.
    """
    pictures_of: dict[Path, set[Path]] = {}
    for example in examples:
        for mask in example.masks:
            pictures_of.setdefault(mask, set()).add(example.image)
    shared = [mask.name for mask, pictures in pictures_of.items() if len(pictures) > 1]
    if shared:
        text = f"{path}: one mask stands for several pictures: {shown_names(shared)}"
        report_once(text, expected=False)
    listed = {example.image for example in examples} | pictures_of.keys()
    for folder in sorted({example.image.parent for example in examples}):
        rest = [file.name for file in picture_files(folder) if file not in listed]
        if rest:
            text = f"{folder}: {len(rest)} pictures stand in no row of {path.name} and are not "
            report_once(f"{text}used: {shown_names(rest)}", expected=is_named)


def _read_row(row: dict[str, str], folder: Path, where: str, options: AnnotationOptions) -> Example:
    image, mask, defect = row["image"], row["mask"], row["defect"]
    if not image or not row["class"]:
        raise DataError(f"{where} lacks the image or the class", "both", "fill them in")
    is_good = not comparable(defect) or is_good_name(defect)
    try:
        check_name("object", row["class"])  # both become folders
        if not is_good:
            check_name("defect", defect)
    except SettingError as error:
        raise DataError(f"{where}: {error.came}", error.expected, error.do) from error
    if is_good and mask:
        came = f"{where}: {image} has a mask but no defect"
        raise DataError(came, "the defect's name", "fill it in")
    if not is_good and not mask:
        came = f"{where}: {image} has no mask"
        raise DataError(came, "the mask's file", "add it or leave the row out")
    paths = []
    for name in (image,) if is_good else (image, mask):
        paths.append(_file_of(name, folder, where, options))
    group = row.get(options.group_key.lower(), "")
    side = side_called(row.get("side", "")) or side_called(row.get("split", ""))
    return Example(paths[0], tuple(paths[1:]), row["class"], defect, group, side=side)


def _file_of(name: str, folder: Path, where: str, options: AnnotationOptions) -> Path:
    """The file that a cell names; of an absolute path of another machine what it ends in.

    Raises:
        DataError: there is none, or it leads out of the csv's folder.
    """
    path = find_file(folder, name)
    if path is None:
        path = picture_at_end(folder, (folder,), name, where)
        if path is None:
            came = f"{where}: {folder / name} does not exist"
            raise DataError(came, "a file relative to the csv", "correct the path")
        text = f"{folder}: its csv names files by paths that are not on this machine: those of the "
        report_once(f"{text}same names in the folder are read", expected=False)
    if not inside(folder, path, options.outside):
        came = f"{where}: {name[:200]!r} leads out of {folder}"
        do = "put the file there, or give --outside-files"
        raise DataError(came, "a file in the csv's folder", do)
    return path
