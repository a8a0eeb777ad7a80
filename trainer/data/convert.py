"""``bgdefect data convert``: a data set in the format of another tool."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from bgdefect_core.declarations import Choice, Doc, NotEmpty, Range, check_settings
from bgdefect_core.pictures.writing import ImageFormat

from .examples import Example, validate
from .formats import FORMATS, FormatName, LabelledFile, write_formats
from .gathering import divided, gather, on_own_sides
from .layouts import AS_FOUND, ReadingSettings, data_help

__all__ = ["ConvertConfig", "convert"]

log = logging.getLogger(__name__)

VAL_HELP = (
    "Share of each class, and of the good pictures, on the val side; pictures of one part stay "
    "together."
)

OWN_SIDES_HELP = f"{VAL_HELP} Default: the sides that the source has, else 0.2."
_SHARE = 0.2


@dataclass(frozen=True)
class ConvertConfig:
    """Write a data set in the format of another tool; SOURCE stays as it is, and nothing is
    overwritten. Pictures are copied byte for byte where no --image-format is given, labels give the
    very pixels of the masks."""

    source: Annotated[
        Path,
        tyro.conf.Positional,
        Doc(data_help("Data set")),
    ]
    output: Annotated[
        Path,
        tyro.conf.Positional,
        Doc("Folder to make; with several formats it gets a folder for each, by its name."),
    ]
    format: Annotated[
        tuple[FormatName, ...],
        Choice(FORMATS),
        NotEmpty(),
        Doc(FORMATS.help("What to write; several are separated by spaces.")),
    ]
    val_share: Annotated[float | None, Range(0, 0.9), Doc(OWN_SIDES_HELP)] = None
    image_format: Annotated[
        ImageFormat | None,
        Doc(
            "Files of the pictures: PNG or TIFF, upright, with their values of 8 to 16 bits. "
            "Default: the files as they are."
        ),
    ] = None
    reading: Annotated[ReadingSettings, tyro.conf.arg(name="")] = AS_FOUND
    seed: Annotated[int, Range(0, 2**31), Doc("Seed of the sides.")] = 0

    def check(self) -> None:
        """Raise SettingError where a value is out of its range."""
        check_settings(self)
        self.reading.check()

    @property
    def places(self) -> list[tuple[str, Path]]:
        """The formats with their folders."""
        formats = list(dict.fromkeys(self.format))
        if len(formats) == 1:
            return [(formats[0], self.output)]
        return [(name, self.output / name) for name in formats]


def convert(config: ConvertConfig) -> str:
    """Read everything once, then write; returns what was written, in words.

    Raises:
        BGDefectError: whatever the user can mend, before anything is written.
    """
    config.check()
    gathered: list[LabelledFile] = []
    for labelled in gather(config.source, config.reading):
        gathered.append(labelled.written_as(config.image_format))
    files = on_own_sides(gathered) if config.val_share is None else None
    if files is not None and "mvtec" in config.format:
        log.warning(
            "%s has sides of its own: mvtec has none for defects, which lie together in test",
            config.source,
        )
    if files is None:
        share = _SHARE if config.val_share is None else config.val_share
        files = divided(gathered, share, config.seed)
    examples: list[Example] = []
    for labelled in files:
        examples += labelled.examples
    if examples:
        validate(examples)
    folders = write_formats(files, config.places)
    lines = [f"{counted(files)}, written as"]
    for (name, _), folder in zip(config.places, folders, strict=True):
        lines.append(f"  {name:9} {folder}")
    return "\n".join(lines)


def counted(files: Sequence[LabelledFile]) -> str:
    """Pictures by side and class, in words."""
    good = 0
    sides: dict[str, int] = {"train": 0, "val": 0}
    classes: dict[str, int] = {}
    for labelled in files:
        sides[labelled.side] = sides.get(labelled.side, 0) + 1
        good += not labelled.examples
        for example in labelled.examples:
            name = f"{example.object} / {example.defect}"
            classes[name] = classes.get(name, 0) + 1
    counts = ", ".join(f"{name} {count}" for name, count in sorted(classes.items()))
    shares = ", ".join(f"{count} {side}" for side, count in sides.items())
    return f"{len(files)} pictures ({shares}): {counts}, good {good}"
