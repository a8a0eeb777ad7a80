"""Samples of pairs that :mod:`preparing` has prepared: sample, decode, refine, stitch, judge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from .errors import SettingError
from .finishing import DecodedSample, Painted, finish, finish_paste
from .jobs import Attempt, PaintSettings
from .method.attention_maps import MapRecorder
from .method.inversion import StepCallback
from .method.sample_batch import SampleBatch
from .method.sampling import sample
from .method.signals import SIGNALS, Evidence, LatentEvidence
from .method.solvers import SOLVERS
from .method.start import NOISE
from .networks import ClassNetworks
from .pasting import pasted_of
from .pictures.pixels import as_pictures
from .preparing import Prepared
from .quality import Standard


def paint(
    networks: ClassNetworks,
    prepared: Prepared,
    attempts: Sequence[Attempt],
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
    decoded = _decoded(networks, prepared, sampled, settings, callback)
    painted: list[Painted] = []
    for attempt in attempts:
        if attempt.start_level > 0:
            painted.append(finish(next(decoded), settings, standard))
        else:
            job, crop = prepared.jobs[attempt.position], prepared.crops[attempt.position]
            painted.append(finish_paste(job, crop, settings, standard))
    return painted


def _with_known_start(attempt: Attempt, prepared: Prepared) -> Attempt:
    """The attempt, from noise where the real defects of its job are not known."""
    if prepared.knows_real(attempt.position):
        return attempt
    return replace(attempt, start_level=NOISE)


def _decoded(
    networks: ClassNetworks,
    prepared: Prepared,
    attempts: Sequence[Attempt],
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
    predict, prompts = networks.predict, networks.prompts
    signal = SIGNALS[settings.label.signal]
    recorder = MapRecorder(prompts.word_positions()) if signal.needs_attention else None
    # a list picks from tensors of any device: a codec may decode to the CPU
    index = [attempt.position for attempt in attempts]
    batch = _batch(prepared, attempts)
    z_0 = sample(
        predict,
        prepared.background.rows(index),
        batch,
        prompts,
        SOLVERS[settings.sampling.solver],
        recorder,
        callback,
    )
    painted, normal = networks.codec.decode(z_0), prepared.normal[index]
    size = (painted.shape[-2], painted.shape[-1])
    latents = LatentEvidence(predict, z_0, batch.regions, prompts, batch.seeds)
    heats = signal.heat(Evidence(size, recorder, painted, normal, latents)).cpu().numpy()
    arrays = zip(as_pictures(painted), as_pictures(normal), heats, strict=True)
    for attempt, (square, plain, heat) in zip(attempts, arrays, strict=True):
        job, crop = prepared.jobs[attempt.position], prepared.crops[attempt.position]
        decoded = DecodedSample(job, crop, square, plain, heat)
        pastes = prepared.pastes
        if pastes is None or attempt.start_level == NOISE:
            yield decoded
        else:
            yield replace(
                decoded,
                start_level=attempt.start_level,
                pasted=pasted_of(job, settings.starting),
                pasted_square=pastes.square(attempt.position),
            )


def _batch(prepared: Prepared, attempts: Sequence[Attempt]) -> SampleBatch:
    """The attempts as the network samples them."""
    index: list[int] = []
    seeds: list[int] = []
    guidance: list[float] = []
    start_levels: list[float] = []
    for attempt in attempts:
        index.append(attempt.position)
        seeds.append(attempt.seed)
        guidance.append(attempt.guidance)
        start_levels.append(attempt.start_level)
    pastes = prepared.pastes
    start = None if pastes is None else pastes.start(index, start_levels)
    return SampleBatch(prepared.regions[index], seeds, guidance, start)


def _check_positions(jobs: int, attempts: Sequence[Attempt]) -> None:
    if not all(0 <= attempt.position < jobs for attempt in attempts):
        raise SettingError(
            f"samples of the jobs {[attempt.position for attempt in attempts]}",
            f"positions from 0 to {jobs - 1}",
            "choose from the prepared jobs",
        )
