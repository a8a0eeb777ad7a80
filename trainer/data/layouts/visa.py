"""VisA's layout: OBJECT/Data/Images/{Normal,Anomaly} with OBJECT/Data/Masks/Anomaly."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from bgdefect_core.errors import DataError
from bgdefect_core.pictures.listing import comparable, list_folders, list_pictures, unique_names
from bgdefect_core.pictures.mask_values import NONZERO

from ..examples import GOOD, Example
from .layout import Layout, choose_object, file_in, find_folder, object_name
from .tables import read_table

_DEFECT = "anomaly"
_TABLE = "1cls.csv"
_COLUMNS = ("object", "split", "image")


class VisA(Layout):
    """A folder of objects, or one object's folder. ``split_csv/1cls.csv`` gives the sides of good
    pictures; without it there are none. The kinds of anomaly in ``image_anno.csv``, of which a
    picture may have several, are not told apart: ``mask_values`` selects them by their values."""

    name = "visa"
    summary = (
        "as VisA: OBJECT/Data/Images/Anomaly/000.JPG with OBJECT/Data/Masks/Anomaly/000.png, in "
        "which every value but 0 is the defect (anomaly); good pictures in "
        "OBJECT/Data/Images/Normal, on the sides of split_csv/1cls.csv where it is there"
    )
    good_place = "pictures in Data/Images/Normal"

    def recognises(self, root: Path) -> bool:
        return bool(_objects_in(root))

    def classes(self, root: Path) -> dict[str, list[str]]:
        classes: dict[str, list[str]] = {}
        for name, folder in _objects_in(root).items():
            has_defects = find_folder(folder, "Data", "Images", "Anomaly") is not None
            classes[name] = [_DEFECT] if has_defects else []
        return classes

    def examples(self, root: Path, classes: Collection[tuple[str, str]]) -> list[Example]:
        objects = _objects_in(root)
        examples: list[Example] = []
        for name, _ in sorted(classes):
            examples += _examples_of(name, objects[name])
        return examples

    def good_examples(self, root: Path, object: str | None, side: str) -> list[Example]:
        objects = _objects_in(root)
        name = choose_object(root, object, objects)
        place = find_folder(objects[name], "Data", "Images", "Normal")
        tested = _tested(root)
        examples: list[Example] = []
        for picture in [] if place is None else list_pictures(place):
            key = (comparable(name), comparable(picture.name))
            if tested is None or (key in tested) == (side == "test"):
                examples.append(Example(picture, (), name, GOOD, ""))
        return examples


def _objects_in(root: Path) -> dict[str, Path]:
    """Object's name -> its folder. A link keeps its own name."""
    if not root.is_dir():
        return {}
    if _is_object(root):
        return {object_name(root): root}
    return {folder.name: folder for folder in list_folders(root) if _is_object(folder)}


def _is_object(folder: Path) -> bool:
    images = find_folder(folder, "Data", "Images")
    if images is None:
        return False
    return any(find_folder(images, name) is not None for name in ("Normal", "Anomaly"))


def _examples_of(object: str, folder: Path) -> list[Example]:
    places: list[Path] = []
    for part in ("Images", "Masks"):
        place = find_folder(folder, "Data", part, "Anomaly")
        if place is None:
            came = f"{folder / 'Data' / part / 'Anomaly'} does not exist"
            raise DataError(came, "pictures and masks of anomalies", "check the path")
        places.append(place)
    masks = unique_names(list_pictures(places[1]))
    examples: list[Example] = []
    for name, picture in unique_names(list_pictures(places[0])).items():
        mask = masks.pop(name, None)
        if mask is None:
            expected = f"{places[1] / picture.stem}.png"
            raise DataError(f"{picture} has no mask", expected, "add it or leave it out")
        examples.append(Example(picture, (mask,), object, _DEFECT, "", NONZERO))
    for mask in masks.values():
        expected = f"a picture in {places[0]}"
        raise DataError(f"{mask} has no picture", expected, "add it or remove the mask")
    return examples


def _tested(root: Path) -> set[tuple[str, str]] | None:
    """Object and file name of the pictures on the test side, in comparable form; None: there is no
    such table. Its paths are not followed: pictures are found by listing."""
    folder = find_folder(root, "split_csv")
    path = None if folder is None else file_in(folder, _TABLE)
    if path is None:
        return None
    header, rows = read_table(path)
    missing = [name for name in _COLUMNS if name not in header]
    if missing:
        came = f"{path} lacks the columns {', '.join(missing)}"
        raise DataError(came, "object, split, label, image, mask", "copy the file again")
    tested: set[tuple[str, str]] = set()
    for row in rows:
        if comparable(row["split"]) == "test":
            name = row["image"].replace("\\", "/").rpartition("/")[2]
            is_normal = comparable(row.get("label", "")) == "normal"
            if is_normal:
                tested.add((comparable(row["object"]), comparable(name)))
    return tested
