"""The task that paints a shard: the chunk of ``bgdefect generate``, with the samples encoded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from bgdefect_core.declarations import replace_options
from bgdefect_core.jobs import Framing
from bgdefect_core.pictures.writing import ImageFormat
from bgdefect_core.quality import Standard
from bgdefect_core.records.sample import EncodedSample, Sample, encode_sample

from ..generation.attempts import KnownOutcomes
from ..generation.chunks import paint_chunk
from ..generation.progress import SampleBar
from ..generation.sample_queue import SampleQueue
from ..generation.setup import Painter, prompts_of
from .packing import pack, unpack
from .placing import generation_of
from .shard_writing import ShardWriter
from .shards import PackedChunk, pairs_of
from .tasks import Parts
from .worker import Worker

__all__ = ["PaintedShard", "paint"]


@dataclass
class PaintedShard:
    """The samples of a shard, in the order in which they were painted."""

    samples: list[EncodedSample]
    image_format: ImageFormat = "png"

    def add(self, sample: Sample) -> None:
        """Take one attempt, as a data set's writer does."""
        self.samples.append(encode_sample(sample, self.image_format))


def paint(worker: Worker, order: Mapping[str, Any]) -> Parts:
    """Paint the samples of a chunk until each is accepted or out of attempts.

    Returns:
        ``samples``: a packed :class:`PaintedShard`; ``lines`` of the manifest where the worker
        writes them (:class:`ShardWriter`).

    Raises:
        BGDefectError: whatever the generation refuses.
    """
    config = generation_of(worker, order)
    base, info = worker.trained(order, config)
    chunk = unpack(worker.shelf.read(order["chunk"]), PackedChunk)
    key = (order["places"]["weights"], str(order["generate"]))
    painter: Painter | None = worker.known("painter", key)
    if painter is None or painter.base is not base:
        painter = worker.keep(
            "painter",
            key,
            Painter(
                plan=config.plan,
                seed=config.seed,
                base=base,
                prompts=prompts_of(config, info, base),
                framing=Framing(info.resolution, info.zoom),
                paint=replace_options(config.paint, start=chunk.start),
                standard=Standard(config.limits, chunk.profile),
            ),
        )
    known = KnownOutcomes()
    for index, attempt, outcome in order["known"]:
        known.add(index, attempt, outcome)
    known.begun_anew.update({int(index): attempt for index, attempt in order["begun_anew"]})
    good = worker.place_of(order, "good")
    shard: PaintedShard | ShardWriter = PaintedShard([], config.image_format)
    if "data_set" in order:
        scratch = worker.scratch(order["data_set"]["part"])
        shard = ShardWriter(order, chunk, good, scratch, config.image_format)
    with (
        tqdm(disable=True) as bar,
        SampleQueue(shard, known) as queue,
    ):
        paint_chunk(painter, queue, pairs_of(chunk, good), SampleBar(bar))
    return shard.upload() if isinstance(shard, ShardWriter) else {"samples": pack(shard)}
