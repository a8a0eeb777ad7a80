"""Pictures of a data set as a browser shows them: 8 bits, scaled by the white level of the run."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from bgdefect_core.files import atomic_write
from bgdefect_core.pictures.decoding import is_plain_png
from bgdefect_core.pictures.picture import Pixels
from bgdefect_core.pictures.reading import folder_white_level, read_picture
from bgdefect_core.records.manifest import ManifestLine

__all__ = ["good_file", "picture_of", "write_shown"]

_QUALITY = 92
"""Of JPEG: the page shows differences of a few levels."""


def good_file(root: Path, line: ManifestLine) -> str:
    """The good picture of a sample, relative to the data set; where none is known, the sample."""
    good = line.good_file(root)
    return good if (root / good).is_file() else line.file


def picture_of(root: Path, line: ManifestLine, file: str) -> Pixels:
    """A picture of an attempt as 8 bits. A rejected dark sample of 12 bits lies among masks alone:
    its run says how bright white is, or else the good pictures do.

    Args:
        root: of the data set. file: relative to it.

    Raises:
        PictureError: it cannot be read.
    """
    path = root / file
    white = line.white or folder_white_level(root / _object_of(line) / "train" / "good")
    return read_picture(path, white or folder_white_level(path.parent))


def write_shown(root: Path, line: ManifestLine, file: str, folder: Path, name: str) -> Path:
    """A file that every browser shows with these pixels: the picture itself, where it is one, else
    a JPEG file of this name in the folder; one that is there is kept.

    Raises:
        PictureError: it cannot be read. OutputError: the folder cannot be written to.
    """
    if is_plain_png(root / file):
        return root / file
    target = folder / f"{name}.jpg"
    if not target.exists():
        buffer = io.BytesIO()
        image = Image.fromarray(picture_of(root, line, file))
        image.save(buffer, "JPEG", quality=_QUALITY, subsampling=0)
        with atomic_write(target) as shown:
            shown.write(buffer.getvalue())
    return target


def _object_of(line: ManifestLine) -> str:
    return Path(line.requested).parts[1]
