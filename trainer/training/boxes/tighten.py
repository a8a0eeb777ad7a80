"""From a box to a mask: by the difference from an aligned good picture where there is one, else by
the edges of the picture, and the likelihood signal of the class (docs/method.md) once there is
one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from bgdefect_core.method.predictor import unet_predictor
from bgdefect_core.method.randomness import attempt_seed
from bgdefect_core.method.refinement import LabelSettings, label_of
from bgdefect_core.method.signals import SIGNALS, Evidence, LatentEvidence, SignalName
from bgdefect_core.pictures.crop import crop_box, put_back, take
from bgdefect_core.pictures.mask_shape import MaskShape
from bgdefect_core.pictures.masks import Mask
from bgdefect_core.pictures.picture import Pixels
from bgdefect_core.pictures.pixels import to_pixels
from bgdefect_core.pictures.region_maps import region_map
from bgdefect_core.pictures.tones import change

from ...bases.apply import load_trained
from .labels import BoxLabel
from .outline import outline

BY_CHANGE = LabelSettings(signal="difference")
BY_CLASS: SignalName = "likelihood"
_ONE_PIECE = MaskShape(holes=False, pieces=False)
"""A box is drawn around one defect."""
_LIKELY = 0.35
"""Probability from which a pixel belongs to the defect: below one half, since walks start far
from the outline in a wide box and near to it in a narrow one."""
_SMOOTHED = 3
"""Pixels a side over which a change is smoothed, as the signal does."""
_ALIGNED = 2.0
"""Least ratio of the mean change in the boxes to that beside them. Where the good picture lies
elsewhere, or under other light, it is about 1."""
_SQUARE = 256
"""Side of the square in which an outline without a class is drawn."""
_BATCH = 4


@dataclass(frozen=True, eq=False)
class Tightened:
    """What became of the boxes of a picture."""

    mask: Mask
    """The new label with what a person drew: bool ``[H, W]``."""
    heat: NDArray[np.float32]
    """The signal or the probability of the defect, ``[H, W]`` in 0..1, 0 outside the boxes."""


def by_difference(label: BoxLabel, before: Pixels) -> Tightened | None:
    """The boxes tightened to what changed against an aligned good picture; None where that is not
    aligned, or nothing changed in a box.

    Args:
        before: uint8, of the picture's size.
    """
    changed = ndimage.uniform_filter(change(before, label.picture), _SMOOTHED, mode="nearest")
    inside = label.filled
    if inside.all() or changed[inside].mean() < _ALIGNED * max(changed[~inside].mean(), 1 / 255):
        return None
    masks: list[Mask] = []
    heat = np.zeros(inside.shape, np.float32)
    for box in label.boxes:
        signal = SIGNALS[BY_CHANGE.signal].stitched(changed, before, label.picture, box)
        mask, shown = label_of(signal, box, BY_CHANGE)
        if not mask.any():
            return None
        masks.append(mask)
        heat = np.maximum(heat, shown)
    return Tightened(label.joined(masks), heat)


def by_outline(label: BoxLabel) -> Tightened:
    """The boxes tightened by the edges of the picture alone."""
    shown: list[NDArray[np.float32]] = []
    for box in label.boxes:
        crop = crop_box(box, _SQUARE, "defect")
        square = take(label.picture, crop, _SQUARE)
        inside, filled = (take(mask, crop, _SQUARE) for mask in (box, label.filled))
        shown.append(put_back(outline(square, inside, filled), crop, box.shape))
    return _tightened(label, shown)


def _tightened(label: BoxLabel, shown: Iterable[NDArray[np.float32]]) -> Tightened:
    """The label by the probability of the defect in each box; a box without any stays."""
    masks: list[Mask] = []
    heat = np.zeros(label.drawn.shape, np.float32)
    for box, probability in zip(label.boxes, shown, strict=True):
        mask = _ONE_PIECE.tidied(box & (probability >= _LIKELY), box)
        masks.append(mask if mask.any() else box)
        heat = np.maximum(heat, np.where(box, probability, 0))
    return Tightened(label.joined(masks), heat)


class Tightener:
    """A trained class that tightens boxes.

    Args:
        weights: of the class. base: that it was trained on. device: of the network. seed: of the
            noise.

    Raises:
        WeightsError: weights that do not fit the base.
    """

    def __init__(self, weights: Path, base: str | None, device: torch.device, seed: int) -> None:
        self._base, self._info = load_trained(base, weights)
        self._base.to(device)
        info = self._info
        self._prompts = self._base.prompts(
            info.background_prompt, [info.defect_prompt], info.mask_prompt
        )
        self._seed = seed

    def tightened(self, label: BoxLabel, number: int) -> Tightened:
        """The boxes of a picture, each tightened to the outline around where the class explains it
        better than its background does; a box without such a place stays.

        Args:
            number: of the picture; the noise follows from it and the seed.
        """
        return _tightened(label, self._outlines(label, number))

    def _outlines(self, label: BoxLabel, number: int) -> Iterator[NDArray[np.float32]]:
        """The probability of the defect around each box, float32 ``[H, W]``. Each box is cut as the
        training cuts it; other boxes in the square are defects too."""
        resolution, filled = self._info.resolution, label.filled
        for first in range(0, len(label.boxes), _BATCH):
            boxes = label.boxes[first : first + _BATCH]
            crops = [crop_box(box, resolution, self._info.zoom) for box in boxes]
            squares: list[Pixels] = []
            insides: list[Mask] = []
            for crop in crops:
                squares.append(take(label.picture, crop, resolution))
                insides.append(take(filled, crop, resolution))
            places = range(first, first + len(boxes))
            seeds = [attempt_seed(self._seed, number, place) for place in places]
            heats = self._heats(squares, insides, seeds)
            for place, (box, crop) in enumerate(zip(boxes, crops, strict=True)):
                inside = take(box, crop, resolution)
                shown = outline(squares[place], inside, insides[place], heats[place])
                yield put_back(shown, crop, filled.shape)

    @torch.no_grad()
    def _heats(
        self, squares: Sequence[Pixels], insides: Sequence[Mask], seeds: Sequence[int]
    ) -> NDArray[np.float32]:
        """The likelihood signal of squares, float32 ``[B, R, R]``."""
        base = self._base
        z_0 = base.encode(to_pixels(squares))
        masks = torch.from_numpy(np.stack(insides))[:, None]
        regions = region_map(masks, (z_0.shape[-2], z_0.shape[-1])).to(z_0.device)
        with unet_predictor(base.unet, base.schedule) as predict:
            latents = LatentEvidence(predict, z_0, regions, self._prompts, seeds)
            evidence = Evidence(squares[0].shape[:2], latents=latents)
            heats: NDArray[np.float32] = SIGNALS[BY_CLASS].heat(evidence).cpu().numpy()
        return heats
