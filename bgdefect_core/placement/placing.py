"""New defect masks, varied from a class's real ones and laid wholly on the part."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..pictures.masks import Mask, trimmed
from .coarse import CoarsePicture
from .likeness import Likeness
from .places import Placed, tight_place
from .search import Search
from .settings import PlacementSettings
from .surroundings import Surroundings
from .variation import vary_mask

__all__ = ["MaskLibrary", "Placed", "place_mask", "place_one"]


class MaskLibrary:
    """The real masks of one defect class: the shapes that new masks are made from.

    Args:
        masks: bool [H, W] each, none empty.
        names: where each came from (file names), for the manifest; None: their numbers.
        surroundings: of each (``surroundings.surroundings_of``), None where its picture is not
            known; None: all unknown.
        origins: of each, its file, or the folder of its parts. files: all that were read, pictures
            too.

    Attributes:
        patches: the masks, each cut to its box. names, surroundings: one for each. origins, files:
            as given.

    Raises:
        DataError: no masks, or another number of names. MaskError: an empty one.
    """

    def __init__(
        self,
        masks: Iterable[Mask],
        names: Sequence[str] | None = None,
        surroundings: Sequence[Surroundings | None] | None = None,
        origins: Sequence[Path] = (),
        files: Sequence[Path] = (),
    ) -> None:
        self.patches = [trimmed(mask) for mask in masks]
        count = len(self.patches)
        self.names = list(map(str, range(count))) if names is None else list(names)
        self.surroundings = [None] * count if surroundings is None else list(surroundings)
        self.origins = list(origins)
        self.files = list(files)
        if not self.patches:
            raise DataError(
                "the mask library is empty",
                "at least one real mask",
                "give masks of the defect class",
            )
        if len(self.names) != len(self.patches):
            raise DataError(
                f"{len(self.names)} names for {len(self.patches)} masks", "one name a mask"
            )


def place_mask(
    part: Mask,
    masks: Sequence[Mask],
    rng: np.random.Generator,
    settings: PlacementSettings | None = None,
    surroundings: Sequence[Surroundings | None] | None = None,
    likeness: Likeness | None = None,
) -> Placed | None:
    """A new mask that lies wholly on the part.

    One of the masks is drawn; another where it fits nowhere. Where its real surroundings are known,
    ``settings.variations`` of it are looked for at all places, and one of the places that look most
    like them is drawn (:class:`Search`). Where they are not known, or no such place is found, up to
    ``settings.tries`` variations are made, and of the first that fits an offset is drawn at which
    none of its pixels falls off the part or the picture.

    Args:
        part: bool [H, W] from ``part_mask``.
        masks: a library's ``patches``, or one alone, ``[library.patches[i]]``, to record its origin
            ``names[i]``.
        rng: the only source of randomness: the same generator state gives the same mask.
        settings: ranges and number of tries; None: the defaults.
        surroundings: a library's own, one for each of ``masks``, or None. likeness: of the good
            picture; needed with them.

    Returns:
        The mask and how it fits, or None where no variation fits: the caller counts these.
    """
    settings = settings or PlacementSettings()
    compared = surroundings is not None and likeness is not None and settings.variations > 0
    for _ in range(settings.tries):
        drawn = int(rng.integers(len(masks)))
        around = surroundings[drawn] if surroundings and compared else None
        search = None
        if around is not None:
            search = Search(trimmed(masks[drawn]), around, rng, settings)
        placed = place_one(masks[drawn], search, part, rng, settings, likeness)
        if placed is not None:
            return placed
        if len(masks) == 1:
            break
    return None


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
