"""Painting one chunk of pairs: samples and retries in full batches."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from bgdefect_core.finishing import Painted
from bgdefect_core.jobs import Attempt, Job
from bgdefect_core.method.predictor import unet_predictor
from bgdefect_core.method.randomness import attempt_seed
from bgdefect_core.method.start import start_record
from bgdefect_core.networks import ClassNetworks
from bgdefect_core.painting import paint
from bgdefect_core.preparing import Prepared, join, prepare, prepare_pastes
from bgdefect_core.records.dataset import DatasetWriter
from bgdefect_core.records.sample import Sample, SampleFacts

from .attempts import KnownOutcomes, SamplePlan, Slot, batches, first_attempts, needed
from .pair import Pair
from .progress import SampleBar
from .sample_queue import SampleQueue
from .setup import GenerationRun, Painter


def paint_chunks(run: GenerationRun, writer: DatasetWriter) -> None:
    """Paint all chunks that an earlier run has not finished, under one progress bar."""
    known = KnownOutcomes.of(writer.standing, run.replace_rejected)
    with (
        tqdm(total=run.plan.count, desc="painting", unit="sample") as bar,
        SampleQueue(writer, known) as queue,
    ):
        progress = SampleBar(bar)
        for numbers in run.plan.chunks():
            samples: list[int] = []
            for number in numbers:
                samples += run.plan.samples_of(number)
            if count_final(queue, run.plan, samples) < len(samples):
                paint_chunk(run, queue, _pairs(run, numbers), progress)
            progress.done(len(samples))


def _pairs(run: GenerationRun, numbers: range) -> list[Pair]:
    """The pairs of a chunk that have a mask; the run keeps the others."""
    pairs: list[Pair] = []
    for number in numbers:
        pair = run.pairs[number]
        (pairs if pair.job is not None else run.without_mask).append(pair)
    return pairs


def count_final(queue: SampleQueue, plan: SamplePlan, samples: Sequence[int]) -> int:
    """How many of the samples need no further attempt."""
    count = 0
    for index in samples:
        count += queue.is_final(plan, index)
    return count


def paint_chunk(
    run: Painter, queue: SampleQueue, pairs: Sequence[Pair], progress: SampleBar
) -> None:
    """Paint the samples of a chunk until each is accepted or out of attempts.

    Args:
        pairs: those of the chunk that have a mask.
    """
    plan = run.plan
    samples: list[int] = []
    for pair in pairs:
        samples += plan.samples_of(pair.index)
    chunk = _Chunk(run, pairs, progress)

    begun_anew = queue.known.begun_anew
    for slots in batches(samples, plan.batch, plan.retries, queue.outcome, begun_anew):
        if any(queue.outcome(*slot) is None for slot in needed(slots, queue.outcome)):
            _paint_batch(run, queue, chunk, slots, progress)
        progress.update(count_final(queue, plan, samples))


class _Chunk:
    """The pairs of a chunk, prepared in full batches when a sample first needs them.

    The size of a batch decides last digits, and must not depend on how many pairs are asked for.
    """

    def __init__(self, run: Painter, pairs: Sequence[Pair], progress: SampleBar) -> None:
        self._run, self._pairs, self._progress = run, pairs, progress
        self._places: dict[int, int] = {}
        for place, pair in enumerate(pairs):
            self._places[pair.index] = place
        self._parts: dict[int, Prepared] = {}
        known = all(pair.job is not None and pair.job.exemplars for pair in pairs)
        self._only_pastes = run.paint.starting.only_pastes and known

    def pair_of(self, index: int) -> Pair:
        """The pair of a sample."""
        return self._pairs[self._places[self._run.plan.pair_of(index)]]

    def prepared(self, samples: Sequence[int]) -> tuple[Prepared, list[int]]:
        """What these samples need, and each sample's position in it."""
        size = self._run.plan.inversion_batch
        places: list[int] = []
        for index in samples:
            places.append(self._places[self._run.plan.pair_of(index)])
        parts: list[Prepared] = []
        starts: dict[int, int] = {}
        for number in sorted({place // size for place in places}):
            starts[number] = size * len(parts)
            parts.append(self._part(number))
        positions: list[int] = []
        for place in places:
            positions.append(starts[place // size] + place % size)
        return join(parts), positions

    def _part(self, number: int) -> Prepared:
        """Inversion batch ``number`` of the chunk."""
        if number not in self._parts:
            size = self._run.plan.inversion_batch
            pairs = self._pairs[number * size : (number + 1) * size]
            jobs: list[Job] = []
            for pair in pairs:
                if pair.job is not None:
                    jobs.append(pair.job)
            self._parts[number] = _prepare(self._run, jobs, self._only_pastes, self._progress)
        return self._parts[number]


def _prepare(run: Painter, jobs: Sequence[Job], only_pastes: bool, progress: SampleBar) -> Prepared:
    """Prepare one inversion batch, filled up where the chunk ends within it."""
    filled = [*jobs, *[jobs[0]] * (run.plan.inversion_batch - len(jobs))]
    if only_pastes:
        return prepare_pastes(filled, run.framing)
    with networks_of(run) as networks:
        shown = progress.step("inverting")
        return prepare(networks, filled, run.framing, run.paint, run.squares, shown)


def _paint_batch(
    run: Painter, queue: SampleQueue, chunk: _Chunk, slots: Sequence[Slot], progress: SampleBar
) -> None:
    """Paint one batch, and write the attempts that count while the next one is painted."""
    prepared, positions = chunk.prepared([index for index, _ in slots])
    first = first_attempts(slots)
    attempts: list[Attempt] = []
    for position, (index, number) in zip(positions, slots, strict=True):
        seed = attempt_seed(run.seed, index, number)
        known = prepared.knows_real(position)
        before, copies = queue.known.history(index, number, first[index])
        attempts.append(run.paint.attempt(position, seed, before, known, copies))
    with networks_of(run) as networks:
        shown = progress.step("painting")
        painted = paint(networks, prepared, attempts, run.paint, run.standard, shown)
    results = dict(zip(slots, zip(attempts, painted, strict=True), strict=True))
    queue.wait()  # of the last batch: a full disk ends the run
    for slot in needed(slots, queue.outcome):
        if queue.outcome(*slot) is None:
            queue.add(_sample(chunk.pair_of(slot[0]), slot, *results[slot]))


@contextmanager
def networks_of(run: Painter) -> Iterator[ClassNetworks]:
    """The networks for one batch: the predictor keeps the keys and values of every context that it
    gets."""
    with unet_predictor(run.base.unet, run.base.schedule) as predict:
        yield ClassNetworks(run.base, predict, run.prompts)


def _sample(pair: Pair, slot: Slot, attempt: Attempt, painted: Painted) -> Sample:
    index, number = slot
    verdict = painted.judgement.verdict
    facts = SampleFacts(
        index=index,
        attempt=number,
        source=Path(os.path.abspath(pair.source)),
        mask_origin={"pair": pair.index, **pair.origin},
        seed=attempt.seed,
        quality=painted.judgement.figures,
        verdict="good" if verdict.good else verdict.reason,
        accepted=verdict.good,
        guidance=attempt.guidance,
        feather=painted.feather,
        start=start_record(
            painted.start_level, pair.origin.get("made_from"), pair.origin.get("file")
        ),
    )
    return Sample(facts, painted.picture, painted.mask, painted.requested, painted.heat)
