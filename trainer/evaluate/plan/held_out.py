"""The known real defects, each held out in turn: parts of them that share no group.

Everything that is made for the rest, class weights, samples and detectors, knows nothing of the
part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...data.examples import Example
from ...data.splits import divide, group_of
from .plan import Cell, DetectorScope


@dataclass(frozen=True)
class HeldOut:
    """A part of the known real defects, and the scope that knows the others."""

    examples: tuple[Example, ...]
    scope: DetectorScope


def parts_of(examples: Sequence[Example], count: int, seed: int) -> list[tuple[Example, ...]]:
    """The examples in parts whose sizes differ by at most one group; pictures of one group stay
    together.

    Args:
        count: of parts; fewer where there are fewer groups. seed: of the random order of groups.

    Returns:
        At least two parts, or none where there are fewer than two groups.
    """
    groups = sorted(set(map(group_of, examples)))
    count = min(count, len(groups))
    if count < 2:
        return []
    order = np.random.default_rng((seed, 29)).permutation(len(groups)).tolist()
    parts = []
    for first in range(count):
        chosen = {groups[index] for index in order[first::count]}
        parts.append(tuple(divide(examples, chosen)[0]))
    return parts


def hold_out(scope: DetectorScope, count: int, seed: int) -> list[HeldOut]:
    """Each part of the known real defects, with the scope that is left without it.

    Args:
        count: of parts; fewer where a class has fewer known groups. seed: of the parts.

    Returns:
        Empty where a class has no two groups of known defects.
    """
    counts = [len(parts_of(cell.shots, count, seed)) for cell in scope.cells]
    count = min(counts)
    turns: list[list[Example]] = [[] for _ in range(count)]
    for cell in scope.cells:
        for turn, part in zip(turns, parts_of(cell.shots, count, seed), strict=True):
            turn.extend(part)
    held: list[HeldOut] = []
    for number, turn in enumerate(turns):
        label = f"without{number}of{count}"
        groups = set(map(group_of, turn))
        cells: list[Cell] = []
        for cell in scope.cells:
            cells.append(_without(cell, groups, label))
        if not all(cell.shots for cell in cells):
            return []
        whole = _without(scope.whole, groups, label) if scope.is_joined else cells[0]
        held.append(HeldOut(tuple(turn), DetectorScope(whole, tuple(cells))))
    return held


def _without(cell: Cell, groups: set[tuple[str, str]], label: str) -> Cell:
    return replace(cell, shots=tuple(divide(cell.shots, groups)[1]), held_out=label)
