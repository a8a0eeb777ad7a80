"""A data set at an fsspec path: a folder that all machines see, or an object store (``s3://``,
``gs://`` by their own packages)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fsspec.core import url_to_fs

from bgdefect_core.errors import OutputError, SettingError
from bgdefect_core.files import write_file
from bgdefect_core.paths import system_errors

__all__ = ["DataStore"]

_refused = system_errors(
    OutputError, "a store that can be read and written to", "check its path and rights"
)


class DataStore:
    """Files by their names relative to the path. Written ones are complete or not there.

    Args:
        url: a path with its protocol, or of a folder.

    Raises:
        SettingError: an unknown protocol, or one whose package is not installed.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            self._files, root = url_to_fs(url)
        except (ImportError, ValueError) as reason:
            came = f"{url} cannot be written to by workers ({reason})"
            expected = "a folder, or a path that fsspec knows"
            raise SettingError(came, expected, "install its package, or correct it") from reason
        self._root = str(root).rstrip("/")
        protocols = self._files.protocol
        self._is_folder = "file" in ([protocols] if isinstance(protocols, str) else protocols)

    @_refused
    def write(self, name: str, content: bytes) -> None:
        """Write a whole file.

        Raises:
            OutputError: it cannot be written.
        """
        if self._is_folder:
            write_file(Path(self._path(name)), content)
        else:  # an upload appears when it is complete
            self._files.pipe_file(self._path(name), content)

    @_refused
    def read(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            OutputError: it is missing, or cannot be read.
        """
        content: bytes = self._files.cat_file(self._path(name))
        return content

    @_refused
    def names(self, folder: str) -> list[str]:
        """The names of all files below a folder, in order; none where it is missing."""
        self._files.invalidate_cache()  # other machines write too
        try:
            paths = self._files.find(self._path(folder))
        except FileNotFoundError:
            return []
        return sorted(str(path).removeprefix(self._root).lstrip("/") for path in paths)

    @_refused
    def remove(self, names: Iterable[str]) -> None:
        """Delete some files."""
        for name in names:
            self._files.rm_file(self._path(name))

    def copy_to(self, folder: Path, names: Iterable[str]) -> None:
        """Copy some files into a folder, under their names.

        Raises:
            OutputError: one is missing, or cannot be written.
        """
        for name in names:
            write_file(folder / name, self.read(name))

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"
