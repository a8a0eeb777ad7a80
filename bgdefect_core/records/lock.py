"""A folder's lock: one writer at a time, and nothing to clean up after a kill."""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType

from ..errors import OutputError

__all__ = ["FolderLock"]


class FolderLock:
    """Held (on POSIX) from its making until it is closed or its process dies; a context manager.

    Args:
        folder: made where it is missing; the lock is the empty file ``.lock`` in it, which stays.

    Raises:
        OutputError: the folder cannot be written to, or another process holds it.
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = (folder / ".lock").open("ab")
        except OSError as reason:
            came = f"{folder} cannot be written to ({reason.strerror or reason})"
            raise OutputError(came, "a writable folder", "choose another output folder") from reason
        if sys.platform == "win32":
            return
        import fcntl

        try:
            fcntl.flock(self._file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as reason:
            self._file.close()
            if isinstance(reason, BlockingIOError):
                raise OutputError(
                    f"{folder} is in use by another process", "", "wait until it ends"
                ) from reason
            came = f"{folder} cannot be locked ({reason.strerror or reason})"
            raise OutputError(
                came, "a file system with locks", "choose another output folder"
            ) from reason

    def close(self) -> None:
        """Give the folder back; closing twice is harmless."""
        self._file.close()

    def __enter__(self) -> FolderLock:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
