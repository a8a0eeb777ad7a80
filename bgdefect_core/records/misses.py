"""Which known defects of a class detectors miss when these are held out in turn: a plain JSON file.

``bgdefect misses`` writes it; ``bgdefect generate --more-like`` reads it. It holds names relative
to the data set and the content of masks, so that a data set may be moved.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import DataError, check_range
from ..files import atomic_write
from ..pictures.listing import list_pictures
from .run_record import file_digest

__all__ = ["KnownDefect", "MissReport", "mask_digest", "read_misses"]

_FORMAT = "bgdefect misses 1"
_EXPECTED = "misses.json of bgdefect misses"


@dataclass(frozen=True)
class KnownDefect:
    """One known real defect, and how often detectors that never saw it miss it."""

    picture: str
    """Its picture, relative to the data set."""
    mask: str
    """Name of its mask's file, or of the folder of the mask's parts."""
    sha256: str
    """Of the mask (:func:`mask_digest`)."""
    scores: tuple[float, ...]
    """Highest score inside its mask, 0..1, one for each seed of the detectors."""
    miss_rate: float
    """Share of the seeds with which it was missed, 0..1."""

    @property
    def missed(self) -> bool:
        """Whether it is missed with half of the seeds or more."""
        return self.miss_rate >= 0.5


@dataclass(frozen=True)
class MissReport:
    """The known defects of one class."""

    object: str
    defect: str
    known: tuple[KnownDefect, ...]
    how: Mapping[str, Any]
    """How it was computed, as plain JSON."""

    def write(self, path: Path) -> None:
        """Write the file. Equal reports give equal bytes.

        Raises:
            OutputError: the place cannot be written to.
        """
        known: list[dict[str, Any]] = []
        for defect in self.known:
            known.append(asdict(defect) | {"missed": defect.missed})
        document = {
            "format": _FORMAT,
            "object": self.object,
            "defect": self.defect,
            "how": dict(self.how),
            "known": known,
        }
        with atomic_write(path, "w") as file:
            json.dump(document, file, indent=1, allow_nan=False)
            file.write("\n")


def read_misses(path: Path) -> MissReport:
    """Read what :meth:`MissReport.write` wrote.

    Raises:
        DataError: no such file, another file, or values out of their range.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
        if document["format"] != _FORMAT:
            raise DataError(f"{path} has the format {document['format']!r}", _EXPECTED)
        known: list[KnownDefect] = []
        for entry in document["known"]:
            known.append(_known_defect(entry))
        report = MissReport(
            str(document["object"]), str(document["defect"]), tuple(known), dict(document["how"])
        )
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as reason:
        came = f"{path} is no list of missed defects ({reason!r})"
        raise DataError(came, _EXPECTED, "check the path") from reason
    for defect in known:
        check_range(f"miss_rate of {defect.mask} in {path}", defect.miss_rate, 0, 1)
    return report


def _known_defect(entry: Mapping[str, Any]) -> KnownDefect:
    """One entry of the file.

    Raises:
        KeyError, TypeError, ValueError: it is none.
    """
    return KnownDefect(
        picture=str(entry["picture"]),
        mask=str(entry["mask"]),
        sha256=str(entry["sha256"]),
        scores=tuple(map(float, entry["scores"])),
        miss_rate=float(entry["miss_rate"]),
    )


def mask_digest(path: Path) -> str:
    """SHA-256 of a mask: of its file, or of the digests of the parts in its folder.

    Raises:
        DataError: a file cannot be read.
    """
    if not path.is_dir():
        return file_digest(path, DataError, "a mask")
    digest = hashlib.sha256()
    for part in list_pictures(path, folders_are_read=True):
        digest.update(file_digest(part, DataError, "a mask").encode())
    return digest.hexdigest()
