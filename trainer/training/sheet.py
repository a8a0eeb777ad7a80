"""The sample sheet of a training run: what the class looks like by now, painted into a few good
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
from bgdefect_core.method.regions import RegionPrompts
from bgdefect_core.method.sampling import sample
from bgdefect_core.pictures.crop import crop_box, take
from bgdefect_core.pictures.files import Picture, read_picture, write_picture
from bgdefect_core.pictures.masks import Mask, region_map
from bgdefect_core.pictures.pixels import to_pixels

from ..bases.load import Base
from ..data.examples import Example, load_example
from ..data.layouts import good_pictures
from .cache import Views, looked_at

SheetItem = tuple[Picture, Mask]
"""A crop at the network's size, ``uint8 [R, R, 3]``, and where the defect shall come, ``bool [R,
R]``."""
_GAP = 4


def sheet_items(
    root: Path, examples: Sequence[Example], views: Views, count: int = 4
) -> list[SheetItem]:
    """Masks of ``examples`` on good pictures of the same size; on the example's own picture where
    there is none."""
    try:
        good = good_pictures(root, examples[0].object)
    except DataError:
        good = []
    items = []
    for number, example in enumerate(examples[:count]):
        picture, mask = load_example(example)
        if good:
            candidate = read_picture(good[number % len(good)])
            picture = candidate if candidate.shape == picture.shape else picture
        crop = crop_box(looked_at(mask, views)[0], views.resolution, views.zoom)
        items.append((take(picture, crop, views.resolution), take(mask, crop, views.resolution)))
    return items


@torch.no_grad()
def make_sheet(
    base: Base,
    unet: Any,
    prompts: RegionPrompts,
    items: Sequence[SheetItem],
    path: Path,
    steps: int = 20,
    seed: int = 0,
) -> None:
    """Paint every item (the default background) and write a PNG with a row each: normal, mask,
    result (the bare decoding).

    Args:
        unet: ``base.unet``, however wrapped.
        prompts: of the class.
        items: see :func:`sheet_items`.
        steps: DDIM steps each way.
    """
    pictures, masks = [item[0] for item in items], [item[1] for item in items]
    background = BACKGROUNDS[DEFAULT_BACKGROUND]
    levels = base.schedule.levels(steps)
    z_0 = base.encode(to_pixels(pictures))
    regions = region_map(
        torch.from_numpy(np.stack(masks))[:, None], (z_0.shape[2], z_0.shape[3])
    ).to(z_0.device)
    with unet_predictor(unet, base.schedule) as predict:
        latents = background.prepare(predict, z_0, regions, prompts, levels)
        seeds = range(seed, seed + len(items))
        painted = base.decode(sample(predict, background, latents, regions, prompts, levels, seeds))
    results = ((painted.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    rows = [_row(*three) for three in zip(pictures, masks, results, strict=True)]
    write_picture(path, np.concatenate(rows))


def _row(normal: Picture, mask: Mask, result: Picture) -> Picture:
    """Three squares side by side, framed at the right and below."""
    drawn = np.repeat(np.where(mask, np.uint8(255), np.uint8(0))[..., None], 3, axis=2)
    framed = [
        np.pad(square, ((0, _GAP), (0, _GAP), (0, 0)), constant_values=255)
        for square in (normal, drawn, result)
    ]
    return np.concatenate(framed, axis=1)
