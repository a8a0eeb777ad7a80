"""KolektorSDD2's layout: {train,test}/NNNNN.png with NNNNN_GT.png beside it."""

from __future__ import annotations

import re
from pathlib import Path

from bgdefect_core.pictures.listing import (
    list_pictures,
    picture_key,
    report_once,
    shown_names,
    unique_names,
)

from ..sides import DataSide
from .black_masks import BlackMaskLayout, MaskedPicture, with_masks
from .layout import find_folder

_SIDES: tuple[DataSide, ...] = ("train", "test")
_NAME = re.compile(r"[0-9]+(_gt)?")
_LABEL = "_gt"


class KolektorSDD2(BlackMaskLayout):
    """Two sides, each with good and defective pictures. Other names are passed over: the data set
    holds ``10301 (copy).png`` and ``10301_GT (copy).png``."""

    name = "ksdd2"
    summary = (
        "as KolektorSDD2: train/NNNNN.png with train/NNNNN_GT.png, and test alike, in which every "
        "value but 0 is the defect (defect); all black: a good picture"
    )

    def recognises(self, root: Path) -> bool:
        for side in _SIDES:
            folder = find_folder(root, side)
            files = [] if folder is None else list_pictures(folder)
            names = filter(_NAME.fullmatch, map(picture_key, files))
            if any(name.endswith(_LABEL) for name in names):
                return True
        return False

    def pictures(self, root: Path) -> list[MaskedPicture]:
        """As ``BlackMaskLayout``."""
        pictures: list[MaskedPicture] = []
        for side in _SIDES:
            folder = find_folder(root, side)
            if folder is not None:
                pictures += _pictures_in(folder, side)
        return pictures


def _pictures_in(folder: Path, side: DataSide) -> list[MaskedPicture]:
    read: list[Path] = []
    rest: list[str] = []
    for path in list_pictures(folder):
        if _NAME.fullmatch(picture_key(path)):
            read.append(path)
        else:
            rest.append(path.name)
    if rest:
        text = f"{folder}: passed over {shown_names(rest)}, whose names are no numbers"
        report_once(text, expected=False)
    files = unique_names(read)
    pictures: list[MaskedPicture] = []
    for image, mask in with_masks(files, _LABEL, "_GT.png"):
        pictures.append(MaskedPicture(image, mask, side=side))
    return pictures
