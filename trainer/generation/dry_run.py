"""``bgdefect generate --dry-run``: what would be made, and how long it would take."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from tqdm import tqdm

from bgdefect_core.jobs import PaintSettings
from bgdefect_core.method.backgrounds import BACKGROUNDS
from bgdefect_core.method.signals import SIGNALS
from bgdefect_core.records.dataset_place import attempts_there

from ..bases.timing import NetworkTiming, timed
from .attempts import KnownOutcomes
from .chunks import networks_of
from .setup import GenerationRun, choice_file
from .summary import Misses, Summary


@torch.no_grad()
def dry_run(run: GenerationRun) -> Summary:
    """Look at the output, place the masks of what is still to be made, time one call of each
    network. Nothing is written.

    Raises:
        BGDefectError: what a run would refuse.
    """
    lines = attempts_there(run.output, run.object, run.defect, run.record, run.inputs)
    known = KnownOutcomes.of(lines, run.replace_rejected)
    run.pairs.recall(choice_file(run))
    unfinished: list[int] = []
    for index in range(run.plan.count):
        if not known.is_final(run.plan, index):
            unfinished.append(index)
    missed = Misses()
    without_mask: set[int] = set()
    numbers = sorted({run.plan.pair_of(index) for index in unfinished})
    for number in tqdm(numbers, desc="placing masks", unit="pair", leave=False):
        pair = run.pairs[number]
        missed.add(pair.origin)
        if pair.job is None:
            without_mask.add(number)
    possible = [index for index in unfinished if run.plan.pair_of(index) not in without_mask]
    return Summary(
        root=run.output,
        wanted=run.plan.count,
        accepted=len(possible),
        rejected=(),
        unplaced=missed.lines(),
        unmade=len(unfinished) - len(possible),
        seconds=_seconds(run, possible) if possible else 0.0,
        left_out=run.pairs.left_out(),
        dry_run=True,
        done=run.plan.count - len(unfinished),
    )


def _seconds(run: GenerationRun, samples: Sequence[int]) -> float:
    """Seconds that the first attempts at these samples take, by one call each of U-Net, encoder and
    decoder."""
    base, plan, sampling = run.base, run.plan, run.paint.sampling
    device, resolution = base.unet.device, run.framing.resolution
    cells = resolution // base.factor
    z = torch.zeros(plan.batch, int(base.unet.config["in_channels"]), cells, cells, device=device)
    pixels = torch.zeros(plan.batch, 3, resolution, resolution)
    regions = torch.zeros(plan.batch, cells, cells, dtype=torch.long, device=device)
    context = run.prompts.background_context()
    with networks_of(run) as networks:
        call = timed(lambda: float(networks.predict(z, 1, context, regions).sum()), 1)
    encode = timed(lambda: float(base.encode(pixels).sum()), 1)
    decode = timed(lambda: float(base.decode(z).sum()), 1)
    chunks: dict[int, list[int]] = {}
    for index in samples:
        chunks.setdefault(plan.chunk_of(index), []).append(index)
    inversions = batches = 0
    for members in chunks.values():
        pairs = {plan.pair_of(index) for index in members}
        inversions += -(-len(pairs) // plan.inversion_batch)
        batches += -(-len(members) // plan.batch)
    inverted = inversions * plan.inversion_batch / plan.batch
    background = BACKGROUNDS[sampling.background]
    per_sample = background.per_sample + (sampling.guidance_at(0) != 1)
    sampled = batches * per_sample * run.paint.starting.mean_level
    calls = sampling.steps * (inverted * background.per_pair + sampled)
    calls += batches * SIGNALS[run.paint.label.signal].evaluations
    prepared = inverted * _preparation(run.paint, encode, decode)
    return calls * call + prepared + batches * decode


def sample_seconds(paint: PaintSettings, timing: NetworkTiming, variants: int = 1) -> float:
    """Seconds that the networks take for a sample which is accepted at its first attempt.

    Args:
        variants: samples that share the preparation of a pair.
    """
    prepared = _preparation(paint, timing.encode, timing.decode)
    return network_samples(paint, variants) * timing.sample + prepared / variants + timing.decode


def _preparation(paint: PaintSettings, encode: float, decode: float) -> float:
    """Seconds of the VAE for the good square of a pair and, where samples start from it, for the
    paste.

    Args:
        encode: seconds of one call of the encoder. decode: of the decoder.
    """
    if not paint.starting.uses_real:
        return encode + decode
    return 2 * encode + decode + paint.stitching.restores_pastes * decode


def network_samples(paint: PaintSettings, variants: int = 1) -> float:
    """U-Net samples that a sample takes which is accepted at its first attempt.

    Args:
        variants: samples that share the preparation of a pair.
    """
    sampling = paint.sampling
    background = BACKGROUNDS[sampling.background]
    guided = int(sampling.guidance_at(0) != 1)
    sampled = (background.per_sample + guided) * paint.starting.mean_level
    steps = sampling.steps * (background.per_pair / variants + sampled)
    return steps + SIGNALS[paint.label.signal].evaluations
