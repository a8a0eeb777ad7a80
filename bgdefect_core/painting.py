"""Samples of pairs that :mod:`preparing` has prepared: sample, decode, refine, stitch, judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from .codec import Codec
from .errors import SettingError
from .finishing import Decoded, Painted, finish, finish_paste
from .jobs import PaintSettings
from .method.attention_maps import MapRecorder
from .method.backgrounds import BACKGROUNDS
from .method.inversion import StepCallback
from .method.predictor import Predictor
from .method.regions import RegionPrompts
from .method.sampling import sample
from .method.signals import SIGNALS, Evidence, LatentEvidence
from .method.solvers import SOLVERS
from .method.start import NOISE
from .pasting import levels_in_use, pasted_of
from .pictures.pixels import as_pictures
from .preparing import Prepared
from .quality import ClassProfile, QualityLimits, Standard


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
    known = [False] * len(which) if pastes is None else _picked(pastes.known, which)
    levels = levels_in_use(known, start_levels)
    if guidance is None:
        guidance = [settings.sampling.guidance_at(0)] * len(which)
    sampled = [number for number, level in enumerate(levels) if level > 0]
    samples: dict[int, Painted] = {}
    if sampled:
        batch = _Batch(
            _picked(which, sampled),
            _picked(seeds, sampled),
            _picked(guidance, sampled),
            _picked(levels, sampled),
        )
        painted = _sampled(codec, predict, prepared, batch, prompts, settings, standard, callback)
        samples = dict(zip(sampled, painted, strict=True))
    for number, position in enumerate(which):
        if number not in samples:
            job, crop = prepared.jobs[position], prepared.crops[position]
            samples[number] = finish_paste(job, crop, settings, standard)
    return [samples[number] for number in range(len(which))]


Element = TypeVar("Element")


def _picked(elements: Sequence[Element], places: Sequence[int]) -> list[Element]:
    """The elements at some places, in the order of the places."""
    return [elements[place] for place in places]


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
