"""All layouts. Of those, the first that recognises a data set is taken."""

from __future__ import annotations

from bgdefect_core.declarations import Registry

from .btad import Btad
from .class_masks import MaskFolders
from .coco import Coco
from .csv_list import CsvList
from .cvat import CvatImages
from .kolektor_sdd import KolektorSDD
from .kolektor_sdd2 import KolektorSDD2
from .label_studio import LabelStudio
from .labelme import LabelMe
from .labelme_xml import LabelMeXml
from .layout import Layout
from .masks_beside import MasksBeside
from .mvtec_ad import MVTecAD
from .mvtec_loco import MVTecLoco
from .plain import PlainFolder
from .real_iad import RealIAD
from .visa import VisA
from .voc import Voc
from .yolo import Yolo

LAYOUTS: Registry[Layout] = Registry(
    "data layout",
    CsvList(),
    Coco(),
    Yolo(),
    LabelMe(),
    LabelStudio(),
    CvatImages(),
    Voc(),
    LabelMeXml(),
    MaskFolders(),
    VisA(),
    RealIAD(),
    KolektorSDD(),
    KolektorSDD2(),
    Btad(),
    MasksBeside(),
    MVTecLoco(),
    MVTecAD(),
    PlainFolder(),
)


def data_help(what: str) -> str:
    """The help text of an option that names a data set: its layouts by name, and where they are
    described.

    Args:
        what: the option names, without a full stop.
    """
    names = ", ".join(LAYOUTS)
    return f"{what}, in one of these layouts: {names}. bgdefect data check --help describes them."
