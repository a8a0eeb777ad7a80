"""One batch of pictures from start to end: crop, encode, invert, sample, decode, refine, stitch,
judge.

``prepare`` does what a (picture, mask) needs once; ``paint`` makes any number of samples from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .copies import COPY
from .declarations import Doc, Range, check_settings
from .errors import MaskError, SettingError
from .good_squares import Codec, GoodSquares
from .method.attention import MapRecorder
from .method.backgrounds import BACKGROUNDS
from .method.inversion import StepCallback
from .method.predictor import Predictor
from .method.refinement import LabelSettings, label_of
from .method.regions import RegionPrompts
from .method.sampling import SamplingSettings, sample
from .method.signals import SIGNALS, Evidence, LatentEvidence
from .method.solvers import SOLVERS
from .method.start import NOISE, StartSettings
from .pasting import Pasted, Pastes, joined, levels_in_use, paste_heat, paste_jobs, pasted_of
from .pictures.crop import Crop, Zoom, crop_box, default_feather, put_back, take, take_picture
from .pictures.masks import Mask, check_mask, region_map
from .pictures.picture import Picture
from .pictures.pixels import as_pictures
from .pictures.stitching import stitch
from .placement.exemplar import Exemplar
from .placement.paste import edge_width
from .placement.surroundings import Surroundings
from .quality import ClassProfile, Quality, QualityLimits, Standard, Verdict, judge, measure


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

    paste_detail: Annotated[
        bool,
        Doc(
            "Where a sample starts from a real defect: restore also what the VAE lost of that "
            "defect, where the sample stayed near it. Needs detail."
        ),
    ] = False

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True)
class PaintSettings:
    """How samples are made."""

    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    starting: StartSettings = field(default_factory=StartSettings)
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
    exemplars: tuple[Exemplar, ...] = ()
    """The real defects' own pixels at this place, one a mask, for a start from them; empty: not
    known."""

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
    pastes: Pastes | None = None
    """The real defects, laid over the pictures; None: all samples start from noise."""


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
    start_level: float = NOISE
    """0: the paste of the real defect; 1: from noise."""
    exemplar_difference: float | None = None
    """How far the sample is from its exemplar (``copies.exemplar_difference``); None: started from
    noise."""


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
            samples[number] = _paste_alone(prepared, position, settings, standard)
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
        samples.append(_finish(job, crop, decoded, settings, standard))
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


@dataclass(frozen=True, eq=False)
class Decoded:
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


def _finish(
    job: Job,
    crop: Crop,
    decoded: Decoded,
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
        whole = _square(crop, requested.shape)
        result = stitch(job.picture, decoded.painted, whole, crop, 0)
    if pasted is not None:
        result = pasted.finished(result)
    placed = put_back(decoded.heat, crop, requested.shape)
    signal = SIGNALS[settings.label.signal]
    placed = signal.stitched(placed, job.picture.eight_bit(), result.eight_bit())
    return _judged(job, crop, decoded, result, placed, width, settings, standard)


def _paste_alone(
    prepared: Prepared, position: int, settings: PaintSettings, standard: Standard
) -> Painted:
    """The sample of start level 0: the paste itself, judged as any other, on the pictures' own
    pixels: no decoder changed them."""
    job, crop = prepared.jobs[position], prepared.crops[position]
    pasted = pasted_of(job.picture, job.exemplars, job.requested, settings.starting)
    side = crop.side
    squares: list[NDArray[np.float32]] = []
    for picture in (pasted.picture, job.picture):
        square = take_picture(picture, crop, side)
        squares.append(np.divide(square.pixels, square.white, dtype=np.float32))
    good, result = job.picture.eight_bit(), pasted.picture.eight_bit()
    heat = paste_heat(good, result, job.requested)
    decoded = Decoded(squares[0], squares[1], heat, 0.0, pasted)
    width = edge_width(job.picture)
    return _judged(job, crop, decoded, pasted.picture, heat, width, settings, standard)


def _judged(
    job: Job,
    crop: Crop,
    decoded: Decoded,
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
    before, after, requested = job.picture.eight_bit(), result.eight_bit(), job.requested
    refined = np.zeros(requested.shape, np.bool_)
    shown = np.zeros(requested.shape, np.float32)
    for mask in job.masks:
        part, part_heat = label_of(placed, mask, settings.label, standard.profile.shape)
        refined |= part
        shown = np.maximum(shown, part_heat)

    squares = (decoded.painted, decoded.normal)
    quality = measure(before, after, requested, refined, *squares, crop, width, standard.profile)
    share = None if job.real is None else job.real.share_made(before, after, requested)
    verdict = judge(quality, standard.limits, 1.0 if share is None else share, standard.profile)
    difference = None
    if decoded.pasted is not None:
        difference = decoded.pasted.difference(after, before, requested)
        copied = decoded.start_level > 0 and decoded.pasted.is_copied_by(after, before, requested)
        if copied and verdict.good:
            verdict = Verdict(False, COPY)
    return Painted(
        result,
        refined,
        requested,
        shown,
        quality,
        share,
        verdict,
        width,
        decoded.start_level,
        difference,
    )


def _square(crop: Crop, shape: tuple[int, ...]) -> Mask:
    mask = np.zeros(shape, np.bool_)
    mask[max(crop.top, 0) : crop.top + crop.side, max(crop.left, 0) : crop.left + crop.side] = True
    return mask
