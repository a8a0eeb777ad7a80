"""Exports as CVAT and Label Studio write them, in small: names, folders and entries are those of
their own programs (Label Studio's converter, CVAT's Datumaro), pictures are drawn.

Four pictures of 20 x 24 pixels (height, width): ``part_0`` and ``part_1`` with a cut over rows 2 to
5 and columns 3 to 8 (24 pixels), ``part_1`` also with a dent of columns 12 to 17 and rows 10 to 13
(24 pixels), ``part_2`` and ``part_3`` good.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .annotated_sets import CORNERS, HEIGHT, WIDTH, plain_picture, relative_corners

DENT = (12, 10, 6, 4)
"""Left, top, width, height."""
HASHES = ("0a1b2c3d", "3b2c1d4e", "9e8d7c6b", "c0ffee12")
LABEL_MAP = "# label:color_rgb:parts:actions\nCut:250,50,83::\nDent:51,221,255::\n"
COLOURS = {"Cut": (250, 50, 83), "Dent": (51, 221, 255)}


def masks() -> dict[str, np.ndarray]:
    """The masks of part_1."""
    cut, dent = np.zeros((HEIGHT, WIDTH), bool), np.zeros((HEIGHT, WIDTH), bool)
    cut[2:6, 3:9] = True
    dent[10:14, 12:18] = True
    return {"Cut": cut, "Dent": dent}


def _pictures(folder: Path, names: Sequence[str]) -> list[str]:
    for number, name in enumerate(names):
        plain_picture(folder / name, 90 + number)
    return list(names)


def _parts(prefixed: bool = False) -> list[str]:
    names = [f"part_{number}.png" for number in range(4)]
    return [f"{HASHES[n]}-{name}" for n, name in enumerate(names)] if prefixed else names


def _write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_text(text, encoding="utf-8")


# --- CVAT


def cvat_coco(root: Path) -> Path:
    """COCO 1.0: a mask has uncompressed run lengths and iscrowd 1; ids of annotations repeat."""
    names = _pictures(root / "images/default", _parts())
    images = []
    for number, name in enumerate(names, start=1):
        sizes = {"width": WIDTH, "height": HEIGHT, "license": 0, "flickr_url": "", "coco_url": ""}
        images.append({"id": number, "file_name": name, "date_captured": 0, **sizes})
    flat = masks()["Dent"].T.ravel()
    changes = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *changes, flat.size]).tolist()
    shared = {"attributes": {"occluded": False}, "area": 24.0}
    cut = {"id": 1, "category_id": 1, "segmentation": [CORNERS], "iscrowd": 0, **shared}
    cut["bbox"] = [3, 2, 6, 4]
    dent = {"id": 1, "category_id": 2, "iscrowd": 1, "bbox": list(DENT), **shared}
    dent["segmentation"] = {"counts": runs, "size": [HEIGHT, WIDTH]}
    content = {
        "licenses": [{"name": "", "id": 0, "url": ""}],
        "info": {"contributor": "", "date_created": "", "description": "", "url": ""},
        "categories": [
            {"id": 1, "name": "Cut", "supercategory": ""},
            {"id": 2, "name": "Dent", "supercategory": ""},
        ],
        "images": images,
        "annotations": [{**cut, "image_id": 1}, {**cut, "image_id": 2}, {**dent, "image_id": 2}],
    }
    _write(root / "annotations/instances_default.json", content)
    return root


def _boxes() -> tuple[str, str]:
    left, top, width, height = DENT
    x, y = (left + width / 2) / WIDTH, (top + height / 2) / HEIGHT
    dent = f"1 {x:.6f} {y:.6f} {width / WIDTH:.6f} {height / HEIGHT:.6f}\n"
    cut = f"0 {6 / WIDTH:.6f} {4 / HEIGHT:.6f} {6 / WIDTH:.6f} {4 / HEIGHT:.6f}\n"
    return cut, dent


def cvat_yolo(root: Path) -> Path:
    """YOLO 1.1: Darknet's files; the list is relative to a folder that is not in the archive."""
    names = _pictures(root / "obj_train_data", _parts())
    cut, dent = _boxes()
    for name, text in zip(names, (cut, cut + dent, "", ""), strict=True):
        _write(root / "obj_train_data" / name.replace(".png", ".txt"), text)
    _write(root / "obj.names", "Cut\nDent\n")
    lists = "classes = 2\ntrain = data/train.txt\nnames = data/obj.names\nbackup = backup/\n"
    _write(root / "obj.data", lists)
    _write(root / "train.txt", "".join(f"data/obj_train_data/{name}\n" for name in names))
    return root


