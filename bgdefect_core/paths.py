"""What the system says of a path, as an error of ours."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import BGDefectError, OutputError

__all__ = ["ASSETS", "check_path", "system_errors"]

ASSETS = Path(__file__).parent / "assets"
"""Files that are installed with the package."""
_LONGEST = 255
"""Bytes of a file's or a folder's name, on nearly all file systems."""
_SHOWN = 120


@contextmanager
def system_errors(
    error: type[BGDefectError], expected: str = "", do: str = "check the path and its rights"
) -> Iterator[None]:
    """Within it, or in a function that it decorates, what the system refuses (no right, a name too
    long) is ``error``.

    Raises:
        BGDefectError: of the kind ``error``, naming the path.
    """
    try:
        yield
    except OSError as reason:
        where = _short(str(reason.filename)) if reason.filename else "a file"
        raise error(
            f"{where} cannot be used ({reason.strerror or reason})", expected, do
        ) from reason


def check_path(path: Path, error: type[BGDefectError] = OutputError) -> None:
    """Refuse a path that cannot be one here, whether something is there or not.

    Raises:
        BGDefectError: of the kind ``error``: a name or the whole is too long, or the system refuses
            to look.
    """
    for part in path.parts:
        size = len(os.fsencode(part))
        if size > _LONGEST:
            raise error(
                f"{_short(str(path))} has a name of {size} bytes",
                f"at most {_LONGEST}",
                "choose a shorter one",
            )
    with system_errors(error), suppress(FileNotFoundError, NotADirectoryError):
        os.lstat(path)


def _short(path: str) -> str:
    return path if len(path) <= _SHOWN else f"{path[:_SHOWN]}..."
