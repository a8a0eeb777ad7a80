"""The training data of one detector, and the drawing of its crops.

Draws are balanced: every second one shows a defect, synthetic defects come at even distances, and
each picture of a kind is drawn once before any is drawn again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from math import floor
from typing import Any

import numpy as np

from bgdefect_core.pictures.picture import Pixels

from .arms.arm import Maker
from .pictures import Pair, window

LEAST_CHANGE = 10
"""Gray levels of 255 by which a synthetic defect must differ from the good crop at its
strongest."""
_TRIES = 8
"""Attempts at a synthetic defect that can be seen."""


class Purpose(IntEnum):
    """What a random generator of a draw is used for; part of the generator's seed."""

    PICTURE = 1
    CROP = 2
    SYNTHETIC = 3
    AUGMENTATION = 4
    GOOD = 5


@dataclass(frozen=True)
class ArmData:
    """The training data of one arm; all pictures are squares of one side."""

    good: Sequence[Pixels]
    real: Sequence[Pair]
    synthetic: Sequence[Pair] = ()
    maker: Maker | None = None
    """Draws synthetic defects into good crops."""
    augment: bool = False
    """Classical augmentation of every draw."""

    def draw(self, side: int, synthetic_share: float, seed: int, number: int) -> Pair:
        """A crop and its truth; odd draws are good, even ones have a defect.

        Args:
            side: of the crop in pixels. synthetic_share: of the defect draws where the arm has both
                kinds, 0..1. seed, number: of the detector and of the draw. Every purpose has its
                own random generator, so that arms share the draws that they have in common.
        """

        def generator(purpose: Purpose) -> np.random.Generator:
            return np.random.default_rng((seed, number, purpose))

        crop = generator(Purpose.CROP)
        turn, is_good = divmod(number, 2)
        synthetic = not self.real or _is_synthetic(turn, synthetic_share)
        if is_good:
            index = balanced(len(self.good), turn, seed, Purpose.GOOD)
            pair = self._good(index, side, crop)
        elif synthetic and self.maker is not None:
            index = balanced(len(self.good), turn, seed, Purpose.PICTURE)
            pair = self._drawn(self.maker, index, side, crop, generator(Purpose.SYNTHETIC))
        else:
            defects = self.synthetic if synthetic and self.synthetic else self.real
            index = balanced(len(defects), turn, seed, Purpose.PICTURE)
            pair = window(*defects[index], side, crop, on_defect=True)
        return augmented(pair, generator(Purpose.AUGMENTATION)) if self.augment else pair

    def _good(self, index: int, side: int, rng: np.random.Generator) -> Pair:
        picture = self.good[index]
        return window(picture, np.zeros(picture.shape[:2], np.bool_), side, rng, on_defect=False)

    def _drawn(
        self,
        maker: Maker,
        index: int,
        side: int,
        crop: np.random.Generator,
        rng: np.random.Generator,
    ) -> Pair:
        """A synthetic defect in a good crop. An invisible one is drawn again; after the last
        attempt the crop stays good."""
        good, empty = self._good(index, side, crop)
        for _ in range(_TRIES):
            step = int(rng.integers(1, max(len(self.good), 2)))
            donor, _ = self._good((index + step) % len(self.good), side, rng)
            pair = maker(good, donor, rng)
            if visible(good, pair):
                return pair
        return good, empty


def _is_synthetic(turn: int, share: float) -> bool:
    """Whether the defect draw of this number is synthetic: of any n in a row, n times the share
    are, rounded down or up."""
    return floor((turn + 1) * share) > floor(turn * share)


def balanced(count: int, turn: int, seed: int, purpose: Purpose) -> int:
    """A random index below ``count``; each ``count`` turns go through all of them once."""
    lap, place = divmod(turn, count)
    order = np.random.default_rng((seed, lap, purpose, count)).permutation(count)
    return int(order[place])


def visible(good: Pixels, pair: Pair) -> bool:
    """Whether the picture differs from the good one by ``LEAST_CHANGE`` somewhere in the mask."""
    picture, mask = pair
    change = np.abs(picture[mask > 0].astype(np.int16) - good[mask > 0])
    return bool(change.size and change.max() >= LEAST_CHANGE)


def augmented(pair: Pair, rng: np.random.Generator) -> Pair:
    """Classical augmentation: quarter turns and a flip, brightness and contrast by up to 20 %, a
    little noise."""
    turns, flip = int(rng.integers(4)), bool(rng.integers(2))
    picture: Any
    truth: Any
    picture, truth = np.rot90(pair[0], turns), np.rot90(pair[1], turns)
    if flip:
        picture, truth = picture[:, ::-1], truth[:, ::-1]
    contrast = 1 + rng.uniform(-0.2, 0.2)
    brightness = 255 * rng.uniform(-0.2, 0.2)
    noisy = (picture.astype(np.float32) - 127.5) * contrast + 127.5 + brightness
    noisy += rng.normal(0, 255 * rng.uniform(0, 0.02), picture.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8), np.ascontiguousarray(truth)
