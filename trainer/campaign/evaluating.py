"""The task that evaluates the classes of an object, or one class: ``bgdefect evaluate`` in the
worker's scratch folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bgdefect_core.declarations import flat_values, replace_options

from ..evaluate.run import evaluate as run_evaluation
from .tasks import Parts
from .typed import EVALUATION, with_values
from .worker import Worker

__all__ = ["evaluate"]


def evaluate(worker: Worker, order: Mapping[str, Any]) -> Parts:
    """Measure, or go on where an earlier try ended.

    Returns:
        The files that stand in the output's folder itself: results, tables, page. Samples and
        weights stay behind.

    Raises:
        BGDefectError: whatever the evaluation refuses.
    """
    config = with_values("the order", EVALUATION, order["evaluate"])
    data = worker.place_of(order, "data")
    reading = worker.reading(order, config.plan.reading, data)
    output = worker.scratch(order["scratch"])
    base = worker.base_path(order)
    run_evaluation(
        replace_options(config, data=data, output=output, base=base, **flat_values(reading))
    )
    parts: dict[str, bytes] = {}
    for path in sorted(output.iterdir()):
        if path.is_file() and not path.name.startswith("."):
            text = worker.shelf.original(path.read_text(encoding="utf-8"))
            parts[path.name] = text.encode()
    return parts