def cvat_ultralytics(root: Path) -> Path:
    """Ultralytics YOLO Segmentation: data.yaml names a list; good pictures have no label."""
    names = _pictures(root / "images/train", _parts())
    left, top, width, height = DENT
    corners = [left, top, left + width, top, left + width, top + height, left, top + height]
    shares = []
    for index, number in enumerate(corners):
        shares.append(f"{number / (HEIGHT if index % 2 else WIDTH):.6f}")
    _write(root / "labels/train/part_0.txt", f"0 {relative_corners()}")
    _write(root / "labels/train/part_1.txt", f"0 {relative_corners()}\n1 {' '.join(shares)}")
    _write(root / "data.yaml", "names:\n  0: Cut\n  1: Dent\npath: .\ntrain: train.txt\n")
    _write(root / "train.txt", "".join(f"images/train/{name}\n" for name in names))
    return root


def cvat_labelme(root: Path) -> Path:
    """LabelMe 3.0: XML, and masks in files of their own."""
    names = _pictures(root / "default", _parts())
    points = ""
    for x, y in zip(CORNERS[::2], CORNERS[1::2], strict=True):
        points += f"<pt><x>{x:.2f}</x><y>{y:.2f}</y></pt>"
    start = "<deleted>0</deleted><verified>0</verified><occluded>no</occluded><date></date>"
    cut = f"<object><name>Cut</name>{start}<id>0</id><polygon>{points}</polygon></object>"
    left, top, width, height = DENT
    box = f"<xmin>{left}</xmin><ymin>{top}</ymin><xmax>{left + width}</xmax>"
    box += f"<ymax>{top + height}</ymax>"
    segment = f"<segm><mask>part_1_mask_1.png</mask><box>{box}</box></segm>"
    dent = f"<object><name>Dent</name>{start}<id>1</id>{segment}<attributes></attributes></object>"
    gone = f"<object><name>Old</name>{start.replace('0<', '1<', 1)}<id>2</id></object>"
    for name, objects in zip(names, (cut, cut + dent, gone, ""), strict=True):
        size = f"<imagesize><nrows>{HEIGHT}</nrows><ncols>{WIDTH}</ncols></imagesize>"
        head = f"<filename>{name}</filename><folder>default</folder>{size}"
        text = f"<annotation>{head}{objects}</annotation>"
        _write(root / "default" / name.replace(".png", ".xml"), text)
    (root / "default/Masks").mkdir()
    pixels = masks()["Dent"].astype(np.uint8) * 255
    Image.fromarray(pixels).save(root / "default/Masks/part_1_mask_1.png")
    return root


def cvat_mask(root: Path, palette: bool = False) -> Path:
    """Segmentation mask 1.1: colours in SegmentationClass, no file for a picture without label."""
    names = _pictures(root / "JPEGImages", _parts())
    _write(root / "labelmap.txt", LABEL_MAP + "background:0,0,0::\n")
    _write(root / "ImageSets/Segmentation/default.txt", "part_0\npart_1\n")
    for number in range(2):
        indices = np.zeros((HEIGHT, WIDTH), np.uint8)
        pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        for place, (label, mask) in enumerate(masks().items()):
            if label == "Cut" or number == 1:
                pixels[mask], indices[mask] = COLOURS[label], place + 1
        for folder in ("SegmentationClass", "SegmentationObject"):
            (root / folder).mkdir(exist_ok=True)
            image = Image.fromarray(pixels)
            if palette:
                image = Image.fromarray(indices)
                image.putpalette([0, 0, 0, *COLOURS["Cut"], *COLOURS["Dent"]])
            image.save(root / folder / names[number])
    return root


