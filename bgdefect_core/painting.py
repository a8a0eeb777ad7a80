"""Samples of pairs that :mod:`preparing` has prepared: sample, decode, refine, stitch, judge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from .codec import Codec
from .errors import SettingError
from .finishing import DecodedSample, Painted, finish, finish_paste
from .jobs import Attempt, PaintSettings
from .method.attention_maps import MapRecorder
from .method.inversion import StepCallback
from .method.predictor import Predictor
from .method.regions import RegionPrompts
from .method.sample_batch import SampleBatch
from .method.sampling import sample
from .method.signals import SIGNALS, Evidence, LatentEvidence
from .method.solvers import SOLVERS
from .method.start import NOISE
from .pasting import pasted_of
from .pictures.pixels import as_pictures
from .preparing import Prepared
from .quality import Standard


def paint(
    codec: Codec,
    predict: Predictor,
    prepared: Prepared,
    attempts: Sequence[Attempt],
    prompts: RegionPrompts,
    settings: PaintSettings,
    standard: Standard | None = None,
    callback: StepCallback | None = None,
) -> list[Painted]:
    """Make one sample for each attempt, in one batch.

    Args:
        standard: for the verdict and the label; None: the default limits, no real defect is known.

    Raises:
        SettingError: an attempt at a job that ``prepared`` has not, or that was not prepared for
            its start.
    """
    _check_positions(len(prepared.jobs), attempts)
    standard = standard or Standard()
    attempts = [_with_known_start(attempt, prepared) for attempt in attempts]
    sampled = [attempt for attempt in attempts if attempt.start_level > 0]
    decoded = _decoded(codec, predict, prepared, sampled, prompts, settings, callback)
    painted: list[Painted] = []
    for attempt in attempts:
        job, crop = prepared.jobs[attempt.position], prepared.crops[attempt.position]
        if attempt.start_level > 0:
            painted.append(finish(job, crop, next(decoded), settings, standard))
        else:
            painted.append(finish_paste(job, crop, settings, standard))
    return painted


def _with_known_start(attempt: Attempt, prepared: Prepared) -> Attempt:
    """The attempt, from noise where the real defects of its job are not known."""
    if prepared.knows_real(attempt.position):
        return attempt
    return replace(attempt, start_level=NOISE)


def _decoded(
    codec: Codec,
    predict: Predictor,
    prepared: Prepared,
    attempts: Sequence[Attempt],
    prompts: RegionPrompts,
    settings: PaintSettings,
    callback: StepCallback | None,
) -> Iterator[DecodedSample]:
    """The samples of one batch that go through the network. They come one by one: each has a pasted
    picture of its own, and a batch of large ones would fill the memory."""
    if prepared.background is None:
        raise SettingError(
            "samples above start level 0 of jobs that were prepared as pastes",
            "start level 0",
            "prepare the jobs with the network",
        )
    signal = SIGNALS[settings.label.signal]
    seeds = [attempt.seed for attempt in attempts]
    start_levels = [attempt.start_level for attempt in attempts]
    # a list picks from tensors of any device: a codec may decode to the CPU
    index = [attempt.position for attempt in attempts]
    regions, pastes = prepared.regions[index], prepared.pastes
    recorder = MapRecorder(prompts.word_positions()) if signal.needs_attention else None
    z_0 = sample(
        predict,
        prepared.background.rows(index),
        SampleBatch(regions, seeds, [attempt.guidance for attempt in attempts]),
        prompts,
        None if pastes is None else pastes.start(index, start_levels),
        SOLVERS[settings.sampling.solver],
        recorder,
        callback,
    )
    painted, normal = codec.decode(z_0), prepared.normal[index]
    size = (painted.shape[-2], painted.shape[-1])
    latents = LatentEvidence(predict, z_0, regions, prompts, seeds)
    heats = signal.heat(Evidence(size, recorder, painted, normal, latents)).cpu().numpy()
    parts = zip(index, as_pictures(painted), as_pictures(normal), heats, start_levels, strict=True)
    for position, square, plain, heat, level in parts:
        if pastes is None or level == NOISE:
            yield DecodedSample(square, plain, heat)
        else:
            pasted = pasted_of(prepared.jobs[position], settings.starting)
            yield DecodedSample(square, plain, heat, level, pasted, pastes.square(position))


def _check_positions(jobs: int, attempts: Sequence[Attempt]) -> None:
    if not all(0 <= attempt.position < jobs for attempt in attempts):
        raise SettingError(
            f"samples of the jobs {[attempt.position for attempt in attempts]}",
            f"positions from 0 to {jobs - 1}",
            "choose from the prepared jobs",
        )
