"""One batch of pictures from start to end: crop, encode, invert, sample, decode, refine, stitch,
judge.

``prepare`` does what a (picture, mask) needs once; ``paint`` makes any number of samples from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .declarations import Doc, Range, check_settings
from .errors import MaskError, SettingError
from .method.attention import MapRecorder
from .method.backgrounds import BACKGROUNDS
from .method.inversion import StepCallback
from .method.predictor import Predictor
from .method.refinement import LabelSettings, label_of
from .method.regions import RegionPrompts
from .method.sampling import SamplingSettings, sample
from .method.signals import SIGNALS, Evidence, LatentEvidence
from .method.solvers import SOLVERS
from .pictures.crop import Crop, Zoom, crop_box, default_feather, put_back, take, take_picture
from .pictures.masks import Mask, check_mask, region_map
from .pictures.picture import Picture
from .pictures.pixels import as_pictures, to_pixels
from .pictures.stitching import stitch
from .placement.surroundings import Surroundings
from .quality import Quality, QualityLimits, Verdict, judge, measure


class Codec(Protocol):
    """A VAE: pictures to latents and back."""

    def encode(self, pixels: Tensor) -> Tensor:
        """``[B, 3, H, W]`` in -1..1 on the CPU -> latents ``[B, C, h, w]``, scaled, on the
        network's device."""

    def decode(self, latents: Tensor) -> Tensor:
        """Latents ``[B, C, h, w]`` -> ``[B, 3, H, W]`` in -1..1."""


@dataclass(frozen=True)
class StitchSettings:
    """How a sample comes back into its picture.

    Raises:
        SettingError: a value out of its range.
    """

    feather: Annotated[
        float | None,
        Range(0, 4096),
        Doc(
            "Width of the blended seam in picture pixels. Default: a quarter of the mask's mean "
            "width, at least 2 and at most 1/32 of the square's side."
        ),
    ] = None
    stitch: Annotated[
        bool,
        Doc("Blend the result into the picture. Off: the decoded square replaces the picture."),
    ] = True
    detail: Annotated[
        bool,
        Doc(
            "Restore the detail that the VAE lost, where the picture changed little. Off: all of "
            "the mask shows the softer picture of the decoder."
        ),
    ] = True

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True)
class PaintSettings:
    """How samples are made."""

    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    label: LabelSettings = field(default_factory=LabelSettings)
    stitching: StitchSettings = field(default_factory=StitchSettings)


@dataclass(frozen=True)
class Framing:
    """What the network sees of a picture; the class weights say it.

    Raises:
        SettingError: a resolution out of its range.
    """

    resolution: Annotated[int, Range(32, 4096), Doc("Side of the network's picture in pixels.")]
    zoom: Annotated[Zoom, Doc("What the square around the mask shows.")] = "defect"

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True)
class Job:
    """A good picture and where its defects are to be painted."""

    picture: Picture
    """``[H, W, 3]`` at the depth of its file."""
    masks: tuple[Mask, ...]
    """One bool ``[H, W]`` a defect, in the order of the prompts; disjoint ones are best, shared
    latent cells go to one."""
    real: Surroundings | None = None
    """The real defect whose mask this is made from, for the verdict; None: not known."""

    @property
    def requested(self) -> Mask:
        """All masks together."""
        masks: Mask = np.logical_or.reduce(self.masks)
        return masks


@dataclass(frozen=True)
class Prepared:
    """What P jobs need once, for any number of samples."""

    jobs: Sequence[Job]
    crops: Sequence[Crop]
    regions: Tensor
    """long ``[P, h, w]``."""
    background: Sequence[Tensor]
    """``[P, C, h, w]`` a level (:meth:`Background.prepare`)."""
    normal: Tensor
    """The decoded encoding of each crop: ``[P, 3, H, W]`` in -1..1."""


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
    quality: Quality
    real_share: float | None
    """Share of the real defect's change that the sample shows (``Surroundings.share_made``); None:
    not known."""
    verdict: Verdict
    feather: float
    """Width of the seam in picture pixels, as set or by default."""


def prepare(
    codec: Codec,
    predict: Predictor,
    jobs: Sequence[Job],
    prompts: RegionPrompts,
    framing: Framing,
    sampling: SamplingSettings,
    callback: StepCallback | None = None,
) -> Prepared:
    """Crop, encode and invert P jobs in one batch.

    Raises:
        MaskError: a mask is empty, full, of another size, or there are not as many as defect
            prompts. SettingError: more steps than the schedule has.
    """
    crops: list[Crop] = []
    squares: list[Picture] = []
    masks: list[Tensor] = []
    for job in jobs:
        _check_job(job, prompts)
        crop = crop_box(job.requested, framing.resolution, framing.zoom)
        square_masks = [take(mask, crop, framing.resolution) for mask in job.masks]
        crops.append(crop)
        squares.append(take_picture(job.picture, crop, framing.resolution))
        masks.append(torch.from_numpy(np.stack(square_masks)))
    z_0 = codec.encode(to_pixels(squares))
    regions = region_map(torch.stack(masks), (z_0.shape[-2], z_0.shape[-1])).to(z_0.device)
    levels = sampling.levels(predict.schedule)
    mode = BACKGROUNDS[sampling.background]
    background = mode.prepare(predict, z_0, regions, prompts, levels, callback)
    return Prepared(jobs, crops, regions, background, codec.decode(z_0))


