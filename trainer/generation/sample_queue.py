"""Samples are written while the next batch is painted: one thread, in the order in which they came.

The writer's promise stays: files first, then their manifest line. A kill loses at most the samples
of the last two batches, and a resumed run makes them again.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Protocol

from bgdefect_core.records.sample import Sample

from .attempts import KnownOutcomes, Outcome, SamplePlan, outcome_of

__all__ = ["SampleQueue", "Writer"]


class Writer(Protocol):
    """Takes samples: a :class:`DatasetWriter`, or what stands for one on another machine."""

    def add(self, sample: Sample) -> object:
        """Take one attempt."""


class SampleQueue:
    """Takes samples for a writer, and knows what came of every attempt; a context manager.

    Args:
        known: of earlier runs; it grows with every sample.
    """

    def __init__(self, writer: Writer, known: KnownOutcomes) -> None:
        self._writer = writer
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="writing")
        self._pending: list[Future[Any]] = []
        self.known = known

    def outcome(self, index: int, attempt: int) -> Outcome | None:
        """What came of an attempt; None where it has not been made."""
        return self.known.outcome(index, attempt)

    def is_final(self, plan: SamplePlan, index: int) -> bool:
        """Whether a sample needs no further attempt."""
        return self.known.is_final(plan, index)

    def add(self, sample: Sample) -> None:
        """Take a sample; what came of it counts at once."""
        facts = sample.facts
        outcome = outcome_of(facts.accepted, facts.verdict)
        self.known.add(facts.index, facts.attempt, outcome)
        self._pending.append(self._thread.submit(self._writer.add, sample))

    def wait(self) -> None:
        """Wait until all samples are on the disk.

        Raises:
            BGDefectError: what the writer raised.
        """
        pending, self._pending = self._pending, []
        for written in pending:
            written.result()

    def __enter__(self) -> SampleQueue:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._thread.shutdown(wait=True, cancel_futures=error is not None)
        if error is None:
            self.wait()
