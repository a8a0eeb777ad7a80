"""Whether a defect at a place would do what its name says, told before anything is painted
(docs/method.md, choice 16)."""

from __future__ import annotations

from collections.abc import Callable

from ..pictures.picture import Picture
from ..placement.paste import paste
from ..placement.places import Placed
from .effects import Effects, effect

PLACES = 3
"""Places of a mask on a picture that are tried until the defect has the class's effect there."""


def place_with_effect(
    draw: Callable[[int], Placed | None], picture: Picture, effects: Effects
) -> tuple[Placed | None, bool]:
    """A mask at the first of several places where its defect has the class's effect, else at the
    first of all.

    Args:
        draw: attempt 0, 1, .. -> a place on the picture; None: the mask fits nowhere.
        picture: the good one, ``[H, W, 3]``. effects: of the class.

    Returns:
        The place, None where there is none; and whether the defect has the effect there.
    """
    first: Placed | None = None
    for attempt in range(PLACES):
        placed = draw(attempt)
        if placed is None:
            break
        if shows_effect(picture, placed, effects):
            return placed, True
        first = first or placed
    return first, False


def shows_effect(picture: Picture, placed: Placed, effects: Effects) -> bool:
    """Whether the real defect, laid over the picture at its place, changes the number of connected
    areas as the real defects of the class do.

    Args:
        picture: the good one, ``[H, W, 3]``. placed: the defect there. effects: of the class.

    Returns:
        True also where it cannot be told: effects or pixels that are not known, a picture that is
        not two-toned.
    """
    if placed.exemplar is None or not effects.known:
        return True
    pasted = paste(picture, (placed.exemplar,))
    change = effect(picture.eight_bit(), pasted.eight_bit(), placed.mask)
    return change is None or effects.agrees(change)
