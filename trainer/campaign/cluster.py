"""The executor on Ray: one actor a worker, results in the object store until their turn.

Ray's core and not Ray Data: the tasks are few, long and of different kinds, depend on each other
class by class, and keep a base and a class loaded. Workers that are lost are replaced. Which worker
did a task, and how often it was tried, changes no bit of its result.
"""

from __future__ import annotations

import json
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import ray
from ray import exceptions as ray_errors

from bgdefect_core.errors import SettingError
from bgdefect_core.records.run_record import settings_digest

from .blobs import ContentStore
from .cluster_worker import Answer, RemoteWorker, digest_of_parts
from .joining import Needs
from .tasks import Ended, Lost, Parts, Task

__all__ = ["RayExecutor"]

log = logging.getLogger(__name__)

_SHORT = {"place", "paint"}
"""Kinds of which a worker may have one waiting behind the one that it does: it then never waits for
the head."""
_MOST_KEPT = 1 << 31
"""Bytes of contents that the head keeps in the object store for workers to come."""
_LOOK = 5.0
"""Seconds between two looks at what machines there are."""


@dataclass
class _Slot:
    """One worker."""

    actor: Any
    ready: Any
    """Where its node will be said; None once it is known."""
    node: str = ""
    tasks: list[tuple[Task, Any, Any]] = field(default_factory=list)
    """Task, answer and result, oldest first."""
    since: float = 0.0
    """When the first of them began."""
    group: str = ""


