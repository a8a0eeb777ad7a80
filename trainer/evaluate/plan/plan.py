"""What an evaluation consists of: one cell for each class, fold, number and choice of known real
defects.

Detectors are about a class, or about an object with all of its classes (``DetectorScope``). Only
file names are read here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bgdefect_core.errors import DataError

from ...data.examples import Example
from ...data.layouts import find_examples
from .fold import Fold, fold_files, join_folds, read_fold, write_fold
from .folds import make_folds
from .settings import PlanSettings

ALL_CLASSES = "all classes"
"""In place of the defect's name where a detector is about all classes of an object."""
SPLITS = "splits"
"""Folder of the split files in the output."""


@dataclass(frozen=True)
class FoldData:
    """One fold of one class."""

    object: str
    defect: str
    number: int
    fold: Fold
    root: Path
    """The data set."""

    @property
    def name(self) -> str:
        """For file names and messages."""
        return f"{self.object}-{self.defect}-f{self.number}"

    @property
    def split_file(self) -> str:
        """Place of the split file in the output."""
        return f"{SPLITS}/{_split_name(self.object, self.defect, self.number)}"

    @cached_property
    def digest(self) -> str:
        """Of the split: which files stand on which side."""
        text = json.dumps(fold_files(self.fold, self.root), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @cached_property
    def ignored(self) -> dict[str, str]:
        """What else identifies the detectors of a fold in which some regions are neither defect nor
        background; empty without such."""
        digests: list[str] = []
        for example in (*self.fold.pool, *self.fold.validation, *self.fold.test):
            digests.append(example.others_digest or "")
        if not any(digests):
            return {}
        return {"ignored": hashlib.sha256("\n".join(digests).encode()).hexdigest()[:16]}


@dataclass(frozen=True)
class Cell:
    """One class, fold and number of known real defects."""

    data: FoldData
    k: int
    """Known real defects; 0: all of the training side."""
    shots: tuple[Example, ...]
    draw: int = 0
    """Number of the random choice of the shots."""
    held_out: str = ""
    """Names the part of the known defects that is missing among the shots; empty: none is."""

    @property
    def name(self) -> str:
        """For file names and messages."""
        known = f"k{self.k}-d{self.draw}" if self.k else "kall"
        return "-".join(filter(None, (self.data.name, known, self.held_out)))


@dataclass(frozen=True)
class DetectorScope:
    """What detectors are about: one class, or all classes of an object together."""

    whole: Cell
    cells: tuple[Cell, ...]
    """Of each class; the whole itself where detectors are about a class."""

    @property
    def is_joined(self) -> bool:
        """Whether the detector is about an object, with the classes of all cells."""
        return self.whole is not self.cells[0]


def classes_of(settings: PlanSettings) -> list[tuple[str, str]]:
    """The defect classes as (object, defect), in the order of the data set.

    Raises:
        DataError: a required object or class is not in the data set.
    """
    classes: dict[str, tuple[str, str]] = {}
    objects: set[str] = set()
    for example in find_examples(settings.data, reading=settings.reading):
        classes[f"{example.object}/{example.defect}"] = (example.object, example.defect)
        objects.add(example.object)
    absent = [object for object in settings.objects if object not in objects]
    if absent:
        noun = "objects" if len(absent) > 1 else "object"
        came = f"{settings.data} lacks the {noun} {', '.join(absent)}"
        raise DataError(came, "all of them", "complete the data set")
    for name in settings.classes:
        if name not in classes:
            came = f"{settings.data} has no class {name!r}"
            raise DataError(came, f"some of {', '.join(classes)}", "correct the list")
    if settings.classes:
        return [classes[name] for name in settings.classes]
    wanted = settings.objects or objects
    return [pair for pair in classes.values() if pair[0] in wanted]


def make_cells(settings: PlanSettings, seed: int, output: Path, write: bool = True) -> list[Cell]:
    """All cells. Existing split files are read, the others are made.

    Args:
        seed: of the splits and the choice of shots. output: folder of the evaluation, for the
            split files. write: whether they are written.

    Raises:
        DataError: a class, a split or a number of shots that is impossible, or a leak in a split
            file.
    """
    cells: list[Cell] = []
    numbers = fold_numbers(settings)
    for object, defects in _detector_classes(settings):
        folds: dict[int, list[Fold]] = {}
        for number in numbers:
            folds[number] = _folds(settings, seed, output, object, defects, number)
        for place, defect in enumerate(defects):
            for number in numbers:
                data = FoldData(object, defect, number, folds[number][place], settings.data)
                if write:
                    write_fold(output / data.split_file, data.fold, settings.data)
                for k in settings.shots:
                    cells += _draws(data, k, seed, settings.shot_draws)
    return cells


def fold_numbers(settings: PlanSettings) -> tuple[int, ...]:
    """The folds of the settings; of a data set with sides of its own the first alone, which is
    these sides."""
    examples = find_examples(settings.data, reading=settings.reading)
    return (0,) if any(example.is_held for example in examples) else settings.folds


def _draws(data: FoldData, k: int, seed: int, count: int) -> list[Cell]:
    """One cell for each different choice of k defects; choices that repeat an earlier one are left
    out, as where all are known."""
    cells: dict[tuple[Example, ...], Cell] = {}
    for draw in range(count):
        shots = data.fold.shots(k, seed, draw)
        cells.setdefault(shots, Cell(data, k, shots, draw))
    return list(cells.values())


def _detector_classes(settings: PlanSettings) -> list[tuple[str, list[str]]]:
    """An object and those of its classes that share a detector, for each detector."""
    detectors: dict[tuple[str, ...], tuple[str, list[str]]] = {}
    for object, defect in classes_of(settings):
        key = (object,) if settings.detectors_by == "object" else (object, defect)
        detectors.setdefault(key, (object, []))[1].append(defect)
    return list(detectors.values())


def _split_name(object: str, defect: str, number: int) -> str:
    return f"{object}-{defect}-fold{number}.json"


def _folds(
    settings: PlanSettings,
    seed: int,
    output: Path,
    object: str,
    defects: Sequence[str],
    number: int,
) -> list[Fold]:
    """The folds of classes that share a detector, from the given or existing split files if there
    are any."""
    folder = settings.splits or output / SPLITS
    paths = [folder / _split_name(object, defect, number) for defect in defects]
    if settings.splits is None and not all(map(Path.is_file, paths)):
        return make_folds(settings, seed, object, defects, number)
    folds = []
    for path, defect in zip(paths, defects, strict=True):
        fold = read_fold(path, settings.data, object, defect, settings.reading)
        folds.append(fold)
    return folds


def make_scopes(
    settings: PlanSettings, cells: Sequence[Cell], output: Path, write: bool = True
) -> list[DetectorScope]:
    """What the detectors are about: each cell, or the cells of an object together.

    Args:
        output: folder of the evaluation, for the split files of whole objects. write: whether they
            are written.

    Raises:
        DataError: the classes of an object cannot share a detector, since a part stands on two
            sides.
    """
    if settings.detectors_by == "class":
        return [DetectorScope(cell, (cell,)) for cell in cells]
    groups: dict[tuple[str, int, int, int], list[Cell]] = {}
    for cell in cells:
        key = (cell.data.object, cell.data.number, cell.k, cell.draw)
        groups.setdefault(key, []).append(cell)
    tests = []
    for (object, number, k, draw), members in groups.items():
        where = f"{object}, fold {number}, all classes together"
        fold = join_folds([cell.data.fold for cell in members], where)
        data = FoldData(object, ALL_CLASSES, number, fold, settings.data)
        if write:
            write_fold(output / data.split_file, fold, settings.data)
        shots: list[Example] = []
        for cell in members:
            shots.extend(cell.shots)
        tests.append(DetectorScope(Cell(data, k, tuple(shots), draw), tuple(members)))
    return tests
