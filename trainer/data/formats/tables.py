"""Formats with mask files: MVTec AD's folders, and a csv."""

from __future__ import annotations

import csv
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bgdefect_core.errors import DataError
from bgdefect_core.files import atomic_write
from bgdefect_core.pictures.mask_reading import is_inverted
from bgdefect_core.pictures.masks import Mask
from bgdefect_core.pictures.writing import write_mask

from ..annotations.record import IGNORE
from ..examples import GOOD
from ..layouts.tables import says_nothing
from .format import Format
from .labelled import LabelledFile, copy_picture, provenance_names, provenance_values

log = logging.getLogger(__name__)


class MVTecFormat(Format):
    """A folder an object; groups, and how pictures were made, stand in its ``manifest.csv``."""

    name = "mvtec"
    summary = (
        "as MVTec AD: OBJECT/test/DEFECT, OBJECT/ground_truth/DEFECT, OBJECT/train/good, and "
        "test/good of the other sides; manifest.csv with groups and how a picture was made"
    )

    def check(self, files: Sequence[LabelledFile]) -> None:
        """As ``Format``: names are those of folders already."""

    def write(self, files: Sequence[LabelledFile], folder: Path) -> None:
        """As ``Format``."""
        columns = provenance_names(files)
        rows_of: dict[str, list[tuple[Any, ...]]] = {}
        for labelled in files:
            root = folder / labelled.object
            group = labelled.group
            if not labelled.examples:
                part = "train" if labelled.side == "train" else "test"
                places = [copy_picture(labelled, root / part / GOOD)]
            else:
                places = _write_defects(labelled, root)
            if len(places) > 1:  # one picture of several classes
                group = group or labelled.stem
            how = provenance_values(labelled, columns)
            for place in places if group or labelled.provenance else []:
                relative = place.relative_to(root).as_posix()
                rows_of.setdefault(labelled.object, []).append((relative, group, *how))
        for object, rows in rows_of.items():
            write_table(folder / object / "manifest.csv", ("file", "group", *columns), rows)


def _write_defects(labelled: LabelledFile, root: Path) -> list[Path]:
    """The picture and its mask under each of its classes."""
    places: list[Path] = []
    for defect, mask in labelled.masks(labelled.size).items():
        places.append(copy_picture(labelled, root / "test" / defect))
        _write_label(root / "ground_truth" / defect / f"{labelled.stem}_mask.png", mask)
    return places


class CsvFormat(Format):
    """A row a picture and class, with how it was made."""

    name = "csv"
    summary = (
        "manifest.csv with image, mask, class, defect, group, side, and columns of how a picture "
        "was made; pictures in images, masks in masks; regions to ignore are rows of the defect "
        "ignore"
    )
    holds_ignored = True

    def check(self, files: Sequence[LabelledFile]) -> None:
        """As ``Format``: names that a cell cannot say, since programs write them for nothing."""
        names: set[str] = set()
        for labelled in files:
            names.add(labelled.object)
            names.update(example.defect for example in labelled.examples)
        for name in sorted(filter(says_nothing, names)):
            came = f"an object or defect is called {name!r}"
            expected = "another name: programs write that into csv files for an empty cell"
            raise DataError(came, expected, "rename it, or write another format")

    def write(self, files: Sequence[LabelledFile], folder: Path) -> None:
        """As ``Format``."""
        columns = provenance_names(files)
        rows: list[tuple[Any, ...]] = []
        for labelled in files:
            image = copy_picture(labelled, folder / "images").relative_to(folder).as_posix()
            how = provenance_values(labelled, columns)
            shared = (labelled.group, labelled.side, *how)
            if not labelled.examples:
                rows.append((image, "", labelled.object, GOOD, *shared))
                continue
            masks = labelled.masks(labelled.size)
            ignored = labelled.ignored(labelled.size)
            if ignored is not None:
                masks[IGNORE] = ignored
            for defect, mask in masks.items():
                path = folder / "masks" / defect / f"{labelled.stem}_mask.png"
                _write_label(path, mask)
                place = path.relative_to(folder).as_posix()
                rows.append((image, place, labelled.object, defect, *shared))
        head = ("image", "mask", "class", "defect", "group", "side", *columns)
        write_table(folder / "manifest.csv", head, rows)


def _write_label(path: Path, mask: Mask) -> None:
    """Write a mask file; say where reading it will be refused."""
    if is_inverted(mask):
        text = "%s covers %.0f%% of its picture and its border: when it is read, it will be taken "
        log.warning(text + "for a mask of the background", path.name, 100 * mask.mean())
    write_mask(path, mask)


def write_table(path: Path, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write a csv; paths in it are relative to its folder, so that it may move."""
    with atomic_write(path, "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head)
        writer.writerows(rows)
