"""What a run is made from, files and networks, known by their content: a run does not go on with
others."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import BGDefectError, DataError

__all__ = ["Inputs", "changed_input", "file_digest", "read_inputs"]

Inputs = Mapping[str, Mapping[str, Any]]
"""What a file or a network is to the run ("good 3", "mask 0", "vae") -> file (or what it is),
bytes, sha256, as plain JSON."""


def read_inputs(files: Mapping[str, Path]) -> dict[str, dict[str, Any]]:
    """The record of these files.

    Raises:
        DataError: one cannot be read.
    """
    return {
        name: {
            "file": os.path.abspath(path),
            "bytes": _size(path),
            "sha256": file_digest(path, DataError, "a file of the run"),
        }
        for name, path in files.items()
    }


def changed_input(before: Any, now: Inputs) -> str:
    """The first file or network whose content is another than in the record ``before``, in words;
    "" where there is none.

    A name that only one of the two knows is passed over: a run may be extended, and older ones have
        no such record.
    """
    known = before if isinstance(before, dict) else {}
    for name, entry in now.items():
        old = known.get(name)
        if isinstance(old, dict) and (old.get("bytes"), old.get("sha256")) != (
            entry["bytes"],
            entry["sha256"],
        ):
            return f"{entry['file']} is not what it was when the run began"
    return ""


def file_digest(path: Path, error: type[BGDefectError], expected: str) -> str:
    """SHA-256 of a file.

    Raises:
        BGDefectError: of the kind ``error``: it cannot be read.
    """
    try:
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()
    except OSError as reason:
        raise error(f"{path} cannot be read ({reason.strerror or reason})", expected) from reason


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as reason:
        raise DataError(
            f"{path} cannot be read ({reason.strerror or reason})", "a file of the run"
        ) from reason
