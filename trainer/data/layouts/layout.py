"""What every data layout answers, and how names are looked up in folders."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from bgdefect_core.errors import DataError, SettingError
from bgdefect_core.pictures.listing import comparable, list_folders, named
from bgdefect_core.records.dataset_place import check_name

from ..annotations.reading import child_called
from ..annotations.record import AnnotationOptions
from ..examples import Example

__all__ = ["Layout", "choose", "choose_object", "file_in", "find_file", "find_folder"]


class Layout(ABC):
    """One way to arrange pictures, masks and good pictures. Nothing but names is read here."""

    name: str
    summary: str
    """Where the files lie, in one sentence."""
    good_place: str
    """Where good pictures are expected, for messages."""

    def reading(self, options: AnnotationOptions) -> Layout:
        """The layout with options of how annotations are read; itself where it reads none."""
        return self

    def reading_at(self, root: Path) -> Layout:
        """The layout with what a file of the data set says of its masks; itself as a rule."""
        return self

    @abstractmethod
    def recognises(self, root: Path) -> bool:
        """Whether an existing file or folder has this layout."""

    @abstractmethod
    def classes(self, root: Path) -> Mapping[str, Collection[str]]:
        """The names of the defects of each object."""

    @abstractmethod
    def examples(self, root: Path, classes: Collection[tuple[str, str]]) -> list[Example]:
        """The examples of some classes, each an object and a defect.

        Raises:
            DataError: a picture without mask, or a mask without picture; the message names it.
        """

    @abstractmethod
    def good_examples(self, root: Path, object: str | None, side: str) -> list[Example]:
        """Good pictures as examples without masks.

        Args:
            object: None where the layout may choose.
            side: "train" or "test"; a layout without sides ignores it.

        Raises:
            DataError: an unknown object, or None where there are several.
        """


def object_name(folder: Path) -> str:
    """What the only object of a data set is called: as its folder."""
    return os.path.basename(os.path.abspath(folder))


def choose(root: Path, kind: str, name: str | None, known: Iterable[str]) -> list[str]:
    """The known names that are meant: all where ``name`` is None, else the one that is equal to it,
    or that a person would call equal.

    Args:
        kind: "object" or "defect".

    Raises:
        DataError: there is none.
    """
    names = sorted(known)
    if name is None and names:
        return names
    if not names:
        expected = "a data set with examples" if name is None else "none: there is no example"
        came = f"{root} has no {kind} at all" if name is None else f"{root} has no {kind} {name!r}"
        raise DataError(came, expected, "check the path")
    if name in names:
        return [str(name)]
    alike = [listed for listed in names if comparable(listed) == comparable(str(name))]
    if len(alike) != 1:
        raise DataError(f"{root} has no {kind} {name!r}", f"one of {', '.join(names)}")
    return alike


def choose_object(root: Path, name: str | None, known: Iterable[str]) -> str:
    """The one object that is meant, by the rules of :func:`choose`.

    Raises:
        DataError: there is none, or there are several and no name is given.
    """
    names = choose(root, "object", name, known)
    if len(names) > 1:
        came = f"{root} holds {len(names)} objects"
        raise DataError(came, f"one of {', '.join(names)}", "name the object")
    return names[0]


def check_defect_names(where: str | Path, names: Iterable[str]) -> None:
    """Refuse a class whose name cannot be a folder.

    Args:
        where: who names them, for the message.

    Raises:
        DataError: there is one.
    """
    for name in sorted(names):
        try:
            check_name("defect", name)
        except SettingError as error:
            raise DataError(f"{where}: {error.came}", error.expected, error.do) from error


def file_in(folder: Path, name: str) -> Path | None:
    """The file of this name in a folder, where there is one.

    Raises:
        DataError: two files of this name.
    """
    path = named(folder.iterdir(), name)
    return path if path is not None and path.is_file() else None


def find_folder(folder: Path, *names: str) -> Path | None:
    """The folder to which some names lead, one below the other; None where there is none, or where
    it may not be read. Names are compared as a person reads them."""
    place: Path | None = folder
    for name in names:
        try:
            place = named(list_folders(place), name) if place is not None else None
        except PermissionError:  # a folder that is none of ours
            return None
    return place


def find_file(folder: Path, relative: str) -> Path | None:
    """A file by its path relative to a folder; None where there is none.

    Separators may be those of Windows. Names are compared as a person reads them.
    """
    path = folder / relative
    if path.is_file():
        return path
    path = folder
    for part in Path(relative.replace("\\", "/")).parts:
        if part == ".." or Path(part).is_absolute():
            path /= part
            continue
        child = child_called(path, part)
        if child is None:
            return None
        path = child
    return path if path.is_file() else None
