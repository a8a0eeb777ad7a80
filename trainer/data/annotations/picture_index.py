"""Pictures by their file names, for annotations that name them as another machine had them: by web
addresses, by paths of a server, or with a prefix that a labelling tool put before the name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from bgdefect_core.errors import DataError
from bgdefect_core.pictures.listing import (
    PICTURE_SUFFIXES,
    comparable,
    is_leftover,
    picture_key,
)

from .reading import find_inside, inside

__all__ = [
    "PictureIndex",
    "is_address",
    "path_of_address",
    "picture_at_end",
    "place_at_end",
    "without_prefix",
]

_PREFIX = re.compile(r"^[0-9a-f]{8}-(?=.)")
"""What Label Studio puts before the name of an uploaded file."""


class PictureIndex:
    """All pictures in a folder and the folders in it; links to folders are not followed.

    Args:
        root: the data's folder.
        passed_over: names of folders that hold masks.
        outside: whether links to files outside the folder are followed.
    """

    def __init__(
        self, root: Path, passed_over: frozenset[str] = frozenset(), outside: bool = False
    ) -> None:
        self._root = root
        self._passed_over = passed_over
        self._outside = outside

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        by_name: dict[str, list[Path]] = {}
        for folder, names, files in os.walk(self._root):
            names[:] = [name for name in sorted(names) if not self._is_passed_over(name)]
            for name in sorted(files):
                is_picture = os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES
                path = Path(folder) / name
                if not is_picture or is_leftover(name):
                    continue
                if not path.is_symlink() or inside(self._root, path, self._outside):
                    by_name.setdefault(comparable(name), []).append(path)
        return by_name

    def _is_passed_over(self, name: str) -> bool:
        return is_leftover(name) or comparable(name) in self._passed_over

    @property
    def pictures(self) -> list[Path]:
        """All of them, sorted."""
        return sorted(path for paths in self._by_name.values() for path in paths)

    @cached_property
    def _by_key(self) -> dict[str, list[Path]]:
        by_key: dict[str, list[Path]] = {}
        for path in self.pictures:
            by_key.setdefault(picture_key(path), []).append(path)
        return by_key

    def nearest(self, name: str, folders: Sequence[str]) -> list[Path]:
        """The pictures of a name, with any ending or none: of several those in most of some
        folders, and of these the one of this very name where there is one.

        Args:
            folders: names of those in which the picture is likely to lie.
        """
        wanted = set(map(comparable, folders))
        chosen: list[Path] = []
        best = 0
        for path in self._by_key.get(picture_key(name), []):
            count = sum(comparable(part) in wanted for part in path.parent.parts)
            if count > best:
                chosen, best = [], count
            if count == best:
                chosen.append(path)
        exact = [path for path in chosen if comparable(path.name) == comparable(name)]
        return exact or chosen

    def find(self, name: str, where: str) -> Path | None:
        """The picture of a path or address: of the same file name, with or without the prefix of
        Label Studio; of several the one whose folders agree furthest.

        Args:
            name: what the annotation says. where: who says it, for messages.

        Raises:
            DataError: several agree equally far.
        """
        path = PurePosixPath(path_of_address(name))
        plain = unquote(path.name)  # addresses of a server are escaped
        for base in (path.name, without_prefix(path.name), plain, without_prefix(plain)):
            files = self._by_name.get(comparable(base), [])
            chosen: list[Path] = []
            best = 0
            for file in files:
                length = _agreement(file, path)
                if length > best:
                    chosen, best = [], length
                if length == best:
                    chosen.append(file)
            if len(chosen) > 1:
                came = f"{where}: {name[:200]} may be {chosen[0]} or {chosen[1]}"
                raise DataError(came, "one picture of this name", "rename one, or move it away")
            if chosen:
                return chosen[0]
        return None


def without_prefix(name: str) -> str:
    """A file's name as it was before Label Studio took it."""
    return _PREFIX.sub("", name)


def is_address(name: str) -> bool:
    """Whether a name is a web address or an absolute path, of this or another machine."""
    text = name.replace("\\", "/")
    return "://" in text or text.startswith("/") or re.match(r"[A-Za-z]:/", text) is not None


def path_of_address(name: str) -> str:
    """The path in a web address, in an address of a cloud's store, or in a plain path, with the
    separators of Unix. ``?d=PATH`` is Label Studio's way to name a local file."""
    text = name.replace("\\", "/")
    if "://" not in text and "?d=" not in text:
        return text
    parts = urlsplit(text)
    if parts.query.startswith("d="):
        return unquote(parts.query[2:].split("&")[0])
    return unquote(parts.path)


def place_at_end(root: Path, bases: Sequence[Path], name: str) -> Path | None:
    """What an absolute path of another machine ends in, below one of some folders: the longest end
    that is a file or folder there; None: there is none.

    Args:
        root: the data's folder; nothing outside it is taken.
    """
    for place in _places_at_end(bases, name):
        if place.exists() and inside(root, place):
            return place
    return None


def picture_at_end(root: Path, bases: Sequence[Path], name: str, where: str) -> Path | None:
    """As :func:`place_at_end`, of a picture, whose name is compared as :func:`find_inside` does.

    Raises:
        DataError: a link there leads out of the folder.
    """
    for place in _places_at_end(bases, name):
        if place.parent.is_dir():
            picture = find_inside(root, (place.parent,), place.name, where)
            if picture is not None:
                return picture
    return None


def _places_at_end(bases: Sequence[Path], name: str) -> Iterator[Path]:
    """Below each of some folders what an absolute path ends in, from each of its folders on, the
    longest end first; nothing of a path with ".."."""
    parts = [part for part in path_of_address(name).split("/") if part not in ("", ".")]
    if not is_address(name) or ".." in parts:
        return
    for start in range(len(parts)):
        for base in bases:
            yield base.joinpath(*parts[start:])


def _agreement(file: Path, path: PurePosixPath) -> int:
    """How many folders above the file have the names of those in a path."""
    count = 0
    for folder, expected in zip(file.parts[-2::-1], path.parts[-2::-1], strict=False):
        if comparable(folder) != comparable(expected):
            break
        count += 1
    return count
