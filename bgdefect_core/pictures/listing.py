"""Picture files of a folder: which ones are read, what is passed over, and which names are equal.

Files are found by listing a folder, never by building a name: ``7.JPG`` and ``7.jpg`` are one name
to a person, and so are the composed and the decomposed form of an accented letter (macOS writes the
second one).
"""

from __future__ import annotations

import logging
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from ..errors import DataError

__all__ = [
    "JPEG_SUFFIXES",
    "PICTURE_SUFFIXES",
    "apart_from_masks",
    "comparable",
    "is_good_name",
    "is_leftover",
    "list_folders",
    "list_pictures",
    "list_without_masks",
    "mask_key",
    "named",
    "picture_files",
    "picture_key",
    "report_once",
    "shown_names",
    "unique_names",
    "without_masks",
]

logger = logging.getLogger(__name__)

JPEG_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif"})
"""Endings of files in which values are not kept, in lower case."""
PICTURE_SUFFIXES = JPEG_SUFFIXES | {
    ".png",
    ".bmp",
    ".tif",
    ".tiff",
    ".webp",
    ".pbm",
    ".pgm",
    ".ppm",
    ".pnm",
}
"""Endings of the files that are read as pictures or masks, in lower case."""

_LEFTOVERS = frozenset(
    {
        "thumbs.db",
        "ehthumbs.db",
        "ehthumbs_vista.db",
        "picasa.ini",
        "zbthumbnail.info",
        "icon\r",
        "desktop.ini",
        "__macosx",
        "$recycle.bin",
        "system volume information",
        "lost+found",
        "@eadir",
        "@recycle",
        "@recently-snapshot",
        "#recycle",
        "#snapshot",
        "~snapshot",
        "@__thumb",
        "@tmp",
        "recycler",
        "recycled",
        "found.000",
        "network trash folder",
        "temporary items",
        "__pycache__",
    }
)
_SIDECARS = frozenset({".json", ".xml", ".xmp", ".txt", ".csv", ".md", ".yaml", ".yml", ".ini"})
_GOOD = ("good", "ok", "normal")
_LEFTOVER = "left by a system or tool"
_FOLDER = "a folder"
_SIDECAR = "no picture"
_UNREAD = "not one of " + " ".join(sorted(PICTURE_SUFFIXES))
_NAMED = 5
_LIKE_MASK = re.compile(r"(.+)[-_. ](?:gt|labels?|masks?|seg|segmentation|annotation|truth)")
"""Names, in comparable form, that other tools give to the mask of a picture."""


def is_leftover(name: str) -> bool:
    """Whether an operating system, a camera's tool or a network drive left this file or folder.

    These are hidden names (``.DS_Store``, ``._0.png``, ``.0.png.tmp``), ``Thumbs.db``,
    ``desktop.ini``, ``__MACOSX``, Synology's ``@eaDir``, lock files (``~$...``) and recycle bins.
    """
    return name.startswith((".", "~$")) or name.casefold() in _LEFTOVERS


def list_pictures(
    folder: Path, *, folders_are_read: bool = False, labels: str | None = None
) -> list[Path]:
    """The picture files that lie in a folder itself, sorted by name.

    All that is passed over is logged in one line, once for each folder and state: as information
    where only leftovers and side files are concerned, else as a warning. Folders are not mentioned
    where there is no picture beside them: the caller looks into them, or refuses the folder.

    Args:
        folder: an existing folder.
        folders_are_read: the caller reads the folders in it too; they are not mentioned.
        labels: ending of files beside the pictures that the caller reads, in lower case; they are
            not mentioned.
    """
    pictures = []
    passed_over: dict[str, list[str]] = {}
    for path in sorted(folder.iterdir()):
        reason = _reason_to_pass_over(path)
        if reason == _SIDECAR and path.suffix.lower() == labels:
            continue
        if reason:
            passed_over.setdefault(reason, []).append(path.name)
        else:
            pictures.append(path)
    if folders_are_read or not pictures:
        passed_over.pop(_FOLDER, None)
    if passed_over:
        expected = passed_over.keys() <= {_LEFTOVER, _SIDECAR}
        reasons = "; ".join(
            f"{shown_names(names)} ({reason})" for reason, names in passed_over.items()
        )
        report_once(f"{folder}: {len(pictures)} pictures; passed over: {reasons}", expected)
    return pictures


def picture_files(folder: Path) -> list[Path]:
    """The picture files that lie in a folder itself, sorted by name, without a word about others:
    for a second look at pictures that a caller has listed."""
    return [path for path in sorted(folder.iterdir()) if not _reason_to_pass_over(path)]


