"""Who trains, who chooses the checkpoint and who tests: three sides that share no group, kept in a
file.

The halves are the paper's (``split_halves``). A validation part is taken out of the training side
and is the same for every arm, the ceiling included. Good pictures stand where the defects of their
part (``group``) stand, whatever folder they lie in; those of a part without defects train if they
come from ``train/good`` and test if they come from ``test/good``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from bgdefect_core.errors import DataError
from bgdefect_core.pictures.files import atomic_write

from ...data.examples import Example
from ...data.layouts import find_examples, good_examples
from ...data.splits import group_of, relative_file, split_halves
from ..config import EvaluateConfig

Group = tuple[str, str]


@dataclass(frozen=True)
class Fold:
    """One fold of one defect class."""

    pool: tuple[Example, ...]
    """Real defects to train on; the k known ones are taken from here."""
    validation: tuple[Example, ...]
    test: tuple[Example, ...]
    good_train: tuple[Example, ...]
    good_validation: tuple[Example, ...]
    good_test: tuple[Example, ...]

    def shots(self, k: int, seed: int) -> tuple[Example, ...]:
        """The k real defects that are known; 0: all of the pool.

        Drawn at random, from as many different parts as there are: five exposures of one part would
            not be five defects.

        Raises:
            DataError: the pool has fewer.
        """
        if k > len(self.pool):
            raise DataError(
                f"{k} shots of {len(self.pool)} real defects to train on",
                "fewer shots",
                "lower them",
            )
        if k == 0:
            return self.pool
        order = [
            self.pool[index]
            for index in np.random.default_rng((seed, 13)).permutation(len(self.pool)).tolist()
        ]
        seen: dict[Group, int] = {}
        turn = []
        for example in order:
            turn.append(seen.setdefault(group_of(example), 0))
            seen[group_of(example)] += 1
        chosen = {
            order[index] for index in sorted(range(len(order)), key=lambda index: turn[index])[:k]
        }
        return tuple(example for example in self.pool if example in chosen)


_SIDES = {
    "train": ("pool", "good_train"),
    "validation": ("validation", "good_validation"),
    "test": ("test", "good_test"),
}


def make_fold(config: EvaluateConfig, object: str, defect: str, number: int) -> Fold:
    """Fold ``number`` of a class, a pure function of the data set, the numbers of validation
    pictures and the seed.

    Raises:
        DataError: too few pictures or groups for three sides.
    """
    return make_folds(config, object, [defect], number)[0]


def make_folds(
    config: EvaluateConfig, object: str, defects: Sequence[str], number: int
) -> list[Fold]:
    """Fold ``number`` of classes that one detector is about: each has its own defects, all have the
    same good pictures.

    Raises:
        DataError: too few pictures or groups for three sides.
    """
    rng = np.random.default_rng((config.seed, number, 11))
    most: list[int] = []
    sides: list[tuple[Sequence[Example], Sequence[Example], Sequence[Example]]] = []
    for defect in defects:
        halves = split_halves(find_examples(config.data, object, defect), number)
        wanted = max(1, min(config.validation, len(halves.train) // 5))
        validation, pool = _take_groups(halves.train, wanted, rng)
        sides.append((pool, validation, halves.held_out))
        most.append(wanted)
    known, held, tested = (
        _groups(one for side in sides for one in side[place]) for place in range(3)
    )
    good, good_test = good_examples(config.data, object), good_examples(config.data, object, "test")
    if good == good_test:  # a csv knows no sides
        both = split_halves(good, 0)
        good, good_test = list(both.train), list(both.held_out)
    every = [*good, *good_test]
    bound = known | held | tested
    free = _groups(good) - bound
    train = [one for one in every if group_of(one) in known] + [
        one for one in good if group_of(one) in free
    ]
    test = [one for one in every if group_of(one) in tested] + [
        one for one in good_test if group_of(one) not in bound | free
    ]
    choosing = [one for one in every if group_of(one) in held]
    lacking = config.validation_good - len(choosing)
    if lacking > 0:
        spare = [one for one in train if group_of(one) in free]
        more, _ = _take_groups(spare, min(lacking, len(spare) // 3), rng)
        choosing += more
        taken = _groups(more)
        train = [one for one in train if group_of(one) not in taken]
    shared = (
        _some(train, config.good, rng),
        _some(choosing, config.validation_good, rng),
        _some(test, config.test_good, rng),
    )
    folds = [
        Fold(tuple(pool), tuple(validation[:wanted]), tuple(test), *shared)
        for (pool, validation, test), wanted in zip(sides, most, strict=True)
    ]
    if len(folds) > 1:
        join_folds(folds, f"{object}, fold {number}, all classes together")
    for fold, defect in zip(folds, defects, strict=True):
        check_fold(fold, f"{object} / {defect}, fold {number}")
    return folds


def join_folds(folds: Sequence[Fold], where: str) -> Fold:
    """All classes of one object and half as one fold: what any of them learns from, chooses by or
    tests.

    Raises:
        DataError: a part stands on two sides: its pictures fell into different halves of two
            classes.
    """
    whole = Fold(
        *(
            tuple(dict.fromkeys(one for fold in folds for one in getattr(fold, field.name)))
            for field in fields(Fold)
        )
    )
    check_fold(whole, where)
    return whole


def _some(examples: Sequence[Example], count: int, rng: np.random.Generator) -> tuple[Example, ...]:
    """``count`` of them (0: all), in the old order."""
    order = rng.permutation(len(examples))[: count or None]
    return tuple(examples[index] for index in sorted(order.tolist()))


def check_fold(fold: Fold, where: str) -> None:
    """Refuse a picture or a group that stands on two sides, and an empty side.

    Raises:
        DataError: naming the class and the two pictures.
    """
    for field in fields(fold):
        if not getattr(fold, field.name) and field.name != "good_validation":
            raise DataError(
                f"{where}: no pictures are left for {field.name}",
                "pictures of more groups",
                "add some",
            )
    owner: dict[Group, tuple[str, Example]] = {}
    for side, names in _SIDES.items():
        for example in (one for name in names for one in getattr(fold, name)):
            for key in {group_of(example), ("", str(example.image))}:
                first = owner.setdefault(key, (side, example))
                if first[0] != side:
                    both = f"{first[1].image} ({first[0]}) and {example.image} ({side})"
                    raise DataError(
                        f"{where} leaks: {both} show one part",
                        "a part on one side",
                        "move one of them",
                    )


def write_fold(path: Path, fold: Fold, root: Path) -> None:
    """Write the split: JSON with the six lists of files relative to the data set.

    Raises:
        OutputError: the place cannot be written to.
    """
    lists = {
        field.name: [relative_file(one, root) for one in getattr(fold, field.name)]
        for field in fields(fold)
    }
    with atomic_write(path, "w") as file:
        json.dump(lists, file, indent=1)
        file.write("\n")


def read_fold(path: Path, config: EvaluateConfig, object: str, defect: str) -> Fold:
    """Read a split and check it: an edited file must not leak.

    Raises:
        DataError: no such file, no split, a picture that the data set has not, or a leak.
    """
    try:
        record: Any = json.loads(path.read_text(encoding="utf-8"))
        lists = {field.name: [str(item) for item in record[field.name]] for field in fields(Fold)}
    except (OSError, ValueError, TypeError, KeyError) as reason:
        raise DataError(
            f"{path} is no split of an evaluation ({reason!r})",
            "its six lists of files",
            "remove it",
        ) from reason
    root = config.data
    defects = {relative_file(one, root): one for one in find_examples(root, object, defect)}
    good = {
        relative_file(one, root): one
        for side in ("train", "test")
        for one in good_examples(root, object, side)
    }
    sides: dict[str, tuple[Example, ...]] = {}
    for name, files in lists.items():
        known = good if name.startswith("good") else defects
        unknown = [file for file in files if file not in known]
        if unknown:
            raise DataError(
                f"{path} lists {unknown[0]} under {name}", f"pictures of {root}", "correct the file"
            )
        sides[name] = tuple(known[file] for file in files)
    fold = Fold(**sides)
    check_fold(fold, str(path))
    return fold


def _take_groups(
    examples: Sequence[Example], count: int, rng: np.random.Generator
) -> tuple[list[Example], list[Example]]:
    """Whole groups until ``count`` pictures are reached, and the rest, each in the old order; one
    group stays behind."""
    groups = sorted(_groups(examples))
    order = [groups[int(index)] for index in rng.permutation(len(groups))]
    sizes = {group: sum(group_of(one) == group for one in examples) for group in groups}
    chosen: set[Group] = set()
    if not count:
        return [], list(examples)
    for group in sorted(
        order, key=lambda one: sizes[one] > count
    ):  # small groups first: waste few pictures
        if sum(sizes[one] for one in chosen) >= count or len(chosen) == len(groups) - 1:
            break
        chosen.add(group)
    return [one for one in examples if group_of(one) in chosen], [
        one for one in examples if group_of(one) not in chosen
    ]


def _groups(examples: Iterable[Example]) -> set[Group]:
    return {group_of(example) for example in examples}
