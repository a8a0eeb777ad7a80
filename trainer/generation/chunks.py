"""Painting one chunk of pairs: first inversions, then samples and retries in full batches."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from bgdefect_core.method.predictor import unet_predictor
from bgdefect_core.method.randomness import attempt_seed
from bgdefect_core.method.start import NOISE
from bgdefect_core.painting import Painted, Prepared, join, paint, prepare, prepare_pastes
from bgdefect_core.records.dataset import DatasetWriter, Sample

from ..bases.load import Base
from .attempts import SamplePlan, Slot, batches, needed
from .pairs import Pair
from .progress import SampleBar
from .setup import Run


def paint_chunks(run: Run, writer: DatasetWriter) -> None:
    """Paint all chunks that an earlier run has not finished, under one progress bar."""
    with tqdm(total=run.plan.count, desc="painting", unit="sample") as bar:
        progress = SampleBar(bar)
        for numbers in run.plan.chunks():
            samples: list[int] = []
            for number in numbers:
                samples += run.plan.samples_of(number)
            if count_final(writer, run.plan, samples) < len(samples):
                _paint_chunk(run, writer, numbers, progress)
            progress.done(len(samples))


def count_final(writer: DatasetWriter, plan: SamplePlan, samples: Sequence[int]) -> int:
    """How many of the samples need no further attempt."""
    count = 0
    for index in samples:
        count += plan.is_final([line.accepted for line in writer.attempts(index)])
    return count


def _paint_chunk(run: Run, writer: DatasetWriter, numbers: range, progress: SampleBar) -> None:
    """Invert the pairs, then paint their samples until each is accepted or out of attempts."""
    plan = run.plan
    pairs: list[Pair] = []
    samples: list[int] = []
    for number in numbers:
        pair = run.pairs[number]
        if pair.job is None:
            run.without_mask.append(pair)
        else:
            pairs.append(pair)
            samples += plan.samples_of(number)
    prepared: Prepared | None = None

    def verdict(index: int, attempt: int) -> bool | None:
        for line in writer.attempts(index):
            if line.attempt == attempt:
                return line.accepted
        return None

    for slots in batches(samples, plan.batch, plan.retries, verdict):
        if any(verdict(*slot) is None for slot in needed(slots, verdict)):
            prepared = prepared or _prepare(run, pairs, progress)
            _paint_batch(run, writer, pairs, prepared, slots, verdict, progress)
        progress.update(count_final(writer, plan, samples))


def _prepare(run: Run, pairs: Sequence[Pair], progress: SampleBar) -> Prepared:
    """Invert in full batches: the size of a batch decides last digits, and must not depend on how
    many pairs are asked for."""
    size = run.plan.inversion_batch
    jobs = [pair.job for pair in pairs if pair.job is not None]
    starting = run.paint.starting
    if starting.only_pastes and all(job.exemplars for job in jobs):
        return prepare_pastes(jobs, run.framing)
    jobs += [jobs[0]] * (-len(jobs) % size)
    step = progress.step("inverting")
    parts: list[Prepared] = []
    with predictor(run.base) as predict:
        for first in range(0, len(jobs), size):
            batch = jobs[first : first + size]
            part = prepare(
                run.base,
                predict,
                batch,
                run.prompts,
                run.framing,
                run.paint.sampling,
                step,
                starting,
                run.paint.stitching.paste_detail,
            )
            parts.append(part)
    return join(parts)


def _paint_batch(
    run: Run,
    writer: DatasetWriter,
    pairs: Sequence[Pair],
    prepared: Prepared,
    slots: Sequence[Slot],
    verdict: Any,
    progress: SampleBar,
) -> None:
    """Paint one batch, and write the attempts that count."""
    place = {pair.index: number for number, pair in enumerate(pairs)}
    seeds = [attempt_seed(run.seed, *slot) for slot in slots]
    starting = run.paint.starting
    levels: list[float] = []
    for seed, (_, attempt) in zip(seeds, slots, strict=True):
        levels.append(starting.level_of(seed, attempt))
    with predictor(run.base) as predict:
        painted = paint(
            run.base,
            predict,
            prepared,
            [place[run.plan.pair_of(index)] for index, _ in slots],
            seeds,
            run.prompts,
            run.paint,
            run.limits,
            progress.step("painting"),
            [run.paint.sampling.guidance_at(attempt) for _, attempt in slots],
            levels,
            run.profile,
        )
    results = dict(zip(slots, painted, strict=True))
    for slot in needed(slots, verdict):
        if verdict(*slot) is None:
            pair = pairs[place[run.plan.pair_of(slot[0])]]
            writer.add(_sample(run, pair, slot, results[slot]))


@contextmanager
def predictor(base: Base) -> Iterator[Any]:
    """A predictor for one batch: it keeps the keys and values of every context that it gets."""
    with unet_predictor(base.unet, base.schedule) as predict:
        yield predict


def _sample(run: Run, pair: Pair, slot: Slot, painted: Painted) -> Sample:
    index, attempt = slot
    quality = painted.quality.figures
    if painted.real_share is not None:
        quality["real_share"] = painted.real_share
    if painted.exemplar_difference is not None:
        quality["exemplar_difference"] = painted.exemplar_difference
    return Sample(
        index=index,
        attempt=attempt,
        picture=painted.picture,
        mask=painted.mask,
        requested=painted.requested,
        heatmap=painted.heat,
        source=Path(os.path.abspath(pair.source)),
        mask_origin={"pair": pair.index, **pair.origin},
        seed=attempt_seed(run.seed, index, attempt),
        quality=quality,
        verdict="good" if painted.verdict.good else painted.verdict.reason,
        accepted=painted.verdict.good,
        guidance=run.paint.sampling.guidance_at(attempt),
        feather=painted.feather,
        start=_start(pair, painted.start_level),
    )


def _start(pair: Pair, level: float) -> dict[str, Any]:
    """Where a sample started, as plain JSON; with the real defect that it started from."""
    if level == NOISE:
        return {"kind": "noise"}
    return {
        "kind": "real" if level else "paste",
        "level": level,
        "exemplar": pair.origin.get("made_from"),
        "file": pair.origin.get("file"),
    }
