"""The folder of one training run: what run it is, its log, and where its checkpoints and sheets go.

NAME.safetensors        the class weights, written at the end
NAME.run/run.json       the settings, and the files trained on by their content; another run is refused
NAME.run/split.json     the pictures that train and those held out
NAME.run/log.csv        step, loss, validation
NAME.run/checkpoints/   the last two
NAME.run/samples/       sample sheets
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from bgdefect_core.errors import OtherRunError, OutputError, SettingError
from bgdefect_core.paths import check_path, system_errors
from bgdefect_core.pictures.files import atomic_write
from bgdefect_core.records.inputs import Inputs, changed_input
from bgdefect_core.records.lock import FolderLock

log = logging.getLogger(__name__)
Row = tuple[int, float | None, float | None]
"""Step, training loss, validation loss."""

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
    def checkpoints(self) -> Path:
        """``NAME.run/checkpoints``."""
        return self.folder / "checkpoints"

    @property
    def split(self) -> Path:
        """``NAME.run/split.json``."""
        return self.folder / "split.json"

    @property
    def started(self) -> str:
        """When the run began, ISO 8601: a resumed run writes the same weights file, to the byte."""
        return str(self._record()["started"])

    @property
    def finished(self) -> bool:
        """Whether the weights are written."""
        return self.weights.is_file()

    @system_errors(OutputError, "a place that can be read", "choose another output")
    def check(self, settings: Mapping[str, Any], inputs: Inputs | None = None) -> None:
        """Raise OutputError where another run, or something else, is in the place; ``inputs``: the
        files trained on, as they are now."""
        check_path(
            self.weights.with_name(f".{self.weights.name}.tmp")
        )  # the longest name, and the last one written
        if self.weights.is_dir() or (self.folder.exists() and not self.folder.is_dir()):
            raise OutputError(
                f"{self.weights} or {self.folder} is in the way",
                "a free place",
                "choose another output",
            )
        if not (self.folder / "run.json").is_file():
            if self.finished or (
                self.folder.is_dir()
                and any(not path.name.startswith(".") for path in self.folder.iterdir())
            ):
                raise OutputError(
                    f"{self.weights} or its run folder exists already",
                    "a free place",
                    "choose another output",
                )
            return
        before = self._record().get("settings", {})
        now = json.loads(json.dumps(settings))
        differing = sorted(key for key in {*before, *now} - FREE if before.get(key) != now.get(key))
        if differing:
            was, now_is = (str(some.get(differing[0]))[:200] for some in (before, now))
            came = f"{self.folder} holds another run: {differing[0]} was {was}, now {now_is}"
            raise OtherRunError(came, "the same settings, to go on", "choose another output")
        changed = changed_input(self._record().get("inputs"), inputs or {})
        if changed:
            raise OtherRunError(
                f"{changed} ({self.folder})",
                "the same file, to go on",
                "put it back, or choose another output",
            )

    @contextmanager
    def held(self, settings: Mapping[str, Any], inputs: Inputs | None = None) -> Iterator[None]:
        """Keep other processes out while the block lasts; ``run.json`` is written first, unless the
        run goes on. After :meth:`check`.

        Raises:
            OutputError: another process is at it, the place cannot be written to, or as
                :meth:`check`.
        """
        with FolderLock(self.folder):
            self.check(settings, inputs)
            if not (self.folder / "run.json").is_file():
                now = datetime.now(timezone.utc).isoformat(timespec="seconds")
                record = {"started": now, "settings": settings} | (
                    {"inputs": inputs} if inputs else {}
                )
                with atomic_write(self.folder / "run.json", "w") as file:
                    json.dump(record, file, indent=1)
            yield

    def _record(self) -> dict[str, Any]:
        path = self.folder / "run.json"
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            started, settings = record["started"], record.get("settings", {})
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as reason:
            raise OutputError(
                f"{path} cannot be read ({reason!r})", "a run's record", "choose another output"
            ) from reason
        if not isinstance(started, str) or not isinstance(settings, dict):
            raise OutputError(
                f"{path} is damaged",
                "when the run began, and its settings",
                "choose another output",
            )
        return dict(record)


class RunLog:
    """``log.csv`` and, on request, TensorBoard. A resumed run drops what was logged after its
    checkpoint."""

    def __init__(self, run: RunFolder, step: int, tensorboard: bool) -> None:
        """``step``: iterations done; later lines are dropped."""
        self.path = run.folder / "log.csv"
        kept = [line for line in self._lines() if int(line.split(",")[0]) <= step] if step else []
        with atomic_write(self.path, "w") as file:
            file.write("".join(f"{line}\n" for line in ("step,loss,validation", *kept)))
        self.events: Any = None
        if tensorboard:
            self.events = events_writer()(
                str(run.folder / "tensorboard"), purge_step=step + 1 if step else None
            )

    def write(self, rows: Sequence[Row]) -> None:
        """Append lines; on the disk when this returns."""
        try:
            with self.path.open("a", encoding="utf-8", newline="") as file:
                for step, *numbers in rows:
                    file.write(
                        ",".join(
                            [
                                str(step),
                                *("" if number is None else repr(number) for number in numbers),
                            ]
                        )
                        + "\n"
                    )
        except OSError as reason:
            came = f"{self.path} cannot be written ({reason.strerror})"
            raise OutputError(
                came, "room on the disk", "free some, then start the same command again"
            ) from reason
        if self.events is not None:
            for step, loss, validation in rows:
                for name, value in (("loss", loss), ("validation", validation)):
                    if value is not None:
                        self.events.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush the events."""
        if self.events is not None:
            self.events.close()

    def _lines(self) -> list[str]:
        """Its whole lines, without the header; a kill may have cut the last one, damaged ones are
        named and dropped."""
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
        raise SettingError(
            "tensorboard is not installed",
            "the package",
            "pip install tensorboard, or leave the option out",
        ) from reason
    return SummaryWriter
