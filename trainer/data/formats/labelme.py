"""LabelMe: a JSON file beside each picture."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bgdefect_core.files import atomic_write
from bgdefect_core.pictures.masks import Mask, bounding_box

from .format import Format, class_names
from .labelled import Defect, LabelledFile, copy_picture

_IGNORE = "__ignore__"
"""LabelMe's own word for it."""


class LabelMeFormat(Format):
    """Polygons where a defect has no holes, a mask layer where it has."""

    name = "labelme"
    summary = (
        "pictures in train, val and test with a JSON file beside each: polygons, mask layers of "
        "defects with holes; regions to ignore as __ignore__; group and provenance in each file"
    )
    holds_ignored = True

    def write(self, files: Sequence[LabelledFile], folder: Path) -> None:
        """As ``Format``."""
        names = class_names(files)
        for labelled in files:
            target = copy_picture(labelled, folder / labelled.side)
            height, width = size = labelled.size
            shapes: list[dict[str, Any]] = []
            for number, defect in enumerate(labelled.defects(size)):
                label = names[labelled.object, defect.label]
                shapes += _shapes(defect, label, number)
            ignored = labelled.ignored(size)
            if ignored is not None:
                shapes += _shapes(Defect(_IGNORE, ignored), _IGNORE, None)
            document = {
                "version": "5.4.1",
                "flags": {},
                "shapes": shapes,
                "imagePath": labelled.name,
                "imageData": None,
                "imageHeight": height,
                "imageWidth": width,
                "provenance": dict(labelled.provenance),
            }
            if labelled.group:
                document["group"] = labelled.group
            with atomic_write(target.with_suffix(".json"), "w") as file:
                json.dump(document, file, indent=1)


def _shapes(defect: Defect, label: str, group: int | None) -> list[dict[str, Any]]:
    """Its entries; those of one defect share the number of a group."""
    shared: dict[str, Any] = {"label": label, "group_id": group, "flags": {}}
    if any(len(face) > 1 for face in defect.faces):
        top, left, height, width = bounding_box(defect.mask)
        layer = _png(defect.mask[top : top + height, left : left + width])
        corners = [[left, top], [left + width - 1, top + height - 1]]
        return [{**shared, "shape_type": "mask", "points": corners, "mask": layer}]
    shapes: list[dict[str, Any]] = []
    for face in defect.faces:
        points = face[0].astype(float).tolist()
        shapes.append({**shared, "shape_type": "polygon", "points": points})
    return shapes


def _png(mask: Mask) -> str:
    file = io.BytesIO()
    Image.fromarray(np.where(mask, np.uint8(255), np.uint8(0))).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode("ascii")
