"""Files that are either complete or not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal

from .errors import OutputError

__all__ = ["atomic_write", "write_file"]


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
        came = f"{path} cannot be written ({reason.strerror or reason})"
        expected = "a writable folder with room on the disk"
        raise OutputError(came, expected, "choose another output folder") from reason


def write_file(path: str | Path, content: bytes) -> None:
    """Write a whole file by :func:`atomic_write`.

    Raises:
        OutputError: as there.
    """
    with atomic_write(path) as file:
        file.write(content)
