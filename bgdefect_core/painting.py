"""One batch of pictures from start to end: crop, encode, invert, sample, decode, refine, stitch,
judge.

``prepare`` does what a (picture, mask) needs once; ``paint`` makes any number of samples from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .codec import Codec
from .errors import MaskError, SettingError
from .finishing import Decoded, Painted, finish, finish_paste
from .good_squares import GoodSquares
from .jobs import Framing, Job, PaintSettings
from .method.attention import MapRecorder
from .method.backgrounds import BACKGROUNDS
from .method.inversion import StepCallback
from .method.predictor import Predictor
from .method.regions import RegionPrompts
from .method.sampling import SamplingSettings, sample
from .method.signals import SIGNALS, Evidence, LatentEvidence
from .method.solvers import SOLVERS
from .method.start import NOISE, StartSettings
from .pasting import Pastes, joined, levels_in_use, paste_jobs, pasted_of
from .pictures.crop import Crop, crop_box, take, take_picture
from .pictures.masks import check_mask, region_map
from .pictures.picture import Picture
from .pictures.pixels import as_pictures
from .quality import ClassProfile, QualityLimits, Standard


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
    pastes: Pastes | None = None
    """The real defects, laid over the pictures; None: all samples start from noise."""


def prepare(
    codec: Codec,
    predict: Predictor,
    jobs: Sequence[Job],
    prompts: RegionPrompts,
    framing: Framing,
    sampling: SamplingSettings,
    callback: StepCallback | None = None,
    starting: StartSettings | None = None,
    paste_detail: bool = False,
    good_squares: GoodSquares | None = None,
) -> Prepared:
    """Crop, encode and invert P jobs in one batch.

    Args:
        starting: where their samples will start; None: from noise.
        paste_detail: whether the pastes' detail will be restored.
        good_squares: of the run: squares that an earlier call encoded and decoded are not
            computed again.

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
    z_0, normal = (good_squares or GoodSquares()).coded(codec, squares)
    regions = region_map(torch.stack(masks), (z_0.shape[-2], z_0.shape[-1])).to(z_0.device)
    levels = sampling.levels(predict.schedule)
    mode = BACKGROUNDS[sampling.background]
    background = mode.prepare(predict, z_0, regions, prompts, levels, callback)
    pastes = None
    if starting is not None and starting.uses_real:
        pastes = paste_jobs(
            codec,
            [job.picture for job in jobs],
            [job.exemplars for job in jobs],
            [job.requested for job in jobs],
            crops,
            framing.resolution,
            regions,
            starting,
            paste_detail,
        )
    return Prepared(jobs, crops, regions, background, normal, pastes)


def prepare_pastes(jobs: Sequence[Job], framing: Framing) -> Prepared:
    """What P jobs need whose samples are all pastes (start level 0): no network.

    Raises:
        MaskError: a bad mask. SettingError: a job without exemplars.
    """
    crops: list[Crop] = []
    for job in jobs:
        check_mask(job.requested, job.picture.size)
        if not job.exemplars:
            raise SettingError(
                "a paste of a real defect that is not known",
                "the picture of the real defect",
                "start from noise",
            )
        crops.append(crop_box(job.requested, framing.resolution, framing.zoom))
    nothing = torch.zeros(len(jobs), 0)
    return Prepared(jobs, crops, nothing, [], nothing, Pastes([True] * len(jobs), nothing))


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
        pastes=joined([part.pastes for part in parts]),
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
    start_levels: Sequence[float] | None = None,
    profile: ClassProfile | None = None,
) -> list[Painted]:
    """Make one sample for each of ``which`` (positions in ``prepared.jobs``) with the seed at the
    same place, in one batch.

    Args:
        guidance: of each sample; None: that of a first attempt.
        start_levels: of each sample (``StartSettings.level_of``); a sample whose job knows no real
            defect starts from noise. None: all from noise.
        profile: of the class, for the verdict and the label; None: no real defect is known.

    Raises:
        SettingError: not as many seeds (or values of guidance, or start levels) as positions, a
            position that ``prepared`` has not, or one that was not prepared for its start.
    """
    _check_positions(len(prepared.jobs), which, seeds)
    pastes = prepared.pastes
    standard = Standard(limits or QualityLimits(), profile or ClassProfile(0))
    known = [pastes is not None and pastes.known[position] for position in which]
    levels = levels_in_use(known, start_levels)
    if guidance is None:
        guidance = [settings.sampling.guidance_at(0)] * len(which)
    sampled = [number for number, level in enumerate(levels) if level > 0]
    samples: dict[int, Painted] = {}
    if sampled:
        batch = _Batch(
            [which[number] for number in sampled],
            [seeds[number] for number in sampled],
            [guidance[number] for number in sampled],
            [levels[number] for number in sampled],
        )
        painted = _sampled(codec, predict, prepared, batch, prompts, settings, standard, callback)
        samples = dict(zip(sampled, painted, strict=True))
    for number, position in enumerate(which):
        if number not in samples:
            job, crop = prepared.jobs[position], prepared.crops[position]
            samples[number] = finish_paste(job, crop, settings, standard)
    return [samples[number] for number in range(len(which))]


@dataclass(frozen=True)
class _Batch:
    """Samples that go through the network together: each at the same place of every list."""

    which: Sequence[int]
    seeds: Sequence[int]
    guidance: Sequence[float]
    start_levels: Sequence[float]


def _sampled(
    codec: Codec,
    predict: Predictor,
    prepared: Prepared,
    batch: _Batch,
    prompts: RegionPrompts,
    settings: PaintSettings,
    standard: Standard,
    callback: StepCallback | None,
) -> list[Painted]:
    """The samples of one batch, decoded and finished."""
    sampling, signal = settings.sampling, SIGNALS[settings.label.signal]
    index = list(batch.which)  # picks from tensors of any device: a codec may decode to the CPU
    regions, pastes = prepared.regions[index], prepared.pastes
    recorder = MapRecorder(prompts.word_positions()) if signal.needs_attention else None
    z_0 = sample(
        predict,
        BACKGROUNDS[sampling.background],
        [latents[index] for latents in prepared.background],
        regions,
        prompts,
        sampling.levels(predict.schedule),
        batch.seeds,
        batch.guidance,
        recorder,
        callback,
        SOLVERS[sampling.solver],
        None if pastes is None else pastes.start(index, batch.start_levels),
    )
    painted, normal = codec.decode(z_0), prepared.normal[index]
    size = (painted.shape[-2], painted.shape[-1])
    latents = LatentEvidence(predict, z_0, regions, prompts, batch.seeds)
    heats = signal.heat(Evidence(size, recorder, painted, normal, latents)).cpu().numpy()
    parts = zip(
        index, as_pictures(painted), as_pictures(normal), heats, batch.start_levels, strict=True
    )
    samples: list[Painted] = []
    for position, square, plain, heat, level in parts:
        job, crop = prepared.jobs[position], prepared.crops[position]
        decoded = Decoded(square, plain, heat)
        if pastes is not None and level < NOISE:
            pasted = pasted_of(job.picture, job.exemplars, job.requested, settings.starting)
            decoded = Decoded(square, plain, heat, level, pasted, pastes.square(position))
        samples.append(finish(job, crop, decoded, settings, standard))
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
