"""Pictures with their defect masks at the detector's size, and crops of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image

from bgdefect_core.pictures.masks import Mask
from bgdefect_core.pictures.picture import Pixels
from bgdefect_core.pictures.reading import read_of_folder

from ...data.examples import Example, load_example, load_others
from ..plan.fold import Fold
from ..samples.sample_set import by_area
from .truth import Truth, defect_of, truth_of

Pair = tuple[Pixels, Truth]
"""uint8 ``[H, W, 3]`` and what is true of its pixels."""


@dataclass(frozen=True)
class FoldPictures:
    """The pictures of one fold as squares, read when they are first needed."""

    fold: Fold
    side: int
    """In pixels."""

    @cached_property
    def good(self) -> list[Pixels]:
        """Good pictures to train on."""
        return [picture for picture, _ in load_pairs(self.fold.good_train, self.side)]

    @cached_property
    def test(self) -> list[Pair]:
        """Held-out defects, then good pictures."""
        return load_pairs([*self.fold.test, *self.fold.good_test], self.side)


def window(
    picture: Pixels, truth: Truth, side: int, rng: np.random.Generator, on_defect: bool
) -> Pair:
    """A random crop of ``side`` pixels.

    Args:
        on_defect: the crop contains a defect pixel, which is chosen at random.
    """
    height, width = truth.shape
    low, high = [0, 0], [height - side, width - side]
    if on_defect:
        pixels = np.argwhere(defect_of(truth))
        pixel = pixels[int(rng.integers(len(pixels)))]
        for axis, position in enumerate(pixel.tolist()):
            low[axis] = max(position - side + 1, 0)
            high[axis] = min(position, high[axis])
    top = int(rng.integers(low[0], high[0] + 1))
    left = int(rng.integers(low[1], high[1] + 1))
    crop = slice(top, top + side), slice(left, left + side)
    return picture[crop], truth[crop]


def squared(picture: Pixels, mask: Mask | None, side: int, others: Mask | None = None) -> Pair:
    """Pixels and truth, resized to a square of ``side`` pixels whatever their shape.

    Detectors in the literature resize in this way. Masks are resized by area.

    Args:
        mask: bool ``[H, W]``; None: a good picture, whose mask is empty. others: what is neither
            defect nor background, bool ``[H, W]``.
    """
    square = picture
    if picture.shape[:2] != (side, side):
        enlarged = max(picture.shape[:2]) < side
        method = Image.Resampling.BICUBIC if enlarged else Image.Resampling.LANCZOS
        square = np.asarray(Image.fromarray(picture).resize((side, side), method))
    if mask is None:
        return square, np.zeros((side, side), np.bool_)
    size = (side, side)
    return square, truth_of(by_area(mask, size), None if others is None else by_area(others, size))


def load_pairs(examples: Sequence[Example], side: int) -> list[Pair]:
    """The examples as squares of ``side`` pixels; good pictures have empty masks."""
    pairs = []
    for example in examples:
        if not example.is_good:
            picture, mask = load_example(example)
            others = load_others(example, (mask.shape[0], mask.shape[1]))
            pairs.append(squared(picture, mask, side, others))
        else:
            pairs.append(squared(read_of_folder(example.image), None, side))
    return pairs
