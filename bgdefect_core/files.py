"""Files that are either complete or not there, and files that grow by whole entries."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal

from .errors import OutputError

__all__ = ["AppendedFile", "atomic_write", "unwritable", "write_file"]

_OTHER_FOLDER = "choose another output folder"


@contextmanager
def atomic_write(path: str | Path, mode: Literal["wb", "w"] = "wb") -> Iterator[IO[Any]]:
    """Open a file for writing that appears at ``path`` only when it is complete.

    Missing folders are made. The file is written as ``.NAME.tmp`` beside ``path`` and then renamed.
    The temporary name is fixed, so that the next write replaces what a killed run left. On any
    exception the old file stays as it was.

    Args:
        path: where the file shall stand.
        mode: "wb" for bytes, "w" for UTF-8 text with Unix line ends. What UTF-8 cannot hold, such
            as bytes in the name of a file, becomes a question mark.

    Raises:
        OutputError: the place cannot be written to, or the disk is full.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.tmp")
    options: dict[str, Any] = {}
    if mode == "w":
        options = {"encoding": "utf-8", "newline": "\n", "errors": "replace"}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(temporary, mode, **options) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())  # a full disk shows here, not after the replacement
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as reason:
        raise unwritable(path, reason) from reason


def write_file(path: str | Path, content: bytes) -> None:
    """Write a whole file by :func:`atomic_write`.

    Raises:
        OutputError: as there.
    """
    with atomic_write(path) as file:
        file.write(content)


class AppendedFile:
    """A file that grows by whole entries. Its writer holds a lock: no other process may write.

    Args:
        path: the file; its folder exists.
        end: bytes that count. What lies behind them, such as an entry that a killed run has begun,
            is cut off.
        remedy: what is to be done where it cannot be written, for messages.

    Raises:
        OutputError: it cannot be written to.
    """

    def __init__(self, path: Path, end: int, remedy: str = _OTHER_FOLDER) -> None:
        self._path, self._end, self._remedy = path, end, remedy
        try:
            self._file = path.open("ab", buffering=0)
            self._file.truncate(end)
        except OSError as reason:
            raise unwritable(path, reason, remedy) from reason

    def append(self, entry: bytes) -> None:
        """Add an entry and wait until it is on the disk. A full disk leaves the file as it was.

        Raises:
            OutputError: the disk is full, or the file has become unwritable.
        """
        try:
            if self._file.write(entry) != len(entry):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._file.fileno())
        except OSError as reason:
            self._file.truncate(self._end)
            raise unwritable(self._path, reason, self._remedy) from reason
        self._end += len(entry)

    def read(self) -> bytes:
        """All entries."""
        return self._path.read_bytes()[: self._end]

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        self._file.close()


def unwritable(path: Path, reason: OSError, remedy: str = _OTHER_FOLDER) -> OutputError:
    """The error where a file cannot be written."""
    came = f"{path} cannot be written ({reason.strerror or reason})"
    return OutputError(came, "a writable folder with room on the disk", remedy)
