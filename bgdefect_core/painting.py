"""One batch of pictures, start to end: crop, encode, invert, sample, decode, refine, stitch, judge.

``prepare`` does what a (picture, mask) needs once; ``paint`` makes any number of samples from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .errors import MaskError, SettingError, check_range
from .method.attention import MapRecorder
from .method.inversion import StepCallback
from .method.likelihood import likelihood_heat
from .method.predictor import Predictor
from .method.refinement import (
    ATTENTION_SIGNALS,
    PEAK,
    SIGNALS,
    Signal,
    attention_heat,
    combine,
    difference_heat,
    refine,
    stitched_heat,
    threshold_in_use,
)
from .method.regions import RegionPrompts
from .method.sampling import (
    BACKGROUND_MODES,
    DEFAULT_BACKGROUND,
    BackgroundMode,
    background_levels,
    sample,
)
from .method.solvers import SOLVERS, Solver
from .pictures.crop import Crop, Zoom, crop_box, default_feather, put_back, stitch, take
from .pictures.files import Picture
from .pictures.masks import Mask, check_mask, region_map
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
class PaintSettings:
    """How samples are made. All of it stands in the manifest.

    Raises:
        SettingError: a value out of its range; ``steps`` is checked by the schedule
            (:meth:`NoiseSchedule.levels`).
    """

    resolution: int
    """Side of the network's picture in pixels."""
    zoom: Zoom = "defect"
    """What the square around the mask shows; as in training."""
    steps: int = 50
    """Steps each way; the way up is always DDIM."""
    solver: Solver = "ddim"
    """Of the way down."""
    background: BackgroundMode = DEFAULT_BACKGROUND
    """How the background is held (docs/method.md, choice 1)."""
    guidance: float = 1.0
    """Defect guidance inside the mask; 1 = none (choice 7)."""
    signal: Signal = "difference"
    """What the refined mask is made from (choice 3; ``likelihood`` is our addition and costs 20
    evaluations a sample)."""
    threshold: float | None = None
    """Share of the signal's peak inside the mask above which a pixel is labelled; None: the
    signal's own (``refinement.THRESHOLDS``)."""
    peak: float = PEAK
    """Percentile of the signal inside the mask that counts as its peak; 100: the maximum
    (docs/method.md, choice 3)."""
    feather: float | None = None
    """Width of the blended seam in picture pixels; None: it follows from the mask
    (``crop.default_feather``)."""
    stitch: bool = True
    """Off: the whole decoded square replaces the picture, and the VAE's loss with it."""
    detail: bool = True
    """Stitching gives back what the VAE lost of the picture, where little changed
    (``detail.with_detail``)."""

    def __post_init__(self) -> None:
        check_range("resolution", self.resolution, 32, 4096)
        check_range("guidance", self.guidance, 0, 30)
        if self.threshold is not None:
            check_range("threshold", self.threshold, 0, 1)
        check_range("peak", self.peak, 0, 100)
        check_range("feather", self.feather or 0, 0, 4096)
        choices = (
            ("background", self.background, BACKGROUND_MODES),
            ("signal", self.signal, SIGNALS),
            ("solver", self.solver, SOLVERS),
        )
        for name, value, known in choices:
            if value not in known:
                raise SettingError(f"{name} is {value!r}", f"one of {', '.join(known)}")


@dataclass(frozen=True)
class Job:
    """A good picture and where its defects shall come."""

    picture: Picture
    """uint8 ``[H, W, 3]``."""
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
    """``[P, C, h, w]`` a level (:func:`background_levels`)."""
    normal: Tensor
    """The decoded encoding of each crop: ``[P, 3, H, W]`` in -1..1."""


@dataclass(frozen=True)
class Painted:
    """One sample."""

    picture: Picture
    """uint8 ``[H, W, 3]``: outside the feather band the input byte for byte."""
    mask: Mask
    """The refined mask, within the requested one: the label."""
    requested: Mask
    heat: NDArray[np.float32]
    """float32 ``[H, W]`` in 0..1: the signal behind the refined mask."""
    quality: Quality
    real_share: float | None
    """How much of it shows that would show in life (``Surroundings.share_made``); None: not
    known."""
    verdict: Verdict
    feather: float
    """Width of the seam in picture pixels, given or by default."""


def prepare(
    codec: Codec,
    predict: Predictor,
    jobs: Sequence[Job],
    prompts: RegionPrompts,
    settings: PaintSettings,
    callback: StepCallback | None = None,
) -> Prepared:
    """Crop, encode and invert P jobs in one batch.

    Raises:
        MaskError: a mask is empty, full, of another size, or there are not as many as defect
            prompts.
    """
    crops, pixels, masks = [], [], []
    for job in jobs:
        if len(job.masks) != len(prompts.defects):
            raise MaskError(
                f"{len(job.masks)} masks for {len(prompts.defects)} defect prompts",
                "one mask a prompt",
            )
        for mask in job.masks:
            check_mask(mask, job.picture.shape[:2])
        crop = crop_box(job.requested, settings.resolution, settings.zoom)
        crops.append(crop)
        pixels.append(take(job.picture, crop, settings.resolution))
        masks.append(np.stack([take(mask, crop, settings.resolution) for mask in job.masks]))
    z_0 = codec.encode(torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 127.5 - 1)
    regions = region_map(torch.from_numpy(np.stack(masks)), z_0.shape[-2:]).to(z_0.device)  # type: ignore[arg-type]
    levels = predict.schedule.levels(settings.steps)
    background = background_levels(
        settings.background, predict, z_0, regions, prompts, levels, callback
    )
    return Prepared(jobs, crops, regions, background, codec.decode(z_0))


