"""The tasks of a campaign, and what an executor does with them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

__all__ = ["Ended", "Executor", "Lost", "Parts", "Task"]

Parts = Mapping[str, bytes]
"""The result of a task: names of its parts and their bytes."""


@dataclass(frozen=True)
class Task:
    """One piece of work whose result follows from its order and from contents alone, wherever it is
    done."""

    kind: str
    """Name of the work, as ``works.WORKS`` has it."""
    name: str
    """In words, for logs."""
    group: str
    """Tasks of one group find what they need loaded where one of them was done before."""
    order: Mapping[str, Any]
    """Plain JSON."""
    contents: tuple[str, ...] = ()
    """Digests of what a worker may read."""
    minutes: float = 0.0
    """Time limit; 0: none."""

    @property
    def key(self) -> str:
        """Equal tasks have equal keys: 24 hexadecimal digits."""
        text = json.dumps([self.kind, dict(self.order)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:24]


class Lost(Exception):
    """A result went with the machine that held it."""


@dataclass
class Ended:
    """What came of a task."""

    task: Task
    problem: str = ""
    """Why it failed; "" where it did not."""
    lost: bool = False
    """Whether the worker was lost, and not the work."""
    seconds: float = 0.0
    fetch: Callable[[], Parts] = field(default=dict)
    """The result.

    Raises:
        Lost: it was lost with its machine.
    """


class Executor(Protocol):
    """Where tasks are done."""

    def takes(self, kind: str) -> bool:
        """Whether one more task of a kind can be given."""

    @property
    def slots(self) -> int:
        """How many tasks run at the same time."""

    @property
    def is_here(self) -> bool:
        """Whether tasks are done in the head's own process."""

    @property
    def processor(self) -> float:
        """Seconds of processors that finished tasks took."""

    @property
    def lost(self) -> int:
        """How many workers were lost."""

    @property
    def loaded(self) -> Sequence[str]:
        """Groups whose tasks are done sooner than others."""

    def start(self, task: Task) -> None:
        """Take a task."""

    def wait(self, seconds: float) -> list[Ended]:
        """What has ended, after at most so many seconds; empty where nothing has."""

    def close(self) -> None:
        """End everything."""
