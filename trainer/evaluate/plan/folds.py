"""Which pictures train, validate the class trainings and test: three sides that share no group.

The halves are those of the paper (``split_halves``). The validation part is taken from the training
side and is the same for every arm, including the ceiling. A good picture belongs to the side of the
defects of its part (``group``), whatever folder it lies in. Good pictures of a part without defects
train if they come from ``train/good`` and test if they come from ``test/good``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from bgdefect_core.errors import DataError
from bgdefect_core.files import atomic_write

from ...data.examples import Example
from ...data.layouts import AS_FOUND, ReadingSettings, find_examples, good_examples
from ...data.splits import divide, group_of, relative_file, split_halves
from .settings import PlanSettings

Group = tuple[str, str]
Examples = tuple[Example, ...]


@dataclass(frozen=True)
class Fold:
    """One fold of one defect class."""

    pool: Examples
    """Real defects to train on; the k known ones are taken from here."""
    validation: Examples
    test: Examples
    good_train: Examples
    good_validation: Examples
    good_test: Examples

    def shots(self, k: int, seed: int, draw: int = 0) -> Examples:
        """The k known real defects, in the order of the pool; 0: all of the pool.

        They are drawn at random from as many different parts as possible: five exposures of one
        part would not be five defects. The known ones of a smaller k are among those of a larger
        k.

        Args:
            draw: number of the random choice.

        Raises:
            DataError: the pool has fewer.
        """
        if k > len(self.pool):
            came = f"{k} shots of {len(self.pool)} real defects to train on"
            raise DataError(came, "fewer shots", "lower them")
        if k == 0:
            return self.pool
        order = np.random.default_rng((seed, 13, draw)).permutation(len(self.pool)).tolist()
        drawn_of_part: Counter[Group] = Counter()
        turns = []
        for index in order:
            part = group_of(self.pool[index])
            turns.append((drawn_of_part[part], index))
            drawn_of_part[part] += 1
        turns.sort(key=lambda turn: turn[0])  # stable: the drawn order decides within a turn
        chosen = sorted(index for _, index in turns[:k])
        return tuple(map(self.pool.__getitem__, chosen))


_SIDES = {
    "train": ("pool", "good_train"),
    "validation": ("validation", "good_validation"),
    "test": ("test", "good_test"),
}
_LISTS = tuple(field.name for field in fields(Fold))


@dataclass(frozen=True)
class _DefectSides:
    """The pictures of one defect class, by side."""

    pool: Sequence[Example]
    validation: Sequence[Example]
    """Whole groups: may hold more pictures than are wanted."""
    test: Sequence[Example]
    wanted: int
    """Number of validation pictures."""


@dataclass(frozen=True)
class _GoodSides:
    """The good pictures of an object, by side."""

    train: list[Example]
    validation: list[Example]
    test: list[Example]
    unbound: set[Group]
    """Groups without defects, from ``train/good``."""


def make_folds(
    settings: PlanSettings, seed: int, object: str, defects: Sequence[str], number: int
) -> list[Fold]:
    """Fold ``number`` of the classes of one detector: each has its own defects, all share the good
    pictures. A pure function of the data set, the numbers of pictures and the seed.

    Raises:
        DataError: too few pictures or groups for three sides.
    """
    rng = np.random.default_rng((seed, number, 11))
    sides = []
    for defect in defects:
        sides.append(_split_defects(settings, object, defect, number, rng))
    good = _split_good(settings, object, sides)
    _complete_validation(good, settings.validation_good, rng)
    good_train = _draw(good.train, settings.good, rng)
    good_validation = _draw(good.validation, settings.validation_good, rng)
    good_test = _draw(good.test, settings.test_good, rng)
    folds = []
    for side in sides:
        validation = tuple(side.validation[: side.wanted])
        defective = (tuple(side.pool), validation, tuple(side.test))
        folds.append(Fold(*defective, good_train, good_validation, good_test))
    if len(folds) > 1:
        join_folds(folds, f"{object}, fold {number}, all classes together")
    for fold, defect in zip(folds, defects, strict=True):
        check_fold(fold, f"{object} / {defect}, fold {number}")
    return folds


def _split_defects(
    settings: PlanSettings, object: str, defect: str, number: int, rng: np.random.Generator
) -> _DefectSides:
    examples = find_examples(settings.data, object, defect, settings.reading)
    halves = split_halves(examples, number)
    wanted = max(1, min(settings.validation, len(halves.train) // 5))
    validation, pool = _take_groups(halves.train, wanted, rng)
    return _DefectSides(pool, validation, halves.held_out, wanted)


def _split_good(settings: PlanSettings, object: str, sides: Sequence[_DefectSides]) -> _GoodSides:
    """The good pictures, each on the side of its part's defects."""
    training: set[Group] = set()
    choosing: set[Group] = set()
    testing: set[Group] = set()
    for side in sides:
        training |= _groups(side.pool)
        choosing |= _groups(side.validation)
        testing |= _groups(side.test)
    good = good_examples(settings.data, object, reading=settings.reading)
    good_test = good_examples(settings.data, object, "test", settings.reading)
    if good == good_test:  # a csv has no sides
        halves = split_halves(good, 0)
        good, good_test = list(halves.train), list(halves.held_out)
    bound = training | choosing | testing
    unbound = _groups(good) - bound
    every = [*good, *good_test]
    train = divide(every, training)[0] + divide(good, unbound)[0]
    validation, _ = divide(every, choosing)
    test = divide(every, testing)[0] + divide(good_test, bound | unbound)[1]
    return _GoodSides(train, validation, test, unbound)


