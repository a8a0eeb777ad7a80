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


class LabelMeFormat(Format):
    """Polygons where a defect has no holes, a mask layer where it has."""

    name = "labelme"
    summary = (
        "pictures in train and val with a JSON file beside each: polygons, mask layers of defects "
        "with holes; group and provenance in each file"
    )

    def write(self, files: Sequence[LabelledFile], folder: Path) -> None:
        """As ``Format``."""
        names = class_names(files)
        for labelled in files:
            target = copy_picture(labelled, folder / labelled.side)
            height, width = size = labelled.size
            shapes: list[dict[str, Any]] = []
            for number, defect in enumerate(labelled.defects(size)):
                label = names[labelled.object, defect.label]
                shapes += [
                    {"label": label, "group_id": number, **shape} for shape in _shapes(defect)
                ]
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


def _shapes(defect: Defect) -> list[dict[str, Any]]:
    if any(len(face) > 1 for face in defect.faces):
        top, left, height, width = bounding_box(defect.mask)
        layer = _png(defect.mask[top : top + height, left : left + width])
        corners = [[left, top], [left + width - 1, top + height - 1]]
        return [{"shape_type": "mask", "points": corners, "mask": layer, "flags": {}}]
    shapes: list[dict[str, Any]] = []
    for face in defect.faces:
        points = face[0].astype(float).tolist()
        shapes.append({"shape_type": "polygon", "points": points, "flags": {}})
    return shapes


def _png(mask: Mask) -> str:
    file = io.BytesIO()
    Image.fromarray(np.where(mask, np.uint8(255), np.uint8(0))).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode("ascii")
