"""LabelMe's older layout, as CVAT writes it (LabelMe 3.0): an XML file for each picture."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from bgdefect_core.errors import DataError
from bgdefect_core.pictures.listing import without_masks
from bgdefect_core.pictures.mask_values import NONZERO

from ..annotations.picture_index import PictureIndex
from ..annotations.reading import number_of, read_xml
from ..annotations.record import AnnotatedSet, LabelledPicture, Region
from ..annotations.shapes import Box, MaskFiles, Polygons, Shape, Size
from .annotated import AnnotationLayout
from .peeking import files_below, soon, text_near_ends, xml_files
from .voc import is_voc

_MASKS = frozenset({"masks", "scribbles"})


class LabelMeXml(AnnotationLayout):
    """XML files beside the pictures, or in a folder of their own, in any depth."""

    name = "labelme_xml"
    summary = (
        "LabelMe 3.0, as CVAT exports it: an XML file for each picture, anywhere in the folder, "
        "with Masks beside it (polygons, boxes, masks); each name is a defect, pictures without "
        "XML or objects are good pictures"
    )

    def recognises(self, root: Path) -> bool:
        if not root.is_dir():
            return False
        return soon(_is_labelme, files_below(root, xml_files))

    def files(self, root: Path) -> list[Path]:
        """The annotation files."""
        return list(filter(_is_labelme, files_below(root, xml_files)))

    def read(self, root: Path) -> AnnotatedSet:
        """As ``AnnotationLayout``."""
        index = PictureIndex(root, _MASKS, self.options.outside)
        masks = PictureIndex(root, outside=self.options.outside)
        pictures: dict[Path, LabelledPicture] = {}
        for path in self.files(root):
            document = read_xml(path, "annotation")
            folder = (document.findtext("folder") or "").strip()
            name = (document.findtext("filename") or "").strip().replace("\x00", "")
            image = index.find(f"{folder or path.parent.name}/{name}", str(path))
            if image is None:
                came = f"{path}: its picture {name[:200]} does not exist in {root}"
                raise DataError(came, "the file of filename", "put the pictures there")
            if image in pictures:
                came = f"{path} is a second file of labels for {image}"
                raise DataError(came, "one a picture", "join the two")
            regions: list[Region] = []
            for number, element in enumerate(document.iter("object")):
                where = f"{path}, object {number}"
                if (element.findtext("deleted") or "0").strip() == "1":
                    continue
                label = (element.findtext("name") or "").strip()
                if not label:
                    raise DataError(f"{where} has no name", "the name of its class", "name it")
                regions.append(Region(label, _shape_of(element, image, masks, where), where))
            size = _size_of(document, str(path))
            pictures[image] = LabelledPicture(image, tuple(regions), size=size)
        listed = index.pictures
        missing = without_masks([path for path in listed if path not in pictures], listed)
        for image in missing:
            pictures[image] = LabelledPicture(image, ())
        notes = [f"{len(missing)} pictures have no XML file: taken for good pictures"]
        return AnnotatedSet(tuple(pictures.values()), tuple(notes if missing else ()))


def _shape_of(element: ElementTree.Element, image: Path, masks: PictureIndex, where: str) -> Shape:
    segment = element.find("segm")
    if segment is not None and segment.findtext("mask"):
        name = str(segment.findtext("mask")).strip()
        file = masks.find(f"Masks/{image.parent.name}/{name}", where)
        if file is None:
            raise DataError(f"{where}: its mask {name[:200]} does not exist", "a file in Masks")
        return MaskFiles((file,), NONZERO)
    corners: list[float] = []
    for point in element.iter("pt"):
        for axis in ("x", "y"):
            corners.append(number_of(point.findtext(axis) or "", where))
    if len(corners) < 6:
        came = f"{where}: an outline of {len(corners) // 2} points"
        raise DataError(came, "3 or more", "draw it again")
    is_box = (element.findtext("type") or "").strip() == "bounding_box"
    if is_box and len(corners) == 8:
        across, down = corners[::2], corners[1::2]
        return Box(min(across), min(down), max(across), max(down))
    return Polygons((tuple(corners),))


def _size_of(document: ElementTree.Element, where: str) -> Size | None:
    rows, columns = document.findtext("imagesize/nrows"), document.findtext("imagesize/ncols")
    if not rows or not columns:
        return None
    size = int(number_of(rows, where)), int(number_of(columns, where))
    return size if all(size) else None  # tools that do not know it write 0


def _is_labelme(path: Path) -> bool:
    text = text_near_ends(path)
    return "<annotation>" in text and "<filename>" in text and not is_voc(path)
