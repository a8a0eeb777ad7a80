"""Turns: parts of the known defects and of the good pictures, each held out once. Pictures of one
group stay together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bgdefect_core.errors import DataError
from bgdefect_core.pictures.listing import mask_key, picture_key

from ...data.examples import Example, validate
from ...data.layouts import find_class, good_examples
from ...data.splits import Split, divide, group_of, read_split
from .settings import MissesConfig

Group = tuple[str, str]


@dataclass(frozen=True)
class Turn:
    """What is held out together."""

    known: tuple[Example, ...]
    good: tuple[Example, ...]
    """May be empty where there are fewer good pictures than turns."""


@dataclass(frozen=True)
class KnownSide:
    """The training side of a class, and its turns."""

    known: tuple[Example, ...]
    good: tuple[Example, ...]
    """Good pictures of parts that the split does not hold out."""
    held_out: tuple[Example, ...]
    """Defects that are not read; their names are refused."""
    turns: tuple[Turn, ...]

    def others(self, turn: Turn) -> Turn:
        """What a turn trains on."""
        return Turn(_without(self.known, turn.known), _without(self.good, turn.good))


def _without(examples: Sequence[Example], held_out: Sequence[Example]) -> tuple[Example, ...]:
    return tuple(example for example in examples if example not in held_out)


def known_side(config: MissesConfig) -> KnownSide:
    """The known defects and good pictures of a class in turns.

    Raises:
        DataError: several classes; a split that does not fit; fewer than two parts with known
            defects; too few good pictures; a file that cannot be used.
    """
    examples = find_class(config.data, config.object, config.defect, config.reading)
    split = read_split(config.split_file, examples, config.data)
    good = _good_of(
        split, good_examples(config.data, examples[0].object, reading=config.reading), config
    )
    validate(split.train)
    turns = make_turns(split.train, good, config.turns, config.seed)
    return KnownSide(split.train, good, split.held_out, turns)


def _good_of(
    split: Split, examples: Sequence[Example], config: MissesConfig
) -> tuple[Example, ...]:
    """Good pictures of parts that are not held out, at most so many.

    Raises:
        DataError: fewer than two.
    """
    _, unseen = divide(examples, _groups(split.held_out))
    order = np.random.default_rng((config.seed, 1)).permutation(len(unseen))
    drawn = sorted(order[: config.good or None].tolist())
    if len(drawn) < 2:
        came = f"{config.data} has {len(drawn)} good pictures of the training side"
        raise DataError(came, "at least 2", "add some")
    return tuple(unseen[index] for index in drawn)


def make_turns(
    known: Sequence[Example], good: Sequence[Example], count: int, seed: int
) -> tuple[Turn, ...]:
    """Divide known defects and good pictures into turns.

    Args:
        known: real defects. good: good pictures; those of a known defect's part are held out with
            it, the others are dealt out evenly.
        count: most turns. seed: of the random order.

    Raises:
        DataError: the known defects show fewer than two parts; a turn holds all good pictures out.
    """
    rng = np.random.default_rng((seed, 2))
    parts = _shuffled(known, rng)
    count = min(count, len(parts))
    if count < 2:
        came = f"{len(known)} known defects on {len(parts)} part"
        raise DataError(came, "at least 2 parts", "hold one out, and one is left to learn from")
    bound = set(parts)
    free = [group for group in _shuffled(good, rng) if group not in bound]
    turns: list[Turn] = []
    for number in range(count):
        groups = {*parts[number::count], *free[number::count]}
        turn = Turn(tuple(divide(known, groups)[0]), tuple(divide(good, groups)[0]))
        if len(turn.good) == len(good):
            came = "all good pictures are of the parts of one turn"
            raise DataError(came, "good pictures of other parts", "add some")
        turns.append(turn)
    return tuple(turns)


def _groups(examples: Iterable[Example]) -> set[Group]:
    return set(map(group_of, examples))


def _shuffled(examples: Iterable[Example], rng: np.random.Generator) -> list[Group]:
    """The groups in random order."""
    groups = sorted(_groups(examples))
    return [groups[index] for index in rng.permutation(len(groups)).tolist()]


def mask_source(example: Example) -> Path:
    """The file of a defect's mask, or the folder of its parts, as a mask library names it."""
    folder = example.label_file.parent
    is_folder_of_parts = picture_key(folder.name) == picture_key(example.image)
    return folder if is_folder_of_parts else example.label_file


def mask_keys(examples: Iterable[Example]) -> dict[str, Example]:
    """Key of the mask (:func:`mask_key`) -> real defect.

    Raises:
        DataError: two defects whose masks have one name: samples could not be told apart.
    """
    keyed: dict[str, Example] = {}
    for example in examples:
        key = mask_key(mask_source(example))
        if key in keyed:
            came = f"the masks of {keyed[key].image} and {example.image} have one name"
            raise DataError(came, "a name each", "rename one of them")
        keyed[key] = example
    return keyed
