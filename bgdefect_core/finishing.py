"""From a decoded square to a sample: stitch it into its picture, make its label and judge it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .jobs import Job, PaintSettings
from .judging import Judgement, judge_sample
from .method.refinement import label_of
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


def finish(
    job: Job,
    crop: Crop,
    decoded: DecodedSample,
    settings: PaintSettings,
    standard: Standard,
) -> Painted:
    """Stitch one decoded sample into its picture, make its label and judge it."""
    stitching, requested, pasted = settings.stitching, job.requested, decoded.pasted
    width = stitching.feather
    if width is None:
        width = default_feather(crop, requested)
    if stitching.stitch:
        plain = decoded.normal if stitching.detail else None
        real = None
        if pasted is not None and decoded.pasted_square is not None:
            real = (decoded.pasted_square, pasted.picture)
        result = stitch(job.picture, decoded.painted, requested, crop, width, plain, real)
    else:
        whole = crop.within(requested.shape)
        result = stitch(job.picture, decoded.painted, whole, crop, 0)
    if pasted is not None:
        result = pasted.finished(result)
    placed = put_back(decoded.heat, crop, requested.shape)
    signal = SIGNALS[settings.label.signal]
    placed = signal.stitched(placed, job.picture.eight_bit(), result.eight_bit(), requested)
    return _judged(job, crop, decoded, result, placed, width, settings, standard)


def finish_paste(job: Job, crop: Crop, settings: PaintSettings, standard: Standard) -> Painted:
    """The sample of start level 0: the paste itself, judged as any other, on the pictures' own
    pixels: no decoder changed them."""
    pasted = pasted_of(job, settings.starting)
    side = crop.side
    squares: list[NDArray[np.float32]] = []
    for picture in (pasted.picture, job.picture):
        square = take_picture(picture, crop, side)
        squares.append(np.divide(square.pixels, square.white, dtype=np.float32))
    good, result = job.picture.eight_bit(), pasted.picture.eight_bit()
    heat = paste_heat(good, result, job.requested)
    decoded = DecodedSample(squares[0], squares[1], heat, 0.0, pasted)
    width = edge_width(job.picture)
    return _judged(job, crop, decoded, pasted.picture, heat, width, settings, standard)


def _judged(
    job: Job,
    crop: Crop,
    decoded: DecodedSample,
    result: Picture,
    placed: NDArray[np.float32],
    width: float,
    settings: PaintSettings,
    standard: Standard,
) -> Painted:
    """A finished sample with its label, its figures and its verdict.

    Args:
        placed: the signal behind the label, float32 ``[H, W]``. width: of the seam.
    """
    requested = job.requested
    refined = np.zeros(requested.shape, np.bool_)
    shown = np.zeros(requested.shape, np.float32)
    for mask in job.masks:
        part, part_heat = label_of(placed, mask, settings.label, standard.profile.shape)
        refined |= part
        shown = np.maximum(shown, part_heat)
    good, eight_bit = job.picture.eight_bit(), result.eight_bit()
    squares = (decoded.painted, decoded.normal)
    sample = StitchedSample(good, eight_bit, requested, refined, *squares, crop, width)
    judgement = judge_sample(sample, standard, job.real, decoded.pasted, decoded.start_level)
    return Painted(result, refined, requested, shown, judgement, width, decoded.start_level)
