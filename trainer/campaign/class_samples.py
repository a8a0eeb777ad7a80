"""The samples of a class at the head: what earlier starts have written, the writer of ``bgdefect
generate`` for what comes, and the page at the end."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from bgdefect_core.placement.choice import PairChoice
from bgdefect_core.records.dataset import DatasetWriter
from bgdefect_core.records.dataset_place import extras_folder, is_complete
from bgdefect_core.records.manifest import read_manifest
from bgdefect_core.records.run_record import read_record

from ..generation.attempts import KnownOutcomes, outcome_of
from ..generation.choice_file import ChoiceFile
from ..generation.config import GenerateConfig
from ..generation.generate import conclude
from ..generation.summary import summarise
from .assembling import summary_figures
from .figures import Figures
from .packing import unpack
from .painting import PaintedShard
from .tasks import Parts

__all__ = ["ClassSamples", "HeadSamples"]


class ClassSamples(ABC):
    """What is known of the samples of one class, while it is painted.

    Args:
        generate: settings. object, defect: of the class. figures: take what is written.
    """

    def __init__(
        self, generate: GenerateConfig, object: str, defect: str, figures: Figures
    ) -> None:
        self._generate, self._plan, self._figures = generate, generate.plan, figures
        self._object, self._defect = object, defect
        self.known = KnownOutcomes()
        self.choices: list[PairChoice] = []
        """Of all pairs whose masks were placed."""
        self._without_mask: list[dict[str, Any]] = []
        self._left_out: tuple[str, ...] = ()

    @abstractmethod
    def read(self) -> None:
        """Read what an earlier start has written."""

    @abstractmethod
    def placed(self, record: Mapping[str, Any]) -> None:
        """Take what the placing of a shard says; the first opens the data set.

        Raises:
            BGDefectError: its place holds something else, or cannot be written to.
        """

    @abstractmethod
    def write(self, parts: Parts) -> None:
        """Take the samples of a painted shard.

        Raises:
            BGDefectError: they cannot be written.
        """

    @property
    def target(self) -> dict[str, Any] | None:
        """What the order of a painting says of the data set; None: the head writes."""
        return None

    def closing(self) -> dict[str, Any] | None:
        """What the order of the last task says; None: :meth:`finish` does it."""
        return None

    def finish(self) -> dict[str, Any] | None:
        """Write the page; its figures. None where nothing is open.

        Raises:
            OutputError: it cannot be written.
        """
        return None

    @abstractmethod
    def close(self) -> None:
        """Release the data set's folder."""

    def are_final(self, pairs: range) -> bool:
        """Whether no sample of some pairs needs a further attempt."""
        for pair in pairs:
            for index in self._plan.samples_of(pair):
                if not self.known.is_final(self._plan, index):
                    return False
        return True

    def tell(self, figures: Figures) -> None:
        """Set how many samples need no further attempt, and what came of these."""
        figures.written = figures.accepted = 0
        for index, outcomes in self.known.outcomes.items():
            if index < self._plan.count and self.known.is_final(self._plan, index):
                figures.written += 1
                figures.accepted += "good" in outcomes.values()
        figures.rejected = figures.written - figures.accepted

    def _take_record(self, record: Mapping[str, Any]) -> list[PairChoice]:
        """Keep what the placing of a shard says; its choices."""
        choices = [PairChoice.from_json(entry) for entry in record["choices"]]
        self.choices += choices
        self._without_mask += record["without_mask"]
        self._left_out = tuple(record["left_out"])
        return choices

    def _count(self, index: int, attempt: int, accepted: bool, verdict: str) -> None:
        self.known.add(index, attempt, outcome_of(accepted, verdict))


class HeadSamples(ClassSamples):
    """The data set of one class that the head writes."""

    _writer: DatasetWriter | None = None

    def read(self) -> None:
        """As :meth:`ClassSamples.read`."""
        root = self._generate.output
        names = (root, self._object, self._defect)
        extras = extras_folder(*names)
        manifest = extras / "manifest.jsonl"
        if not (extras / "run.json").is_file():
            return
        settings = read_record(extras / "run.json")["settings"]
        self.choices = ChoiceFile(*names, settings).read()
        if manifest.is_file():
            lines = [line for line in read_manifest(manifest) if is_complete(root, line)]
            self.known = KnownOutcomes.of(lines, replace_rejected=False)

    def placed(self, record: Mapping[str, Any]) -> None:
        """As :meth:`ClassSamples.placed`."""
        names = (self._generate.output, self._object, self._defect)
        choices = self._take_record(record)
        file = ChoiceFile(*names, record["settings"])
        if self._writer is None:
            self._writer = DatasetWriter(
                *names,
                record["settings"],
                inputs=record["inputs"],
                made_with=record["made_with"],
                white=record["white"],
                image_format=self._generate.image_format,
            )
            file.write(self.choices)
        elif choices:
            file.add(choices)

    def write(self, parts: Parts) -> None:
        """As :meth:`ClassSamples.write`."""
        if self._writer is None:
            return
        started = time.monotonic()
        shard = unpack(parts["samples"], PaintedShard)
        for sample in shard.samples:
            line = self._writer.add_encoded(sample)
            self._count(line.index, line.attempt, line.accepted, line.verdict)
        self._figures.attempts += len(shard.samples)
        self._figures.bytes += len(parts["samples"])
        self._figures.took("write", time.monotonic() - started)

    def finish(self) -> dict[str, Any] | None:
        """As :meth:`ClassSamples.finish`."""
        if self._writer is None:
            return None
        started = time.monotonic()
        lines = self._writer.standing
        self.close()
        root, count = self._generate.output, self._plan.count
        summary = summarise(root, count, lines, self._without_mask, self._left_out)
        summary = conclude(self._generate, self._object, self._defect, summary)
        self._figures.took("page", time.monotonic() - started)
        return summary_figures(summary)

    def close(self) -> None:
        """Release the data set's folder."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
