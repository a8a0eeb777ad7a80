"""YOLO: a text file of labels for each picture, and a ``data.yaml``."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bgdefect_core.files import atomic_write
from bgdefect_core.pictures.masks import bounding_box

from ..annotations.outlines import bridged
from ..annotations.shapes import Size
from .format import Format, class_names
from .labelled import Defect, LabelledFile, copy_picture, provenance_names, provenance_values
from .tables import write_table

log = logging.getLogger(__name__)


class YoloFormat(Format):
    """A line a box: class, middle and size, as shares of the picture's."""

    name = "yolo"
    summary = (
        "YOLO detection: images/{train,val,test}, labels/{train,val,test} with a box a line, "
        "data.yaml, and manifest.csv with groups and how a picture was made"
    )

    def write(self, files: Sequence[LabelledFile], folder: Path) -> None:
        """As ``Format``."""
        names = class_names(files)
        numbers = {key: number for number, key in enumerate(names)}
        for labelled in files:
            copy_picture(labelled, folder / "images" / labelled.side)
            path = folder / "labels" / labelled.side / f"{labelled.stem}.txt"
            with atomic_write(path, "w") as file:  # empty for a good picture
                file.writelines(self._lines(labelled, numbers))
        with atomic_write(folder / "data.yaml", "w") as file:
            file.writelines(_yaml(files, list(names.values())))
        _write_manifest(files, folder)

    def _lines(
        self, labelled: LabelledFile, numbers: Mapping[tuple[str, str], int]
    ) -> Iterator[str]:
        if not labelled.examples:
            return
        size = labelled.size
        for defect in labelled.defects(size):
            number = numbers[labelled.object, defect.label]
            for values in self.labels(defect, size):
                yield " ".join([str(number), *(f"{value:.6f}" for value in values)]) + "\n"

    def labels(self, defect: Defect, size: Size) -> Iterator[list[float]]:
        """The numbers of a defect's lines."""
        top, left, height, width = bounding_box(defect.mask)
        middle = [(left + width / 2) / size[1], (top + height / 2) / size[0]]
        yield [*middle, width / size[1], height / size[0]]


class YoloSegmentationFormat(YoloFormat):
    """A line a piece: class and corners; holes are joined to the outline by a slit."""

    name = "yolo-seg"
    summary = (
        "YOLO segmentation: images/{train,val,test}, labels/{train,val,test} with a polygon a "
        "line, data.yaml, and manifest.csv with groups and how a picture was made"
    )

    def labels(self, defect: Defect, size: Size) -> Iterator[list[float]]:
        """The numbers of a defect's lines."""
        for face in defect.faces:
            outline = bridged(face) / [size[1], size[0]]
            yield outline.ravel().tolist()


def _write_manifest(files: Sequence[LabelledFile], folder: Path) -> None:
    """Groups, and how pictures were made, for which labels have no place."""
    columns = provenance_names(files)
    rows: list[tuple[Any, ...]] = []
    for labelled in files:
        how = provenance_values(labelled, columns)
        if labelled.group or labelled.provenance:
            rows.append((f"images/{labelled.side}/{labelled.name}", labelled.group, *how))
    if rows:
        write_table(folder / "manifest.csv", ("file", "group", *columns), rows)


def _yaml(files: Sequence[LabelledFile], names: Sequence[str]) -> Iterator[str]:
    """The lines of ``data.yaml``. It names no ``path``: Ultralytics then takes the file's own
    folder, wherever it lies."""
    sides = {labelled.side for labelled in files}
    if len(sides) == 1:
        log.warning("all pictures are on the %s side: data.yaml names it for both", *sides)
    first = next(side for side in ("train", "val", "test") if side in sides)
    for side in ("train", "val"):
        yield f"{side}: images/{side if side in sides else first}\n"
    if "test" in sides:
        yield "test: images/test\n"
    yield "names:\n" if names else "names: {}\n"
    for number, name in enumerate(names):
        quoted = name.replace("'", "''")
        yield f"  {number}: '{quoted}'\n"