def _complete_validation(good: _GoodSides, count: int, rng: np.random.Generator) -> None:
    """Move good pictures of parts without defects from the training to the validation side until
    that has ``count``; at most a third of them."""
    missing = count - len(good.validation)
    if missing <= 0:
        return
    spare, _ = divide(good.train, good.unbound)
    moved, _ = _take_groups(spare, min(missing, len(spare) // 3), rng)
    good.validation.extend(moved)
    _, good.train[:] = divide(good.train, _groups(moved))


def join_folds(folds: Sequence[Fold], where: str) -> Fold:
    """All classes of one object and half as one fold.

    Raises:
        DataError: a part stands on two sides: its pictures are in different halves of two classes.
    """
    lists: dict[str, Examples] = {}
    for name in _LISTS:
        examples: dict[Example, None] = {}
        for fold in folds:
            examples |= dict.fromkeys(getattr(fold, name))
        lists[name] = tuple(examples)
    joined = Fold(**lists)
    check_fold(joined, where)
    return joined


def check_fold(fold: Fold, where: str) -> None:
    """Refuse a picture or a group that stands on two sides, and an empty side.

    Raises:
        DataError: naming the class and the two pictures.
    """
    for name in _LISTS:
        if not getattr(fold, name) and name != "good_validation":
            came = f"{where}: no pictures are left for {name}"
            raise DataError(came, "pictures of more groups", "add some")
    owners: dict[Group, tuple[str, Example]] = {}
    for side, names in _SIDES.items():
        for example in (*getattr(fold, names[0]), *getattr(fold, names[1])):
            for key in {group_of(example), ("", str(example.image))}:
                owner, twin = owners.setdefault(key, (side, example))
                if owner != side:
                    pictures = f"{twin.image} ({owner}) and {example.image} ({side})"
                    raise DataError(
                        f"{where} leaks: {pictures} show one part",
                        "each part on one side",
                        "move one of them",
                    )


def write_fold(path: Path, fold: Fold, root: Path) -> None:
    """Write the split: JSON with the six lists of files relative to the data set.

    Raises:
        OutputError: the place cannot be written to.
    """
    lists = fold_files(fold, root)
    with atomic_write(path, "w") as file:
        json.dump(lists, file, indent=1)
        file.write("\n")


def fold_files(fold: Fold, root: Path) -> dict[str, list[str]]:
    """The six lists of files, relative to the data set."""
    lists = {}
    for name in _LISTS:
        examples: Examples = getattr(fold, name)
        lists[name] = [relative_file(example, root) for example in examples]
    return lists


def read_fold(
    path: Path, root: Path, object: str, defect: str, reading: ReadingSettings = AS_FOUND
) -> Fold:
    """Read a split and check it: an edited file must not leak.

    Args:
        root: the data set.
        reading: how it is read.

    Raises:
        DataError: no such file, no split, a picture that is not in the data set, or a leak.
    """
    try:
        record: Any = json.loads(path.read_text(encoding="utf-8"))
        lists: dict[str, list[str]] = {}
        for name in _LISTS:
            lists[name] = list(map(str, record[name]))
    except (OSError, ValueError, TypeError, KeyError) as reason:
        raise DataError(
            f"{path} is no split of an evaluation ({reason!r})",
            "its six lists of files",
            "remove it",
        ) from reason
    defects = _by_file(find_examples(root, object, defect, reading), root)
    good = _by_file(good_examples(root, object, reading=reading), root)
    good |= _by_file(good_examples(root, object, "test", reading), root)
    sides: dict[str, Examples] = {}
    for name, files in lists.items():
        known = good if name.startswith("good") else defects
        for file in files:
            if file not in known:
                came = f"{path} lists {file} under {name}"
                raise DataError(came, f"pictures of {root}", "correct the file")
        sides[name] = tuple(map(known.__getitem__, files))
    fold = Fold(**sides)
    check_fold(fold, str(path))
    return fold


def _by_file(examples: Iterable[Example], root: Path) -> dict[str, Example]:
    return {relative_file(example, root): example for example in examples}


def _draw(examples: Sequence[Example], count: int, rng: np.random.Generator) -> Examples:
    """``count`` of the examples (0: all), in their order."""
    order = rng.permutation(len(examples))[: count or None]
    return tuple(examples[index] for index in sorted(order.tolist()))


def _take_groups(
    examples: Sequence[Example], count: int, rng: np.random.Generator
) -> tuple[list[Example], list[Example]]:
    """Whole groups until they have ``count`` pictures, and the rest; each in the given order. At
    least one group is left in the rest."""
    sizes = Counter(map(group_of, examples))
    groups = sorted(sizes)
    order = rng.permutation(len(groups)).tolist()
    if not count:
        return [], list(examples)
    order.sort(key=lambda index: sizes[groups[index]] > count)  # small groups waste few pictures
    chosen: set[Group] = set()
    taken = 0
    for index in order:
        group = groups[index]
        if taken >= count or len(chosen) == len(groups) - 1:
            break
        chosen.add(group)
        taken += sizes[group]
    return divide(examples, chosen)


def _groups(examples: Iterable[Example]) -> set[Group]:
    return set(map(group_of, examples))
