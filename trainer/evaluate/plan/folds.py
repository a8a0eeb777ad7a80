"""Which pictures train, validate the class trainings and test: three sides that share no group.

The halves are those of the paper (``split_halves``). The validation part is taken from the training
side and is the same for every arm, including the ceiling. A good picture belongs to the side of the
defects of its part (``group``), whatever folder it lies in. Good pictures of a part without defects
train if they come from ``train/good`` and test if they come from ``test/good``; where one side has
none at all, the other's are divided into halves.

A data set that has sides of its own has one fold: it tests on its side test, or on val where there
is none. Where it has both, val is the validation part.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ...data.examples import Example
from ...data.layouts import find_examples, good_examples
from ...data.splits import Split, divide, group_of, own_sides, split_halves
from .fold import Examples, Fold, Group, check_fold, join_folds
from .settings import PlanSettings

log = logging.getLogger(__name__)


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
    sides = own_sides(examples, settings.data)
    if sides is not None:
        text = "%s: the own sides of %s / %s (%s) are the only fold; --sides none reads them "
        log.info(text + "together", settings.data, object, defect, sides)
        if sides.test and sides.val:
            wanted = min(settings.validation, len(sides.val))
            return _DefectSides(sides.train, sides.val, sides.test, wanted)
    halves = split_halves(examples, number) if sides is None else Split(sides.train, sides.held)
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
    chosen: list[Example] = []
    if any(example.side == "test" for example in good_test):
        chosen = [example for example in good_test if example.side == "val"]
        good_test = [example for example in good_test if example.side != "val"]
    bound = training | choosing | testing
    has_test = good_test or divide(good, testing)[0]
    if good == good_test or not good or not has_test:  # a csv, or a folder, without sides
        halves = split_halves(good or good_test, 0)
        good, good_test = list(halves.train), list(halves.held_out)
    unbound = _groups(good) - bound
    every = [*good, *good_test]
    train = divide(every, training)[0] + divide(good, unbound)[0]
    validation = divide(every, choosing)[0] + divide(chosen, bound)[1]
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
