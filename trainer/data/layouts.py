"""Reading training data: which pictures show which defect, and where.

Three layouts:

    MVTec AD    OBJECT/test/DEFECT/000.png, OBJECT/ground_truth/DEFECT/000_mask.png (or 000.png)
    MVTec LOCO  OBJECT/test/DEFECT/000.png, OBJECT/ground_truth/DEFECT/000/000.png, 001.png ...: the union of all masks
    csv         columns image, mask, class, defect, group; paths relative to the csv; the defect "good", or none: a good
                picture. A folder with a ``manifest.csv`` of this kind is read as that csv

In the first two a ``manifest.csv`` with the columns ``file`` (relative to OBJECT), ``group`` in
OBJECT may join pictures of one part into a group; good pictures are ``OBJECT/train/good``. A csv
may have semicolons or tabs in place of its commas. Finding examples reads names only;
`examples.validate` reads every file once.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from bgdefect_core.errors import DataError
from bgdefect_core.paths import system_errors
from bgdefect_core.pictures.listing import PICTURE_SUFFIXES

from .csv_layout import csv_of, csv_rows, read_csv
from .examples import GOOD, Example

__all__ = ["find_examples", "good_examples", "good_pictures"]

_reading = system_errors(DataError, "a data set that can be read")
_LAYOUTS = "test/DEFECT with ground_truth/DEFECT, folders that hold these, or a csv with image, mask, class, defect, group"


@_reading
def find_examples(
    root: str | Path, object: str | None = None, defect: str | None = None
) -> list[Example]:
    """All examples of an object and a defect (None: of all), sorted by object, defect and file; a
    csv keeps its order.

    Args:
        root: a data set of several objects, one object's folder, a csv, or a folder that holds one.

    Raises:
        DataError: nothing there, an unknown layout, object or defect (the message lists what there
            is), a picture without mask, a mask without picture; the message names the file.
    """
    root = _existing(root)
    table = csv_of(root)
    if table:
        found = [example for example in read_csv(table) if example.masks]
        _choose(root, "object", object, {example.object for example in found})
        found = [example for example in found if object in (None, example.object)]
        _choose(root, "defect", defect, {example.defect for example in found})
        return [example for example in found if defect in (None, example.defect)]
    objects = _objects(root)
    chosen = _choose(root, "object", object, objects)
    defects = {name: _defects(objects[name]) for name in chosen}
    _choose(root, "defect", defect, {one for some in defects.values() for one in some})
    classes = [(name, one) for name in chosen for one in defects[name] if defect in (None, one)]
    return [example for name, one in classes for example in _read_mvtec(name, objects[name], one)]


@_reading
def good_pictures(root: str | Path, object: str | None = None) -> list[Path]:
    """Good pictures: ``train/good`` of the object, a csv's good rows, or the pictures that lie in
    the folder itself.

    Raises:
        DataError: none there, an unknown object, or several objects and none chosen.
    """
    root = _existing(root)
    table = csv_of(root)
    plain = _pictures(root) if root.is_dir() else []
    if table:
        rows = read_csv(table)
        _choose(root, "object", object, {row.object for row in rows})
        found = [row.image for row in rows if not row.masks and object in (None, row.object)]
    elif plain:
        found = plain
    else:
        objects = _objects(root)
        chosen = _choose(root, "object", object, objects)
        if len(chosen) > 1:
            raise DataError(
                f"{root} holds {len(chosen)} objects",
                "one of " + ", ".join(chosen),
                "name the object",
            )
        root = objects[chosen[0]] / "train" / GOOD
        found = _pictures(root) if root.is_dir() else []
    if not found:
        raise DataError(f"{root} holds no good pictures", "pictures in train/good", "add some")
    return found


@_reading
def good_examples(root: str | Path, object: str, side: str = "train") -> list[Example]:
    """Good pictures of an object with their groups, as examples without masks.

    Args:
        side: "train" or "test", for ``train/good`` or ``test/good``; a csv, which knows no sides,
            gives all its good rows for either. Empty where the object has none.

    Raises:
        DataError: as `find_examples`.
    """
    root = _existing(root)
    table = csv_of(root)
    if table:
        return [row for row in read_csv(table) if not row.masks and row.object == object]
    objects = _objects(root)
    _choose(root, "object", object, objects)
    folder = objects[object]
    groups, place = _groups(folder), folder / side / GOOD
    pictures = _pictures(place) if place.is_dir() else []
    return [
        Example(one, (), object, GOOD, groups.get(one.relative_to(folder).as_posix(), ""))
        for one in pictures
    ]


def _existing(root: str | Path) -> Path:
    root = Path(root)
    if not root.exists():
        raise DataError(f"{root} does not exist", "a data set's folder or csv", "check the path")
    if root.is_dir() and not any(root.iterdir()):
        raise DataError(f"{root} is an empty folder", _LAYOUTS, "check the path")
    return root


def _pictures(folder: Path) -> list[Path]:
    files = (
        path
        for path in folder.iterdir()
        if path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".")
    )
    return sorted(path for path in files if path.is_file())


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(
        path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")
    )


def _choose(root: Path, what: str, name: str | None, known: Iterable[str]) -> list[str]:
    names = sorted(known)
    if name is not None and name not in names:
        raise DataError(
            f"{root} has no {what} {name!r}",
            "one of " + (", ".join(names) or "none: there is no example"),
        )
    if not names:
        raise DataError(f"{root} has no {what} at all", _LAYOUTS, "check the path")
    return names if name is None else [name]


def _objects(root: Path) -> dict[str, Path]:
    """Object name -> folder, for one object's folder or for a folder of several."""
    if not root.is_dir():
        raise DataError(f"{root} is neither a folder nor a csv", _LAYOUTS, "check the path")
    names = ("test", "train", "ground_truth")
    if any((root / name).is_dir() for name in names):
        return {os.path.basename(os.path.abspath(root)): root}
    if (
        root / "manifest.csv"
    ).is_file():  # groups of several objects in one file would be passed over
        raise _unfit(root / "manifest.csv", csv_rows(root / "manifest.csv")[0])
    found = {
        path.name: path for path in _folders(root) if any((path / name).is_dir() for name in names)
    }
    if not found:
        raise DataError(f"{root} has an unknown layout", _LAYOUTS, "check the path, or write a csv")
    return found


