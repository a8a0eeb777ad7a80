"""KolektorSDD's layout: kosNN/PartM.jpg with kosNN/PartM_label.bmp."""

from __future__ import annotations

import re
from pathlib import Path

from bgdefect_core.pictures.listing import list_folders, list_pictures, picture_key, unique_names

from .black_masks import BlackMaskLayout, MaskedPicture, with_masks

_PART = re.compile(r"kos[0-9]+", re.IGNORECASE)
_LABEL = "_label"


class KolektorSDD(BlackMaskLayout):
    """A folder for each part, which is a group: several pictures show one commutator."""

    name = "ksdd"
    summary = (
        "as KolektorSDD: kosNN/PartM.jpg with kosNN/PartM_label.bmp, in which every value but 0 is "
        "the defect (defect); all black: a good picture; the pictures of a kosNN folder are a group"
    )

    def recognises(self, root: Path) -> bool:
        for folder in _parts_in(root):
            if any(picture_key(path).endswith(_LABEL) for path in list_pictures(folder)):
                return True
        return False

    def pictures(self, root: Path) -> list[MaskedPicture]:
        """As ``BlackMaskLayout``."""
        pictures: list[MaskedPicture] = []
        for folder in _parts_in(root):
            files = unique_names(list_pictures(folder))
            for image, mask in with_masks(files, _LABEL, f"{_LABEL}.bmp"):
                pictures.append(MaskedPicture(image, mask, folder.name))
        return pictures


def _parts_in(root: Path) -> list[Path]:
    return [folder for folder in list_folders(root) if _PART.fullmatch(folder.name)]
