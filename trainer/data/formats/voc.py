"""Pascal VOC: an XML file of boxes for each picture, and its masks."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bgdefect_core.errors import DataError
from bgdefect_core.files import atomic_write
from bgdefect_core.pictures.masks import bounding_box

from ..annotations.shapes import Size
from ..annotations.voc_masks import VOID, voc_colour
from .format import Format, class_names
from .labelled import Defect, LabelledFile, copy_picture

_BACKGROUND = "background"
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""Characters that XML cannot hold."""


class VocFormat(Format):
    """Boxes around the labels in XML; the labels themselves in palette files, where they are
    undecided with VOC's own value for it."""

    name = "voc"
    summary = (
        "Pascal VOC: JPEGImages, Annotations with a box for each defect, SegmentationClass with "
        "the masks, labelmap.txt with its classes, ImageSets with the sides; regions to ignore "
        "as VOC's void; group and provenance in each XML file; where defects of two classes "
        "overlap, the mask keeps the smaller"
    )
    holds_ignored = True

    def check(self, files: Sequence[LabelledFile]) -> None:
        """As ``Format``, and a value of a byte for each class."""
        names = class_names(files).values()
        if len(names) >= VOID:
            came = f"{len(names)} classes"
            raise DataError(came, f"at most {VOID - 1}", "write coco, which has no limit")
        for name in names:
            if name.startswith("#"):  # a comment in labelmap.txt
                came = f"a class is called {name!r}"
                raise DataError(came, "another first letter", "rename it, or write coco")

    def write(self, files: Sequence[LabelledFile], folder: Path) -> None:
        """As ``Format``."""
        names = class_names(files)
        numbers = {key: number for number, key in enumerate(names, start=1)}
        lists: dict[str, list[str]] = {"train": [], "val": [], "trainval": []}
        for labelled in files:
            copy_picture(labelled, folder / "JPEGImages")
            size = labelled.size
            defects = labelled.defects(size)
            tree = _document(labelled, size)
            for defect in defects:
                tree.append(_object(defect, names[labelled.object, defect.label], size))
            ElementTree.indent(tree)
            with atomic_write(folder / f"Annotations/{labelled.stem}.xml", "wb") as file:
                ElementTree.ElementTree(tree).write(file, encoding="utf-8", xml_declaration=True)
            ignored = labelled.ignored(size)
            if defects or ignored is not None:
                indices = np.zeros(size, np.uint8)
                if ignored is not None:
                    indices[ignored] = VOID
                for defect in sorted(defects, key=lambda defect: -int(defect.mask.sum())):
                    indices[defect.mask] = numbers[labelled.object, defect.label]
                _write_indices(folder / f"SegmentationClass/{labelled.stem}.png", indices)
            lists.setdefault(labelled.side, []).append(labelled.stem)
            if labelled.side != "test":
                lists["trainval"].append(labelled.stem)
        _write_lists(folder / "ImageSets", lists)
        with atomic_write(folder / "labelmap.txt", "w") as file:
            for number, name in enumerate((_BACKGROUND, *names.values())):
                red, green, blue = voc_colour(number)
                file.write(f"{name}:{red},{green},{blue}::\n")


def _document(labelled: LabelledFile, size: Size) -> ElementTree.Element:
    """What is said of a picture, without its objects."""
    tree = ElementTree.Element("annotation")
    entries: dict[str, Any] = {"folder": "JPEGImages", "filename": labelled.name}
    if labelled.group:
        entries["group"] = labelled.group
    _add(tree, entries)
    _add(ElementTree.SubElement(tree, "source"), {"database": "Unknown"})
    sizes = {"width": size[1], "height": size[0], "depth": 3}
    _add(ElementTree.SubElement(tree, "size"), sizes)
    _add(tree, {"segmented": int(bool(labelled.examples))})
    if labelled.provenance:
        _add(ElementTree.SubElement(tree, "provenance"), dict(labelled.provenance))
    return tree


def _object(defect: Defect, name: str, size: Size) -> ElementTree.Element:
    top, left, height, width = bounding_box(defect.mask)
    bottom, right = top + height, left + width
    is_cut = min(top, left) == 0 or bottom == size[0] or right == size[1]
    element = ElementTree.Element("object")
    entries = {"name": name, "pose": "Unspecified", "truncated": int(is_cut), "difficult": 0}
    _add(element, entries)
    corners = {"xmin": left, "ymin": top, "xmax": right, "ymax": bottom}
    _add(ElementTree.SubElement(element, "bndbox"), corners)
    return element


def _add(element: ElementTree.Element, entries: dict[str, Any]) -> None:
    for name, value in entries.items():
        ElementTree.SubElement(element, name).text = _UNFIT.sub("_", str(value))


def _write_indices(path: Path, indices: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
    image = Image.fromarray(indices)
    palette: list[int] = []
    for number in range(256):
        palette += voc_colour(number)
    image.putpalette(palette)
    with atomic_write(path, "wb") as file:
        image.save(file, "PNG")


def _write_lists(folder: Path, lists: dict[str, list[str]]) -> None:
    for kind in ("Main", "Segmentation"):
        for side, stems in lists.items():
            with atomic_write(folder / kind / f"{side}.txt", "w") as file:
                file.writelines(f"{stem}\n" for stem in stems)
