"""Which examples train and which are held out.

Pictures of one group never fall on both sides. The sides are filled class by class (object and
defect), in the order of the examples: a group goes, as a whole, where its first picture falls, and
a picture falls into training as long as training has fewer pictures of its class than asked for.
Without groups this is a plain cut. (Cutting the list first and moving groups afterwards would leave
nothing to hold out where every group shows up early, as in DeepPCB.) A picture without a group is a
group of its own; the same picture under two defects is one group.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from bgdefect_core.errors import DataError
from bgdefect_core.files import atomic_write
from bgdefect_core.pictures.listing import comparable

from .examples import Example

__all__ = [
    "OwnSides",
    "Split",
    "by_class",
    "divide",
    "group_of",
    "listed_in",
    "own_sides",
    "read_split",
    "relative_file",
    "split_halves",
    "split_k_shots",
    "spread_evenly",
    "write_split",
]


_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Split:
    """Two sides that share no group. ``held_out`` may be empty."""

    train: tuple[Example, ...]
    held_out: tuple[Example, ...]


@dataclass(frozen=True)
class OwnSides:
    """Examples on the sides of the data set that they come from."""

    train: tuple[Example, ...]
    """Not empty."""
    val: tuple[Example, ...]
    test: tuple[Example, ...]

    @property
    def held(self) -> tuple[Example, ...]:
        """What a test is about: the side test, or val where there is none."""
        return self.test or self.val

    def __str__(self) -> str:
        counts = (("train", self.train), ("val", self.val), ("test", self.test))
        return ", ".join(f"{name} {len(side)}" for name, side in counts if side)


def own_sides(examples: Sequence[Example], where: str | Path) -> OwnSides | None:
    """The sides of a data set that divides its pictures; None: it does not.

    Args:
        where: the data set, for the message.

    Raises:
        DataError: all examples are on sides from which nothing is learned.
    """
    train = tuple(example for example in examples if not example.is_held)
    if len(train) == len(examples):
        return None
    if not train:
        object, defect = examples[0].object, examples[0].defect
        sides = " and ".join(sorted({example.side for example in examples}))
        came = f"all pictures of {object} / {defect} in {where} are on the side {sides}"
        do = "move some there, or read sides together: --sides none"
        raise DataError(came, "some on the side train", do)
    val = tuple(example for example in examples if example.side == "val")
    test = tuple(example for example in examples if example.side == "test")
    return OwnSides(train, val, test)


def split_halves(examples: Sequence[Example], fold: int = 0) -> Split:
    """Halves, as in the paper: fold 0 trains on the first half, fold 1 on the second.

    Raises:
        DataError: a fold other than 0 and 1, or no two groups to part.
    """
    if fold not in (0, 1):
        raise DataError(f"the fold is {fold}", "0 or 1")
    groups = _fill(examples, lambda count: (count + 1) // 2)
    first, second = divide(examples, groups)
    if not first or not second:
        came = f"{len(examples)} pictures in one group cannot be halved"
        do = "add pictures, or give a split file"
        raise DataError(came, "pictures of at least two groups", do)
    sides = (second, first) if fold else (first, second)
    return Split(tuple(sides[0]), tuple(sides[1]))


def split_k_shots(examples: Sequence[Example], k: int, seed: int | None = None) -> Split:
    """Exactly k pictures a class to train on. Those that share no group with them are held out, the
    others are left out.

    Args:
        k: 1 to the number of pictures of the smallest class (all of them: nothing is held out).
        seed: shuffles the pictures first; None takes the first k.

    Raises:
        DataError: zero shots, more shots than pictures, or classes that share so many groups that
            one gets too few.
    """
    if k < 1:
        raise DataError(f"{k} shots", "at least 1")
    for (name, defect), members in by_class(examples).items():
        if k > len(members):
            expected = f"at most {len(members)}: so many pictures there are"
            raise DataError(f"{k} shots of {name} / {defect}", expected)
    if seed is not None:
        order = np.random.default_rng(seed).permutation(len(examples))
        examples = [examples[index] for index in order]
    groups = _fill(examples, lambda count: k)
    chosen, held_out = divide(examples, groups)
    train: list[Example] = []
    for members in by_class(chosen).values():
        train += members[:k]
    if len(train) < k * len(by_class(examples)):
        came = f"{k} shots of every class part a group"
        raise DataError(came, "classes that share fewer groups", "split them apart")
    return Split(tuple(train), tuple(held_out))


def write_split(path: str | Path, split: Split, root: str | Path) -> None:
    """Write the split used: JSON with the lists ``train`` and ``held_out`` of picture files
    relative to root.

    Raises:
        OutputError: the place cannot be written to.
    """
    lists: dict[str, list[str]] = {}
    for side, examples in (("train", split.train), ("held_out", split.held_out)):
        lists[side] = sorted({relative_file(example, root) for example in examples})
    with atomic_write(path, "w") as file:
        json.dump(lists, file, indent=1)
        file.write("\n")


def read_split(path: str | Path, examples: Sequence[Example], root: str | Path) -> Split:
    """Read a split file; examples that it does not list are left out.

    Raises:
        DataError: no such file, no split file, a picture that is not among the examples, a picture
            or a group on both sides, nothing to train on.
    """
    path = Path(path)
    sides = (_listed(path, "train"), _listed(path, "held_out"))
    known = {comparable(relative_file(example, root)) for example in examples}
    for name in (*sides[0], *sides[1]):
        if comparable(name) not in known:
            raise DataError(f"{path} lists {name}", f"pictures of {root}", "correct the file")
    train, held_out = sides
    split = Split(_chosen(examples, root, train), _chosen(examples, root, held_out))
    if not split.train:
        raise DataError(f"{path} lists nothing to train on", "pictures under train")
    trained = {group_of(example): example for example in split.train}
    for example in split.held_out:
        twin = trained.get(group_of(example))
        if twin is not None:
            both = (
                f"{relative_file(twin, root)} (train) and {relative_file(example, root)} (held out)"
            )
            came = f"{path} parts one group: {both}"
            raise DataError(came, "a group on one side", "move one of them")
    return split


def listed_in(path: Path, side: str) -> set[str]:
    """The picture files that a split file lists, relative to the data set.

    Args:
        side: "train" or "held_out".

    Raises:
        DataError: no split file.
    """
    return set(_listed(path, side))


def _listed(path: Path, side: str) -> list[str]:
    """The files of one side, sorted, with the separators of Unix."""
    try:
        record: Any = json.loads(path.read_text(encoding="utf-8-sig"))
        return sorted(str(name).replace("\\", "/") for name in record[side])
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as reason:
        expected = 'JSON: {"train": [...], "held_out": [...]}'
        raise DataError(f"{path} is no split file ({reason!r})", expected) from reason


def _chosen(
    examples: Sequence[Example], root: str | Path, names: Iterable[str]
) -> tuple[Example, ...]:
    keys = set(map(comparable, names))
    chosen = []
    for example in examples:
        if comparable(relative_file(example, root)) in keys:
            chosen.append(example)
    return tuple(chosen)


def group_of(example: Example) -> tuple[str, str]:
    """What may not be parted; a picture is known by its file, under whatever object it stands."""
    return (example.object, example.group) if example.group else ("", str(example.image))


def divide(
    examples: Iterable[Example], groups: Collection[tuple[str, str]]
) -> tuple[list[Example], list[Example]]:
    """The examples of these groups, and the others; each in the given order."""
    inside: list[Example] = []
    outside: list[Example] = []
    for example in examples:
        if group_of(example) in groups:
            inside.append(example)
        else:
            outside.append(example)
    return inside, outside


def spread_evenly(items: Sequence[_Item], most: int) -> list[_Item]:
    """At most ``most`` of the items, evenly out of all, in their order."""
    count = min(most, len(items))
    return [items[number * len(items) // count] for number in range(count)]


def by_class(examples: Iterable[Example]) -> dict[tuple[str, str], list[Example]]:
    """(object, defect) -> its examples, in their order."""
    classes: dict[tuple[str, str], list[Example]] = {}
    for example in examples:
        classes.setdefault((example.object, example.defect), []).append(example)
    return classes


def _fill(examples: Sequence[Example], wanted: Callable[[int], int]) -> set[tuple[str, str]]:
    """The groups that train: taken in order until each class has ``wanted(its number of
    pictures)``."""
    chosen: set[tuple[str, str]] = set()
    visited: set[tuple[str, str]] = set()
    for members in by_class(examples).values():
        for example in members:
            group = group_of(example)
            if group in visited:
                continue
            visited.add(group)
            trained = sum(group_of(member) in chosen for member in members)
            if trained < wanted(len(members)):
                chosen.add(group)
    return chosen


def relative_file(example: Example, root: str | Path) -> str:
    """The picture's file as a split file lists it: relative to the data set; links keep their own
    names."""
    folder = Path(os.path.abspath(root if Path(root).is_dir() else Path(root).parent))
    image = Path(os.path.abspath(example.image))
    return (image.relative_to(folder) if image.is_relative_to(folder) else image).as_posix()
