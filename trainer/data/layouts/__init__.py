"""Finding examples and good pictures in a data set, whatever its layout.

A new layout is one module of this package, and one line in ``LAYOUTS``. Finding examples reads
names only; ``examples.validate`` reads every file once. Of the layouts, the first that recognises
the data set is taken.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bgdefect_core.declarations import Registry
from bgdefect_core.errors import DataError
from bgdefect_core.paths import system_errors
from bgdefect_core.pictures.mask_values import MaskValues

from ..examples import Example
from .csv_list import CsvList
from .layout import Layout, choose, file_in
from .mvtec_ad import MVTecAD, is_object_folder, unfit_manifest
from .mvtec_loco import MVTecLoco
from .plain import PlainFolder

__all__ = [
    "LAYOUTS",
    "Layout",
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
    MVTecLoco(),
    MVTecAD(),
    PlainFolder(),
)

_reading = system_errors(DataError, "a data set that can be read")
_EXPECTED = "one of: " + "; ".join(layout.summary for layout in LAYOUTS.values())


@_reading
def find_examples(
    root: str | Path,
    object: str | None = None,
    defect: str | None = None,
    mask_values: str | None = None,
) -> list[Example]:
    """All examples of an object and a defect (None: of all), sorted by object, defect and file; a
    csv keeps its order.

    Args:
        root: a data set of several objects, one object's folder, a csv, or a folder that holds one.
        mask_values: what counts as defect in the masks, as ``MaskValues.parse`` reads it.

    Raises:
        DataError: nothing there, an unknown layout, object or defect (the message lists the known
            ones), a picture without mask, a mask without picture; the message names the file.
        SettingError: ``mask_values`` are none.
    """
    root = Path(root)
    layout = layout_of(root)
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
    examples = layout.examples(root, classes)
    values = MaskValues.parse(mask_values)
    if values.is_white:
        return examples
    return [replace(example, values=values) for example in examples]


def find_class(
    root: str | Path,
    object: str | None = None,
    defect: str | None = None,
    mask_values: str | None = None,
) -> list[Example]:
    """The examples of the one class that the names leave, as :func:`find_examples`.

    Raises:
        DataError: as there, or several classes; the message lists them.
    """
    examples = find_examples(root, object, defect, mask_values)
    classes = sorted({(example.object, example.defect) for example in examples})
    if len(classes) != 1:
        names = ", ".join(f"{name} / {defect}" for name, defect in classes[:20])
        came = f"{root} holds {len(classes)} classes"
        raise DataError(came, f"one of {names}", "name the object and the defect")
    return examples


@_reading
def good_pictures(root: str | Path, object: str | None = None) -> list[Path]:
    """Good pictures: ``train/good`` of the object, a csv's good rows, or the pictures that lie in
    the folder itself.

    Raises:
        DataError: none there, an unknown object, or several objects and none chosen.
    """
    root = Path(root)
    layout = layout_of(root)
    examples = layout.good_examples(root, object, "train")
    if not examples:
        name = f" of {object}" if object else ""
        raise DataError(f"{root} holds no good pictures{name}", layout.good_place, "add some")
    return [example.image for example in examples]


@_reading
def good_examples(root: str | Path, object: str, side: str = "train") -> list[Example]:
    """Good pictures of an object with their groups, as examples without masks.

    Args:
        side: "train" or "test", for ``train/good`` or ``test/good``; a csv, which knows no sides,
            gives all its good rows for either. Empty where the object has none.

    Raises:
        DataError: as `find_examples`.
    """
    root = Path(root)
    return layout_of(root).good_examples(root, object, side)


@_reading
def layout_of(root: Path) -> Layout:
    """The layout of a data set.

    Raises:
        DataError: nothing there, or no layout recognises it.
    """
    if not root.exists():
        raise DataError(f"{root} does not exist", "a data set's folder or csv", "check the path")
    if root.is_dir() and not any(root.iterdir()):
        raise DataError(f"{root} is an empty folder", _EXPECTED, "check the path")
    for layout in LAYOUTS.values():
        if layout.recognises(root):
            return layout
    if not root.is_dir():
        raise DataError(f"{root} is neither a folder nor a csv", _EXPECTED, "check the path")
    raise _unknown(root)


def _unknown(root: Path) -> DataError:
    manifest = file_in(root, "manifest.csv")
    if manifest is not None:
        return unfit_manifest(manifest)
    return DataError(f"{root} has an unknown layout", _EXPECTED, "check the path, or write a csv")
