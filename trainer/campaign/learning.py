"""The task that learns a class: ``bgdefect train`` in the worker's scratch folder.

A worker that is killed leaves its checkpoints there; the next try on the same disk goes on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..training.processes import train_on
from ..training.run_folder import RunFolder
from ..training.train import train
from .tasks import Parts
from .typed import TRAINING, with_values
from .worker import Worker

__all__ = ["learn"]


def learn(worker: Worker, order: Mapping[str, Any]) -> Parts:
    """Train one class.

    Returns:
        The files ``weights``, ``split.json``, ``log.csv`` and ``run.json`` of the training.

    Raises:
        BGDefectError: whatever the training refuses.
    """
    config = with_values("the order", TRAINING, order["train"])
    data = worker.place_of(order, "data")
    reading = worker.reading(order, config.reading, data)
    folder = RunFolder(worker.scratch(order["scratch"]) / order["file"])
    config = replace(
        config,
        data=data,
        output=folder.weights,
        base=worker.base_path(order),
        reading=reading,
    )
    processes = int(order["processes"])
    if processes > 1:
        train_on(config, processes, int(order["threads"]))
    else:
        train(config)
    record = json.loads(folder.run_file.read_bytes())
    return {
        "weights": folder.weights.read_bytes(),
        "split.json": folder.split.read_bytes(),
        "log.csv": (folder.folder / "log.csv").read_bytes(),
        "run.json": json.dumps(worker.shelf.original(record), indent=1).encode(),
    }
