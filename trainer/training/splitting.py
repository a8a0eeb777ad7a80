"""Which pictures of a class a training learns from, and which it holds out."""

from __future__ import annotations

import logging

from bgdefect_core.pictures.listing import shown_names

from ..data.examples import Example
from ..data.splits import (
    OwnSides,
    Split,
    divide,
    group_of,
    own_sides,
    read_split,
    split_halves,
    split_k_shots,
)
from .config import TrainConfig

__all__ = ["split_of"]

log = logging.getLogger(__name__)


def split_of(config: TrainConfig, examples: list[Example]) -> Split:
    """As the split file of the settings says, else by the data set's own sides, else the shots or
    the half of the settings.

    Raises:
        DataError: a split that cannot be.
    """
    if config.split_file is not None:
        return read_split(config.split_file, examples, config.data)
    sides = own_sides(examples, config.data)
    if sides is not None:
        return _split_of_sides(config, sides)
    if config.shots is not None:
        return split_k_shots(examples, config.shots)
    return split_halves(examples, config.fold or 0)


def _split_of_sides(config: TrainConfig, sides: OwnSides) -> Split:
    """Of the side train all pictures, or those that the settings choose, are learned; the others
    and val are held out, and test is not read."""
    split = Split(sides.train, ())
    if config.shots is not None:
        split = split_k_shots(sides.train, config.shots)
    elif config.fold is not None:
        split = split_halves(sides.train, config.fold)
    others = ", val is held out" * bool(sides.val) + ", test is not read" * bool(sides.test)
    text = "%s has sides of its own (%s): %d pictures of train are learned%s; --sides none reads "
    log.info(text + "the sides together", config.data, sides, len(split.train), others)
    learned = set(map(group_of, split.train))
    shared, _ = divide([*sides.val, *sides.test], learned)
    if shared:
        names = shown_names([example.image.name for example in shared])
        text = "%s: %s show parts that are learned from too: tests on them are not independent"
        log.warning(text, config.data, names)
    _, unseen = divide(sides.val, learned)
    return Split(split.train, (*split.held_out, *unseen))
