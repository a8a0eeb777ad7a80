"""The folder of one training run: what run it is, its log, and where its checkpoints and sheets go.

NAME.safetensors        the class weights, written at the end
NAME.run/run.json       the settings and the inputs' content; another run is refused
NAME.run/split.json     the pictures that train and those held out
NAME.run/log.csv        step, loss, validation
NAME.run/checkpoints/   the last two
NAME.run/samples/       sample sheets
NAME.run/boxes/         how boxes were tightened to masks (``boxes``), where they were
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from bgdefect_core.errors import DataError, OutputError, SettingError
from bgdefect_core.files import atomic_write
from bgdefect_core.paths import check_path, system_errors, without_surrogates
from bgdefect_core.records.run_record import (
    Inputs,
    RunRecord,
    file_digest,
    locked,
    read_record,
)

log = logging.getLogger(__name__)
Row = tuple[int, float | None, float | None]
"""Step, training loss, validation loss."""
Places = Mapping[str, "str | None"]
"""Absolute paths of the run's inputs."""

_HEADER = "step,loss,validation"
_LINE = re.compile(r"\d{1,9},[^,\ufffd]*,[^,\ufffd]*")
FREE = frozenset(
    {"output", "device", "sample_every", "save_every", "tensorboard", "weights_precision"}
)
"""Settings that may differ when a run goes on: they do not change what is learned."""


@dataclass(frozen=True)
class RunFolder:
    """Paths of one run."""

    weights: Path

    @property
    def folder(self) -> Path:
        """``NAME.run``."""
        return self.weights.with_suffix(".run")

    @property
    def run_file(self) -> Path:
        """``NAME.run/run.json``."""
        return self.folder / "run.json"

    @property
    def checkpoints(self) -> Path:
        """``NAME.run/checkpoints``."""
        return self.folder / "checkpoints"

    @property
    def best(self) -> Path:
        """``NAME.run/best.safetensors``."""
        return self.folder / "best.safetensors"

    @property
    def split(self) -> Path:
        """``NAME.run/split.json``."""
        return self.folder / "split.json"

    @property
    def boxes(self) -> Path:
        """``NAME.run/boxes``."""
        return self.folder / "boxes"

    @property
    def started(self) -> str:
        """When the run began, ISO 8601. A resumed run writes the same weights file, to the byte."""
        started = read_record(self.run_file).get("started")
        if not isinstance(started, str):
            raise OutputError(f"{self.run_file} is damaged", "when the run began")
        return started

    def record(self, settings: Mapping[str, Any], inputs: Inputs, places: Places) -> RunRecord:
        """The identity of the run."""
        return RunRecord(self.run_file, settings, inputs, places)

    @property
    def finished(self) -> bool:
        """Whether the weights are written."""
        return self.weights.is_file()

    @system_errors(OutputError, "a place that can be read", "choose another output")
    def check(self, record: RunRecord) -> None:
        """Refuse a place that is neither free nor this run's.

        Raises:
            OtherRunError: a run with other settings or inputs. OutputError: anything else that is
                in the way.
        """
        longest = self.weights.with_name(f".{self.weights.name}.tmp")
        check_path(longest)
        if self.weights.is_dir() or (self.folder.exists() and not self.folder.is_dir()):
            came = f"{self.weights} or {self.folder} is in the way"
            raise OutputError(came, "a free place", "choose another output")
        if record.exists:
            record.check()
            return
        files: list[Path] = []
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            if not path.name.startswith(".") and path != self.boxes:
                files.append(path)
        if self.finished or files:
            came = f"{self.weights} or its run folder exists already"
            raise OutputError(came, "a free place", "choose another output")

    @contextmanager
    def held(self, record: RunRecord) -> Iterator[None]:
        """Keep other processes out while the block lasts; the record is written first.

        Raises:
            OutputError: another process is at it, the place cannot be written to, or as
                :meth:`check`.
        """
        with locked(self.folder):
            self.check(record)
            started = datetime.now(timezone.utc).isoformat(timespec="seconds")
            record.write(started=started)
            yield