def list_folders(folder: Path) -> list[Path]:
    """The folders in a folder without the leftovers of systems, sorted by name; none where there is
    no such folder."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not is_leftover(path.name))


def _reason_to_pass_over(path: Path) -> str:
    """Empty for a file that is read."""
    if is_leftover(path.name):
        return _LEFTOVER
    if path.is_dir():
        return _FOLDER
    if not path.is_file():
        return "a link to nothing" if path.is_symlink() else "no plain file"
    suffix = path.suffix.lower()
    if suffix in PICTURE_SUFFIXES:
        return ""
    return _SIDECAR if suffix in _SIDECARS else _UNREAD


def shown_names(names: list[str]) -> str:
    """The first five of some names, and how many there are more."""
    shown = ", ".join(names[:_NAMED])
    return shown if len(names) <= _NAMED else f"{shown} and {len(names) - _NAMED} more"


@lru_cache(maxsize=1024)
def report_once(text: str, expected: bool) -> None:
    """Log a text once, as information where it is ``expected``, else as a warning. A folder is
    listed several times a run, and at every run of a graph."""
    logger.log(logging.INFO if expected else logging.WARNING, "%s", text)


@lru_cache(maxsize=1 << 14)
def comparable(name: str) -> str:
    """The form in which two names are equal that a person would call the same: without case and
    spaces at the ends, and with one way to write an accented letter."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold()).strip()


def is_good_name(name: str) -> bool:
    """Whether a folder or a table calls pictures good by this name: good, ok or normal."""
    return comparable(name) in _GOOD


def named(paths: Iterable[Path], name: str) -> Path | None:
    """The file or folder of this name among some; None where there is none.

    Raises:
        DataError: two that a person would call the same; both are named.
    """
    key = comparable(name)
    alike = [path for path in paths if comparable(path.name) == key]
    return unique_names(alike, lambda path: comparable(path.name)).get(key)


def picture_key(path: str | Path) -> str:
    """A picture's name for comparisons: without folder and ending. Of a folder's name, nothing is
    cut off: only the endings of pictures are."""
    path = Path(path)
    is_picture = path.suffix.lower() in PICTURE_SUFFIXES
    return comparable(path.stem if is_picture else path.name)


def mask_key(path: str | Path) -> str:
    """The ``picture_key`` of the picture that a mask belongs to: NAME.* or NAME_mask.*."""
    return picture_key(path).removesuffix("_mask").strip()


def apart_from_masks(files: Sequence[Path]) -> tuple[list[Path], dict[Path, Path]]:
    """Pictures and masks of one folder: NAME_mask.* beside NAME.* is the mask of that picture, and
    no picture.

    Returns:
        The pictures, and the masks with the picture of each.
    """
    pictures = {picture_key(path): path for path in files}
    shown: list[Path] = []
    masks: dict[Path, Path] = {}
    for path in files:
        picture = pictures.get(mask_key(path))
        if picture is None or picture == path or mask_key(path) == picture_key(path):
            shown.append(path)
        else:
            masks[path] = picture
    return shown, masks


def list_without_masks(folder: Path, *, folders_are_read: bool = False) -> list[Path]:
    """As :func:`list_pictures`, without the masks that lie beside their pictures; these are
    logged."""
    files = list_pictures(folder, folders_are_read=folders_are_read)
    pictures = without_masks(files, files)
    keys = set(map(picture_key, pictures))
    alike: list[str] = []
    for path in pictures:
        match = _LIKE_MASK.fullmatch(picture_key(path))
        if match is not None and match[1] in keys:
            alike.append(path.name)
    if alike:
        text = f"{folder}: taken for pictures: {shown_names(alike)}; if these are the masks of "
        report_once(f"{text}those beside them, call them NAME_mask", expected=False)
    return pictures


def without_masks(files: Sequence[Path], listed: Sequence[Path]) -> list[Path]:
    """Some of the listed files, without those that are masks beside their pictures; these are
    logged."""
    by_folder: dict[Path, list[Path]] = {}
    for path in listed:
        by_folder.setdefault(path.parent, []).append(path)
    masks: set[Path] = set()
    for members in by_folder.values():
        masks.update(apart_from_masks(members)[1])
    passed_over = [path.name for path in files if path in masks]
    if passed_over:
        folder = os.path.commonpath([path.parent for path in files])
        text = f"{folder}: taken for masks, not for pictures: {shown_names(passed_over)}"
        report_once(text, expected=False)
    return [path for path in files if path not in masks]


def unique_names(
    paths: Iterable[Path], key: Callable[[Path], str] = picture_key
) -> dict[str, Path]:
    """Files by their name for comparisons.

    Args:
        paths: files of one kind.
        key: ``picture_key`` or ``mask_key``.

    Raises:
        DataError: two files of one name; both are named.
    """
    files: dict[str, Path] = {}
    for path in paths:
        name = key(path)
        if name in files:
            came = f"{files[name]} and {path} have one name"
            raise DataError(came, "one file a name", "rename one of them, or remove it")
        files[name] = path
    return files
