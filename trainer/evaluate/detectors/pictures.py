"""The pictures of a fold at the detector's size, read when they are first needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image

from bgdefect_core.pictures.files import Picture, read_picture
from bgdefect_core.pictures.masks import Mask

from ...data.examples import Example, load_example
from ..plan.folds import Fold
from ..samples.sample_set import by_area
from ..samples.synthetic import Pair


@dataclass(frozen=True)
class FoldPictures:
    """The pictures of one fold as squares."""

    fold: Fold
    side: int
    """In pixels."""

    @cached_property
    def good(self) -> list[Picture]:
        """Good pictures to train on."""
        return [picture for picture, _ in load_pairs(self.fold.good_train, self.side)]

    @cached_property
    def validation(self) -> list[Pair]:
        """Defects and good pictures that choose the checkpoint."""
        return load_pairs([*self.fold.validation, *self.fold.good_validation], self.side)

    @cached_property
    def test(self) -> list[Pair]:
        """Held-out defects, then good pictures."""
        return load_pairs([*self.fold.test, *self.fold.good_test], self.side)


def squared(picture: Picture, mask: Mask | None, side: int) -> Pair:
    """Picture and mask as a square of ``side`` pixels whatever their shape, as in the field's
    protocol; the mask is resized by area.

    Args:
        mask: bool ``[H, W]``; None: a good picture.
    """
    resized = picture
    if picture.shape[:2] != (side, side):
        enlarged = max(picture.shape[:2]) < side
        method = Image.Resampling.BICUBIC if enlarged else Image.Resampling.LANCZOS
        resized = np.asarray(Image.fromarray(picture).resize((side, side), method))
    if mask is None:
        return resized, np.zeros((side, side), np.bool_)
    return resized, by_area(mask, (side, side))


def load_pairs(examples: Sequence[Example], side: int) -> list[Pair]:
    """The pictures of one side of a fold; good ones have empty masks."""
    pairs = []
    for example in examples:
        if example.masks:
            pairs.append(squared(*load_example(example), side))
        else:
            pairs.append(squared(read_picture(example.image), None, side))
    return pairs
