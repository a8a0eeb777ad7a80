"""The way of one class through a campaign: learn, place and paint shard by shard, assemble.

It lives at the head. It gives tasks, takes their results, and is the only one that writes the
class's files: its weights, and its data set by the writer of ``bgdefect generate``.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bgdefect_core.declarations import replace_options
from bgdefect_core.files import atomic_write, write_file
from bgdefect_core.placement.choosing import Choice
from bgdefect_core.records.dataset import DatasetWriter
from bgdefect_core.records.dataset_place import extras_folder, is_complete
from bgdefect_core.records.manifest import read_manifest
from bgdefect_core.records.run_record import locked, read_record, settings_digest

from ..generation.attempts import KnownVerdicts
from ..generation.choice_file import ChoiceFile
from ..generation.generate import conclude
from ..generation.summary import Summary, summarise
from ..training.run_folder import RunFolder
from ..training.setup import choose_class, record_of
from .blobs import Store, Tree
from .classes import ClassPlan, Sources
from .measuring import Facts
from .packing import unpack
from .painting import PaintedShard
from .plan import PATHS, RunSettings
from .tasks import Ended, Lost, Parts, Task
from .typed import order_values

__all__ = ["ClassRun", "Figures", "Shared", "Stage"]

log = logging.getLogger(__name__)

Stage = Literal["waiting", "learning", "painting", "evaluating", "done", "failed"]


@dataclass
class Shared:
    """What all classes of a campaign share."""

    settings: RunSettings
    sources: Sources
    store: Store
    facts: Facts
    base: tuple[str, str] | None
    """Digest of the base's tree and its path there; None: the embedded one."""
    work: Path
    """Folder for what only the campaign reads."""
    ahead: int = 4
    """Shards whose masks are placed before they can be painted."""