def _defects(folder: Path) -> list[str]:
    return sorted(
        {path.name for part in ("test", "ground_truth") for path in _folders(folder / part)}
        - {GOOD}
    )


def _read_mvtec(object: str, folder: Path, defect: str) -> list[Example]:
    pictures_at, masks_at = folder / "test" / defect, folder / "ground_truth" / defect
    pictures = _pictures(pictures_at) if pictures_at.is_dir() else []
    groups = _groups(folder)
    loose = {path.stem: path for path in _pictures(masks_at)} if masks_at.is_dir() else {}
    nested = {path.name: _pictures(path) for path in _folders(masks_at)}
    found, seen = [], dict[str, Path]()
    for picture in pictures:
        if picture.stem in seen:
            raise DataError(
                f"{seen[picture.stem]} and {picture} have one name",
                "one picture a name",
                "rename one",
            )
        seen[picture.stem] = picture
        nonzero = picture.stem in nested
        if nonzero:
            masks = nested.pop(picture.stem)
        else:
            masks = [
                loose.pop(name) for name in (f"{picture.stem}_mask", picture.stem) if name in loose
            ][:1]
        if not masks:
            raise DataError(
                f"{picture} has no mask",
                f"{masks_at / picture.stem}_mask.png",
                "add it or leave it out",
            )
        group = groups.get(picture.relative_to(folder).as_posix(), "")
        found.append(Example(picture, tuple(masks), object, defect, group, nonzero))
    widows = sorted([*loose.values(), *(masks_at / name for name in nested)])
    if widows:
        raise DataError(
            f"{widows[0]} has no picture",
            f"a picture in {pictures_at}",
            "add it or remove the mask",
        )
    if not found:
        raise DataError(
            f"{pictures_at} is an empty folder",
            "pictures of the defect",
            "add some or remove the folder",
        )
    return found


def _groups(folder: Path) -> dict[str, str]:
    """File, as the object's manifest names it -> group. A group of a file that is not there was
    meant for another one."""
    path = folder / "manifest.csv"
    if not path.is_file():
        return {}
    header, rows = csv_rows(path)
    if not {"file", "group"} <= set(header):
        raise _unfit(path, header)
    groups = {Path(row["file"].replace("\\", "/")).as_posix(): row["group"] for row in rows}
    for file, group in groups.items():
        if group and not (folder / file).is_file():
            came = f"{path} gives {file} a group, but {folder / file} does not exist"
            raise DataError(
                came, f"files relative to {folder}", "correct the path, or leave the row out"
            )
    return groups


def _unfit(path: Path, header: Sequence[str]) -> DataError:
    came = (
        f"{path} has the columns {', '.join(repr(name) for name in header) or 'of an empty file'}"
    )
    do = "correct its first line, or move the file away if it is none of ours"
    return DataError(
        came,
        "file and group, in the object's folder; or image, mask, class and defect in the folder that is given",
        do,
    )
