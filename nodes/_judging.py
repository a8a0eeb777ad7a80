"""Figures and verdicts of the samples of a workflow, as `bgdefect_core.generate` computes them."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..bgdefect_core.crop import take
from ..bgdefect_core.errors import PictureError
from ..bgdefect_core.masks import Mask, feather
from ..bgdefect_core.pictures import Picture
from ..bgdefect_core.quality import (
    Quality,
    QualityLimits,
    Verdict,
    background_change,
    defect_contrast,
    defect_strength,
    judge,
    latent_background_psnr,
    mask_fill,
)
from ._convert import masks_of, pictures_of
from ._picture_steps import CropBatch, colour_image, squares_of


@dataclass(frozen=True, eq=False)
class Judged:
    """Figures and verdict of one sample."""

    number: int
    """Which sample of its run."""
    quality: Quality
    verdict: Verdict

    @property
    def line(self) -> str:
        """In words, for people."""
        figures = ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in asdict(self.quality).items())
        return f"{'good' if self.verdict.good else self.verdict.reason}: {figures}"


def judged(crop: CropBatch, painted: Tensor, normal: Tensor, result: Tensor, label: Tensor, limits: QualityLimits) -> list[Judged]:
    """Figures and verdicts of S samples.

    Args:
        painted: IMAGE ``[S, r, r, 3]``, decoded samples. normal: IMAGE ``[B, r, r, 3]``, the decoded encodings of the good squares.
        result: IMAGE ``[S, H, W, 3]``, stitched. label: refined MASK ``[S, H, W]``.

    Raises:
        PictureError, MaskError: numbers or sizes that do not fit together.
    """
    wholes, results = pictures_of(crop.image), pictures_of(colour_image(result, "result"), "result")
    squares, plains = squares_of(crop, painted, "painted"), squares_of(crop, normal, "normal")
    labels = masks_of(label, "refined")
    for name, count in (("result", len(results)), ("refined", len(labels))):
        if count != len(squares):
            raise PictureError(f"{name} has {count} items and painted {len(squares)}", "as many", f"connect the same run's {name}")
    return [
        _judge(crop, number, wholes[number % len(wholes)], square, plains[number % len(plains)], results[number], labels[number], limits)
        for number, square in enumerate(squares)
    ]


def _judge(
    crop: CropBatch,
    number: int,
    whole: Picture,
    painted: NDArray[np.float32],
    normal: NDArray[np.float32],
    result: Picture,
    label: Mask,
    limits: QualityLimits,
) -> Judged:
    owner = number % len(crop.boxes)
    mask, box, width = crop.masks[owner], crop.boxes[owner], crop.width(owner)
    if painted.shape != normal.shape:
        raise PictureError(f"normal is {normal.shape[1]} pixels wide and painted {painted.shape[1]}", "equal sizes", "decode with one VAE")
    side = painted.shape[0]
    inside = take(mask, box, side)
    strength = defect_strength(painted, normal, inside)
    psnr, largest = background_change(whole, result, feather(mask, width) > 0)
    quality = Quality(
        strength=strength,
        contrast=defect_contrast(strength, normal, inside),
        fill=mask_fill(mask, label),
        background_psnr=psnr,
        background_max=largest,
        latent_background_psnr=latent_background_psnr(painted, normal, feather(inside, width * side / box.side) > 0),
    )
    return Judged(number, quality, judge(quality, limits))
