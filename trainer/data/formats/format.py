"""What every format of a written data set answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from bgdefect_core.errors import DataError
from bgdefect_core.pictures.listing import comparable

from .labelled import LabelledFile

__all__ = ["Format", "class_names"]


class Format(ABC):
    """One way to write pictures with their labels."""

    name: str
    """The word that users write."""
    summary: str
    """What is written where, in one sentence."""
    holds_ignored: bool = False
    """Whether regions that are neither defect nor background have a place in it."""

    def check(self, files: Sequence[LabelledFile]) -> None:
        """Refuse names that have no place in the format, before anything is written.

        Raises:
            DataError: there is one.
        """
        class_names(files)

    @abstractmethod
    def write(self, files: Sequence[LabelledFile], folder: Path) -> None:
        """Write all of them into an empty folder.

        Raises:
            PictureError, MaskError: a picture or a label that cannot be read, named.
            OutputError: the folder cannot be written to.
        """


def class_names(files: Sequence[LabelledFile]) -> dict[tuple[str, str], str]:
    """Object and defect -> name of the class where a format knows no objects: as the defect, or
    OBJECT_DEFECT where there are several objects. In the order of the names.

    Raises:
        DataError: two classes get one name.
    """
    classes = set()
    for labelled in files:
        for example in labelled.examples:
            classes.add((labelled.object, example.defect))
    objects = {labelled.object for labelled in files}
    names: dict[tuple[str, str], str] = {}
    called: dict[str, str] = {}
    for object, defect in sorted(classes):
        name = names[object, defect] = defect if len(objects) == 1 else f"{object}_{defect}"
        other = called.setdefault(comparable(name), f"{object} / {defect}")
        if other != f"{object} / {defect}":
            came = f"the classes {other} and {object} / {defect} are both called {name}"
            do = "rename one, or write mvtec or csv, which know objects"
            raise DataError(came, "a name each", do)
    return names
