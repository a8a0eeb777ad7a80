"""What pairs of picture and mask need once before any number of samples is painted: crop, encode,
invert, lay the real defects over the pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .codec import Codec
from .errors import MaskError, SettingError
from .good_squares import GoodSquares
from .jobs import Framing, Job
from .method.backgrounds import BACKGROUNDS
from .method.inversion import StepCallback
from .method.predictor import Predictor
from .method.regions import RegionPrompts
from .method.sampling import SamplingSettings
from .method.start import StartSettings
from .pasting import Pastes, joined, paste_jobs
from .pictures.crop import Crop, crop_box, take, take_picture
from .pictures.masks import Mask, check_mask, region_map
from .pictures.picture import Picture
from .placement.exemplar import Exemplar


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
        square_masks: list[Mask] = []
        for mask in job.masks:
            square_masks.append(take(mask, crop, framing.resolution))
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
        pastes = _paste_jobs(codec, jobs, crops, regions, framing, starting, paste_detail)
    return Prepared(jobs, crops, regions, background, normal, pastes)


def _paste_jobs(
    codec: Codec,
    jobs: Sequence[Job],
    crops: Sequence[Crop],
    regions: Tensor,
    framing: Framing,
    starting: StartSettings,
    paste_detail: bool,
) -> Pastes:
    """The real defects of each job, laid over its picture and encoded."""
    pictures: list[Picture] = []
    exemplars: list[Sequence[Exemplar]] = []
    requested: list[Mask] = []
    for job in jobs:
        pictures.append(job.picture)
        exemplars.append(job.exemplars)
        requested.append(job.requested)
    return paste_jobs(
        codec,
        pictures,
        exemplars,
        requested,
        crops,
        framing.resolution,
        regions,
        starting,
        paste_detail,
    )


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
    jobs: list[Job] = []
    crops: list[Crop] = []
    regions: list[Tensor] = []
    normal: list[Tensor] = []
    pastes: list[Pastes | None] = []
    for part in parts:
        jobs += part.jobs
        crops += part.crops
        regions.append(part.regions)
        normal.append(part.normal)
        pastes.append(part.pastes)
    background: list[Tensor] = []
    for level in range(len(parts[0].background)):
        background.append(torch.cat([part.background[level] for part in parts]))
    return Prepared(
        jobs=jobs,
        crops=crops,
        regions=torch.cat(regions),
        background=background,
        normal=torch.cat(normal),
        pastes=joined(pastes),
    )
