"""``bgdefect generate``: paint a trained defect into many good pictures, and write the data set.

Sample i is variant ``i % variants`` of pair ``i // variants``. The work goes in chunks of ``batch``
pairs: first their inversions, then their samples and retries in batches of ``batch``. Everything
follows from the seed, the sample's index, the attempt, and the verdicts.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from bgdefect_core.errors import OtherRunError
from bgdefect_core.method.backgrounds import BACKGROUNDS
from bgdefect_core.method.predictor import unet_predictor
from bgdefect_core.method.regions import RegionPrompts
from bgdefect_core.method.signals import SIGNALS
from bgdefect_core.painting import Framing, Painted, PaintSettings, Prepared, join, paint, prepare
from bgdefect_core.records.dataset import DatasetWriter, Sample
from bgdefect_core.records.dataset_place import attempts_there
from bgdefect_core.records.manifest import ManifestLine
from bgdefect_core.records.run_record import Inputs, read_inputs
from bgdefect_core.weights.files import read_info
from bgdefect_core.weights.info import ClassWeightsInfo

from ..bases.apply import load_trained
from ..bases.devices import pick_device
from ..bases.load import Base
from .attempts import Slot, attempt_seed, batches, needed
from .config import GenerateConfig
from .page import write_page
from .pairs import Pair, Pairs
from .progress import SampleBar
from .summary import Rejected, Summary, missed_masks, summarise

__all__ = ["GenerateConfig", "Rejected", "Summary", "generate"]


@dataclass
class _Session:
    """One run, set up."""

    config: GenerateConfig
    pairs: Pairs
    base: Base
    prompts: RegionPrompts
    settings: PaintSettings
    framing: Framing
    names: tuple[str, str]
    record: dict[str, Any]
    inputs: Inputs
    hopeless: list[Pair] = field(default_factory=list)
    """Pairs whose picture took none of the masks that were tried."""


def generate(config: GenerateConfig) -> Summary:
    """Make the data set, or go on with it.

    Raises:
        BGDefectError: whatever the user can mend, of any kind; all but a full disk before anything
            is written.
    """
    started = time.monotonic()
    config.check()
    info = read_info(config.weights)
    settings, framing = config.paint_settings, Framing(info.resolution, info.zoom)
    pairs = Pairs(config, info)
    pairs.validate(_pair_count(config))
    session = _set_up(config, info, settings, framing, pairs)
    if config.dry_run:
        return _dry_run(session)
    made_with = config.made_with(pairs.library_folder)
    with DatasetWriter(
        config.output, *session.names, session.record, inputs=session.inputs, made_with=made_with
    ) as writer:
        _check_threshold(config, writer.records)
        for chunk in _chunks(config, writer):
            _paint_chunk(session, writer, *chunk)
        records = list(writer.records)
    sheet, page = write_page(config.output, *session.names) if records else (None, None)
    seconds = time.monotonic() - started
    return summarise(config.output, config.count, records, session.hopeless, seconds, sheet, page)


def _check_threshold(config: GenerateConfig, records: Sequence[ManifestLine]) -> None:
    """Refuse to go on with labels that an earlier version's default cut elsewhere; the settings say
    only that it was the default."""
    others = {record.made_with["threshold"] for record in records if record.made_with} - {
        config.threshold_in_use
    }
    if others:
        now = config.threshold_in_use
        came = f"the labels in {config.output} were cut at {others.pop()} of the signal's peak, which is {now} by default now"
        raise OtherRunError(came, "one threshold in a data set", "choose another output folder")


def ready_base(config: GenerateConfig) -> Base:
    """The base with the class on it, where and in the arithmetic that the settings ask for.

    Raises:
        WeightsError: weights and base do not fit. SettingError: steps that the base's schedule has
            not.
    """
    base, _ = load_trained(config.base, config.weights, config.allow_other_base)
    base.to(pick_device(config.device))
    if config.dtype != torch.float32:
        module: torch.nn.Module = base.unet
        module.to(config.dtype)
    base.schedule.levels(config.steps)  # refuses steps that the schedule has not
    return base


def _set_up(
    config: GenerateConfig,
    info: ClassWeightsInfo,
    settings: PaintSettings,
    framing: Framing,
    pairs: Pairs,
) -> _Session:
    base = ready_base(config)
    SIGNALS[config.signal].check_resolution(framing.resolution, base.factor)
    background, defect, mask = config.prompts(info)
    record = config.record(
        info, pairs.sources, pairs.mask_names, pairs.known_surroundings, pairs.part
    )
    record |= {"base": base.name, "base_fingerprint": base.fingerprint}
    names = (config.object or info.object, config.defect or info.defect)
    prompts = base.prompts(background, [defect], mask, config.attention_words)
    inputs = read_inputs(pairs.files(_pair_count(config))) | base.inputs
    return _Session(config, pairs, base, prompts, settings, framing, names, record, inputs)


def _pair_count(config: GenerateConfig) -> int:
    return -(-config.count // config.variants)


def _samples_of(config: GenerateConfig, pair: int) -> list[int]:
    return list(range(pair * config.variants, min((pair + 1) * config.variants, config.count)))


def _chunks(config: GenerateConfig, writer: DatasetWriter) -> Iterator[tuple[list[int], SampleBar]]:
    """The pairs of each chunk, under one progress bar; chunks that an earlier run finished are
    passed over."""
    total = _pair_count(config)
    with tqdm(total=config.count, desc="painting", unit="sample") as bar:
        progress = SampleBar(bar)
        for first in range(0, total, config.batch):
            numbers = list(range(first, min(first + config.batch, total)))
            samples = [index for number in numbers for index in _samples_of(config, number)]
            if all(_final(writer, index, config.retries) for index in samples):
                progress.done(len(samples))
            else:
                yield numbers, progress


def _paint_chunk(
    session: _Session, writer: DatasetWriter, numbers: list[int], progress: SampleBar
) -> None:
    """Invert ``numbers``' pairs, then paint their samples until each is accepted or out of
    attempts."""
    config = session.config
    drawn = [session.pairs[number] for number in numbers]
    chosen = [pair for pair in drawn if pair.job is not None]
    session.hopeless += [pair for pair in drawn if pair.job is None]
    samples = [index for pair in chosen for index in _samples_of(config, pair.index)]
    prepared: Prepared | None = None

    def verdict(index: int, attempt: int) -> bool | None:
        made = {record.attempt: record.accepted for record in writer.attempts(index)}
        return made.get(attempt)

    for slots in batches(samples, config.batch, config.retries, verdict):
        if any(verdict(*slot) is None for slot in needed(slots, verdict)):
            prepared = prepared or _prepare(session, chosen, progress)
            painted = dict(
                zip(slots, _paint(session, chosen, prepared, slots, progress), strict=True)
            )
            for slot in needed(slots, verdict):
                if verdict(*slot) is None:
                    pair = next(
                        pair for pair in chosen if slot[0] in _samples_of(config, pair.index)
                    )
                    writer.add(_sample(config, pair, slot, painted[slot]))
        progress.update(sum(_final(writer, index, config.retries) for index in samples))
    progress.done(sum(len(_samples_of(config, number)) for number in numbers))


def _prepare(session: _Session, chosen: list[Pair], progress: SampleBar) -> Prepared:
    """Invert in full batches: a batch's size decides last digits, and must not hang on how many
    pairs are asked for."""
    size = session.config.inversion_batch
    jobs = [pair.job for pair in chosen if pair.job is not None]
    jobs += [jobs[0]] * (-len(jobs) % size)
    groups = [jobs[first : first + size] for first in range(0, len(jobs), size)]
    step = progress.step("inverting")
    with _predictor(session) as predict:
        parts = [
            prepare(
                session.base,
                predict,
                group,
                session.prompts,
                session.framing,
                session.settings.sampling,
                step,
            )
            for group in groups
        ]
    return join(parts)


def _paint(
    session: _Session,
    chosen: list[Pair],
    prepared: Prepared,
    slots: list[Slot],
    progress: SampleBar,
) -> list[Painted]:
    config = session.config
    place = {
        index: number
        for number, pair in enumerate(chosen)
        for index in _samples_of(config, pair.index)
    }
    with _predictor(session) as predict:
        return paint(
            session.base,
            predict,
            prepared,
            [place[index] for index, _ in slots],
            [attempt_seed(config.seed, *slot) for slot in slots],
            session.prompts,
            session.settings,
            config.limits,
            progress.step("painting"),
            [config.guidance_at(attempt) for _, attempt in slots],
        )


@contextmanager
def _predictor(session: _Session) -> Iterator[Any]:
    """One for each batch: a predictor keeps the keys and values of every context that it has
    seen."""
    with unet_predictor(session.base.unet, session.base.schedule) as predict:
        yield predict


def _sample(config: GenerateConfig, pair: Pair, slot: Slot, painted: Painted) -> Sample:
    index, attempt = slot
    return Sample(
        index=index,
        attempt=attempt,
        picture=painted.picture,
        mask=painted.mask,
        requested=painted.requested,
        heatmap=painted.heat,
        source=Path(os.path.abspath(pair.source)),
        mask_origin={"pair": pair.index, **pair.origin},
        seed=attempt_seed(config.seed, index, attempt),
        quality=asdict(painted.quality)
        | ({} if painted.real_share is None else {"real_share": painted.real_share}),
        verdict="good" if painted.verdict.good else painted.verdict.reason,
        accepted=painted.verdict.good,
        guidance=config.guidance_at(attempt),
        feather=painted.feather,
    )


def _final(writer: DatasetWriter, index: int, retries: int) -> bool:
    return _is_final(writer.attempts(index), retries)


def _is_final(made: Sequence[ManifestLine], retries: int) -> bool:
    return any(record.accepted for record in made) or len(made) > retries


@torch.no_grad()
def _dry_run(session: _Session) -> Summary:
    """Look at the output's place, place the masks of what is still to be made, time one call of
    U-Net and VAE, write nothing."""
    config = session.config
    by_index: dict[int, list[ManifestLine]] = {}
    there = attempts_there(config.output, *session.names, session.record, session.inputs)
    _check_threshold(config, there)
    for record in there:
        by_index.setdefault(record.index, []).append(record)
    open_ones = [
        index
        for index in range(config.count)
        if not _is_final(by_index.get(index, []), config.retries)
    ]
    unplaced, hopeless = list[str](), set[int]()
    for number in tqdm(
        sorted({index // config.variants for index in open_ones}),
        desc="placing masks",
        unit="pair",
        leave=False,
    ):
        pair = session.pairs[number]
        unplaced += [line for line in [missed_masks(pair.source, pair.origin)] if line]
        hopeless |= {number} if pair.job is None else set()
    left = [index for index in open_ones if index // config.variants not in hopeless]
    done = config.count - len(open_ones)
    unmade = len(open_ones) - len(left)
    seconds = _seconds(session, left) if left else 0.0
    return Summary(
        config.output,
        config.count,
        len(left),
        (),
        tuple(unplaced),
        unmade,
        seconds,
        dry_run=True,
        done=done,
    )


def _seconds(session: _Session, left: Sequence[int]) -> float:
    """Seconds that the first attempts at these samples take, by one call each of U-Net, encoder and
    decoder."""
    config, base = session.config, session.base
    resolution = session.framing.resolution
    cells = resolution // base.factor
    z = torch.zeros(
        config.batch, int(base.unet.config["in_channels"]), cells, cells, device=base.unet.device
    )
    pixels = torch.zeros(config.batch, 3, resolution, resolution)
    regions = torch.zeros(config.batch, cells, cells, dtype=torch.long, device=base.unet.device)
    context = session.prompts.background_context()
    with _predictor(session) as predict:
        once = _time(lambda: predict(z, 1, context, regions))
    encode, decode = _time(lambda: base.encode(pixels)), _time(lambda: base.decode(z))
    chunks: dict[int, list[int]] = {}  # as _chunks has them
    for index in left:
        chunks.setdefault(index // config.variants // config.batch, []).append(index)
    inversions = samples = 0
    for some in chunks.values():
        inversions += -(
            -len({index // config.variants for index in some}) // config.inversion_batch
        )
        samples += -(-len(some) // config.batch)
    pairs = inversions * config.inversion_batch / config.batch
    background = BACKGROUNDS[config.background]
    each_sample = background.per_sample + (config.guidance_at(0) != 1)
    calls = config.steps * (pairs * background.per_pair + samples * each_sample)
    calls += samples * SIGNALS[config.signal].evaluations
    return calls * once + pairs * (encode + decode) + samples * decode


def _time(call: Callable[[], torch.Tensor]) -> float:
    """Seconds of a call, after one to warm up."""
    call()
    started = time.perf_counter()
    float(call().sum())  # reading a number waits for the device
    return time.perf_counter() - started
