"""Whether a defect at a place would do what its name says, told before anything is painted
(docs/method.md, choice 16)."""

from __future__ import annotations

from ..pictures.picture import Picture
from ..placement.paste import paste
from ..placement.places import Placed
from .effects import Effects, effect


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
