"""The head: gives tasks to an executor, and their results to the runs that asked for them. A run is
one class, or one evaluation.

Tasks of runs that are further on go first, so that few are open at a time; no run waits for
another.
"""

from __future__ import annotations

import heapq
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from bgdefect_core.errors import BGDefectError, OtherRunError, OutputError

from .figures import Figures, Stage
from .tasks import Ended, Executor, Lost, Task

__all__ = ["CampaignRun", "Head"]

log = logging.getLogger(__name__)

_FIRST = {"assemble": 0, "paint": 0, "place": 1, "learn": 2, "evaluate": 3}
"""Kind of task -> its turn; the smallest first."""
MOST_LOSSES = 20
"""Workers that may be lost at one task: a task that ends its worker every time ends here."""


class CampaignRun(Protocol):
    """One class, or one evaluation, on its way through a campaign."""

    stage: Stage
    reason: str
    """Why it failed."""
    figures: Figures

    @property
    def name(self) -> str:
        """As a person reads it; its tasks have it as their group."""

    @property
    def object(self) -> str:
        """Of the class."""

    @property
    def defect(self) -> str:
        """Of the class; "" where it is about several."""

    def begin(self) -> Sequence[Task]:
        """The first tasks; none where all is there already."""

    def take(self, ended: Ended) -> Sequence[Task]:
        """Take the result of a task; the next tasks."""

    def fail(self, reason: str) -> None:
        """End, with what is written."""

    def close(self) -> None:
        """Release what is open."""


class _Waiting(NamedTuple):
    """A task that waits for a worker, in the order in which it gets one."""

    turn: int
    """As ``_FIRST`` has it."""
    run: int
    """Number of its run."""
    number: int
    """Tasks that came before it: no two have the same."""
    task: Task


class Head:
    """Works through the runs of a campaign.

    Args:
        runs: classes and evaluations.
        executor: does the tasks.
        tries: at a task, before its run is given up.
        tell: called after every change, and while tasks run.
    """

    def __init__(
        self,
        runs: Sequence[CampaignRun],
        executor: Executor,
        tries: int,
        tell: Callable[[], None],
    ) -> None:
        self._executor, self._tries, self._tell = executor, tries, tell
        self._runs: dict[str, CampaignRun] = {}
        self._numbers: dict[str, int] = {}
        for number, run in enumerate(runs):
            self._runs[run.name], self._numbers[run.name] = run, number
        self._unbegun = list(reversed(runs))
        """Runs that have not begun, the next one last."""
        self._queue: list[_Waiting] = []
        self._count = 0
        self._active = 0
        self._failures: Counter[str] = Counter()
        self._losses: Counter[str] = Counter()
        self.repeated = 0
        """Tasks that were given again, because a try failed or a worker was lost."""

    def run(self) -> None:
        """Work until every run is done or has failed.

        Raises:
            OutputError: the disk is full, or the output cannot be written to: the campaign stops,
                and the same command resumes it.
        """
        try:
            while self._fill() or self._active:
                for ended in self._executor.wait(1.0):
                    self._active -= 1
                    self._take(ended)
                self._tell()
        finally:
            for run in self._runs.values():
                run.close()
            self._executor.close()

    def _fill(self) -> bool:
        """Give tasks as long as the executor takes any; whether any is left."""
        while self._queue or self._unbegun:
            if not self._queue:
                if not self._executor.takes("learn"):
                    break
                self._begin()
            elif not self._executor.takes(self._queue[0].task.kind):
                break
            else:
                task = self._next()
                if task is not None:
                    self._executor.start(task)
                    self._active += 1
        return bool(self._queue or self._unbegun)

    def _next(self) -> Task | None:
        """The next task; None where its run has failed meanwhile. Among equals, one whose class a
        worker has loaded."""
        loaded = set(self._executor.loaded)
        turn = self._queue[0].turn
        for place, waiting in enumerate(self._queue):
            if waiting.turn == turn and waiting.task.group in loaded:
                self._queue[place] = self._queue[-1]
                self._queue.pop()
                heapq.heapify(self._queue)
                break
        else:
            waiting = heapq.heappop(self._queue)
        task = waiting.task
        return task if self._runs[task.group].stage != "failed" else None

    def _begin(self) -> None:
        """Begin one more run."""
        run = self._unbegun.pop()
        self._advance(run, run.begin)
        self._tell()

    def _add(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            self._count += 1
            turn, number = _FIRST[task.kind], self._numbers[task.group]
            heapq.heappush(self._queue, _Waiting(turn, number, self._count, task))

    def _advance(self, run: CampaignRun, step: Callable[[], Sequence[Task]]) -> None:
        """Let a run take a step; its mistake ends it and nothing else.

        Raises:
            OutputError: the disk is full: that is nobody's mistake.
        """
        try:
            self._add(step())
        except OtherRunError as error:
            self._fail(run, str(error))
        except OutputError:
            raise
        except BGDefectError as error:
            self._fail(run, str(error))

    def _fail(self, run: CampaignRun, reason: str) -> None:
        log.warning("%s failed: %s", run.name, reason)
        run.fail(reason)

    def _take(self, ended: Ended) -> None:
        """Give a result to its run, or try its task again."""
        task = ended.task
        run = self._runs[task.group]
        if run.stage in ("failed", "done"):
            return
        if ended.problem:
            self._try_again(run, ended)
            return
        run.figures.took(task.kind, ended.seconds)
        try:
            self._advance(run, lambda: run.take(ended))
        except Lost:
            self.repeated += 1
            self._add([task])

    def _try_again(self, run: CampaignRun, ended: Ended) -> None:
        task = ended.task
        counter, most = self._failures, self._tries
        if ended.lost:
            counter, most = self._losses, MOST_LOSSES
        counter[task.key] += 1
        if counter[task.key] >= most:
            count = f" ({most} tries)" if most > 1 else ""
            self._fail(run, f"{ended.problem}{count}")
            return
        self.repeated += 1
        log.info("%s is tried again: %s", task.name, ended.problem)
        self._add([task])
