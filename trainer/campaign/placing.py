"""The task that fixes the next pairs of a class: which mask goes where on which good picture.

Pictures are chosen for masks over the whole set, and each choice follows from those before it: the
order brings them, and the result adds to them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bgdefect_core.declarations import replace_options
from bgdefect_core.placement.choice import PairChoice

from ..data.layouts import layout_of
from ..generation.config import GenerateConfig
from ..generation.pair import Pair
from ..generation.setup import GenerationRun, set_up
from .packing import pack
from .shards import PackedPair, packed_chunk
from .tasks import Parts
from .typed import GENERATION, with_values
from .worker import Worker

__all__ = ["generation_of", "place"]


def generation_of(worker: Worker, order: Mapping[str, Any]) -> GenerateConfig:
    """The settings of an order, with the files as this worker has them."""
    config = with_values("the order", GENERATION, order["generate"])
    weights = worker.place_of(order, "weights") / order["file"]
    files: dict[str, Path] = {}
    for name in order["places"]:
        if name not in ("weights", "good"):
            files[name] = worker.place_of(order, name)
    good = worker.place_of(order, "good")
    layout = config.layout
    if order["layout"] and layout_of(good, config.reading).name != order["layout"]:
        layout = order["layout"]
    split = weights.with_suffix(".run") / "split.json"
    return replace_options(
        config,
        weights=weights,
        good=good,
        mask_split=split if order["split"] else None,
        base=worker.base_path(order),
        layout=layout,
        **files,
    )


def place(worker: Worker, order: Mapping[str, Any]) -> Parts:
    """Fix the pairs of a chunk.

    Returns:
        ``record``: the identity of the run, the choices that are new and what has no mask, as JSON.
        ``chunk``: the pairs that have one, packed.

    Raises:
        BGDefectError: whatever the generation refuses.
    """
    config = generation_of(worker, order)
    run = _run(worker, order, config)
    before = [PairChoice.from_json(entry) for entry in order["choices"]]
    if run.pairs.choices[: len(before)] != before or len(run.pairs.choices) != len(before):
        run.pairs.restore(before)
    pairs: list[Pair] = []
    without_mask: list[dict[str, Any]] = []
    for number in range(*order["pairs"]):
        pair = run.pairs[number]
        if pair.job is None:
            without_mask.append(pair.origin)
        else:
            pairs.append(pair)
    original = worker.shelf.original
    record = {
        "settings": run.record,
        "inputs": run.inputs,
        "made_with": run.made_with,
        "white": run.pairs.white,
        "left_out": run.pairs.left_out(),
        "without_mask": without_mask,
        "choices": [choice.as_json() for choice in run.pairs.choices[len(before) :]],
    }
    chunk = packed_chunk(run, pairs, worker.shelf.lay_out(order["places"]["good"][0]))
    renamed: list[PackedPair] = []
    named: list[tuple[int, str]] = []
    for packed in chunk.pairs:
        source, origin = Path(original(str(packed.source))), original(packed.origin)
        renamed.append(replace(packed, source=source, origin=origin))
        named.append((packed.index, packed.picture))
    return {
        "record": json.dumps(original(record) | {"pairs": named}).encode(),
        "chunk": pack(replace(chunk, pairs=tuple(renamed))),
    }


def _run(worker: Worker, order: Mapping[str, Any], config: GenerateConfig) -> GenerationRun:
    """The class's run, set up once a worker."""
    names = ("generate", "places", "base", "split")
    key = json.dumps([order[name] for name in names], sort_keys=True)
    run: GenerationRun | None = worker.known("run", key)
    if run is None:
        base, _ = worker.trained(order, config)
        run = worker.keep("run", key, set_up(config, base=base))
    return run
