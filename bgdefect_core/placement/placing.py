"""New defect masks, varied from a class's real ones and laid wholly on the part.

A mask is placed exactly: correlating "off the part" with the mask gives for every offset the number
of defect pixels that would fall off; all offsets with none are valid, and one is drawn uniformly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from ..errors import DataError
from ..pictures.masks import Mask, trimmed
from .exemplar import Exemplar, exemplar_at
from .settings import PlacementSettings
from .surroundings import Likeness, Surroundings
from .variation import Variation, vary_mask

_STARTS = 8
_NEIGHBOURS = np.array(
    [(row, column) for row in (-1, 0, 1) for column in (-1, 0, 1) if row or column]
)


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


@dataclass(frozen=True, eq=False)
class Placed:
    """A new mask at its place on a picture."""

    mask: Mask
    """bool ``[H, W]`` of the picture."""
    difference: float | None
    """How far the place differs from the real defect's surroundings, 0 and up
    (:meth:`Likeness.difference`); None where these are not known."""
    exemplar: Exemplar | None
    """The real defect's pixels for this place; None where its picture is not known."""


@dataclass(frozen=True, eq=False)
class _Fitting:
    """A variation of a mask, and places for it."""

    variation: Variation
    allowed: Mask
    """Where its box may begin: ``[rows, columns]``."""
    corners: NDArray[np.int64]
    """``[N, 2]``: top, left."""
    differences: NDArray[np.float32]
    """``[N]``; see :meth:`Likeness.difference`."""


def _fittings(
    part: Mask,
    masks: Sequence[Mask],
    rng: np.random.Generator,
    settings: PlacementSettings,
    surroundings: Sequence[Surroundings | None] | None,
    likeness: Likeness | None,
) -> list[_Fitting]:
    """Variations of one mask that fit on the part, with the places drawn for each; the arguments of
    :func:`place_mask`."""
    compared = likeness is not None and settings.places * settings.variations > 1
    fittings: list[_Fitting] = []
    drawn = 0
    spectrum: NDArray[Any] | None = None
    size = [fft.next_fast_len(length, real=True) for length in part.shape]
    for number in range(settings.tries):
        if not fittings:  # a mask that fits is taken for all: every real mask has its share
            drawn = int(rng.integers(len(masks)))
        around = surroundings[drawn] if surroundings and compared else None
        square = around is not None and number % 2 == 1
        variation = vary_mask(masks[drawn], rng, settings, around, square)
        patch, wanted = variation.mask, variation.wanted
        rows, columns = part.shape[0] - patch.shape[0] + 1, part.shape[1] - patch.shape[1] + 1
        if rows < 1 or columns < 1 or patch.sum() >= part.size:
            continue
        if part.all():
            allowed = np.ones((rows, columns), np.bool_)
        else:
            if spectrum is None:
                spectrum = fft.rfft2((~part).astype(np.float64), size)
            off = fft.irfft2(spectrum * np.conj(fft.rfft2(patch.astype(np.float64), size)), size)
            allowed = off[:rows, :columns] < 0.5  # whole numbers but for rounding of about 1e-9
        valid = np.flatnonzero(allowed)
        if not valid.size:
            continue
        places = rng.choice(valid, settings.places if wanted else 1)
        corners = np.stack(np.divmod(places, columns), axis=1)
        differences = np.zeros(1, np.float32)
        if wanted and likeness:
            differences = likeness.difference(wanted, corners)
        fittings.append(_Fitting(variation, allowed, corners, differences))
        if wanted is None or len(fittings) == settings.variations:
            break
    return fittings


def _nearer(fitting: _Fitting, likeness: Likeness, starts: Mask) -> _Fitting:
    """More places: from each of ``starts`` ``[N]``, on to the best of its eight neighbours where
    that is better, in steps from the ring's width down to a pixel."""
    wanted = fitting.variation.wanted
    if wanted is None or not starts.any():
        return fitting
    corners, differences = fitting.corners[starts], fitting.differences[starts]
    step = wanted.reach
    while step:
        around = corners[:, None] + step * _NEIGHBOURS
        inside = ((around >= 0) & (around < fitting.allowed.shape)).all(axis=2)
        inside[inside] = fitting.allowed[tuple(around[inside].T)]
        nearby = np.full(inside.shape, np.inf, np.float32)
        nearby[inside] = likeness.difference(wanted, around[inside])
        best = nearby.argmin(axis=1)
        better = nearby.min(axis=1) < differences
        corners[better] = around[better, best[better]]
        differences[better] = nearby[better, best[better]]
        step //= 2
    return _Fitting(
        fitting.variation,
        fitting.allowed,
        np.concatenate([fitting.corners, corners]),
        np.concatenate([fitting.differences, differences]),
    )


def _all_nearer(fittings: Sequence[_Fitting], likeness: Likeness) -> list[_Fitting]:
    """Move on from the ``_STARTS`` best places of all variations together."""
    differences = [fitting.differences for fitting in fittings]
    order = np.argsort(np.concatenate(differences), kind="stable")
    best = np.zeros(len(order), np.bool_)
    best[order[:_STARTS]] = True
    moved = []
    first = 0
    for fitting in fittings:
        after = first + len(fitting.differences)
        moved.append(_nearer(fitting, likeness, best[first:after]))
        first = after
    return moved


def place_mask(
    part: Mask,
    masks: Sequence[Mask],
    rng: np.random.Generator,
    settings: PlacementSettings | None = None,
    surroundings: Sequence[Surroundings | None] | None = None,
    likeness: Likeness | None = None,
) -> Placed | None:
    """A new mask that lies wholly on the part.

    Each try draws one of the masks, varies it, and finds every offset at which none of its pixels
    falls off the part or the picture; one of them is drawn uniformly. Where the mask's real
    surroundings are known, ``settings.variations`` of it that fit draw ``settings.places`` offsets
    each; the best are moved to where it fits better still, and one is drawn of those where the good
    picture looks most like them (:meth:`Template.alike`).

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
    fittings = _fittings(part, masks, rng, settings, surroundings, likeness)
    if not fittings:
        return None
    if likeness is not None and fittings[0].variation.wanted is not None:
        fittings = _all_nearer(fittings, likeness)
    least = min(float(fitting.differences.min()) for fitting in fittings)
    alike: list[tuple[Variation, NDArray[Any], float]] = []
    for fitting in fittings:
        wanted = fitting.variation.wanted
        limit = wanted.alike(least) if wanted else least
        chosen = fitting.differences <= limit
        for corner, difference in zip(
            fitting.corners[chosen], fitting.differences[chosen], strict=True
        ):
            alike.append((fitting.variation, corner, float(difference)))
    variation, corner, difference = alike[int(rng.integers(len(alike)))]
    return _placed(part.shape, variation, corner, difference)


def _placed(
    shape: tuple[int, ...], variation: Variation, corner: NDArray[Any], difference: float
) -> Placed:
    """A variation with its box at ``corner`` (top, left) of a picture of ``shape``."""
    top, left = corner.tolist()
    height, width = variation.mask.shape
    mask = np.zeros(shape, np.bool_)
    mask[top : top + height, left : left + width] = variation.mask
    if variation.wanted is None:
        return Placed(mask, None, None)
    return Placed(mask, difference, exemplar_at(variation, top, left))