def join(parts: Sequence[Prepared]) -> Prepared:
    """Several batches that were prepared with the same settings, as one: positions count on from
    batch to batch."""
    return Prepared(
        [job for part in parts for job in part.jobs],
        [crop for part in parts for crop in part.crops],
        torch.cat([part.regions for part in parts]),
        [torch.cat(levels) for levels in zip(*(part.background for part in parts), strict=True)],
        torch.cat([part.normal for part in parts]),
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
        guidance: of each sample, where not all take the settings' own.

    Raises:
        SettingError: not as many seeds (or values of guidance) as positions, or a position that
            ``prepared`` has not.
    """
    jobs = len(prepared.jobs)
    if len(which) != len(seeds):
        raise SettingError(
            f"{len(seeds)} seeds for {len(which)} samples",
            "one seed a sample",
            "give as many of each",
        )
    if not all(0 <= job < jobs for job in which):
        raise SettingError(
            f"samples of the jobs {list(which)}",
            f"positions from 0 to {jobs - 1}",
            "choose from the prepared jobs",
        )
    index = list(which)  # a list picks from tensors of any device: a codec may decode to the CPU
    regions = prepared.regions[index]
    recorder = (
        MapRecorder(prompts.word_positions()) if settings.signal in ATTENTION_SIGNALS else None
    )
    z_0 = sample(
        predict,
        settings.background,
        [level[index] for level in prepared.background],
        regions,
        prompts,
        predict.schedule.levels(settings.steps),
        seeds,
        settings.guidance if guidance is None else guidance,
        recorder,
        callback,
        settings.solver,
    )
    painted = codec.decode(z_0)
    normal = prepared.normal[index]
    size = (painted.shape[-2], painted.shape[-1])
    if settings.signal == "likelihood":
        heats = likelihood_heat(predict, z_0, regions, prompts, seeds, size)
    else:
        attention = attention_heat(recorder, size).to(painted.device) if recorder else None
        heats = combine(settings.signal, attention, difference_heat(painted, normal))
    heat = heats.cpu().numpy()
    pictures, normals = as_pictures(painted), as_pictures(normal)
    return [
        _finish(
            prepared.jobs[job],
            prepared.crops[job],
            pictures[i],
            normals[i],
            heat[i],
            settings,
            limits,
        )
        for i, job in enumerate(which)
    ]


def _finish(
    job: Job,
    crop: Crop,
    painted: NDArray[np.float32],
    normal: NDArray[np.float32],
    heat: NDArray[np.float32],
    settings: PaintSettings,
    limits: QualityLimits | None,
) -> Painted:
    requested = job.requested
    width = default_feather(crop, requested) if settings.feather is None else settings.feather
    if settings.stitch:
        result = stitch(
            job.picture, painted, requested, crop, width, normal if settings.detail else None
        )
    else:
        result = stitch(job.picture, painted, _square(crop, requested.shape), crop, 0)
    placed = stitched_heat(
        settings.signal, put_back(heat, crop, requested.shape), job.picture, result
    )
    threshold = threshold_in_use(settings.signal, settings.threshold)
    parts = [refine(placed, mask, threshold, settings.peak) for mask in job.masks]
    refined = np.logical_or.reduce([part for part, _ in parts])
    quality = measure(job.picture, result, requested, refined, painted, normal, crop, width)
    shown = np.maximum.reduce([part for _, part in parts])
    share = None if job.real is None else job.real.share_made(job.picture, result, requested)
    verdict = judge(quality, limits, 1.0 if share is None else share)
    return Painted(result, refined, requested, shown, quality, share, verdict, width)


def as_pictures(decoded: Tensor) -> NDArray[np.float32]:
    """Decoded ``[B, 3, H, W]`` in -1..1, cut off there -> float32 ``[B, H, W, 3]`` in 0..1 on the
    CPU."""
    pictures: NDArray[np.float32] = (
        ((decoded.float().clamp(-1, 1) + 1) / 2).permute(0, 2, 3, 1).cpu().numpy()
    )
    return pictures


def _square(crop: Crop, shape: tuple[int, ...]) -> Mask:
    mask = np.zeros(shape, np.bool_)
    mask[max(crop.top, 0) : crop.top + crop.side, max(crop.left, 0) : crop.left + crop.side] = True
    return mask
