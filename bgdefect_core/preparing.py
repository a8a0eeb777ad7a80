"""What pairs of picture and mask need once before any number of samples is painted: crop, encode,
invert, lay the real defects over the pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from .errors import MaskError, SettingError
from .good_squares import GoodSquares
from .jobs import Framing, Job, PaintSettings
from .method.backgrounds import BACKGROUNDS, BackgroundLatents, joined_backgrounds
from .method.inversion import StepCallback
from .method.regions import RegionPrompts
from .networks import ClassNetworks
from .pasting import Pastes, joined, paste_jobs
from .pictures.crop import Crop, crop_box, take, take_picture
from .pictures.masks import Mask, check_mask
from .pictures.picture import Picture
from .pictures.region_maps import region_map


@dataclass(frozen=True)
class Prepared:
    """What P jobs need once, for any number of samples."""

    jobs: Sequence[Job]
    crops: Sequence[Crop]
    regions: Tensor
    """long ``[P, h, w]``."""
    normal: Tensor
    """The decoded encoding of each crop: ``[P, 3, H, W]`` in -1..1."""
    background: BackgroundLatents | None = None
    """Of each picture; None: all samples are pastes."""
    pastes: Pastes | None = None
    """The real defects, laid over the pictures; None: all samples start from noise."""

    def knows_real(self, position: int) -> bool:
        """Whether the real defects of a job are known, so that its samples can start from them."""
        return self.pastes is not None and self.pastes.known[position]


def prepare(
    networks: ClassNetworks,
    jobs: Sequence[Job],
    framing: Framing,
    settings: PaintSettings,
    good_squares: GoodSquares | None = None,
    callback: StepCallback | None = None,
) -> Prepared:
    """Crop, encode and invert P jobs in one batch.

    Args:
        settings: with which their samples will be painted.
        good_squares: of the run: squares that an earlier call encoded and decoded are not
            computed again.

    Raises:
        MaskError: a mask is empty, full, of another size, or there are not as many as defect
            prompts. SettingError: more steps than the schedule has.
    """
    codec, predict, prompts = networks.codec, networks.predict, networks.prompts
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
    levels = settings.sampling.levels(predict.schedule)
    mode = BACKGROUNDS[settings.sampling.background]
    background = mode.prepare(predict, z_0, regions, prompts, levels, callback)
    pastes = None
    if settings.starting.uses_real:
        pastes = paste_jobs(codec, jobs, crops, framing.resolution, regions, settings.starting)
        if settings.stitching.restores_pastes:
            pastes = replace(pastes, decoded=codec.decode(pastes.latents))
    return Prepared(jobs, crops, regions, normal, background, pastes)


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
    pastes = Pastes([True] * len(jobs), nothing)
    return Prepared(jobs, crops, nothing, nothing, pastes=pastes)


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
    backgrounds: list[BackgroundLatents] = []
    pastes: list[Pastes | None] = []
    for part in parts:
        jobs += part.jobs
        crops += part.crops
        regions.append(part.regions)
        normal.append(part.normal)
        pastes.append(part.pastes)
        if part.background is not None:
            backgrounds.append(part.background)
    return Prepared(
        jobs=jobs,
        crops=crops,
        regions=torch.cat(regions),
        normal=torch.cat(normal),
        background=joined_backgrounds(backgrounds) if backgrounds else None,
        pastes=joined(pastes),
    )
