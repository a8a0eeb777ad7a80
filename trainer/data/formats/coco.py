"""COCO: one JSON file with all labels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bgdefect_core.files import atomic_write
from bgdefect_core.pictures.masks import Mask, bounding_box

from ..annotations.run_lengths import packed, runs_of_mask
from .format import Format, class_names
from .labelled import Defect, LabelledFile, copy_picture


class CocoFormat(Format):
    """Polygons where a defect has no holes, run lengths where it has; both give the very mask."""

    name = "coco"
    summary = (
        "images/{train,val,test} with annotations/instances_{train,val,test}.json: polygons, "
        "run lengths of defects with holes; regions to ignore as iscrowd of every category; group, "
        "method, seed, exemplar and the licence of the base in each image's entry"
    )
    holds_ignored = True

    def write(self, files: Sequence[LabelledFile], folder: Path) -> None:
        """As ``Format``."""
        names = class_names(files)
        categories: list[dict[str, Any]] = []
        numbers: dict[tuple[str, str], int] = {}
        for number, (key, name) in enumerate(names.items(), start=1):
            categories.append({"id": number, "name": name, "supercategory": key[0]})
            numbers[key] = number
        licences = _licences(files)
        listed: list[dict[str, Any]] = []
        for name, number in licences.items():
            listed.append({"id": number, "name": name, "url": ""})
        for side in ("train", "val", "test"):
            members = [labelled for labelled in files if labelled.side == side]
            if not members:
                continue
            document = {
                "info": {"description": "labels of defects", "version": "1.0", "url": ""},
                "licenses": listed,
                "categories": categories,
                **_entries(members, folder / "images" / side, numbers, licences),
            }
            with atomic_write(folder / f"annotations/instances_{side}.json", "w") as file:
                json.dump(document, file)


def _licences(files: Sequence[LabelledFile]) -> dict[str, int]:
    """Licence of a base -> its number."""
    licences: dict[str, int] = {}
    for labelled in files:
        name = labelled.provenance.get("base_licence")
        if name is not None:
            licences.setdefault(str(name), len(licences) + 1)
    return licences


def _entries(
    files: Sequence[LabelledFile],
    folder: Path,
    numbers: dict[tuple[str, str], int],
    licences: dict[str, int],
) -> dict[str, list[dict[str, Any]]]:
    """Images and annotations; the pictures are copied."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, labelled in enumerate(files, start=1):
        copy_picture(labelled, folder)
        height, width = size = labelled.size
        image = {"id": number, "file_name": labelled.name, "height": height, "width": width}
        if labelled.group:
            image["group"] = labelled.group
        if labelled.provenance:
            image["provenance"] = dict(labelled.provenance)
            licence = labelled.provenance.get("base_licence")
            if licence is not None:
                image["license"] = licences[str(licence)]
        images.append(image)
        for defect in labelled.defects(size):
            annotation = {"id": len(annotations) + 1, "image_id": number}
            annotation["category_id"] = numbers[labelled.object, defect.label]
            annotations.append(annotation | _label(defect))
        ignored = labelled.ignored(size)
        if ignored is not None:
            for category in numbers.values():
                annotation = {"id": len(annotations) + 1, "image_id": number}
                annotation["category_id"] = category
                annotations.append(annotation | _crowd(ignored))
    return {"images": images, "annotations": annotations}


def _label(defect: Defect) -> dict[str, Any]:
    top, left, height, width = bounding_box(defect.mask)
    return {
        "bbox": [left, top, width, height],
        "area": int(defect.mask.sum()),
        "iscrowd": 0,
        "segmentation": _segmentation(defect),
    }


def _crowd(ignored: Mask) -> dict[str, Any]:
    """What COCO's evaluation passes over; ``ignore`` tells it from a crowd of defects."""
    top, left, height, width = bounding_box(ignored)
    return {
        "bbox": [left, top, width, height],
        "area": int(ignored.sum()),
        "iscrowd": 1,
        "ignore": 1,
        "segmentation": _packed(ignored),
    }


def _packed(mask: Mask) -> dict[str, Any]:
    return {"size": list(mask.shape), "counts": packed(runs_of_mask(mask))}


def _segmentation(defect: Defect) -> Any:
    if any(len(face) > 1 for face in defect.faces):
        return _packed(defect.mask)
    return [face[0].ravel().tolist() for face in defect.faces]
