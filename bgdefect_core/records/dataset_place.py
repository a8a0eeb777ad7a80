"""The place of a generated data set: free, a run of ours to go on with, or refused before anything
is written."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import OtherRunError, OutputError, SettingError
from ..paths import check_path
from .inputs import Inputs, changed_input
from .manifest import read_manifest

__all__ = [
    "KINDS",
    "MAX_INDEX",
    "attempts_there",
    "check_name",
    "check_place",
    "extras_folder",
    "is_complete",
    "plain_settings",
]

MAX_INDEX = 99_999
"""With six digits "100000.png" and "100000_mask.png" sort differently among the others, and
anomalib pairs by order."""
KINDS = ("file", "label", "requested", "heatmap")
"""A manifest line's files."""
_EXTRAS = "extras"


def extras_folder(root: str | Path, object: str, defect: str) -> Path:
    """Where a run's manifest, requested masks, heat maps and rejected samples lie."""
    return Path(root) / _EXTRAS / object / defect


def attempts_there(
    root: str | Path,
    object: str,
    defect: str,
    settings: Mapping[str, Any],
    inputs: Inputs | None = None,
) -> list[dict[str, Any]]:
    """The records of the run that a :class:`DatasetWriter` with these arguments would go on with;
    nothing is written.

    Raises:
        BGDefectError: what the writer would refuse, but for a folder that is in use or that it may
            not write to.
    """
    for what, name in (("object", object), ("defect", defect)):
        check_name(what, name)
    root, path = Path(root), extras_folder(root, object, defect) / "manifest.jsonl"
    check_place(root, object, defect, plain_settings(settings), inputs or {}, resume=True)
    return (
        [record for record in read_manifest(path) if is_complete(root, record)]
        if path.exists()
        else []
    )


def check_name(what: str, name: str) -> None:
    """Refuse an object's or a defect's name that cannot be a folder of the data set.

    Args:
        what: "object" or "defect".

    Raises:
        SettingError: empty, no plain folder name anywhere, or one that the layout needs.
    """
    bad = (
        name != name.strip() or name in ("", ".", "..") or re.search(r'[\x00-\x1f<>:"/\\|?*]', name)
    )
    if bad or name.endswith(".") or name == ("good" if what == "defect" else _EXTRAS):
        raise SettingError(
            f"the {what} {name!r} cannot be a folder of the data set",
            "a plain folder name",
            "rename it",
        )


def check_place(
    root: Path, object: str, defect: str, settings: dict[str, Any], inputs: Inputs, resume: bool
) -> None:
    """Refuse what is neither ours nor free, before anything is written.

    Args:
        settings: as :func:`plain_settings` gives them. resume: whether a run of ours may be gone on
            with.

    Raises:
        OtherRunError: a run with other settings or inputs. OutputError: anything else that is in
            the way.
    """
    extras = extras_folder(root, object, defect)
    check_path(
        extras / "rejected" / f".{MAX_INDEX}_100_requested.png.tmp"
    )  # no path of ours is longer
    run = extras / "run.json"
    try:
        if root.exists() and not root.is_dir():
            raise OutputError(f"{root} is a file", "a folder", "choose another output folder")
        if run.exists():
            _compare(run, settings, inputs, resume)
        elif _is_foreign(root, object, defect):
            came = f"{root / object} already holds files that no run of ours made"
            raise OutputError(came, "an empty place", "choose another output folder")
    except OSError as reason:
        came = f"{root} cannot be used ({reason.strerror or reason})"
        raise OutputError(came, "a writable folder", "choose another output folder") from reason


def _is_foreign(root: Path, object: str, defect: str) -> bool:
    """Without a run of this defect its folders are empty; without any run of this object, so is the
    object's."""
    first = not extras_folder(root, object, defect).parent.exists()
    place = root / object
    folders = [place] if first else [place / "test" / defect, place / "ground_truth" / defect]
    return any(path.is_file() for folder in folders for path in folder.rglob("*"))


def is_complete(root: Path, record: dict[str, Any]) -> bool:
    """Whether all files of a manifest line are there."""
    return all((root / record[kind]).is_file() for kind in KINDS if kind in record)


def plain_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as they come back from a file.

    Raises:
        SettingError: they are no plain JSON.
    """
    try:
        return dict(json.loads(json.dumps(settings, allow_nan=False)))
    except (TypeError, ValueError) as reason:
        raise SettingError(
            f"the settings cannot be recorded ({reason})", "plain JSON values"
        ) from reason


def _compare(run: Path, mine: dict[str, Any], inputs: Inputs, resume: bool) -> None:
    """Refuse a run with other settings than ``mine``, or from files whose content was another."""
    if not resume:
        raise OutputError(
            f"{run.parent} already holds a run",
            "an empty place",
            "resume it or choose another folder",
        )
    try:
        theirs = json.loads(run.read_text(encoding="utf-8"))
        old = theirs["settings"]
        different = sorted(key for key in {*old, *mine} if old.get(key) != mine.get(key))
    except (ValueError, TypeError, KeyError, AttributeError) as reason:
        raise OutputError(
            f"{run} is damaged", "the settings of a run", "choose another output folder"
        ) from reason
    if different or old != mine:
        changes = ", ".join(
            f"{key} {old.get(key)!r}, now {mine.get(key)!r}" for key in different[:4]
        )
        raise OtherRunError(
            f"{run.parent} already holds another run ({changes})",
            "",
            "choose another output folder",
        )
    changed = changed_input(theirs.get("inputs"), inputs)
    if changed:
        raise OtherRunError(
            f"{changed} ({run})",
            "the same file, to go on",
            "put it back, or choose another output folder",
        )