def recorded_object(runs: Iterable[Path], name: str, defect: str, picture: Path) -> str:
    """What the object of a data set is called in the run that it belongs to.

    A folder that is moved, or reached by another link, may have another name. Its content tells
    that it is the same one.

    Args:
        runs: folders of runs, one of which may be of this data set.
        name: of the data set's folder.
        defect: name of the defect.
        picture: the first picture of the class.
    """
    names: list[str] = []
    for folder in runs:
        try:
            record = read_record(folder / "run.json")
        except OutputError:  # no run, or a damaged one, which is refused when it is begun
            continue
        known = record["settings"].get("object")
        if record["settings"].get("defect") != defect or not isinstance(known, str):
            continue
        if known == name:
            return name
        digest = file_digest(picture, DataError, "a picture of the run")
        if digest in {entry.get("sha256") for entry in record["inputs"].values()}:
            names.append(known)
    if not names:
        return name
    text = "%s is the data set of an earlier run, which calls it %s: it goes on under this name"
    log.info(text, name, names[0])
    return names[0]


class RunLog:
    """``log.csv`` and, on request, TensorBoard.

    Args:
        run: the run's folder.
        step: iterations done; later lines are dropped, they were logged after the checkpoint.
        tensorboard: write events, too.
    """

    def __init__(self, run: RunFolder, step: int, tensorboard: bool) -> None:
        self.path = run.folder / "log.csv"
        lines = [_HEADER]
        for line in self._lines():
            if 0 < step >= int(line.split(",")[0]):
                lines.append(line)
        with atomic_write(self.path, "w") as file:
            file.write("\n".join(lines) + "\n")
        self.events: Any = None
        events = str(run.folder / "tensorboard")
        if tensorboard and without_surrogates(events) != events:
            log.warning("TensorBoard cannot write into %s: its name is not text", events)
        elif tensorboard:
            self.events = events_writer()(events, purge_step=step + 1 if step else None)

    def write(self, rows: Sequence[Row]) -> None:
        """Append lines; they are on the disk when this returns.

        Raises:
            OutputError: the disk is full.
        """
        lines = []
        for step, loss, validation in rows:
            figures = ["" if figure is None else repr(figure) for figure in (loss, validation)]
            lines.append(",".join([str(step), *figures]) + "\n")
        try:
            with self.path.open("a", encoding="utf-8", newline="") as file:
                file.writelines(lines)
        except OSError as reason:
            came = f"{self.path} cannot be written ({reason.strerror})"
            do = "free some, then start the same command again"
            raise OutputError(came, "room on the disk", do) from reason
        if self.events is None:
            return
        for step, loss, validation in rows:
            if loss is not None:
                self.events.add_scalar("loss", loss, step)
            if validation is not None:
                self.events.add_scalar("validation", validation, step)

    def close(self) -> None:
        """Flush the events."""
        if self.events is not None:
            self.events.close()

    def _lines(self) -> list[str]:
        """The whole lines without the header. A kill may have cut the last one; damaged lines are
        dropped with a warning."""
        if not self.path.is_file():
            return []
        lines = self.path.read_bytes().decode("ascii", errors="replace").split("\n")[1:-1]
        whole = [line for line in lines if _LINE.fullmatch(line)]
        if len(whole) < len(lines):
            log.warning("%s: %d damaged lines are dropped", self.path, len(lines) - len(whole))
        return whole


def events_writer() -> Any:
    """TensorBoard's ``SummaryWriter``.

    Raises:
        SettingError: it is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter  # optional, and slow to import
    except ImportError as reason:
        do = "pip install tensorboard, or leave the option out"
        raise SettingError("tensorboard is not installed", "the package", do) from reason
    return SummaryWriter
