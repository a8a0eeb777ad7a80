"""Which parts of a label are boxes, or circles around points, which are tightened as these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from bgdefect_core.pictures.masks import Mask
from bgdefect_core.pictures.picture import Pixels

from ...data.examples import Example, load_example

_DIAGONAL = np.ones((3, 3))


@dataclass(frozen=True, eq=False)
class BoxLabel:
    """The label of a picture, apart into boxes and what a person drew."""

    picture: Pixels
    """uint8 ``[H, W, 3]``."""
    boxes: tuple[Mask, ...]
    """Filled, bool ``[H, W]`` each; they may overlap."""
    drawn: Mask
    """bool ``[H, W]``; it stays as it is."""

    @property
    def filled(self) -> Mask:
        """The whole label, with the boxes filled: bool ``[H, W]``."""
        return self.joined(self.boxes)

    def joined(self, masks: Sequence[Mask]) -> Mask:
        """What was drawn, with masks in the boxes' place: bool ``[H, W]``."""
        return np.logical_or.reduce([self.drawn, *masks])


def read_box_label(example: Example) -> BoxLabel:
    """The label of an example. An annotation says itself what a box or a point is. In mask files
    every piece that fills its upright rectangle is a box.

    Raises:
        PictureError, MaskError: as ``load_example``.
    """
    picture, mask = load_example(example)
    if not example.regions:
        return BoxLabel(picture, *_apart(mask))
    boxes: list[Mask] = []
    drawn = np.zeros_like(mask)
    for region in example.regions:
        filled = region.fill((mask.shape[0], mask.shape[1]))
        if region.files:
            pieces, rest = _apart(filled)
            boxes += pieces
            drawn |= rest
        elif not region.is_loose:
            drawn |= filled
        elif filled.any():
            boxes.append(filled)
    return BoxLabel(picture, tuple(boxes), drawn)


def _apart(mask: Mask) -> tuple[tuple[Mask, ...], Mask]:
    """The pieces that fill their upright rectangle, and the rest."""
    boxes: list[Mask] = []
    drawn = mask.copy()
    pieces, _ = ndimage.label(mask, _DIAGONAL)
    for number, window in enumerate(ndimage.find_objects(pieces), start=1):
        if (pieces[window] == number).all():
            box = np.zeros_like(mask)
            box[window] = True
            boxes.append(box)
            drawn &= ~box
    return tuple(boxes), drawn
