"""What a detector of each arm is trained on, and the drawing of its crops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from bgdefect_core.crop import crop_box, take
from bgdefect_core.masks import Mask, coverage
from bgdefect_core.pictures import Picture, read_picture

from ..data import Example, load_example
from .samples import SampleSet
from .synthetic import Pair, augmented, cut_paste, perlin_blend, window

Maker = Callable[[Picture, Picture, np.random.Generator], Pair]
"""A good crop and another one -> a synthetic defect."""


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

    def draw(self, side: int, synthetic_share: float, rng: np.random.Generator) -> Pair:
        """A crop and its mask: a good one or a defect by the toss of a coin; a synthetic defect with probability
        ``synthetic_share`` where the arm has both kinds."""
        if rng.integers(2):
            pair = self._good(side, rng)
        else:
            has_synthetic = bool(self.synthetic) or self.maker is not None
            synthetic = has_synthetic and (not self.real or rng.random() < synthetic_share)
            if not synthetic:
                pair = window(*self.real[int(rng.integers(len(self.real)))], side, rng, on_defect=True)
            elif self.maker is None:
                pair = window(*self.synthetic[int(rng.integers(len(self.synthetic)))], side, rng, on_defect=True)
            else:
                pair = self.maker(self._good(side, rng)[0], self._good(side, rng)[0], rng)
        return augmented(pair, rng) if self.augment else pair

    def _good(self, side: int, rng: np.random.Generator) -> Pair:
        picture = self.good[int(rng.integers(len(self.good)))]
        return window(picture, np.zeros(picture.shape[:2], np.bool_), side, rng, on_defect=False)


def squared(picture: Picture, mask: Mask | None, side: int) -> Pair:
    """Picture and mask as a square of ``side`` pixels: mirrored to a square first, the mask resized by area.

    A cell is defect where more than half of it is; a defect that would vanish so keeps its most covered cell.

    Args:
        mask: bool ``[H, W]``; None: a good picture.
    """
    height, width = picture.shape[:2]
    empty = np.zeros((height, width), np.bool_)
    crop = crop_box(empty, side, "whole")
    small = take(picture, crop, side)
    if mask is None:
        return small, np.zeros((side, side), np.bool_)
    if height == width == side:
        return small, mask
    full = torch.from_numpy(take(mask, crop, crop.side))
    share = coverage(full[None, None], (side, side))[0, 0].numpy()
    found = share > 0.5
    if mask.any() and not found.any():
        found = share == share.max()
    return small, found


def load_pairs(examples: Sequence[Example], side: int) -> list[Pair]:
    """The pictures of one side of a fold; good ones have empty masks."""
    pairs = []
    for example in examples:
        picture, mask = load_example(example) if example.masks else (read_picture(example.image), None)
        pairs.append(squared(picture, mask, side))
    return pairs


def sample_pairs(samples: SampleSet, side: int, mask: str) -> list[Pair]:
    """Generated samples with their labels: "refined", or "requested"."""
    return [squared(one.picture, one.label if mask == "refined" else one.requested, side) for one in samples.samples]


def cut_paste_maker(good: Picture, other: Picture, rng: np.random.Generator) -> Pair:
    """CutPaste on one good crop; the other is not needed."""
    return cut_paste(good, rng)


def perlin_maker(good: Picture, other: Picture, rng: np.random.Generator) -> Pair:
    """A Perlin blend of two good crops."""
    return perlin_blend(good, other, rng)