class RayExecutor:
    """Does tasks on the cluster that was joined.

    Args:
        store: of the head.
        campaign: what makes it this campaign, for the folders of the nodes.
        needs: of a worker. workers: most workers; None: as many as fit.
    """

    is_here = False

    def __init__(
        self, store: ContentStore, campaign: str, needs: Needs, workers: int | None
    ) -> None:
        self._store, self._needs, self._most = store, needs, workers
        self._campaign = settings_digest({"campaign": campaign})
        self._refs: OrderedDict[str, tuple[Any, int]] = OrderedDict()
        self._slots: list[_Slot] = []
        self._delivered: dict[str, set[str]] = {}
        """Node -> contents that it has."""
        self._looked = 0.0
        self._told = False
        self.processor = 0.0
        """Seconds of processors that finished tasks took."""
        self.lost = 0
        """Workers that were lost."""
        self._actor_class = ray.remote(RemoteWorker)
        self._grow()

    @property
    def slots(self) -> int:
        """As :attr:`Executor.slots`."""
        return max(len(self._slots), 1)

    @property
    def loaded(self) -> Sequence[str]:
        """As :attr:`Executor.loaded`."""
        return [slot.group for slot in self._slots if _is_free(slot)]

    def takes(self, kind: str) -> bool:
        """As :meth:`Executor.takes`."""
        return self._slot_for(kind, "") is not None

    def _slot_for(self, kind: str, group: str) -> _Slot | None:
        """The worker that gets a task: a free one before one that has one left to do."""
        free = [slot for slot in self._slots if _is_free(slot)]
        for slot in free:
            if slot.group == group:
                return slot
        if free:
            return free[0]
        if kind not in _SHORT:
            return None
        first: _Slot | None = None
        for slot in self._slots:
            if len(slot.tasks) == 1 and slot.tasks[0][0].kind in _SHORT:
                if slot.group == group:
                    return slot
                first = first or slot
        return first

    def start(self, task: Task) -> None:
        """As :meth:`Executor.start`."""
        slot = self._slot_for(task.kind, task.group)
        if slot is None:
            raise SettingError(f"no worker takes {task.name}", "a free one")
        contents: dict[str, Any] = {}
        for name in task.contents:
            if name not in self._delivered[slot.node]:
                contents[name] = self._ref(name)
        call = slot.actor.do.options(num_returns=2)
        answer, result = call.remote(task.kind, json.dumps(dict(task.order)), contents)
        if not slot.tasks:
            slot.since = time.monotonic()
        slot.tasks.append((task, answer, result))
        slot.group = task.group

    def _ref(self, digest: str) -> Any:
        """A content in the object store."""
        if digest not in self._refs:
            content = self._store.read(digest)
            self._refs[digest] = (ray.put(content), len(content))
            total = sum(size for _, size in self._refs.values())
            while total > _MOST_KEPT and len(self._refs) > 1:
                total -= self._refs.popitem(last=False)[1][1]
        self._refs.move_to_end(digest)
        return self._refs[digest][0]

    def wait(self, seconds: float) -> list[Ended]:
        """As :meth:`Executor.wait`."""
        if time.monotonic() - self._looked > _LOOK:
            self._grow()
        waiting: list[Any] = []
        for slot in self._slots:
            if slot.tasks:
                waiting.append(slot.tasks[0][1])
            if slot.ready is not None:
                waiting.append(slot.ready)
        if not waiting:
            self._tell_of_none()
            time.sleep(seconds)
            return []
        done, _ = ray.wait(waiting, timeout=seconds)
        ended: list[Ended] = []
        for slot in list(self._slots):
            if slot.ready in done:
                self._greet(slot)
            while slot.tasks and slot.tasks[0][1] in done:
                ended += self._ended(slot)
                if not slot.tasks or slot not in self._slots:
                    break
                done, _ = ray.wait([slot.tasks[0][1]], timeout=0)
            ended += self._overdue(slot)
        return ended

    def _tell_of_none(self) -> None:
        """Say once that no machine is large enough."""
        if not self._slots and not self._told:
            self._told = True
            have = ray.cluster_resources()
            log.warning(
                "no machine takes a worker (%s); there are %g CPUs and %g GPUs. Waiting for one",
                self._needs,
                have.get("CPU", 0),
                have.get("GPU", 0),
            )

    def _greet(self, slot: _Slot) -> None:
        """Note where a worker lives."""
        try:
            slot.node = ray.get(slot.ready)
        except ray_errors.RayError as error:
            log.warning("a worker could not begin: %s", _first_line(error))
            self._slots.remove(slot)
            return
        slot.ready = None
        self._delivered.setdefault(slot.node, set())

    def _ended(self, slot: _Slot) -> list[Ended]:
        """What the first task of a worker came to; all of its tasks where the worker is lost."""
        task, answer_ref, result = slot.tasks[0]
        try:
            answer: Answer = ray.get(answer_ref)
        except ray_errors.OutOfMemoryError as error:
            return self._drop(slot, "its worker ran out of memory", _first_line(error))
        except ray_errors.RayTaskError as error:
            self._next(slot)
            return [Ended(task, _first_line(error))]
        except ray_errors.RayError as error:
            return self._drop(slot, f"a worker was lost ({_first_line(error)})")
        self._next(slot)
        if answer["corrupted"]:
            self._delivered[slot.node].clear()
            for digest in task.contents:
                self._refs.pop(digest, None)
        if answer["problem"]:
            return [Ended(task, answer["problem"], answer["corrupted"], answer["seconds"])]
        self._delivered[slot.node].update(task.contents)
        self.processor += answer["processor"]
        return [Ended(task, seconds=answer["seconds"], fetch=_fetch(result))]

    def _next(self, slot: _Slot) -> None:
        slot.tasks.pop(0)
        slot.since = time.monotonic()

    def _overdue(self, slot: _Slot) -> list[Ended]:
        """Stop a worker that has not finished its task in time."""
        if not slot.tasks or slot not in self._slots:
            return []
        task = slot.tasks[0][0]
        if not task.minutes or time.monotonic() - slot.since < 60 * task.minutes:
            return []
        ray.kill(slot.actor)
        fault = f"it was not done after {task.minutes:g} minutes"
        return self._drop(slot, "its worker was stopped", fault)

    def _drop(self, slot: _Slot, problem: str, fault: str = "") -> list[Ended]:
        """Give up a worker; another takes its place when there is room for one.

        Args:
            fault: of the first task; "": it is lost as the others are.
        """
        self._slots.remove(slot)
        self.lost += 1
        self._looked = 0.0
        ended: list[Ended] = []
        for task, _, _ in slot.tasks:
            ended.append(Ended(task, fault or problem, lost=not fault))
            fault = ""
        return ended

    def _grow(self) -> None:
        """Ask for as many workers as the machines of the cluster are enough for."""
        self._looked = time.monotonic()
        wanted = self._needs.fitting(ray.cluster_resources())
        if self._most is not None:
            wanted = min(wanted, self._most)
        needs = {"num_cpus": self._needs.cpus, "num_gpus": self._needs.gpus}
        if self._needs.memory:
            needs["memory"] = self._needs.memory
        while len(self._slots) < wanted:
            actor = self._actor_class.options(**needs).remote(self._campaign)
            self._slots.append(_Slot(actor, actor.node.remote()))

    def close(self) -> None:
        """As :meth:`Executor.close`: end the workers, and leave the cluster."""
        if not ray.is_initialized():
            return
        cleaned = [slot.actor.clean.remote() for slot in self._slots if not slot.tasks]
        if cleaned:
            ray.wait(cleaned, num_returns=len(cleaned), timeout=5)
        for slot in self._slots:
            ray.kill(slot.actor)
        self._slots.clear()
        ray.shutdown()


def _is_free(slot: _Slot) -> bool:
    return not slot.tasks and slot.ready is None


def _fetch(result: Any) -> Callable[[], Parts]:
    """The result of a task, when its turn has come."""

    def fetch() -> Parts:
        try:
            digest, parts = ray.get(result)
        except ray_errors.RayError as error:
            raise Lost(_first_line(error)) from error
        if digest_of_parts(parts) != digest:
            raise Lost("the result arrived damaged")
        whole: Parts = parts
        return whole

    return fetch


def _first_line(error: Exception) -> str:
    """The first line of a message with words in it; Ray's are long."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if isinstance(error, ray_errors.RayTaskError):
        return lines[-1] if lines else type(error).__name__
    return lines[0] if lines else type(error).__name__
