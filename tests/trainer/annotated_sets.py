"""Small data sets whose labels are drawn: COCO, YOLO, LabelMe and Pascal VOC.

Pictures have 20 x 24 pixels (height, width). ``*_nut``: three cuts over rows 2 to 5 and columns 3
to 8 (24 pixels), and two good pictures.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bgdefect_core.pictures.writing import write_picture

HEIGHT, WIDTH = 20, 24
CORNERS = [3.0, 2.0, 9.0, 2.0, 9.0, 6.0, 3.0, 6.0]
"""Of the cut, x and y in turn."""


def plain_picture(path: Path, value: int = 90, size: tuple[int, int] = (HEIGHT, WIDTH)) -> Path:
    write_picture(path, np.full((*size, 3), value, np.uint8))
    return path


def coco(
    root: Path,
    annotations: Sequence[Mapping[str, Any]],
    pictures: int = 1,
    categories: Sequence[str] = ("cut",),
    place: str = "annotations/instances_train.json",
    **entries: Any,
) -> Path:
    """A COCO file with pictures in ``images``; image and category have the ids from 1 on."""
    images = []
    for number in range(pictures):
        name = f"{number:03d}.png"
        plain_picture(root / "images" / name, 90 + number)
        size = {"height": HEIGHT, "width": WIDTH}
        images.append({"id": number + 1, "file_name": name, **size})
    listed = []
    for number, values in enumerate(annotations):
        listed.append({"id": number + 1, "image_id": 1, "category_id": 1, **values})
    kinds = [{"id": number + 1, "name": name} for number, name in enumerate(categories)]
    content = {"images": images, "annotations": listed, "categories": kinds, **entries}
    path = root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return root


def coco_nut(root: Path) -> Path:
    cuts = [{"image_id": number + 1, "segmentation": [CORNERS]} for number in range(3)]
    return coco(root, cuts, pictures=5)


def yolo(root: Path, labels: Sequence[str], names: Sequence[str] = ("cut",), good: int = 0) -> Path:
    """A data.yaml, images/train and labels/train; good pictures have no label file."""
    for number in range(len(labels) + good):
        plain_picture(root / f"images/train/{number:03d}.png", 90 + number)
    (root / "labels/train").mkdir(parents=True)
    for number, text in enumerate(labels):
        (root / f"labels/train/{number:03d}.txt").write_text(text + "\n")
    listed = "\n".join(f"  {number}: {name}" for number, name in enumerate(names))
    text = f"path: .\ntrain: images/train\nval: images/train\nnames:\n{listed}\n"
    (root / "data.yaml").write_text(text, encoding="utf-8")
    return root


def relative_corners() -> str:
    shares = []
    for index, number in enumerate(CORNERS):
        shares.append(number / (HEIGHT if index % 2 else WIDTH))
    return " ".join(f"{share:.6f}" for share in shares)


def yolo_nut(root: Path) -> Path:
    return yolo(root, [f"0 {relative_corners()}"] * 3, good=2)


def labelme(root: Path, name: str, shapes: Sequence[Mapping[str, Any]], **entries: Any) -> Path:
    """A picture and its JSON file beside it."""
    plain_picture(root / f"{name}.png")
    content = {
        "version": "5.4.1",
        "flags": {},
        "shapes": [{"label": "cut", "group_id": None, **shape} for shape in shapes],
        "imagePath": f"{name}.png",
        "imageData": None,
        "imageHeight": HEIGHT,
        "imageWidth": WIDTH,
        **entries,
    }
    path = root / f"{name}.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return root


def pairs(numbers: Sequence[float]) -> list[list[float]]:
    return [list(pair) for pair in zip(numbers[::2], numbers[1::2], strict=True)]


def labelme_nut(root: Path) -> Path:
    for number in range(3):
        shape = {"shape_type": "polygon", "points": pairs(CORNERS)}
        labelme(root, f"{number:03d}", [shape])
    plain_picture(root / "003.png")
    plain_picture(root / "004.png")
    return root


BOX = (3, 2, 9, 6)
"""Of the cut: left, top, right and bottom."""


def voc_object(box: Sequence[Any] = BOX, name: str = "cut", more: str = "") -> str:
    corners = ""
    for tag, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True):
        corners += f"<{tag}>{value}</{tag}>"
    return f"<object><name>{name}</name>{more}<bndbox>{corners}</bndbox></object>"


def voc(
    root: Path,
    name: str,
    objects: str = "",
    pictures: str = "JPEGImages",
    labels: str = "Annotations",
    more: str = "",
) -> Path:
    """A picture with its XML file; the root."""
    plain_picture(root / pictures / f"{name}.png")
    size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>"
    head = f"<folder>{pictures}</folder><filename>{name}.png</filename>{size}{more}"
    path = root / labels / f"{name}.xml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"<annotation>{head}{objects}</annotation>", encoding="utf-8")
    return root


def voc_nut(root: Path) -> Path:
    for number in range(5):
        voc(root, f"{number:03d}", voc_object() if number < 3 else "")
    return root
