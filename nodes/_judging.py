"""Figures and verdicts of the samples of a workflow, as `bgdefect_core.painting` computes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..bgdefect_core.copies import COPY
from ..bgdefect_core.errors import PictureError, SettingError
from ..bgdefect_core.method.start import NOISE, StartSettings
from ..bgdefect_core.pasting import pasted_of
from ..bgdefect_core.pictures.masks import Mask
from ..bgdefect_core.pictures.picture import Picture, Pixels
from ..bgdefect_core.quality import ClassProfile, Quality, QualityLimits, Verdict, judge, measure
from ._convert import masks_of, pictures_of
from ._picture_steps import CropBatch, colour_image, good_squares, squares_of
from ._wires import RealDefect, RealDefects


@dataclass(frozen=True, eq=False)
class Judged:
    """Figures and verdict of one sample."""

    number: int
    """Which sample of its run."""
    quality: Quality
    verdict: Verdict
    real_share: float | None = None
    """Share of the real defect's change that the sample shows; None: not known."""
    exemplar_difference: float | None = None
    """How far it is from the real defect that it started from; None: it started from noise."""
    start: dict[str, Any] | None = None
    """Where it started, for the manifest; None: not known."""

    @property
    def figures(self) -> dict[str, float]:
        """All figures that are known, by name, as in the manifest."""
        figures = dict(self.quality.figures)
        if self.real_share is not None:
            figures["real_share"] = self.real_share
        if self.exemplar_difference is not None:
            figures["exemplar_difference"] = self.exemplar_difference
        return figures

    @property
    def line(self) -> str:
        """In words, for people."""
        figures = ", ".join(
            f"{name.replace('_', ' ')} {value:.3g}" for name, value in self.figures.items()
        )
        return f"{'good' if self.verdict.good else self.verdict.reason}: {figures}"


def judged(
    crop: CropBatch,
    painted: Tensor,
    normal: Tensor,
    result: Tensor,
    label: Tensor,
    limits: QualityLimits,
    real: RealDefects | None = None,
    start: Sequence[float] | None = None,
) -> list[Judged]:
    """Figures and verdicts of S samples.

    Args:
        painted: IMAGE ``[S, r, r, 3]``, decoded samples. normal: IMAGE ``[B, r, r, 3]``, the
            decoded encodings of the good squares.
        result: IMAGE ``[S, H, W, 3]``, stitched. label: refined MASK ``[S, H, W]``.
        real: the real defects behind the masks, one for each square; None: not known.
        start: start level of each sample, or one for all; None: all from noise.

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
    known = _real_of_squares(real, len(wholes))
    profile = None
    if real is not None:
        profile = ClassProfile.from_library(real.library, crop.resolution, crop.zoom)
    levels = _levels(start, len(squares))
    verdicts = []
    for number, square in enumerate(squares):
        owner, plain = number % len(wholes), plains[number % len(plains)]
        box, mask = crop.boxes[owner], crop.masks[owner]
        sample = _Sample(wholes[owner], results[number], mask)
        quality = measure(
            sample.good,
            sample.result,
            mask,
            labels[number],
            square,
            plain,
            box,
            crop.width(owner),
            profile,
        )
        verdicts.append(
            _judge(number, sample, quality, limits, known[owner], levels[number], profile)
        )
    return verdicts


@dataclass(frozen=True, eq=False)
class _Sample:
    """A sample in its whole picture."""

    good: Pixels
    result: Pixels
    mask: Mask


def _judge(
    number: int,
    sample: _Sample,
    quality: Quality,
    limits: QualityLimits,
    real: RealDefect | None,
    level: float,
    profile: ClassProfile | None,
) -> Judged:
    """The verdict on one sample, as ``bgdefect_core.painting`` gives it."""
    share = difference = None
    if real is not None and real.surroundings is not None:
        share = real.surroundings.share_made(sample.good, sample.result, sample.mask)
    verdict = judge(quality, limits, 1.0 if share is None else share, profile)
    pasted = None
    if real is not None and real.exemplar is not None and level < NOISE:
        pasted = pasted_of(Picture(sample.good), [real.exemplar], sample.mask, StartSettings())
    if pasted is not None:
        difference = pasted.difference(sample.result, sample.good, sample.mask)
        copied = level > 0 and pasted.is_copied_by(sample.result, sample.good, sample.mask)
        if copied and verdict.good:
            verdict = Verdict(False, COPY)
    return Judged(number, quality, verdict, share, difference, _start(real, level))


def _start(real: RealDefect | None, level: float) -> dict[str, Any]:
    """Where a sample started, as the manifest has it."""
    if real is None or real.exemplar is None or level == NOISE:
        return {"kind": "noise"}
    return {"kind": "real" if level else "paste", "level": level, "exemplar": real.name}


def _real_of_squares(real: RealDefects | None, count: int) -> Sequence[RealDefect | None]:
    """The real defect behind each square's mask.

    Raises:
        SettingError: another number of them.
    """
    if real is None:
        return [None] * count
    if len(real.behind) != count:
        raise SettingError(
            f"real has {len(real.behind)} real defects for {count} squares",
            "one for each square",
            "connect real of the Place Defect Mask whose masks Crop to Mask had",
        )
    return real.behind


def _levels(start: Sequence[float] | None, count: int) -> list[float]:
    """The start level of each sample.

    Raises:
        SettingError: another number of them.
    """
    if start is None:
        return [NOISE] * count
    if len(start) not in (1, count):
        raise SettingError(
            f"start has {len(start)} start levels for {count} samples",
            "one for each, or one",
            "connect start of the sampler that painted them",
        )
    return list(start) * (count if len(start) == 1 else 1)
