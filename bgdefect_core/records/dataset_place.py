"""The place of a generated data set: free, a run of ours to go on with, or refused before anything
is written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import OutputError, SettingError
from ..paths import check_path, system_errors
from ..pictures.listing import is_good_name
from .manifest import ManifestLine, read_manifest
from .run_record import Inputs, RunRecord

__all__ = [
    "EXPORTS",
    "EXTRAS",
    "MAX_INDEX",
    "SampleFiles",
    "accepted_files",
    "attempts_there",
    "check_name",
    "check_place",
    "check_text",
    "extras_folder",
    "is_complete",
    "rejected_files",
    "run_record",
]

MAX_INDEX = 99_999
"""With six digits "100000.png" and "100000_mask.png" sort differently among the others, and
anomalib pairs by order."""
_LONGEST = 200
"""Bytes of a folder's name, which file systems bound at 255."""
EXTRAS = "extras"
EXPORTS = "exports"
"""Folder of the data set in other formats."""


@dataclass(frozen=True)
class SampleFiles:
    """Where the files of an attempt belong, relative to the data set."""

    file: str
    label: str
    requested: str
    heatmap: str


def accepted_files(object: str, defect: str, number: int, ending: str = ".png") -> SampleFiles:
    """The place of an accepted sample.

    Args:
        number: in the names of its files: the sample's index, where that is free. ending: of the
            picture's file.
    """
    extras = f"{EXTRAS}/{object}/{defect}"
    return SampleFiles(
        f"{object}/test/{defect}/{number:05d}{ending}",
        f"{object}/ground_truth/{defect}/{number:05d}_mask.png",
        f"{extras}/requested/{number:05d}.png",
        f"{extras}/heatmap/{number:05d}.png",
    )


def rejected_files(
    object: str, defect: str, index: int, attempt: int, ending: str = ".png"
) -> SampleFiles:
    """The place of a rejected attempt, whoever rejected it.

    Args:
        ending: of the picture's file.
    """
    stem = f"{EXTRAS}/{object}/{defect}/rejected/{index:05d}_{attempt}"
    return SampleFiles(
        f"{stem}{ending}", f"{stem}_mask.png", f"{stem}_requested.png", f"{stem}_heatmap.png"
    )


def extras_folder(root: str | Path, object: str, defect: str) -> Path:
    """Where a run's manifest, requested masks, heat maps and rejected samples lie."""
    return Path(root) / EXTRAS / object / defect


def attempts_there(
    root: str | Path,
    object: str,
    defect: str,
    settings: Mapping[str, Any],
    inputs: Inputs | None = None,
) -> list[ManifestLine]:
    """The lines of the run that a :class:`DatasetWriter` with these arguments would resume.
    Nothing is written.

    Raises:
        BGDefectError: what the writer would refuse, except a folder that is in use or not writable.
    """
    root = Path(root)
    check_place(root, object, defect, run_record(root, object, defect, settings, inputs))
    path = extras_folder(root, object, defect) / "manifest.jsonl"
    if not path.exists():
        return []
    return [line for line in read_manifest(path) if is_complete(root, line)]


def run_record(
    root: str | Path,
    object: str,
    defect: str,
    settings: Mapping[str, Any],
    inputs: Inputs | None = None,
) -> RunRecord:
    """The identity of a data set's run; the number of samples, and so of inputs, may grow."""
    path = extras_folder(root, object, defect) / "run.json"
    return RunRecord(path, settings, inputs or {}, may_grow=True)


def check_name(what: str, name: str) -> None:
    """Refuse an object's or a defect's name that cannot be a folder of the data set.

    Args:
        what: "object" or "defect".

    Raises:
        SettingError: empty, no text, no plain folder name anywhere, or one that the layout needs.
    """
    check_text(what, name)
    bad = (
        name != name.strip() or name in ("", ".", "..") or re.search(r'[\x00-\x1f<>:"/\\|?*]', name)
    )
    is_taken = is_good_name(name) if what == "defect" else name in (EXTRAS, EXPORTS)
    is_long = len(name.encode(errors="surrogatepass")) > _LONGEST
    if bad or name.endswith(".") or is_taken or is_long:
        came = f"the {what} {name[:80]!r} cannot be a folder of the data set"
        expected = "a plain folder name" + (f" of at most {_LONGEST} bytes" if is_long else "")
        raise SettingError(came, expected, "rename it")


def check_text(what: str, name: str) -> None:
    """Refuse an object's or a defect's name that is no text: a folder's name in another encoding.

    Raises:
        SettingError: it is none.
    """
    try:
        name.encode()
    except UnicodeEncodeError as reason:
        came = f"the {what} {name[:80]!r} is in another encoding than UTF-8"
        raise SettingError(came, "a name in UTF-8", "rename its folder") from reason


def check_place(root: Path, object: str, defect: str, record: RunRecord) -> None:
    """Refuse a place that is neither free nor this run's, before anything is written.

    Raises:
        SettingError: a name that cannot be a folder. OtherRunError: a run with other settings or
            inputs. OutputError: anything else that is in the way.
    """
    check_name("object", object)
    check_name("defect", defect)
    extras = extras_folder(root, object, defect)
    longest = extras / "rejected" / f".{MAX_INDEX}_100_requested.png.tmp"
    check_path(longest)
    with system_errors(OutputError, "a writable folder", "choose another output folder"):
        if root.exists() and not root.is_dir():
            raise OutputError(f"{root} is a file", "a folder", "choose another output folder")
        if record.exists:
            record.check()
        elif _is_foreign(root, object, defect):
            came = f"{root / object} already holds files that no run of ours made"
            raise OutputError(came, "an empty place", "choose another output folder")


def _is_foreign(root: Path, object: str, defect: str) -> bool:
    """Without a run of this defect its folders are empty; without any run of this object, so is the
    object's."""
    first = not extras_folder(root, object, defect).parent.exists()
    place = root / object
    folders = [place] if first else [place / "test" / defect, place / "ground_truth" / defect]
    return any(path.is_file() for folder in folders for path in folder.rglob("*"))


def is_complete(root: Path, line: ManifestLine) -> bool:
    """Whether all files of a manifest line are there."""
    return all((root / file).is_file() for file in line.files)
