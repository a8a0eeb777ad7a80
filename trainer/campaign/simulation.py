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


@dataclass
class _State:
    """A cluster at work."""

    costs: Costs
    shards: int
    samples: int
    """Of a shard."""
    at_workers: bool
    free: int
    waiting: dict[str, deque[int]] = field(default_factory=dict)
    """Kind of task -> classes whose tasks wait for a worker."""
    events: list[tuple[float, int, str, int]] = field(default_factory=list)
    """When, a count that keeps their order, which kind of task ended, of which class."""
    count: int = 0
    head_until: float = 0.0
    head_busy: float = 0.0
    worked: float = 0.0

    def start_tasks(self, now: float) -> None:
        """Give tasks to free workers: those of classes that are further on first."""
        for kind in (_PAGE, _PAINT, _PLACE, _LEARN):
            queue = self.waiting[kind]
            while self.free and queue:
                self.free -= 1
                seconds = self._seconds(kind)
                self.worked += seconds
                self.count += 1
                heapq.heappush(self.events, (now + seconds, self.count, kind, queue.popleft()))

    def _seconds(self, kind: str) -> float:
        costs = self.costs
        if kind == _LEARN:
            return costs.learn
        if kind == _PAGE:
            return costs.page
        return self.samples * (costs.place if kind == _PLACE else costs.paint)

    def at_head(self, now: float, seconds: float) -> float:
        """The head does something as soon as it can; when it is done."""
        self.head_until = max(now, self.head_until) + seconds
        self.head_busy += seconds
        return self.head_until


def simulate(
    costs: Costs, workers: int, classes: int, shards: int, samples: int, at_workers: bool = False
) -> Simulated:
    """A campaign in which nothing fails.

    Args:
        workers: GPUs, or processes. shards: of a class. samples: of a shard.
        at_workers: whether workers write the samples and the pages, and the head takes lines alone.
    """
    state = _State(costs, shards, samples, at_workers, workers)
    state.waiting = {_PAGE: deque(), _PAINT: deque(), _PLACE: deque()}
    state.waiting[_LEARN] = deque(range(classes))
    placed, painted = [0] * classes, [0] * classes
    state.start_tasks(0.0)
    end = 0.0
    while state.events:
        now, _, kind, number = heapq.heappop(state.events)
        if kind.startswith("told "):
            _follow(state, kind.removeprefix("told "), number, placed, painted)
            end = max(end, state.head_until)
        else:
            state.free += 1
            seconds = costs.task
            if kind == _PAINT:
                seconds = costs.shard(samples, at_workers)
            elif kind == _LEARN:
                seconds += costs.weights / costs.network
            state.count += 1
            told = (state.at_head(now, seconds), state.count, f"told {kind}", number)
            heapq.heappush(state.events, told)
        state.start_tasks(now)
    return Simulated(end, state.worked / (workers * end), state.head_busy / end)


def _follow(state: _State, kind: str, number: int, placed: list[int], painted: list[int]) -> None:
    """What the head does with a result: the class's next tasks, and its page at the end, which is
    a task where workers write."""
    if kind == _LEARN:
        state.waiting[_PLACE].append(number)
    elif kind == _PLACE:
        placed[number] += 1
        state.waiting[_PAINT].append(number)
        if placed[number] < state.shards:
            state.waiting[_PLACE].append(number)
    elif kind == _PAINT:
        painted[number] += 1
        if painted[number] == state.shards and state.at_workers:
            state.waiting[_PAGE].append(number)
        elif painted[number] == state.shards:
            state.at_head(state.head_until, state.costs.page)
