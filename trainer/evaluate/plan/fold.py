"""A fold of a class: three sides that share no group, and the file that lists them."""

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
from ...data.layouts import AS_FOUND, ReadingSettings, all_good_examples, find_examples
from ...data.splits import group_of, relative_file

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
    good = _by_file(all_good_examples(root, object, reading), root)
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
