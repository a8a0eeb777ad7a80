"""Figures and verdicts of the samples of a workflow, as `bgdefect_core.painting` computes them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..bgdefect_core.errors import PictureError
from ..bgdefect_core.quality import ClassProfile, Quality, QualityLimits, Verdict, judge, measure
from ._convert import masks_of, pictures_of
from ._picture_steps import CropBatch, colour_image, good_squares, squares_of


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
        figures = ", ".join(
            f"{name.replace('_', ' ')} {value:.3g}" for name, value in self.quality.figures.items()
        )
        return f"{'good' if self.verdict.good else self.verdict.reason}: {figures}"


def judged(
    crop: CropBatch,
    painted: Tensor,
    normal: Tensor,
    result: Tensor,
    label: Tensor,
    limits: QualityLimits,
    profile: ClassProfile | None = None,
) -> list[Judged]:
    """Figures and verdicts of S samples.

    Args:
        painted: IMAGE ``[S, r, r, 3]``, decoded samples. normal: IMAGE ``[B, r, r, 3]``, the
            decoded encodings of the good squares.
        result: IMAGE ``[S, H, W, 3]``, stitched. label: refined MASK ``[S, H, W]``.
        profile: of the class, from its library; None: no real defect is known.

    Raises:
        PictureError, MaskError: numbers or sizes that do not fit together.
    """
    wholes, results = pictures_of(crop.image), pictures_of(colour_image(result, "result"), "result")
    squares = squares_of(crop, painted, "painted")
    plains = good_squares(crop, normal, squares[0])
    labels = masks_of(label, "refined")
    for name, count in (("result", len(results)), ("refined", len(labels))):
        if count != len(squares):
            raise PictureError(
                f"{name} has {count} items and painted {len(squares)}",
                "as many",
                f"connect the same run's {name}",
            )
    verdicts = []
    for number, square in enumerate(squares):
        owner, plain = number % len(wholes), plains[number % len(plains)]
        box, mask = crop.boxes[owner], crop.masks[owner]
        quality = measure(
            wholes[owner],
            results[number],
            mask,
            labels[number],
            square,
            plain,
            box,
            crop.width(owner),
            profile,
        )
        verdicts.append(Judged(number, quality, judge(quality, limits, profile=profile)))
    return verdicts