@dataclass
class Figures:
    """What is told of a class."""

    wanted: int = 0
    written: int = 0
    """Samples that need no further attempt."""
    accepted: int = 0
    rejected: int = 0
    unmade: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    """Kind of task -> time that its tasks took; and "write" and "page", what the head did."""
    attempts: int = 0
    """Attempts that were written."""
    bytes: int = 0
    """Size of the results that brought them to the head."""

    def took(self, kind: str, seconds: float) -> None:
        """Add to the time of a kind."""
        self.seconds[kind] = self.seconds.get(kind, 0.0) + seconds

    page: str = ""


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
        precision = shared.facts.train_precision
        self._train = replace_options(item.train, precision=precision)
        self._generate = replace_options(item.generate, precision=shared.facts.precision)
        self._plan = item.generate.plan
        self._places: dict[str, tuple[str, str]] = {}
        self._known = KnownVerdicts()
        self._choices: list[Choice] = []
        self._writer: DatasetWriter | None = None
        self._chunks = list(self._plan.chunks())
        self._shards: list[int] = []
        """Chunks that are not finished, in order."""
        self._placing = self._writing = 0
        """Positions in the shards: the next to be placed, the next to be written."""
        self._painted: dict[int, Ended | None] = {}
        self._parcels: dict[int, str] = {}
        """Chunk -> digest of its placed pairs."""
        self._without_mask: list[dict[str, Any]] = []
        self._left_out: tuple[str, ...] = ()

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

    def take(self, ended: Ended) -> Sequence[Task]:
        """Take the result of a task; the next tasks.

        Raises:
            BGDefectError: the class cannot go on. Lost: the result went with its machine.
        """
        if ended.task.kind == "learn":
            return self.learned(ended.fetch())
        if ended.task.kind == "place":
            return self.placed(ended.task.order, ended.fetch())
        return self.painted(ended)

    # --- learn

    def begin(self) -> list[Task]:
        """The first tasks; none where all is there already.

        Raises:
            BGDefectError: another run is in the way, or the class cannot be read.
        """
        self.stage = "learning"
        target = choose_class(self._train)
        record = record_of(self._train, target, self._shared.facts, processes=1)
        self._folder, self._record = target.folder, record
        self._folder.check(record)
        tree, inside = self._shared.sources.object_tree(self.item.object)
        data = (self._shared.store.add_tree(tree), inside)
        if self._folder.finished:
            return self._begin_painting()
        inputs = {role: entry["sha256"] for role, entry in record.inputs.items()}
        scratch = settings_digest({"settings": record.settings, "inputs": inputs})
        places = {"data": data}
        for name, (table, place) in self._shared.sources.group_file().items():
            places[name] = (self._shared.store.add_tree(table), place)
        order = self._order(places) | {
            "train": order_values(self._train),
            "layout": self._shared.sources.layout,
            "file": self._folder.weights.name,
            "scratch": scratch,
        }
        return [self._task("learn", f"{self.item.name}: learning", order)]

    def learned(self, parts: Parts) -> list[Task]:
        """Take the weights.

        Raises:
            OutputError: they cannot be written.
        """
        folder: RunFolder = self._folder
        started = json.loads(parts["run.json"])["started"]
        with locked(folder.folder):
            self._record.write(started=started)
            write_file(folder.split, parts["split.json"])
            write_file(folder.folder / "log.csv", parts["log.csv"])
            write_file(folder.weights, parts["weights"])
        return self._begin_painting()

    # --- place and paint

    def _begin_painting(self) -> list[Task]:
        self.stage = "painting"
        self._places = self._generation_places()
        finished = self._read_marker()
        if finished is not None:
            self._finish(finished)
            return []
        self._read_earlier_run()
        for number, pairs in enumerate(self._chunks):
            if not self._are_final(pairs):
                self._shards.append(number)
        self._shards = self._shards or [0]  # its record is compared with the run that is there
        self.figures.written = self._count_final()
        return [self._place_task()]

    def _generation_places(self) -> dict[str, tuple[str, str]]:
        """The files of the generation by content."""
        store, sources = self._shared.store, self._shared.sources
        weights = self._folder.weights
        names = [weights, self._folder.split]
        relative = [path.relative_to(weights.parent).as_posix() for path in names]
        tree = Tree.of(weights.parent, relative)
        places = {"weights": (store.add_tree(tree), "")}
        for name in PATHS:
            path = getattr(self._generate, name)
            if path == self.item.train.data:
                tree, inside = sources.object_tree(self.item.object)
            elif path is not None:
                tree, inside = sources.path_tree(path)
            else:
                continue
            places[name] = (store.add_tree(tree), inside)
        return places

    def _read_earlier_run(self) -> None:
        """What an earlier start has written."""
        root = self._generate.output
        names = (root, self.item.object, self.item.defect)
        extras = extras_folder(*names)
        manifest = extras / "manifest.jsonl"
        if not (extras / "run.json").is_file():
            return
        settings = read_record(extras / "run.json")["settings"]
        self._choices = ChoiceFile(*names, settings).read()
        if manifest.is_file():
            lines = [line for line in read_manifest(manifest) if is_complete(root, line)]
            self._known = KnownVerdicts.of(lines, replace_rejected=False)

    def _place_task(self) -> Task:
        number = self._shards[self._placing]
        self._placing += 1
        pairs = self._chunks[number]
        choices = [choice.as_json() for choice in self._choices]
        order = self._paint_order(self._places) | {
            "layout": self._shared.sources.layout if self._reads_data else "",
            "split": self._generate.mask_split is not None,
            "pairs": [pairs.start, pairs.stop],
            "choices": choices,
            "shard": number,
        }
        return self._task("place", f"{self.item.name}: masks of shard {number}", order)

    @property
    def _reads_data(self) -> bool:
        """Whether the good pictures are those of the data set."""
        return self._generate.good == self.item.train.data

    def placed(self, order: Mapping[str, Any], parts: Parts) -> list[Task]:
        """Take the pairs of a shard.

        Raises:
            BGDefectError: the data set's folder holds something else, or cannot be written to.
        """
        number, record = order["shard"], json.loads(parts["record"])
        names = (self._generate.output, self.item.object, self.item.defect)
        choices = [Choice.from_json(entry) for entry in record["choices"]]
        self._choices += choices
        file = ChoiceFile(*names, record["settings"])
        if self._writer is None:
            self._writer = DatasetWriter(
                *names,
                record["settings"],
                inputs=record["inputs"],
                made_with=record["made_with"],
                white=record["white"],
            )
            file.write(self._choices)
        elif choices:
            file.add(choices)
        self._without_mask += record["without_mask"]
        self._left_out = tuple(record["left_out"])
        tasks: list[Task] = []
        samples: list[int] = []
        for index, _ in record["pairs"]:
            samples += self._plan.samples_of(index)
        if all(self._known.is_final(self._plan, index) for index in samples):
            self._painted[number] = None
        else:
            pictures = [picture for _, picture in record["pairs"]]
            tasks.append(self._paint_task(number, parts["chunk"], pictures, samples))
        return [*tasks, *self._write_ready()]

    def _paint_task(
        self, number: int, chunk: bytes, pictures: Sequence[str], samples: Sequence[int]
    ) -> Task:
        store = self._shared.store
        whole = store.tree(self._places["good"][0])
        tree = Tree(whole.root, {name: whole.files[name] for name in pictures})
        places = {"weights": self._places["weights"], "good": (store.add_tree(tree), "")}
        parcel = self._parcels[number] = store.add(chunk)
        known = self._known.only(samples)
        verdicts: list[tuple[int, int, bool]] = []
        for index, attempts in known.accepted.items():
            verdicts += [(index, attempt, accepted) for attempt, accepted in attempts.items()]
        order = self._paint_order(places) | {
            "layout": "",
            "split": False,
            "chunk": parcel,
            "known": verdicts,
            "begun_anew": list(known.begun_anew.items()),
            "shard": number,
        }
        return self._task("paint", f"{self.item.name}: shard {number}", order)

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
                    self._write(ended.fetch())
                except Lost:
                    tasks.append(ended.task)
                    break
                self._shared.store.drop(self._parcels.pop(number))
            self._writing += 1
            self.figures.written = self._count_final()
        is_near = self._placing - self._writing <= self._shared.ahead
        if self._placing < len(self._shards) and is_near and not self._is_placing:
            tasks.append(self._place_task())
        if self._writing == len(self._shards):
            self._assemble()
        return tasks

    @property
    def _is_placing(self) -> bool:
        """Whether the masks of the last shard that was begun are still being placed."""
        number = self._shards[self._placing - 1]
        position = self._placing - 1
        is_known = number in self._parcels or number in self._painted
        return position >= self._writing and not is_known

    def _write(self, parts: Parts) -> None:
        if self._writer is None:
            return
        started = time.monotonic()
        shard = unpack(parts["samples"], PaintedShard)
        for sample in shard.samples:
            line = self._writer.add_encoded(sample)
            self._known.accepted.setdefault(line.index, {})[line.attempt] = line.accepted
        self.figures.attempts += len(shard.samples)
        self.figures.bytes += len(parts["samples"])
        self.figures.took("write", time.monotonic() - started)

    # --- finish

    def _assemble(self) -> None:
        """Write the page, and keep that the class is done."""
        if self._writer is None:
            return
        started = time.monotonic()
        lines = self._writer.standing
        self.close()
        root, count = self._generate.output, self._plan.count
        summary = summarise(root, count, lines, self._without_mask, self._left_out)
        summary = conclude(self._generate, self.item.object, self.item.defect, summary)
        self.figures.took("page", time.monotonic() - started)
        figures = _figures_of(summary)
        with atomic_write(self._marker, "w") as file:
            json.dump({"key": self._done_key, "figures": figures}, file)
        self._finish(figures)

    def _finish(self, figures: Mapping[str, Any]) -> None:
        for name in ("accepted", "rejected", "unmade", "page"):
            setattr(self.figures, name, figures[name])
        self.figures.written = self.figures.wanted - self.figures.unmade
        self.stage = "done"

    @property
    def _marker(self) -> Path:
        return self._shared.work / "done" / f"{self._folder.weights.stem}.json"

    @property
    def _done_key(self) -> str:
        """Of all that the data set is made from."""
        contents: dict[str, Any] = {}
        for name, (digest, inside) in self._places.items():
            contents[name] = [self._shared.store.tree(digest).content, inside]
        return settings_digest({"settings": order_values(self._generate), "contents": contents})

    def _read_marker(self) -> dict[str, Any] | None:
        """The figures of the finished class; None where it is not finished."""
        try:
            marker = json.loads(self._marker.read_text(encoding="utf-8"))
            is_this = marker["key"] == self._done_key
            return dict(marker["figures"]) if is_this else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def fail(self, reason: str) -> None:
        """End the class, with what is written."""
        self.stage, self.reason = "failed", reason
        self._painted.clear()
        self.close()

    def close(self) -> None:
        """Release the data set's folder."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    # --- parts

    def _are_final(self, pairs: range) -> bool:
        for pair in pairs:
            for index in self._plan.samples_of(pair):
                if not self._known.is_final(self._plan, index):
                    return False
        return True

    def _count_final(self) -> int:
        count = 0
        for index in self._known.accepted:
            count += index < self._plan.count and self._known.is_final(self._plan, index)
        return count

    def _order(self, places: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
        shared = self._shared
        return {
            "threads": shared.settings.threads,
            "base": shared.base,
            "places": dict(places),
        }

    def _paint_order(self, places: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
        return self._order(places) | {
            "generate": order_values(self._generate),
            "file": self._folder.weights.name,
        }

    def _task(self, kind: str, name: str, order: Mapping[str, Any]) -> Task:
        """A task with all contents that its order names."""
        digests = [digest for digest, _ in order["places"].values()]
        digests += [order["base"][0]] if order["base"] else []
        digests += [order["chunk"]] if "chunk" in order else []
        contents = self._shared.store.contents(digests)
        minutes = self._shared.settings.task_minutes
        return Task(kind, name, self.item.name, order, tuple(contents), minutes)


def _figures_of(summary: Summary) -> dict[str, Any]:
    page = "" if summary.page is None else str(summary.page)
    return {
        "accepted": summary.accepted,
        "rejected": len(summary.rejected),
        "unmade": summary.unmade,
        "page": page,
    }
