"""From a decoded square to a sample: stitch it into its picture, make its label and judge it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .jobs import Job, PaintSettings, StitchSettings
from .judging import Judgement, judge_sample
from .method.refinement import LabelSettings, label_of
from .method.signals import SIGNALS
from .method.start import NOISE
from .pasting import Pasted, paste_heat, pasted_of
from .pictures.crop import Crop, default_feather, put_back, take_picture
from .pictures.masks import Mask
from .pictures.picture import Picture
from .pictures.stitching import stitch
from .placement.paste import edge_width
from .quality import Standard, StitchedSample


@dataclass(frozen=True)
class Painted:
    """One sample."""

    picture: Picture
    """``[H, W, 3]`` at the depth of the input; outside the feather band equal to it in all bits."""
    mask: Mask
    """The refined mask, within the requested one: the label."""
    requested: Mask
    heat: NDArray[np.float32]
    """float32 ``[H, W]`` in 0..1: the signal behind the refined mask."""
    judgement: Judgement
    feather: float
    """Width of the seam in picture pixels, as set or by default."""
    start_level: float = NOISE
    """0: the paste of the real defect; 1: from noise."""


@dataclass(frozen=True, eq=False)
class DecodedSample:
    """A sample before it is stitched."""

    job: Job
    crop: Crop
    painted: NDArray[np.float32]
    """float32 ``[R, R, 3]`` in 0..1; so is the next."""
    normal: NDArray[np.float32]
    heat: NDArray[np.float32]
    """float32 ``[R, R]``; of a paste that of the whole picture."""
    start_level: float = NOISE
    pasted: Pasted | None = None
    """The real defect that it started from."""
    pasted_square: NDArray[np.float32] | None = None
    """Its crop, encoded and decoded, as ``painted``; None: its detail is not given back."""


@dataclass(frozen=True, eq=False)
class _Whole:
    """A sample in its picture."""

    picture: Picture
    heat: NDArray[np.float32]
    """float32 ``[H, W]``: the signal behind the label."""
    feather: float
    """Width of the seam."""


def finish(sample: DecodedSample, settings: PaintSettings, standard: Standard) -> Painted:
    """Stitch one decoded sample into its picture, make its label and judge it."""
    job, crop, requested = sample.job, sample.crop, sample.job.requested
    width = settings.stitching.feather
    if width is None:
        width = default_feather(crop, requested)
    result = _stitched(sample, settings.stitching, width)
    if sample.pasted is not None:
        result = sample.pasted.finished(result)
    heat = put_back(sample.heat, crop, requested.shape)
    signal = SIGNALS[settings.label.signal]
    heat = signal.stitched(heat, job.picture.eight_bit(), result.eight_bit(), requested)
    return _judged(sample, _Whole(result, heat, width), settings.label, standard)


def _stitched(sample: DecodedSample, stitching: StitchSettings, width: float) -> Picture:
    """The sample in its picture, with a seam of this width; or all of its square, where nothing is
    to be stitched."""
    job, crop, pasted = sample.job, sample.crop, sample.pasted
    if not stitching.stitch:
        square = crop.within(job.requested.shape)
        return stitch(job.picture, sample.painted, square, crop, 0)
    normal = sample.normal if stitching.detail else None
    real = None
    if pasted is not None and sample.pasted_square is not None:
        real = (sample.pasted_square, pasted.picture)
    return stitch(job.picture, sample.painted, job.requested, crop, width, normal, real)


def finish_paste(job: Job, crop: Crop, settings: PaintSettings, standard: Standard) -> Painted:
    """The sample of start level 0: the paste itself, judged as any other, on the pictures' own
    pixels: no decoder changed them."""
    pasted = pasted_of(job, settings.starting)
    squares: list[NDArray[np.float32]] = []
    for picture in (pasted.picture, job.picture):
        square = take_picture(picture, crop, crop.side)
        squares.append(np.divide(square.pixels, square.white, dtype=np.float32))
    heat = paste_heat(job.picture.eight_bit(), pasted.picture.eight_bit(), job.requested)
    sample = DecodedSample(job, crop, squares[0], squares[1], heat, 0.0, pasted)
    whole = _Whole(pasted.picture, heat, edge_width(job.picture))
    return _judged(sample, whole, settings.label, standard)


def _judged(
    sample: DecodedSample, whole: _Whole, settings: LabelSettings, standard: Standard
) -> Painted:
    """A finished sample with its label, its figures and its verdict."""
    job, requested = sample.job, sample.job.requested
    refined = np.zeros(requested.shape, np.bool_)
    shown = np.zeros(requested.shape, np.float32)
    for mask in job.masks:
        part, part_heat = label_of(whole.heat, mask, settings, standard.profile.shape)
        refined |= part
        shown = np.maximum(shown, part_heat)
    stitched = StitchedSample(
        job.picture.eight_bit(),
        whole.picture.eight_bit(),
        requested,
        refined,
        sample.painted,
        sample.normal,
        sample.crop,
        whole.feather,
    )
    level = sample.start_level
    judgement = judge_sample(stitched, standard, job.real, sample.pasted, level)
    return Painted(whole.picture, refined, requested, shown, judgement, whole.feather, level)
