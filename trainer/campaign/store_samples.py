"""The samples of a class that workers write to a store: the head keeps the verdicts alone, and what
makes the run this run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bgdefect_core.records.dataset_place import check_name, extras_folder, run_record
from bgdefect_core.records.run_record import read_record

from ..generation.choice_file import ChoiceFile
from ..generation.config import GenerateConfig
from .assembling import merged_lines
from .class_samples import ClassSamples
from .figures import Figures
from .shard_writing import DataSetPlace
from .tasks import Parts

__all__ = ["StoreSamples"]

_RECORDS = ("run.json", "pairs.jsonl")


class StoreSamples(ClassSamples):
    """The data set of one class in a store.

    Args:
        generate: settings. place: of the data set. figures: take what is written.
        folder: where the head keeps the records of the run, in the form of the data set.
    """

    def __init__(
        self, generate: GenerateConfig, place: DataSetPlace, figures: Figures, folder: Path
    ) -> None:
        super().__init__(generate, place.object, place.defect, figures)
        self._place, self._folder = place, folder
        self._store = place.store
        self._run: dict[str, Any] | None = None
        """What a worker must know to write; None: no shard is placed yet."""

    @property
    def _names(self) -> tuple[Path, str, str]:
        return self._folder, self._object, self._defect

    def read(self) -> None:
        """Read what an earlier start has written."""
        extras = extras_folder(*self._names)
        there = self._store.names(self._place.extras)
        for name in _RECORDS:
            path = f"{self._place.extras}/{name}"
            if path in there and not (extras / name).is_file():
                self._store.copy_to(self._folder, [path])
        if not (extras / "run.json").is_file():
            return
        settings = read_record(extras / "run.json")["settings"]
        self.choices = ChoiceFile(*self._names, settings).read()
        for text in merged_lines(self._place).values():
            self._count_line(text)

    def placed(self, record: Mapping[str, Any]) -> None:
        """Take what the placing of a shard says; the first writes the record of the run.

        Raises:
            OtherRunError: the store holds another run. OutputError: it cannot be written to.
        """
        choices = self._take_record(record)
        file = ChoiceFile(*self._names, record["settings"])
        if self._run is None:
            for what, name in (("object", self._object), ("defect", self._defect)):
                check_name(what, name)
            run = run_record(*self._names, record["settings"], record["inputs"])
            run.check()
            run.write(object=self._object, defect=self._defect)
            self._store.write(f"{self._place.extras}/run.json", run.path.read_bytes())
            names = ("settings", "made_with", "white")
            self._run = {name: record[name] for name in names}
            file.write(self.choices)
        elif choices:
            file.add(choices)

    @property
    def target(self) -> dict[str, Any] | None:
        """What the order of a painting says of the data set."""
        return {**vars(self._place), **(self._run or {})}

    def write(self, parts: Parts) -> None:
        """Count the samples of a shard that is written."""
        lines = parts["lines"].decode().splitlines()
        for text in lines:
            self._count_line(text)
        self._figures.attempts += len(lines)
        self._figures.bytes += len(parts["lines"])

    def _count_line(self, text: str) -> None:
        entry = json.loads(text)
        self._count(entry["index"], entry["attempt"], entry["accepted"], entry["verdict"])

    def closing(self) -> dict[str, Any] | None:
        """What the order of the last task says.

        Raises:
            OutputError: the store cannot be written to.
        """
        content = (extras_folder(*self._names) / "pairs.jsonl").read_bytes()
        self._store.write(f"{self._place.extras}/pairs.jsonl", content)
        return {
            "data_set": dict(vars(self._place)),
            "wanted": self._plan.count,
            "without_mask": self._without_mask,
            "left_out": list(self._left_out),
        }

    def close(self) -> None:
        """Nothing is open."""
