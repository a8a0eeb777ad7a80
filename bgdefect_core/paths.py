"""What the system says of a path, as an error of ours."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from .errors import BGDefectError, DataError, OutputError

__all__ = ["ASSETS", "check_path", "file_inside", "system_errors", "without_surrogates"]

ASSETS = Path(__file__).parent / "assets"
"""Files that are installed with the package."""
_LONGEST = 255
"""Bytes of a file's or a folder's name, on nearly all file systems."""
_SHOWN = 120
_SURROGATES = re.compile("[\ud800-\udfff]")


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
        size = len(_bytes_of(part, error))
        if size > _LONGEST:
            raise error(
                f"{_short(str(path))} has a name of {size} bytes",
                f"at most {_LONGEST}",
                "choose a shorter one",
            )
    with system_errors(error), suppress(FileNotFoundError, NotADirectoryError):
        os.lstat(path)


def file_inside(root: Path, relative: str) -> Path:
    """A file of a folder by a name that may come from elsewhere; it need not exist.

    Args:
        relative: to ``root``, with forward slashes.

    Raises:
        DataError: an absolute name, one with "..", or one that a link leads out of ``root``.
    """
    name = PurePosixPath(relative)
    path = root / relative
    leaves = name.is_absolute() or ".." in name.parts or not name.parts or "\0" in relative
    leaves = leaves or "\\" in relative or bool(Path(relative).anchor)
    with system_errors(DataError):
        if leaves or not path.resolve().is_relative_to(root.resolve()):
            came = f"{_short(relative)!r} leads out of {root}"
            raise DataError(came, "a file inside the folder", "check the file that names it")
    return path


def without_surrogates(text: str) -> str:
    """The text with the replacement character in place of what UTF-8 cannot hold: bytes of a file
    name that are no text (PEP 383), or halves of a UTF-16 pair."""
    return _SURROGATES.sub("\ufffd", text)


def _bytes_of(name: str, error: type[BGDefectError]) -> bytes:
    try:
        encoded = os.fsencode(name)
    except UnicodeEncodeError as reason:
        came = f"{name!a} cannot be a file name here ({reason.reason})"
        raise error(came, "letters that the system's encoding has", "rename it") from reason
    if b"\0" in encoded:
        raise error(f"{name!a} cannot be a file name", "no zero character", "correct the path")
    return encoded


def _short(path: str) -> str:
    return path if len(path) <= _SHOWN else f"{path[:_SHOWN]}..."