def cvat_images(root: Path) -> Path:
    """CVAT for images 1.1; a tag's attribute names the board."""
    names = _pictures(root / "images", _parts())
    left, top, width, height = DENT
    points = ";".join(f"{x:.2f},{y:.2f}" for x, y in zip(CORNERS[::2], CORNERS[1::2], strict=True))
    cut = f'<polygon label="Cut" source="manual" occluded="0" points="{points}" z_order="0"/>'
    runs = f"0, {width * height}"
    dent = f'<mask label="Dent" occluded="0" rle="{runs}" left="{left}" top="{top}" '
    dent += f'width="{width}" height="{height}" z_order="0"></mask>'
    text = '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n'
    for number, (name, shapes) in enumerate(zip(names, (cut, cut + dent, "", ""), strict=True)):
        tag = (
            f'<tag label="part" source="manual"><attribute name="board">B{number // 2}</attribute>'
        )
        text += f'  <image id="{number}" name="{name}" width="{WIDTH}" height="{HEIGHT}">'
        text += f"{shapes}{tag}</tag></image>\n"
    _write(root / "annotations.xml", text + "</annotations>\n")
    return root


# --- Label Studio


def _percent(numbers: Sequence[float]) -> list[list[float]]:
    pairs = zip(numbers[::2], numbers[1::2], strict=True)
    return [[100 * x / WIDTH, 100 * y / HEIGHT] for x, y in pairs]


def packed_brush(mask: np.ndarray) -> list[int]:
    """A brush as Label Studio packs it: runs of 8-bit values, RGBA a pixel."""
    values = np.repeat(mask.ravel().astype(int) * 255, 4)
    ends = [*(np.flatnonzero(np.diff(values)) + 1).tolist(), values.size]
    bits = f"{values.size:032b}{7:05b}" + "".join(f"{size:04b}" for size in (2, 3, 7, 15))
    start = 0
    for end in ends:
        bits += f"1{3:02b}{end - start - 1:016b}{values[start]:08b}"
        start = end
    bits += "0" * (-len(bits) % 8)
    return [int(bits[place : place + 8], 2) for place in range(0, len(bits), 8)]


def label_studio_tasks(brush: bool = True) -> list[dict[str, Any]]:
    """Four tasks; the dent is a brush or a rectangle."""
    sizes = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0}
    shared = {**sizes, "to_name": "image", "from_name": "label", "origin": "manual"}
    polygon = {"points": _percent(CORNERS), "closed": True, "polygonlabels": ["Cut"]}
    cut = {**shared, "id": "a", "type": "polygonlabels", "value": polygon}
    left, top, width, height = DENT
    place = {"x": 100 * left / WIDTH, "y": 100 * top / HEIGHT, "rotation": 0}
    place |= {"width": 100 * width / WIDTH, "height": 100 * height / HEIGHT}
    dent = {**shared, "id": "b", "type": "rectanglelabels"}
    dent["value"] = {**place, "rectanglelabels": ["Dent"]}
    if brush:
        packed = packed_brush(masks()["Dent"])
        value = {"format": "rle", "rle": packed, "brushlabels": ["Dent"]}
        dent = {**shared, "id": "b", "type": "brushlabels", "value": value}
    tasks: list[dict[str, Any]] = []
    for number, (name, result) in enumerate(
        zip(_parts(prefixed=True), ([cut], [cut, dent], [], []), strict=True)
    ):
        annotation = {"id": 7 + number, "completed_by": 1, "result": result, "was_cancelled": False}
        data = {"image": f"/data/upload/1/{name}", "board": f"B{number // 2}"}
        task = {"id": 101 + number, "annotations": [annotation], "data": data, "meta": {}}
        tasks.append({**task, "file_upload": name, "predictions": [], "project": 1})
    return tasks


def label_studio_json(root: Path, prefixed: bool = False) -> Path:
    """The JSON export beside the pictures as they were uploaded, or as the tool keeps them."""
    _pictures(root, _parts(prefixed))
    _write(root / "project-1-at-2026-01-01-00-00-0a1b2c3d.json", label_studio_tasks())
    return root


