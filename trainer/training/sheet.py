"""The sample sheet of a training run: the class as trained so far, painted into a few good
pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bgdefect_core.errors import DataError
from bgdefect_core.method.backgrounds import BACKGROUNDS, DEFAULT_BACKGROUND
from bgdefect_core.method.predictor import unet_predictor
from bgdefect_core.method.randomness import attempt_seed
from bgdefect_core.method.regions import RegionPrompts
from bgdefect_core.method.sample_batch import SampleBatch
from bgdefect_core.method.sampling import SamplingSettings, sample
from bgdefect_core.pictures.crop import crop_box, take
from bgdefect_core.pictures.masks import Mask
from bgdefect_core.pictures.picture import Pixels
from bgdefect_core.pictures.pixels import to_pixels
from bgdefect_core.pictures.reading import read_of_folder
from bgdefect_core.pictures.region_maps import region_map
from bgdefect_core.pictures.writing import write_picture

from ..bases.load import Base
from ..data.examples import Example, load_example
from ..data.layouts import ReadingSettings, good_pictures
from .cache import Views, view_targets

SheetItem = tuple[Pixels, Mask]
"""A crop at the network's size, ``uint8 [R, R, 3]``, and the mask of the new defect, ``bool [R,
R]``."""
_GAP = 4


def sheet_items(
    root: Path,
    examples: Sequence[Example],
    views: Views,
    reading: ReadingSettings,
    count: int = 4,
) -> list[SheetItem]:
    """Masks of examples on good pictures of the same size, or on the example's own picture.

    Args:
        root: of the data set.
        examples: of one object; the first ``count`` are used.
        views: size and zoom of the crops.
        reading: how the data set is read.
        count: rows of the sheet.
    """
    try:
        good = good_pictures(root, examples[0].object, reading)
    except DataError:
        good = []
    items = []
    for number, example in enumerate(examples[:count]):
        picture, mask = load_example(example)
        if good:
            candidate = read_of_folder(good[number % len(good)])
            picture = candidate if candidate.shape == picture.shape else picture
        crop = crop_box(view_targets(mask, views)[0], views.resolution, views.zoom)
        items.append((take(picture, crop, views.resolution), take(mask, crop, views.resolution)))
    return items


@torch.no_grad()
def make_sheet(
    base: Base,
    unet: Any,
    prompts: RegionPrompts,
    items: Sequence[SheetItem],
    path: Path,
    seed: int = 0,
) -> None:
    """Paint every item with the default settings and write a PNG: one row each of normal
    picture, mask and decoded result.

    Args:
        base: its VAE and schedule are used.
        unet: ``base.unet``, wrapped or not.
        prompts: of the class.
        items: see :func:`sheet_items`.
        path: the PNG to write.
        seed: of the run; item i has the seed of a first attempt at sample i.
    """
    pictures = [picture for picture, _ in items]
    masks = np.stack([mask for _, mask in items])
    levels = SamplingSettings().levels(base.schedule)
    z_0 = base.encode(to_pixels(pictures))
    cells = (z_0.shape[2], z_0.shape[3])
    regions = region_map(torch.from_numpy(masks)[:, None], cells).to(z_0.device)
    batch = SampleBatch(regions, [attempt_seed(seed, number, 0) for number in range(len(items))])
    mode = BACKGROUNDS[DEFAULT_BACKGROUND]
    with unet_predictor(unet, base.schedule) as predict:
        background = mode.prepare(predict, z_0, regions, prompts, levels)
        painted = base.decode(sample(predict, background, batch, prompts))
    scaled = ((painted.clamp(-1, 1) + 1) * 127.5).round().byte()
    results = scaled.permute(0, 2, 3, 1).cpu().numpy()
    rows = []
    for picture, mask, result in zip(pictures, masks, results, strict=True):
        rows.append(_row(picture, mask, result))
    write_picture(path, np.concatenate(rows))


def _row(normal: Pixels, mask: Mask, result: Pixels) -> Pixels:
    """Three squares side by side, framed at the right and below."""
    drawn = np.repeat(np.where(mask, np.uint8(255), np.uint8(0))[..., None], 3, axis=2)
    framed = []
    for square in (normal, drawn, result):
        framed.append(np.pad(square, ((0, _GAP), (0, _GAP), (0, 0)), constant_values=255))
    return np.concatenate(framed, axis=1)
