"""BTAD's layout: MVTec AD's with the folders ok and ko."""

from __future__ import annotations

from pathlib import Path

from bgdefect_core.pictures.listing import is_good_name, list_folders
from bgdefect_core.pictures.mask_values import NONZERO

from .layout import find_folder
from .mvtec_ad import MVTecAD, objects_in


class Btad(MVTecAD):
    """As MVTec AD, but every value of a mask but 0 counts; masks are PNG or BMP files."""

    name = "btad"
    summary = (
        "as BTAD: OBJECT/test/ko/0000.png with OBJECT/ground_truth/ko/0000.png (or bmp), in which "
        "every value but 0 is the defect (ko); good pictures in OBJECT/train/ok"
    )
    good_place = "pictures in train/ok"
    file_values = NONZERO

    def recognises(self, root: Path) -> bool:
        objects = objects_in(root)
        return bool(objects) and all(map(_is_btad, objects.values()))


def _is_btad(folder: Path) -> bool:
    """Whether an object knows no other defect than ko, and calls good pictures ok."""
    if find_folder(folder, "ground_truth", "ko") is None:
        return False
    tested = find_folder(folder, "test", "ko")
    if tested is None or find_folder(folder, "train", "ok") is None:
        return False
    beside = [place for place in list_folders(tested.parent) if place != tested]
    return all(is_good_name(place.name) for place in beside)
