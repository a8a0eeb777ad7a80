"""What a file seems to be, by its beginning and its end: recognising a layout reads no more."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

from bgdefect_core.pictures.listing import is_leftover, list_folders, list_pictures

from ..annotations.reading import encoding_of

__all__ = [
    "begins_with",
    "files_below",
    "folders_below",
    "json_files",
    "keys_in",
    "pictures_below",
    "soon",
    "text_near_ends",
    "xml_files",
]

_LOOKED_AT = 1 << 16
_SOON = 20
"""Files that are looked at before a folder counts as another layout."""


def json_files(place: Path) -> list[Path]:
    """The JSON files in a folder itself, sorted; of a file itself, where it is one."""
    return _files_in(place, ".json")


def xml_files(place: Path) -> list[Path]:
    """The XML files, as :func:`json_files`."""
    return _files_in(place, ".xml")


def _files_in(place: Path, suffix: str) -> list[Path]:
    if place.is_file():
        return [place] if place.suffix.lower() == suffix else []
    files: list[Path] = []
    for path in sorted(place.iterdir()):
        if path.suffix.lower() == suffix and path.is_file() and not is_leftover(path.name):
            files.append(path)
    return files


def files_below(folder: Path, files_in: Callable[[Path], list[Path]]) -> Iterator[Path]:
    """The files of a folder and of all folders in it; links to folders are not followed.

    Args:
        files_in: lists those of a folder itself, such as :func:`json_files`.
    """
    yield from files_in(folder)
    for inner in folders_below(folder):
        yield from files_in(inner)


def folders_below(folder: Path) -> Iterator[Path]:
    """The folders in a folder, in any depth; links to folders are not followed."""
    for inner in list_folders(folder):
        if not inner.is_symlink():
            yield inner
            yield from folders_below(inner)


def pictures_below(folder: Path, labels: str | None = None) -> Iterator[Path]:
    """The pictures, as :func:`files_below`.

    Args:
        labels: ending of files beside them that are read as labels.
    """
    return files_below(folder, partial(list_pictures, folders_are_read=True, labels=labels))


def soon(test: Callable[[Path], bool], paths: Iterable[Path]) -> bool:
    """Whether one of the first files passes a test."""
    return any(map(test, islice(paths, _SOON)))


def keys_in(path: Path, keys: Collection[str]) -> set[str]:
    """Which of some JSON keys stand near the beginning or the end of a file."""
    text = text_near_ends(path)
    return {key for key in keys if re.search(rf'"{key}"\s*:', text)}


def text_near_ends(path: Path) -> str:
    """The beginning and the end of a file."""
    with open(path, "rb") as file:
        looked_at = file.read(_LOOKED_AT)
        rest = path.stat().st_size - len(looked_at)
        if rest > 0:
            file.seek(-min(rest, _LOOKED_AT), 2)
            looked_at += file.read()
    return looked_at.decode(encoding_of(looked_at), errors="replace")


def begins_with(path: Path, text: str) -> bool:
    """Whether a file begins with a text, after white space and a byte order mark."""
    with open(path, "rb") as file:
        beginning = file.read(_LOOKED_AT)
    return beginning.decode(encoding_of(beginning), errors="replace").lstrip().startswith(text)
