"""An append-only file of JSON lines that survives a kill at any byte."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import DataError, OutputError, SettingError
from ..files import atomic_write

__all__ = ["Manifest", "read_manifest"]


def read_manifest(path: str | Path) -> list[dict[str, Any]]:
    """Read ``manifest.jsonl``: one record an attempt, oldest first. A torn last line (a killed
    run's) is passed over.

    Raises:
        DataError: missing, or damaged elsewhere than in its last line.
    """
    try:
        return _parse(Path(path).read_bytes(), Path(path))[0]
    except OSError as reason:
        raise DataError(
            f"{path} cannot be read ({reason.strerror or reason})", "a manifest.jsonl"
        ) from reason


class Manifest:
    """The manifest of a run. Its writer holds the folder's lock (``FolderLock``).

    Args:
        path: the file; its folder exists.
        wanted: which of the old records to keep; the others are dropped from the file.

    Attributes:
        records: all lines, as dicts.

    Raises:
        OutputError: cannot be written to. DataError: damaged within.
    """

    def __init__(
        self, path: Path, wanted: Callable[[dict[str, Any]], bool] = lambda record: True
    ) -> None:
        self.path = path
        try:
            old, self._end = _parse(path.read_bytes(), path) if path.exists() else ([], 0)
            self.records = [record for record in old if wanted(record)]
            if len(self.records) < len(old):
                data = b"".join(json.dumps(record).encode() + b"\n" for record in self.records)
                with atomic_write(path) as file:
                    file.write(data)
                self._end = len(data)
            self._file = path.open("ab", buffering=0)
            self._file.truncate(self._end)
        except OSError as reason:
            raise _unwritable(path, reason) from reason

    def append(self, record: dict[str, Any]) -> dict[str, Any]:
        """Add one line and see it on the disk; a full disk leaves the file as it was. Returns the
        record as JSON."""
        try:
            line = json.dumps(record, allow_nan=False)
        except (TypeError, ValueError) as reason:
            raise SettingError(
                f"a record cannot be written ({reason})", "plain JSON values"
            ) from reason
        data = line.encode() + b"\n"
        try:
            if self._file.write(data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._file.fileno())
        except OSError as reason:
            self._file.truncate(self._end)
            raise _unwritable(self.path, reason) from reason
        self._end += len(data)
        self.records.append(json.loads(line))
        return self.records[-1]

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        self._file.close()


def _parse(data: bytes, path: Path) -> tuple[list[dict[str, Any]], int]:
    """The records, and how many bytes the complete lines take."""
    end = data.rfind(b"\n") + 1
    records = []
    for number, line in enumerate(data[:end].splitlines(), start=1):
        try:
            record = json.loads(line)
        except ValueError as reason:
            raise DataError(
                f"{path}, line {number} is damaged", "JSON", "choose another output folder"
            ) from reason
        if not isinstance(record, dict) or not {"index", "attempt", "accepted"} <= record.keys():
            raise DataError(
                f"{path}, line {number} is no sample's record", "", "choose another output folder"
            )
        records.append(record)
    return records, end


def _unwritable(path: Path, reason: OSError) -> OutputError:
    came = f"{path} cannot be written ({reason.strerror or reason})"
    return OutputError(
        came, "a writable folder with room on the disk", "choose another output folder"
    )
