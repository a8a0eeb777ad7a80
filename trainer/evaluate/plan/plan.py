"""What an evaluation consists of: one cell for each class, fold and number of real defects, checked
before any work.

Detectors are about a class, or about an object with all of its classes (``Tested``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import product
from pathlib import Path

from bgdefect_core.errors import DataError
from bgdefect_core.pictures.files import Picture
from bgdefect_core.pictures.masks import Mask

from ...data.examples import Example, load_example
from ...data.layouts import find_examples
from ...data.splits import relative_file
from ..config import EvaluateConfig
from ..detectors.arms import load_pairs
from ..measures.realism import Seen, see
from ..samples.sample_set import candidate_folder
from ..samples.synthetic import Pair
from .folds import Fold, join_folds, make_folds, read_fold, write_fold

ALL_CLASSES = "all classes"
"""In place of the defect's name where a detector is about all of an object's."""


@dataclass(frozen=True)
class FoldData:
    """One fold of one class with its pictures, read when they are first needed."""

    object: str
    defect: str
    number: int
    fold: Fold
    root: Path
    side: int

    @property
    def name(self) -> str:
        """For file names and messages."""
        return f"{self.object}-{self.defect}-f{self.number}"

    @cached_property
    def digest(self) -> str:
        """Of the split: which files stand on which side."""
        lists = {
            field.name: [relative_file(one, self.root) for one in getattr(self.fold, field.name)]
            for field in fields(self.fold)
        }
        return hashlib.sha256(json.dumps(lists, sort_keys=True).encode()).hexdigest()[:16]

    @cached_property
    def good(self) -> list[Picture]:
        """Good pictures to train on, at the detector's size."""
        return [picture for picture, _ in load_pairs(self.fold.good_train, self.side)]

    @cached_property
    def validation(self) -> list[Pair]:
        """Defects and good pictures that choose the checkpoint."""
        return load_pairs([*self.fold.validation, *self.fold.good_validation], self.side)

    @cached_property
    def test(self) -> list[Pair]:
        """Held-out defects, then good pictures."""
        return load_pairs([*self.fold.test, *self.fold.good_test], self.side)

    def forget(self) -> None:
        """Let the pictures go: those of a hundred folds would fill the memory. They are read again
        where they are needed."""
        for name in ("good", "validation", "test", "reference"):
            self.__dict__.pop(name, None)

    def at_full_size(self, examples: Sequence[Example]) -> tuple[list[Picture], list[Mask]]:
        """Pictures and masks as they are on the disk."""
        pairs = [load_example(example) for example in examples]
        return [picture for picture, _ in pairs], [mask for _, mask in pairs]

    @cached_property
    def reference(self) -> Seen:
        """Features of the held-out real defects."""
        return see(*self.at_full_size(self.fold.test))


@dataclass(frozen=True)
class Cell:
    """One class, fold and number of real defects."""

    data: FoldData
    k: int
    shots: tuple[Example, ...]

    @property
    def name(self) -> str:
        """For file names and messages."""
        return f"{self.data.name}-k{self.k or 'all'}"


@dataclass(frozen=True)
class Tested:
    """What detectors are about: one class, or all classes of an object in one."""

    whole: Cell
    cells: tuple[Cell, ...]
    """Of each class; the whole itself where it is one class."""


def classes_of(config: EvaluateConfig) -> list[tuple[str, str]]:
    """The defect classes, in the order of the data set.

    Raises:
        DataError: an object or a class that is asked for and not there.
    """
    known = list(
        dict.fromkeys((example.object, example.defect) for example in find_examples(config.data))
    )
    objects = {object for object, _ in known}
    absent = [object for object in config.objects if object not in objects]
    if absent:
        raise DataError(
            f"{config.data} lacks the object{'s' * (len(absent) > 1)} {', '.join(absent)}",
            "all of them",
            "complete the data set",
        )
    if not config.classes:
        return [one for one in known if not config.objects or one[0] in config.objects]
    named = {f"{object}/{defect}": (object, defect) for object, defect in known}
    missing = [name for name in config.classes if name not in named]
    if missing:
        raise DataError(
            f"{config.data} has no class {missing[0]!r}",
            f"some of {', '.join(named)}",
            "correct the list",
        )
    return [named[name] for name in config.classes]


def make_cells(config: EvaluateConfig, write: bool = True) -> list[Cell]:
    """All cells. Reads names only; splits are read where they lie, else made and, with ``write``,
    kept.

    Raises:
        DataError: a class, a split or a number of shots that cannot be, a leak in a split file, or
            a candidate without samples.
    """
    classes = classes_of(config)
    for folder in config.candidate_folders.values():
        for (object, defect), number in product(classes, config.folds):
            find_examples(candidate_folder(folder, number), object, defect)
    together: list[list[tuple[str, str]]] = [[one] for one in classes]
    if config.detectors_by == "object":
        together = [
            [one for one in classes if one[0] == object]
            for object in dict.fromkeys(object for object, _ in classes)
        ]
    cells = []
    for own in together:
        folds = [
            _folds(config, own[0][0], [defect for _, defect in own], number)
            for number in config.folds
        ]
        for place, (object, defect) in enumerate(own):
            for number, made in zip(config.folds, folds, strict=True):
                if write:
                    write_fold(
                        config.output / "splits" / _split_name(object, defect, number),
                        made[place],
                        config.data,
                    )
                data = FoldData(object, defect, number, made[place], config.data, config.resolution)
                cells += [Cell(data, k, made[place].shots(k, config.seed)) for k in config.shots]
    return cells


def _split_name(object: str, defect: str, number: int) -> str:
    return f"{object}-{defect}-fold{number}.json"


def _folds(config: EvaluateConfig, object: str, defects: Sequence[str], number: int) -> list[Fold]:
    """The folds of classes that share a detector: from the split files that were given or kept,
    else new ones."""
    given = [
        (config.splits or config.output / "splits") / _split_name(object, defect, number)
        for defect in defects
    ]
    if config.splits or all(path.is_file() for path in given):
        return [
            read_fold(path, config, object, defect)
            for path, defect in zip(given, defects, strict=True)
        ]
    return make_folds(config, object, defects, number)


def make_tests(config: EvaluateConfig, cells: Sequence[Cell], write: bool = True) -> list[Tested]:
    """What the detectors of ``config.detectors_by`` are about; split files of whole objects are
    kept with ``write``.

    Raises:
        DataError: the classes of an object cannot share a detector, since a part stands on two
            sides.
    """
    if config.detectors_by == "class":
        return [Tested(cell, (cell,)) for cell in cells]
    groups: dict[tuple[str, int, int], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.data.object, cell.data.number, cell.k), []).append(cell)
    tests = []
    for (object, number, k), own in groups.items():
        fold = join_folds(
            [cell.data.fold for cell in own], f"{object}, fold {number}, all classes together"
        )
        if write:
            write_fold(
                config.output / "splits" / f"{object}-{ALL_CLASSES}-fold{number}.json",
                fold,
                config.data,
            )
        data = FoldData(object, ALL_CLASSES, number, fold, config.data, config.resolution)
        shots = tuple(shot for cell in own for shot in cell.shots)
        tests.append(Tested(Cell(data, k, shots), tuple(own)))
    return tests
