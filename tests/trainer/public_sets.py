"""Small data sets in the folder forms of VisA, BTAD, KolektorSDD, KolektorSDD2 and Real-IAD.

Pictures have 20 x 24 pixels (height, width). ``*_nut``: three defects over rows 2 to 5 and columns
3 to 8 (24 pixels), and two good pictures.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .annotated_sets import HEIGHT, WIDTH

DEFECTS = {
    "visa": "anomaly",
    "btad": "ko",
    "ksdd": "defect",
    "ksdd2": "defect",
    "class_masks": "defect",
    "masks_beside": "defect",
}
"""What the defect is called in layouts that give it a name of their own."""


def picture(path: Path, value: int = 90) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (WIDTH, HEIGHT), (value, value, value)).save(path)
    return path


def mask(path: Path, value: int = 255) -> Path:
    """A mask with one value in the defect; 0: all black."""
    pixels = np.zeros((HEIGHT, WIDTH), np.uint8)
    pixels[2:6, 3:9] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def visa_nut(root: Path) -> Path:
    """Masks with the numbers of kinds of anomaly, as VisA has them."""
    for number in range(3):
        picture(root / f"Data/Images/Anomaly/00{number}.JPG")
        mask(root / f"Data/Masks/Anomaly/00{number}.png", number + 1)
    for number in range(2):
        picture(root / f"Data/Images/Normal/000{number}.JPG")
    return root


def split_table(root: Path, rows: Sequence[str]) -> Path:
    path = root / "split_csv/1cls.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["object,split,label,image,mask", *rows]))
    return path


def btad_nut(root: Path) -> Path:
    for number in range(3):
        picture(root / f"test/ko/000{number}.bmp")
        mask(root / f"ground_truth/ko/000{number}.{('bmp', 'png')[number % 2]}", 38)
    for number in range(2):
        picture(root / f"train/ok/000{number}.bmp")
    picture(root / "test/ok/0009.bmp")
    return root


def ksdd_nut(root: Path) -> Path:
    """Two parts: three defects in the first one and in the second one, good pictures in both."""
    for name, value in (("kos01/Part0", 255), ("kos01/Part1", 255), ("kos01/Part2", 0)):
        picture(root / f"{name}.jpg")
        mask(root / f"{name}_label.bmp", value)
    for name, value in (("kos02/Part0", 0), ("kos02/Part1", 1)):
        picture(root / f"{name}.jpg")
        mask(root / f"{name}_label.bmp", value)
    return root


def ksdd2_nut(root: Path) -> Path:
    """Two good pictures for training and one for tests; defects on both sides."""
    values = {"train/10000": 0, "train/10001": 255, "train/10002": 0, "train/10301": 255}
    values |= {"test/20000": 255, "test/20001": 0}
    for name, value in values.items():
        picture(root / f"{name}.png")
        mask(root / f"{name}_GT.png", value)
    return root


def real_iad(
    root: Path, object: str, entries: Mapping[str, Sequence[Mapping[str, Any]]], **meta: Any
) -> Path:
    """An object's JSON file and the pictures and masks that it lists."""
    place = root / f"realiad_jsons/realiad_jsons/{object}.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    head = {"prefix": f"{object}/", "normal_class": "OK", "pre_transform": True} | meta
    place.write_text(json.dumps({"meta": head, **entries}))
    for side in entries.values():
        for entry in side:
            picture(root / f"realiad_1024/{object}" / entry["image_path"])
            if entry["mask_path"] is not None:
                mask(root / f"realiad_1024/{object}" / entry["mask_path"])
    return place


def view(object: str, folder: str, number: int, kind: str = "OK") -> dict[str, Any]:
    """An entry of a view; of a defect with its mask."""
    path = f"{folder}/{object}_{folder[-4:]}_C{number}_20230922"
    masked = None if kind == "OK" else f"{path}.png"
    return {
        "category": object,
        "anomaly_class": kind,
        "image_path": f"{path}.jpg",
        "mask_path": masked,
    }


def real_iad_nut(root: Path) -> Path:
    """Three defective views of two parts; a fourth view, in which the defect is not visible."""
    name = root.name
    train = [view(name, "OK/S0001", number) for number in (1, 2)]
    test = [view(name, "NG/CUT/S0001", number, "cut") for number in (1, 2)]
    test += [view(name, "NG/CUT/S0001", 3), view(name, "NG/CUT/S0002", 1, "cut")]
    real_iad(root, name, {"train": train, "test": test})
    return root
