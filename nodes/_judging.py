"""Figures and verdicts of the samples of a workflow, by the rule of `bgdefect_core.judging`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..bgdefect_core.errors import PictureError, SettingError
from ..bgdefect_core.jobs import Job
from ..bgdefect_core.judging import Judgement, judge_sample
from ..bgdefect_core.method.start import NOISE, StartSettings, start_record
from ..bgdefect_core.pasting import pasted_of
from ..bgdefect_core.pictures.picture import Picture
from ..bgdefect_core.quality import (
    ClassProfile,
    QualityLimits,
    Standard,
    StitchedSample,
)
from ._convert import masks_of, pictures_of
from ._squares import CropBatch, colour_image, decoded_squares, squares_of
from ._starting import sample_levels
from ._wires import RealDefect, RealDefects


@dataclass(frozen=True, eq=False)
class Judged:
    """A sample of a run, judged."""

    number: int
    """Which sample of its run."""
    judgement: Judgement
    start: dict[str, Any] | None = None
    """Where it started, for the manifest; None: not known."""

    @property
    def line(self) -> str:
        """In words, for people."""
        figures = ", ".join(
            f"{name.replace('_', ' ')} {value:.3g}"
            for name, value in self.judgement.figures.items()
        )
        verdict = self.judgement.verdict
        return f"{'good' if verdict.good else verdict.reason}: {figures}"


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
    plains = decoded_squares(crop, normal, squares[0])
    labels = masks_of(label, "refined")
    _check_count("result", len(results), len(squares))
    _check_count("refined", len(labels), len(squares))
    known = _real_of_squares(real, len(wholes))
    standard = _standard(crop, limits, real)
    levels = sample_levels(start, len(squares))
    verdicts: list[Judged] = []
    for number, square in enumerate(squares):
        owner = number % len(wholes)
        sample = StitchedSample(
            wholes[owner],
            results[number],
            crop.masks[owner],
            labels[number],
            square,
            plains[number % len(plains)],
            crop.boxes[owner],
            crop.width(owner),
        )
        verdicts.append(_judge(number, sample, standard, known[owner], levels[number]))
    return verdicts


def _check_count(name: str, count: int, samples: int) -> None:
    if count != samples:
        came, do = (
            f"{name} has {count} items and painted {samples}",
            f"connect the same run's {name}",
        )
        raise PictureError(came, "as many", do)


def _standard(crop: CropBatch, limits: QualityLimits, real: RealDefects | None) -> Standard:
    """What samples are held against, with the class's own where its real defects are known."""
    if real is None:
        return Standard(limits)
    profile = ClassProfile.from_library(real.library, crop.resolution, crop.zoom)
    return Standard(limits, profile)


def _judge(
    number: int,
    sample: StitchedSample,
    standard: Standard,
    real: RealDefect | None,
    level: float,
) -> Judged:
    """One sample with its verdict, the command line's own."""
    surroundings = None if real is None else real.surroundings
    pasted = None
    start = start_record(NOISE, None)
    if real is not None and real.exemplar is not None and level < NOISE:
        start = start_record(level, real.name)
        job = Job(Picture(sample.good), (sample.requested,), exemplars=(real.exemplar,))
        pasted = pasted_of(job, StartSettings())
    judgement = judge_sample(sample, standard, surroundings, pasted, level)
    return Judged(number, judgement, start)


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
