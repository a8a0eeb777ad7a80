"""Data sets in the formats of other tools. A new one is one module, and one line in ``FORMATS``."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from bgdefect_core.declarations import Registry
from bgdefect_core.errors import OutputError
from bgdefect_core.paths import check_path, system_errors
from bgdefect_core.pictures.listing import shown_names

from .coco import CocoFormat
from .format import Format
from .labelled import LabelledFile, Provenance
from .labelme import LabelMeFormat
from .tables import CsvFormat, MVTecFormat
from .voc import VocFormat
from .yolo import YoloFormat, YoloSegmentationFormat

__all__ = ["FORMATS", "FormatName", "LabelledFile", "Provenance", "write_formats"]

log = logging.getLogger(__name__)

FormatName = Literal["mvtec", "coco", "yolo-seg", "yolo", "labelme", "voc", "csv"]
FORMATS: Registry[Format] = Registry(
    "data format",
    MVTecFormat(),
    CocoFormat(),
    YoloSegmentationFormat(),
    YoloFormat(),
    LabelMeFormat(),
    VocFormat(),
    CsvFormat(),
)


@system_errors(OutputError, "a writable folder", "choose another output folder")
def write_formats(files: Sequence[LabelledFile], places: Sequence[tuple[str, Path]]) -> list[Path]:
    """Write pictures and labels in some formats. A data set is complete or not there: it is written
    under a temporary name and then renamed. Nothing is overwritten.

    Args:
        places: names of formats, each with its folder.

    Returns:
        The folders.

    Raises:
        OutputError: a folder exists or cannot be written. DataError: a name that a format cannot
            hold. PictureError, MaskError: a picture or a label that cannot be read.
    """
    folders: list[Path] = []
    for _, folder in places:
        check_path(folder)
        if folder.exists():
            do = "choose another output folder; nothing is overwritten"
            raise OutputError(f"{folder} exists already", "a free place", do)
    for name, _ in places:
        FORMATS.named(name).check(files)
    for name, folder in places:
        _report_ignored(files, FORMATS.named(name))
        temporary = folder.with_name(f".{folder.name}.tmp")
        if temporary.exists():  # of a killed run
            shutil.rmtree(temporary)
        temporary.mkdir(parents=True)
        try:
            FORMATS.named(name).write(files, temporary)
            os.rename(temporary, folder)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        folders.append(folder)
    return folders


def _report_ignored(files: Sequence[LabelledFile], written: Format) -> None:
    """Say in the log what a format has no place for."""
    if written.holds_ignored:
        return
    undecided = [labelled for labelled in files if labelled.undecided]
    lost = [labelled.name for labelled in undecided if labelled.ignored(labelled.size) is not None]
    if lost:
        text = "%s holds no regions to ignore: those of %d pictures (%s) are background in it; "
        text += "coco, labelme, voc and csv keep them"
        log.warning(text, written.name, len(lost), shown_names(lost))
