"""What a detector of each arm is trained on, and the drawing of its crops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from bgdefect_core.pictures.files import Picture

from ..samples.sample_set import SampleSet
from ..samples.synthetic import Pair, augmented, cut_paste, perlin_blend, texture, visible, window
from .pictures import squared

Maker = Callable[[Picture, Picture, np.random.Generator], Pair]
"""A good crop and one of another good picture -> a synthetic defect."""
Purpose = Literal["kind", "picture", "crop", "synthetic", "augmentation"]
_PURPOSES: tuple[Purpose, ...] = get_args(Purpose)
_TRIES = 8
"""Of a synthetic defect that cannot be seen."""


@dataclass(frozen=True)
class ArmData:
    """One arm's training data, all of one side length."""

    good: Sequence[Picture]
    real: Sequence[Pair]
    synthetic: Sequence[Pair] = ()
    maker: Maker | None = None
    """Makes synthetic defects from good crops."""
    augment: bool = False
    """Classical augmentation of every draw."""

    def draw(self, side: int, synthetic_share: float, key: Sequence[int]) -> Pair:
        """A crop and its mask: a good one or a defect by the toss of a coin; a synthetic defect
        with probability ``synthetic_share`` where the arm has both kinds.

        Args:
            key: which draw it is. Every purpose has a generator of its own, so that arms agree in
                all that they have in common.
        """

        def generator(purpose: Purpose) -> np.random.Generator:
            return np.random.default_rng((*key, _PURPOSES.index(purpose)))

        kind, picture, crop = (generator(purpose) for purpose in ("kind", "picture", "crop"))
        good, synthetic = kind.random() < 0.5, not self.real or kind.random() < synthetic_share
        has_synthetic = bool(self.synthetic) or self.maker is not None
        if good:
            pair = self._good(int(picture.integers(len(self.good))), side, crop)
        elif not (synthetic and has_synthetic):
            pair = window(
                *self.real[int(picture.integers(len(self.real)))], side, crop, on_defect=True
            )
        elif self.maker is None:
            pair = window(
                *self.synthetic[int(picture.integers(len(self.synthetic)))],
                side,
                crop,
                on_defect=True,
            )
        else:
            pair = self._made(
                self.maker,
                int(picture.integers(len(self.good))),
                side,
                crop,
                generator("synthetic"),
            )
        return augmented(pair, generator("augmentation")) if self.augment else pair

    def _good(self, index: int, side: int, rng: np.random.Generator) -> Pair:
        picture = self.good[index]
        return window(picture, np.zeros(picture.shape[:2], np.bool_), side, rng, on_defect=False)

    def _made(
        self,
        maker: Maker,
        index: int,
        side: int,
        crop: np.random.Generator,
        rng: np.random.Generator,
    ) -> Pair:
        """A synthetic defect in one good crop; what cannot be seen is drawn again, at last the good
        crop is left as it is."""
        good, empty = self._good(index, side, crop)
        for _ in range(_TRIES):
            other = (index + int(rng.integers(1, max(len(self.good), 2)))) % len(self.good)
            made = maker(good, self._good(other, side, rng)[0], rng)
            if visible(good, made):
                return made
        return good, empty


def sample_pairs(samples: SampleSet, side: int, mask: str) -> list[Pair]:
    """Generated samples with their labels: "refined", or "requested"."""
    return [
        squared(one.picture, one.label if mask == "refined" else one.requested, side)
        for one in samples.samples
    ]


def cut_paste_maker(good: Picture, other: Picture, rng: np.random.Generator) -> Pair:
    """CutPaste out of the other good crop."""
    return cut_paste(good, other, rng)


def perlin_maker(good: Picture, other: Picture, rng: np.random.Generator) -> Pair:
    """A Perlin blend with a drawn texture; the other good crop is not needed."""
    return perlin_blend(good, texture(good.shape[0], rng), rng)
