"""A campaign of any size on paper: events in their order, with measured times, and no work done.

The head is one server: it takes results one after the other, as :mod:`head` does. What it costs is
the time to take a sample's bytes from the network and to write them, and the page of each class.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field

__all__ = ["Costs", "Simulated", "simulate"]

_LEARN, _PLACE, _PAINT, _PAGE = "learn", "place", "paint", "page"


@dataclass(frozen=True)
class Costs:
    """Seconds and bytes, as measured."""

    learn: float
    """Seconds of learning a class."""
    place: float
    """Seconds of placing a sample's mask."""
    paint: float
    """Seconds of painting a sample, retries included."""
    write: float
    """Seconds of the head for a sample: to unpack and write its files."""
    task: float
    """Seconds of the head for a task."""
    page: float
    """Seconds for the page of a class: of the head, or of a worker where workers write."""
    size: float
    """Bytes of a sample."""
    weights: float
    """Bytes of a class's weights."""
    network: float
    """Bytes a second of the head's network."""

    def shard(self, samples: int, at_workers: bool) -> float:
        """Seconds of the head for a painted shard.

        Args:
            at_workers: whether the workers write the samples.
        """
        if at_workers:
            return self.task
        return self.task + samples * (self.write + self.size / self.network)


@dataclass(frozen=True)
class Simulated:
    """What came of it."""

    seconds: float
    """From the beginning to the last page."""
    busy: float
    """Share of the time of all workers in which they worked, 0..1."""
    head: float
    """Share of the time in which the head was busy, 0..1."""


@dataclass(frozen=True, order=True)
class _Event:
    """The end of a task at its worker, or of what the head does with its result."""

    time: float
    count: int
    """Keeps the order of events of one time."""
    kind: str = field(compare=False)
    """Of the task."""
    number: int = field(compare=False)
    """Of the class."""
    at_head: bool = field(compare=False)


@dataclass
class _Cluster:
    """A head and its workers at work."""

    costs: Costs
    classes: int
    shards: int
    samples: int
    """Of a shard."""
    at_workers: bool
    free: int
    """Workers without a task."""
    events: list[_Event] = field(default_factory=list)
    """A heap."""
    head_until: float = 0.0
    head_busy: float = 0.0
    worked: float = 0.0

    def __post_init__(self) -> None:
        self._count = 0
        self._placed, self._painted = [0] * self.classes, [0] * self.classes
        self._waiting: dict[str, deque[int]] = {_PAGE: deque(), _PAINT: deque(), _PLACE: deque()}
        self._waiting[_LEARN] = deque(range(self.classes))

    def start_tasks(self, now: float) -> None:
        """Give tasks to free workers: those of classes that are further on first."""
        for kind in (_PAGE, _PAINT, _PLACE, _LEARN):
            queue = self._waiting[kind]
            while self.free and queue:
                self.free -= 1
                seconds = self._seconds(kind)
                self.worked += seconds
                self._add_event(now + seconds, kind, queue.popleft(), at_head=False)

    def end_task(self, event: _Event) -> None:
        """A worker is free again, and the head takes the result as soon as it can."""
        self.free += 1
        seconds = self.costs.task
        if event.kind == _PAINT:
            seconds = self.costs.shard(self.samples, self.at_workers)
        elif event.kind == _LEARN:
            seconds += self.costs.weights / self.costs.network
        self._occupy_head(event.time, seconds)
        self._add_event(self.head_until, event.kind, event.number, at_head=True)

    def follow(self, event: _Event) -> None:
        """What the head does with a result: the class's next tasks, and its page at the end, which
        is a task where workers write."""
        number = event.number
        if event.kind == _LEARN:
            self._waiting[_PLACE].append(number)
        elif event.kind == _PLACE:
            self._placed[number] += 1
            self._waiting[_PAINT].append(number)
            if self._placed[number] < self.shards:
                self._waiting[_PLACE].append(number)
        elif event.kind == _PAINT:
            self._painted[number] += 1
            if self._painted[number] == self.shards and self.at_workers:
                self._waiting[_PAGE].append(number)
            elif self._painted[number] == self.shards:
                self._occupy_head(self.head_until, self.costs.page)

    def _add_event(self, time: float, kind: str, number: int, at_head: bool) -> None:
        self._count += 1
        heapq.heappush(self.events, _Event(time, self._count, kind, number, at_head))

    def _seconds(self, kind: str) -> float:
        """Of a task at its worker."""
        costs = self.costs
        if kind == _LEARN:
            return costs.learn
        if kind == _PAGE:
            return costs.page
        return self.samples * (costs.place if kind == _PLACE else costs.paint)

    def _occupy_head(self, now: float, seconds: float) -> None:
        self.head_until = max(now, self.head_until) + seconds
        self.head_busy += seconds


def simulate(
    costs: Costs, workers: int, classes: int, shards: int, samples: int, at_workers: bool = False
) -> Simulated:
    """A campaign in which nothing fails.

    Args:
        workers: GPUs, or processes. shards: of a class. samples: of a shard.
        at_workers: whether workers write the samples and the pages, and the head takes lines alone.
    """
    cluster = _Cluster(costs, classes, shards, samples, at_workers, free=workers)
    cluster.start_tasks(0.0)
    end = 0.0
    while cluster.events:
        event = heapq.heappop(cluster.events)
        if event.at_head:
            cluster.follow(event)
            end = max(end, cluster.head_until)
        else:
            cluster.end_task(event)
        cluster.start_tasks(event.time)
    return Simulated(end, cluster.worked / (workers * end), cluster.head_busy / end)
