"""MVTec LOCO's layout: a folder of masks for each picture, whose union is the defect."""

from __future__ import annotations

from pathlib import Path

from bgdefect_core.pictures.listing import list_folders, list_pictures, named

from .mvtec_ad import MVTecAD, objects_in


class MVTecLoco(MVTecAD):
    """As MVTec AD, but a mask may be a folder of files, in which every value but 0 counts."""

    name = "mvtec_loco"
    summary = (
        "as MVTec LOCO: mvtec with a folder of masks a picture, "
        "OBJECT/ground_truth/DEFECT/000/000.png, "
        "001.png ...; the union of all its values but 0 is the defect"
    )

    def recognises(self, root: Path) -> bool:
        for folder in objects_in(root).values():
            truth = named(list_folders(folder), "ground_truth")
            for place in list_folders(truth) if truth is not None else []:
                if list_folders(place):
                    return True
        return False

    def masks_in(self, folder: Path) -> list[Path]:
        return [*list_folders(folder), *list_pictures(folder, folders_are_read=True)]
