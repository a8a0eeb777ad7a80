"""Folders named in a workflow, kept inside the host's own: a workflow from a stranger must not read
or write elsewhere."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path

from ..bgdefect_core.errors import DataError, OutputError, SettingError
from ..bgdefect_core.pictures.listing import list_without_masks
from ..bgdefect_core.records.dataset_place import extras_folder

log = logging.getLogger(__name__)

_RESERVED = re.compile(r'[\x00-\x1f<>:"|?*]')

DEMO = "(shipped demo)"
"""The choice that stands for the pack's own pictures and masks."""
DATA_SET = " [datasets]"
"""Ends the choices that lie below the host's folders of data sets, in the host's own form."""
_DEPTH = 4
"""Folders of data sets are offered to this depth: OBJECT/ground_truth/DEFECT below a collection."""
FileStates = tuple[tuple[str, int, int], ...]
"""Name, time and size of files."""
ASSETS = Path(__file__).resolve().parent.parent / "bgdefect_core" / "assets"


def _is_plain(part: str) -> bool:
    stands_for_folder = part not in ("", ".", "..")
    return stands_for_folder and part == part.strip() and not re.search(_RESERVED, part)


def inside(base: str | Path, name: str, what: str) -> Path:
    """The folder ``name`` below ``base``, which it cannot leave: not by "..", an absolute path, a
    drive or a link.

    Raises:
        SettingError: it would.
    """
    parts = name.replace("\\", "/").split("/")
    target = Path(base, *parts)
    plain = all(map(_is_plain, parts))
    if not plain or not os.path.realpath(target).startswith(os.path.realpath(base) + os.sep):
        raise SettingError(
            f"{what} is {name!r}",
            "a folder below the host's own, such as 'screws' or 'parts/screws'",
            f"rename {what}",
        )
    return target


def data_set_choices(roots: Sequence[Path]) -> list[str]:
    """The folders below the host's folders of data sets, sorted, each once; links are passed
    over."""
    names: set[str] = set()
    for root in roots:
        for folder in _folders_below(root, _DEPTH):
            names.add(f"{folder.relative_to(root).as_posix()}{DATA_SET}")
    return sorted(names)


def _folders_below(root: Path, depth: int) -> list[Path]:
    if depth == 0 or not root.is_dir():
        return []
    folders: list[Path] = []
    with os.scandir(root) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                path = Path(entry.path)
                folders += [path, *_folders_below(path, depth - 1)]
    return folders


def place_of(choice: str, base: Path, roots: Sequence[Path]) -> tuple[str, Path]:
    """A choice as the name of a folder, and the host's folder below which it lies.

    Args:
        base: the host's input folder. roots: its folders of data sets; the first that has this
            folder counts.

    Raises:
        SettingError: the choice is of a data set, and no root has it.
    """
    if not choice.endswith(DATA_SET):
        return choice, base
    name = choice.removesuffix(DATA_SET)
    for root in roots:
        if inside(root, name, "folder").is_dir():
            return name, root
    raise SettingError(
        f"the folder is {choice!r}",
        f"a folder below {', '.join(map(str, roots)) or 'datasets, which this host has not'}",
        "choose another folder",
    )


def refuse_links(root: Path, object: str, defect: str, base: str | Path) -> None:
    """Refuse a data set with a link in the folders that would be written to: it could lead out of
    ``base``.

    Raises:
        OutputError: there is one.
    """
    extras = extras_folder(root, object, defect)
    written = [
        root / object / "test" / defect,
        root / object / "ground_truth" / defect,
        root / object / "train" / "good",
        extras,
    ]
    for name in ("requested", "heatmap", "rejected", "prompts"):
        written.append(extras / name)
    for folder in written:
        link = _link_on_the_way(folder, Path(base)) or _link_in(folder)
        if link is not None:
            raise OutputError(
                f"{link} is a link", "plain folders and files", "choose another folder"
            )


def _link_on_the_way(folder: Path, base: Path) -> Path | None:
    """A folder or one of those above it, up to ``base``, that is a link."""
    for path in (folder, *folder.parents):
        is_below = path == folder or path.is_relative_to(base)
        if is_below and path != base and path.is_symlink():
            return path
    return None


def _link_in(folder: Path) -> Path | None:
    """A link that lies in a folder."""
    if not folder.is_dir():
        return None
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink():
                return Path(entry.path)
    return None


def picture_files(folder: Path, base: Path) -> list[Path]:
    """The pictures that lie in ``folder`` itself, sorted by name; links that lead out of ``base``
    are passed over.

    Raises:
        DataError: none.
    """
    root = os.path.realpath(base) + os.sep
    pictures = []
    for path in list_without_masks(folder) if folder.is_dir() else []:
        if os.path.realpath(path).startswith(root):
            pictures.append(path)
        else:
            log.warning("%s: passed over, a link that leads out of %s", path, base)
    if not pictures:
        raise DataError(
            f"the folder {folder.name!r} holds no pictures",
            "PNG, JPEG, BMP, TIFF or WebP files",
            "choose another folder",
        )
    return pictures


def state(files: Sequence[Path]) -> FileStates:
    """Name, time and size of each file: another value where one has changed."""
    states: list[tuple[str, int, int]] = []
    for path in files:
        status = path.stat()
        states.append((path.name, status.st_mtime_ns, status.st_size))
    return tuple(states)


def refuse_outside(folder: Path, base: Path, what: str) -> list[Path]:
    """All files below ``folder``.

    Raises:
        SettingError: one of them is a link that leads out of ``base``.
    """
    root = os.path.realpath(base) + os.sep
    files = sorted(filter(Path.is_file, folder.rglob("*")))
    for path in files:
        if not os.path.realpath(path).startswith(root):
            raise SettingError(
                f"{what}: {path.name!r} is a link out of the folder",
                "plain files",
                "copy the file instead",
            )
    return files
