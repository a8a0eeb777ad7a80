"""The kinds of work, by name: each a function (worker, order) -> parts of the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .assembling import assemble
from .evaluating import evaluate
from .learning import learn
from .measuring import measure
from .painting import paint
from .placing import place
from .tasks import Parts
from .worker import Worker, threads

__all__ = ["WORKS", "do_work"]

WORKS: Mapping[str, Callable[[Worker, Mapping[str, Any]], Parts]] = {
    "measure": measure,
    "learn": learn,
    "place": place,
    "paint": paint,
    "assemble": assemble,
    "evaluate": evaluate,
}


def do_work(worker: Worker, kind: str, order: Mapping[str, Any]) -> Parts:
    """Do a task.

    Args:
        kind: one of ``WORKS``. order: of the task.

    Raises:
        BGDefectError: whatever the work refuses.
    """
    with threads(int(order["threads"])):
        return WORKS[kind](worker, order)
