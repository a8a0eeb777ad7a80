"""The painting of one class at the head: its shards are placed one after the other, painted in any
order, and written in theirs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bgdefect_core.declarations import replace_options

from ..training.run_folder import RunFolder
from .class_orders import GenerationOrders
from .class_samples import ClassSamples, HeadSamples
from .classes import ClassPlan
from .figures import Figures
from .shard_writing import DataSetPlace
from .shared import Marker, Shared
from .store_samples import StoreSamples
from .tasks import Ended, Lost, Parts, Task

__all__ = ["ClassPainting"]


class ClassPainting:
    """The shards of one class.

    Args:
        item: the class. folder: of its training, which is finished.
        figures: take what is done. shared: with the campaign's other classes.
    """

    def __init__(
        self, item: ClassPlan, folder: RunFolder, figures: Figures, shared: Shared
    ) -> None:
        generate = replace_options(item.generate, precision=shared.facts.precision)
        self._figures, self._shared = figures, shared
        self._plan = generate.plan
        self._orders = GenerationOrders(item, generate, folder, shared)
        names = (item.object, item.defect)
        self._samples: ClassSamples = HeadSamples(generate, *names, figures)
        if shared.settings.write_from_workers is not None:
            place = DataSetPlace(shared.settings.write_from_workers, *names)
            self._samples = StoreSamples(generate, place, figures, shared.work / "records")
        self._marker: Marker = shared.marker(folder.weights.stem, self._orders.key)
        self._chunks = list(self._plan.chunks())
        self._shards: list[int] = []
        """Chunks that are not finished, in order."""
        self._placing = self._writing = 0
        """Positions in the shards: the next to be placed, the next to be written."""
        self._painted: dict[int, Ended | None] = {}
        """What is painted and waits for its turn; None: all of it is written already."""
        self._parcels: dict[int, str] = {}
        """Chunk -> digest of its placed pairs."""
        self.is_done = False

    def begin(self) -> list[Task]:
        """The first tasks; none where all is done.

        Raises:
            BGDefectError: what is there cannot be read.
        """
        finished = self._marker.read()
        if finished is not None:
            self._finish(finished)
            return []
        self._samples.read()
        for number, pairs in enumerate(self._chunks):
            if not self._samples.are_final(pairs):
                self._shards.append(number)
        self._shards = self._shards or [0]  # its record is compared with the run that is there
        self._samples.tell(self._figures)
        return [self._place_next()]

    def _place_next(self) -> Task:
        number = self._shards[self._placing]
        self._placing += 1
        return self._orders.place(number, self._chunks[number], self._samples.choices)

    def placed(self, order: Mapping[str, Any], parts: Parts) -> list[Task]:
        """Take the pairs of a shard; the next tasks.

        Raises:
            BGDefectError: the data set's folder holds something else, or cannot be written to.
        """
        number, record = order["shard"], json.loads(parts["record"])
        self._samples.placed(record)
        tasks: list[Task] = []
        known = self._samples.known
        samples: list[int] = []
        pictures: list[str] = []
        for index, picture in record["pairs"]:
            samples += self._plan.samples_of(index)
            pictures.append(picture)
        if all(known.is_final(self._plan, index) for index in samples):
            self._painted[number] = None
        else:
            parcel = self._parcels[number] = self._shared.store.add(parts["chunk"])
            target = self._samples.target
            tasks.append(self._orders.paint(number, parcel, pictures, known.only(samples), target))
        return [*tasks, *self._write_ready()]

    def painted(self, ended: Ended) -> list[Task]:
        """Take the samples of a shard; they are written in the order of the shards.

        Raises:
            BGDefectError: they cannot be written.
        """
        self._painted[ended.task.order["shard"]] = ended
        return self._write_ready()

    def _write_ready(self) -> list[Task]:
        """Write the shards whose turn has come; the next tasks."""
        tasks: list[Task] = []
        while self._writing < len(self._shards):
            number = self._shards[self._writing]
            if number not in self._painted:
                break
            ended = self._painted.pop(number)
            if ended is not None:
                try:
                    self._samples.write(ended.fetch())
                except Lost:
                    tasks.append(ended.task)
                    break
                self._shared.store.drop(self._parcels.pop(number))
            self._writing += 1
            self._samples.tell(self._figures)
        is_near = self._placing - self._writing <= self._shared.ahead
        if self._placing < len(self._shards) and is_near and not self._is_placing:
            tasks.append(self._place_next())
        if self._writing == len(self._shards):
            tasks += self._assemble()
        return tasks

    @property
    def _is_placing(self) -> bool:
        """Whether the masks of the last shard that was begun are still being placed."""
        number = self._shards[self._placing - 1]
        position = self._placing - 1
        is_known = number in self._parcels or number in self._painted
        return position >= self._writing and not is_known

    def _assemble(self) -> list[Task]:
        """Write the page, or give the task that does it."""
        closing = self._samples.closing()
        if closing is not None:
            return [self._orders.assemble(closing)]
        figures = self._samples.finish()
        if figures is not None:
            self.assembled(figures)
        return []

    def assembled(self, figures: Mapping[str, Any]) -> None:
        """Keep that the class is done.

        Raises:
            OutputError: the disk is full.
        """
        self._marker.write(figures)
        self._finish(figures)

    def _finish(self, figures: Mapping[str, Any]) -> None:
        for name in ("accepted", "rejected", "unmade", "page"):
            setattr(self._figures, name, figures[name])
        self._figures.written = self._figures.wanted - self._figures.unmade
        self.is_done = True

    def close(self) -> None:
        """Give up what waits, and release the data set's folder."""
        self._painted.clear()
        self._samples.close()
