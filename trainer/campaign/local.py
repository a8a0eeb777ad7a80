"""The executor of one process: tasks are done one after the other, where they are waited for."""

from __future__ import annotations

import time
from collections.abc import Sequence

from bgdefect_core.errors import BGDefectError

from .tasks import Ended, Task
from .worker import Worker
from .works import do_work

__all__ = ["LocalExecutor"]


class LocalExecutor:
    """Does tasks in this process."""

    slots, lost, is_here = 1, 0, True

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._tasks: list[Task] = []
        self._group = ""
        self.processor = 0.0

    def takes(self, kind: str) -> bool:
        """As :meth:`Executor.takes`."""
        return not self._tasks

    @property
    def loaded(self) -> Sequence[str]:
        """As :attr:`Executor.loaded`."""
        return [self._group]

    def start(self, task: Task) -> None:
        """As :meth:`Executor.start`."""
        self._tasks.append(task)

    def wait(self, seconds: float) -> list[Ended]:
        """As :meth:`Executor.wait`, without a limit of time."""
        if not self._tasks:
            return []
        task = self._tasks.pop()
        self._group = task.group
        started, processor = time.monotonic(), time.process_time()
        try:
            parts = do_work(self._worker, task.kind, task.order)
        except (BGDefectError, MemoryError, RuntimeError, OSError) as error:
            problem = str(error) or type(error).__name__
            return [Ended(task, problem, seconds=time.monotonic() - started)]
        self.processor += time.process_time() - processor
        return [Ended(task, seconds=time.monotonic() - started, fetch=lambda: parts)]

    def close(self) -> None:
        """As :meth:`Executor.close`."""
        self._tasks.clear()