def label_studio_coco(root: Path) -> Path:
    """COCO: result.json; without pictures in the export its names are addresses of the server."""
    _pictures(root / "images", _parts())
    images = []
    for number, name in enumerate(_parts(prefixed=True)):
        sizes = {"width": WIDTH if number < 2 else None, "height": HEIGHT if number < 2 else None}
        images.append({**sizes, "id": number, "file_name": f"/data/upload/1/{name}"})
    shared = {"ignore": 0, "iscrowd": 0, "area": 24.0}
    cut = {"category_id": 0, "segmentation": [CORNERS], "bbox": [3, 2, 6, 4], **shared}
    dent = {"id": 2, "image_id": 1, "category_id": 1, "segmentation": [], "bbox": list(DENT)}
    content = {
        "images": images,
        "categories": [{"id": 0, "name": "Cut"}, {"id": 1, "name": "Dent"}],
        "annotations": [{"id": 0, "image_id": 0, **cut}, {"id": 1, "image_id": 1, **cut}],
        "info": {"year": 2026, "version": "1.0", "contributor": "Label Studio"},
    }
    content["annotations"].append({**dent, **shared})  # type: ignore[attr-defined]
    _write(root / "result.json", content)
    return root


def label_studio_yolo(root: Path, prefixed: bool = True) -> Path:
    """YOLO: classes.txt, notes.json, labels by the tool's names."""
    _pictures(root / "images", _parts(prefixed))
    cut, dent = _boxes()
    for name, text in zip(_parts(prefixed=True), (cut, cut + dent, "", ""), strict=True):
        _write(root / "labels" / name.replace(".png", ".txt"), text)
    _write(root / "classes.txt", "Cut\nDent")
    categories = [{"id": 0, "name": "Cut"}, {"id": 1, "name": "Dent"}]
    info = {"year": 2026, "version": "1.0", "contributor": "Label Studio"}
    _write(root / "notes.json", {"categories": categories, "info": info})
    return root


# --- three cuts and two good pictures of each layout that these tools have of their own


def label_studio_nut(root: Path) -> Path:
    _pictures(root, [f"{number:03d}.png" for number in range(5)])
    task = label_studio_tasks()[0]
    task["annotations"][0]["result"][0]["value"]["polygonlabels"] = ["cut"]
    tasks: list[dict[str, Any]] = []
    for number in range(5):
        annotations = task["annotations"] if number < 3 else []
        data = {"image": f"/data/local-files/?d=parts/{number:03d}.png"}
        tasks.append({**task, "id": number, "data": data, "annotations": annotations})
    _write(root / "tasks.json", tasks)
    return root


def cvat_nut(root: Path) -> Path:
    names = _pictures(root, [f"{number:03d}.png" for number in range(5)])
    text = "<annotations>"
    for number, name in enumerate(names):
        text += f'<image id="{number}" name="{name}" width="{WIDTH}" height="{HEIGHT}">'
        box = '<box label="cut" xtl="3.00" ytl="2.00" xbr="9.00" ybr="6.00"></box>'
        text += (box if number < 3 else "") + "</image>"
    _write(root / "annotations.xml", text + "</annotations>")
    return root


def labelme_xml_nut(root: Path) -> Path:
    names = _pictures(root, [f"{number:03d}.png" for number in range(5)])
    points = ""
    for x, y in zip(CORNERS[::2], CORNERS[1::2], strict=True):
        points += f"<pt><x>{x}</x><y>{y}</y></pt>"
    for name in names[:3]:
        outline = f"<object><name>cut</name><polygon>{points}</polygon></object>"
        text = f"<annotation><filename>{name}</filename><folder></folder>{outline}</annotation>"
        _write(root / name.replace(".png", ".xml"), text)
    return root


def class_masks_nut(root: Path) -> Path:
    names = _pictures(root / "images", [f"{number:03d}.png" for number in range(5)])
    for number, name in enumerate(names):
        pixels = masks()["Cut"].astype(np.uint8) * (number < 3)
        (root / "masks").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(root / "masks" / name)
    return root