def _check_job(job: Job, prompts: RegionPrompts) -> None:
    if len(job.masks) != len(prompts.defects):
        raise MaskError(
            f"{len(job.masks)} masks for {len(prompts.defects)} defect prompts",
            "one mask a prompt",
        )
    for mask in job.masks:
        check_mask(mask, job.picture.size)


def join(parts: Sequence[Prepared]) -> Prepared:
    """Several batches that were prepared with the same settings, as one: positions count on from
    batch to batch."""
    backgrounds = zip(*(part.background for part in parts), strict=True)
    return Prepared(
        jobs=[job for part in parts for job in part.jobs],
        crops=[crop for part in parts for crop in part.crops],
        regions=torch.cat([part.regions for part in parts]),
        background=[torch.cat(latents) for latents in backgrounds],
        normal=torch.cat([part.normal for part in parts]),
    )


def paint(
    codec: Codec,
    predict: Predictor,
    prepared: Prepared,
    which: Sequence[int],
    seeds: Sequence[int],
    prompts: RegionPrompts,
    settings: PaintSettings,
    limits: QualityLimits | None = None,
    callback: StepCallback | None = None,
    guidance: Sequence[float] | None = None,
) -> list[Painted]:
    """Make one sample for each of ``which`` (positions in ``prepared.jobs``) with the seed at the
    same place, in one batch.

    Args:
        guidance: of each sample; None: that of a first attempt.

    Raises:
        SettingError: not as many seeds (or values of guidance) as positions, or a position that
            ``prepared`` has not.
    """
    _check_positions(len(prepared.jobs), which, seeds)
    sampling, signal = settings.sampling, SIGNALS[settings.label.signal]
    index = list(which)  # a list picks from tensors of any device: a codec may decode to the CPU
    regions = prepared.regions[index]
    recorder = MapRecorder(prompts.word_positions()) if signal.needs_attention else None
    z_0 = sample(
        predict,
        BACKGROUNDS[sampling.background],
        [latents[index] for latents in prepared.background],
        regions,
        prompts,
        sampling.levels(predict.schedule),
        seeds,
        sampling.guidance_at(0) if guidance is None else guidance,
        recorder,
        callback,
        SOLVERS[sampling.solver],
    )
    painted, normal = codec.decode(z_0), prepared.normal[index]
    size = (painted.shape[-2], painted.shape[-1])
    latents = LatentEvidence(predict, z_0, regions, prompts, seeds)
    heats = signal.heat(Evidence(size, recorder, painted, normal, latents)).cpu().numpy()
    squares = zip(as_pictures(painted), as_pictures(normal), heats, strict=True)
    samples = []
    for position, (square, plain, heat) in zip(which, squares, strict=True):
        job, crop = prepared.jobs[position], prepared.crops[position]
        samples.append(_finish(job, crop, square, plain, heat, settings, limits))
    return samples


def _check_positions(jobs: int, which: Sequence[int], seeds: Sequence[int]) -> None:
    if len(which) != len(seeds):
        raise SettingError(
            f"{len(seeds)} seeds for {len(which)} samples",
            "one seed a sample",
            "give as many of each",
        )
    if not all(0 <= position < jobs for position in which):
        raise SettingError(
            f"samples of the jobs {list(which)}",
            f"positions from 0 to {jobs - 1}",
            "choose from the prepared jobs",
        )


def _finish(
    job: Job,
    crop: Crop,
    painted: NDArray[np.float32],
    normal: NDArray[np.float32],
    heat: NDArray[np.float32],
    settings: PaintSettings,
    limits: QualityLimits | None,
) -> Painted:
    """Stitch one decoded sample into its picture, make its label and judge it."""
    stitching, label = settings.stitching, settings.label
    requested = job.requested
    width = stitching.feather
    if width is None:
        width = default_feather(crop, requested)
    if stitching.stitch:
        plain = normal if stitching.detail else None
        result = stitch(job.picture, painted, requested, crop, width, plain)
    else:
        result = stitch(job.picture, painted, _square(crop, requested.shape), crop, 0)
    before, after = job.picture.eight_bit(), result.eight_bit()
    placed = put_back(heat, crop, requested.shape)
    placed = SIGNALS[label.signal].stitched(placed, before, after)

    refined = np.zeros(requested.shape, np.bool_)
    shown = np.zeros(requested.shape, np.float32)
    for mask in job.masks:
        part, part_heat = label_of(placed, mask, label)
        refined |= part
        shown = np.maximum(shown, part_heat)

    quality = measure(before, after, requested, refined, painted, normal, crop, width)
    share = None if job.real is None else job.real.share_made(before, after, requested)
    verdict = judge(quality, limits, 1.0 if share is None else share)
    return Painted(result, refined, requested, shown, quality, share, verdict, width)


def _square(crop: Crop, shape: tuple[int, ...]) -> Mask:
    mask = np.zeros(shape, np.bool_)
    mask[max(crop.top, 0) : crop.top + crop.side, max(crop.left, 0) : crop.left + crop.side] = True
    return mask
