"""What a defect does on two-toned pictures: it adds or removes connected areas of a tone
(docs/method.md, choice 16).

An open cuts its trace: one area of copper more. A short joins two: one less. The rule knows no
names: the change of the number of areas of either tone is compared with the real defects' own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..pictures.masks import Mask, bounding_box
from ..pictures.picture import Pixels
from ..pictures.tones import lighter_tone, two_tones
from ..placement.library import MaskLibrary
from ..placement.surroundings import colours_around, surroundings_margin

LEAST_AREA = 0.3
"""Areas smaller than this share of the mask do not count: crumbs."""
LEAST_KNOWN = 5
"""Real defects that must be known before a sample is rejected for its effect."""
LEAST_AGREED = 0.9
"""Share of them that must change the number of areas the same way."""
ONE_TONE = 0.95
"""Share of a mask's pixels in one tone from which it is the mask of the changed pixels: before the
defect they had the other tone. Against the aligned good pictures that gave the same change for all
of 154 mousebites and pin holes. Of wider masks, whatever fills them, half of the drawn opens came
out wrong: their effect counts as not known."""
TONES = ("dark", "light")

Change = tuple[int, int]
"""How many areas more, or fewer: of the darker tone, of the lighter tone."""


@dataclass(frozen=True)
class Effects:
    """What the known real defects of a class do."""

    changes: tuple[Change, ...]
    """Of each; empty where the pictures are not two-toned."""
    wide: int = 0
    """Real defects on two-toned pictures whose mask is wider than the changed pixels."""

    @property
    def expected(self) -> tuple[int | None, int | None]:
        """Of each tone, the way in which nearly all real defects change its number of areas: -1
        fewer, 0 as many, 1 more; None: no such way, or too few are known."""
        return self._expected(0), self._expected(1)

    def _expected(self, tone: int) -> int | None:
        if len(self.changes) < LEAST_KNOWN:
            return None
        ways = np.sign([change[tone] for change in self.changes])
        for way in (-1, 0, 1):
            if (ways == way).mean() >= LEAST_AGREED:
                return way
        return None

    @property
    def known(self) -> bool:
        """Whether samples can be held against them."""
        return self.expected != (None, None)

    @property
    def share(self) -> float:
        """Share of the real defects themselves that do what is expected, 0..1."""
        agreeing = [self.agrees(change) for change in self.changes]
        return float(np.mean(agreeing)) if agreeing else 0.0

    def agrees(self, change: Change) -> bool:
        """Whether a change goes the way that nearly all real defects go, in each tone that has
        one."""
        return goes_the_ways(change, self.expected)

    def gate_in_words(self) -> str:
        """Whether samples are held to an effect, and why not; "" where the pictures are not
        two-toned."""
        if self.known:
            return f"samples must have the effect of the real defects: {self.in_words()}"
        told = len(self.changes)
        if not told and not self.wide:
            return ""
        reason = "the real defects have none in common"
        if told < LEAST_KNOWN:
            reason = f"that of {told} real defects is known, {LEAST_KNOWN} are needed"
        if self.wide:
            reason += f"; {self.wide} masks are wider than the pixels that their defect changed"
        return f"samples are not held to an effect on connected areas: {reason}"

    def in_words(self) -> str:
        """What is expected, such as ``dark areas +1``."""
        words = []
        for tone, way in zip(TONES, self.expected, strict=True):
            if way is not None:
                words.append(f"{tone} areas {('fewer', 'as many', 'more')[way + 1]}")
        return ", ".join(words)


def goes_the_ways(change: Change, ways: Sequence[int | None]) -> bool:
    """Whether a change goes the way of each tone that has one, of dark and light areas."""
    for wanted, difference in zip(ways, change, strict=True):
        if wanted is not None and np.sign(difference) != wanted:
            return False
    return True


def effects_of(library: MaskLibrary) -> Effects:
    """The effects of the real defects of a library whose picture is known and two-toned; before
    them the mask had the other tone. Masks that are wider than the changed pixels do not count."""
    changes: list[Change] = []
    wide = 0
    for mask in library.masks:
        around = mask.surroundings
        light = None if around is None else lighter_tone(around.colours)
        if around is None or light is None:
            continue
        change = _change_of_real(around.colours, light, np.pad(mask.patch, around.margin))
        if change is None:
            wide += 1
        else:
            changes.append(change)
    return Effects(tuple(changes), wide)


def effect(picture: Pixels, result: Pixels, mask: Mask) -> Change | None:
    """The change of the number of areas around a mask.

    Args:
        picture, result: uint8 ``[H, W, 3]``, before and after. mask: bool ``[H, W]``, not empty.

    Returns:
        None where ``picture`` is not two-toned.
    """
    tones = two_tones(picture)
    if tones is None:
        return None
    cut = _between(tones)
    window = bounding_box(mask).with_margin(surroundings_margin(mask))
    light_before = picture[window].mean(axis=2) > cut
    light_after = result[window].mean(axis=2) > cut
    inside = np.ones_like(light_before)
    return change_of_areas(light_before, light_after, inside, int(mask.sum()))


def effect_of_real(picture: Pixels, mask: Mask) -> Change | None:
    """The effect of a real defect, uint8 ``[H, W, 3]`` with its mask; before it the mask had the
    other tone. None where the picture around it is not two-toned, or the mask is wider than the
    changed pixels."""
    colours, patch = colours_around(picture, mask)
    light = lighter_tone(colours)
    return None if light is None else _change_of_real(colours, light, patch)


def change_of_areas(before: Mask, after: Mask, inside: Mask, mask_area: int) -> Change:
    """The change of the number of areas.

    Args:
        before, after: bool ``[h, w]``, True: the lighter tone. inside: False beyond the picture.
        mask_area: pixels of the mask: areas below ``LEAST_AREA`` of it do not count.
    """
    least = max(LEAST_AREA * mask_area, 1)
    dark = _areas(~after & inside, least) - _areas(~before & inside, least)
    light = _areas(after & inside, least) - _areas(before & inside, least)
    return dark, light


def _change_of_real(colours: NDArray[np.float32], light: Mask, mask: Mask) -> Change | None:
    """None: the mask is wider than the changed pixels."""
    inside = np.isfinite(colours[..., 0])
    share = float(light[mask].mean())
    if max(share, 1 - share) < ONE_TONE:
        return None
    before = np.where(mask, share < 0.5, light)
    return change_of_areas(before, light, inside, int(mask.sum()))


def _between(tones: NDArray[np.uint8 | np.uint16]) -> float:
    return float(tones.mean(axis=1).mean())


def _areas(tone: Mask, least: float) -> int:
    """Connected areas (by sides) of at least so many pixels."""
    labels, _ = ndimage.label(tone)
    return int((np.bincount(labels.ravel())[1:] >= least).sum())
