"""New defect masks, varied from a class's real ones and laid wholly on the part."""

from __future__ import annotations

import numpy as np

from ..pictures.masks import Mask
from .coarse import CoarsePicture
from .library import RealMask
from .likeness import Likeness
from .places import Placed, tight_place
from .search import Search, search_of
from .settings import PlacementSettings
from .variation import vary_mask

__all__ = ["Placed", "place_mask", "place_one"]


def place_mask(
    part: Mask,
    mask: RealMask,
    rng: np.random.Generator,
    settings: PlacementSettings | None = None,
    likeness: Likeness | None = None,
) -> Placed | None:
    """A new mask, varied from a real one, that lies wholly on the part.

    Where the real surroundings are known, ``settings.variations`` of the mask are looked for at all
    places, and one of the places that look most like them is drawn (:class:`Search`). Where they
    are not known, or no such place is found, up to ``settings.tries`` variations are made, and of
    the first that fits an offset is drawn at which none of its pixels falls off the part or the
    picture.

    Args:
        part: bool [H, W] from ``part_mask``.
        rng: the only source of randomness: the same generator state gives the same mask.
        settings: ranges and number of tries; None: the defaults.
        likeness: of the good picture; None: the surroundings are not compared.

    Returns:
        The mask and how it fits, or None where no variation fits: the caller counts these.
    """
    settings = settings or PlacementSettings()
    search = None if likeness is None else search_of(mask, rng, settings)
    return place_one(mask.patch, search, part, rng, settings, likeness)


def place_one(
    mask: Mask,
    search: Search | None,
    part: Mask,
    rng: np.random.Generator,
    settings: PlacementSettings,
    likeness: Likeness | None,
    coarse: CoarsePicture | None = None,
) -> Placed | None:
    """One real mask, varied and laid on the part.

    Args:
        mask: bool ``[h, w]``. search: its variations, where its surroundings are known and are to
            be compared with the picture of ``likeness``.
        part, rng, settings: as of :func:`place_mask`.
        coarse: the picture and the part, shrunk on the search's grid; None: shrunk here.

    Returns:
        None where none of ``settings.tries`` variations fits.
    """
    around = None
    if search is not None and likeness is not None:
        around = search.around
        if coarse is None:
            coarse = search.shrunk(likeness.picture, part)
        placed = search.place(search.look(coarse), likeness, part, rng)
        if placed is not None:
            return placed
    for attempt in range(settings.tries):
        variation = vary_mask(mask, rng, settings, around, around is not None and attempt % 2 == 1)
        placed = tight_place(variation, likeness if around else None, part, rng)
        if placed is not None:
            return placed
    return None
