"""The way of one class through a campaign: learn, place and paint shard by shard, assemble.

It lives at the head. It gives tasks, takes their results, and is the only one that writes the
class's files: its weights, and its data set by the writer of ``bgdefect generate``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from bgdefect_core.declarations import replace_options
from bgdefect_core.files import write_file
from bgdefect_core.records.run_record import RunRecord, locked, settings_digest

from ..training.run_folder import RunFolder
from ..training.setup import choose_class, record_of
from .class_painting import ClassPainting
from .classes import ClassPlan
from .figures import Figures, Stage
from .shared import Shared
from .tasks import Ended, Parts, Task
from .typed import order_values

__all__ = ["ClassRun"]


class ClassRun:
    """One class.

    Args:
        item: its plan. shared: with the campaign's other classes.
    """

    def __init__(self, item: ClassPlan, shared: Shared) -> None:
        self.item = item
        self.stage: Stage = "waiting"
        self.reason = ""
        self.figures = Figures(wanted=item.generate.count)
        self._shared = shared
        self._train = replace_options(item.train, precision=shared.facts.train_precision)
        self._processes = shared.settings.gpus_per_class
        self._painting: ClassPainting | None = None

    @property
    def name(self) -> str:
        """As a person reads it."""
        return self.item.name

    @property
    def object(self) -> str:
        """The class's object."""
        return self.item.object

    @property
    def defect(self) -> str:
        """The class's defect."""
        return self.item.defect

    def begin(self) -> Sequence[Task]:
        """The first tasks; none where all is there already.

        Raises:
            BGDefectError: another run is in the way, or the class cannot be read.
        """
        self.stage = "learning"
        target = choose_class(self._train)
        record = record_of(self._train, target, self._shared.facts, self._processes)
        self._folder: RunFolder = target.folder
        self._record: RunRecord = record
        self._folder.check(record)
        if self._folder.finished:
            return self._begin_painting()
        inputs = {role: entry["sha256"] for role, entry in record.inputs.items()}
        order = self._shared.order(self._shared.data_places(self.item.object)) | {
            "train": order_values(self._train),
            "processes": self._processes,
            "layout": self._shared.files.layout,
            "file": self._folder.weights.name,
            "scratch": settings_digest({"settings": record.settings, "inputs": inputs}),
        }
        return [self._shared.task("learn", f"{self.name}: learning", self.name, order)]

    def take(self, ended: Ended) -> Sequence[Task]:
        """Take the result of a task; the next tasks.

        Raises:
            BGDefectError: the class cannot go on. Lost: the result went with its machine.
        """
        if self._painting is None:
            self._write_weights(ended.fetch())
            return self._begin_painting()
        tasks: Sequence[Task] = ()
        if ended.task.kind == "place":
            tasks = self._painting.placed(ended.task.order, ended.fetch())
        elif ended.task.kind == "assemble":
            self._painting.assembled(json.loads(ended.fetch()["figures"]))
        else:
            tasks = self._painting.painted(ended)
        return self._told(self._painting, tasks)

    def _write_weights(self, parts: Parts) -> None:
        """Write the files of the training.

        Raises:
            OutputError: they cannot be written.
        """
        folder = self._folder
        started = json.loads(parts["run.json"])["started"]
        with locked(folder.folder):
            self._record.write(started=started)
            write_file(folder.split, parts["split.json"])
            write_file(folder.folder / "log.csv", parts["log.csv"])
            write_file(folder.weights, parts["weights"])

    def _begin_painting(self) -> Sequence[Task]:
        self.stage = "painting"
        self._painting = ClassPainting(self.item, self._folder, self.figures, self._shared)
        return self._told(self._painting, self._painting.begin())

    def _told(self, painting: ClassPainting, tasks: Sequence[Task]) -> Sequence[Task]:
        """The tasks; and the class is done where the painting is."""
        if painting.is_done:
            self.stage = "done"
            self._painting = None  # with all that it knows of its samples
        return tasks

    def fail(self, reason: str) -> None:
        """End the class, with what is written."""
        self.stage, self.reason = "failed", reason
        self.close()

    def close(self) -> None:
        """Release the data set's folder."""
        if self._painting is not None:
            self._painting.close()
