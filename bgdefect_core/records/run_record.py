"""The identity of a run, and whether it may be resumed: its settings and inputs in one JSON file.

A run is resumed only with equal settings and unchanged inputs. Inputs are files and networks, known
by their content. Names among the settings are relative. Absolute paths stand apart, under
``places``: they inform, so that a data set may be moved or reached by a link.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..errors import BGDefectError, DataError, OtherRunError, OutputError, SettingError
from ..files import atomic_write

__all__ = [
    "Inputs",
    "RunRecord",
    "changed_input",
    "file_digest",
    "locked",
    "plain_settings",
    "read_inputs",
    "read_record",
    "settings_digest",
]

Inputs = Mapping[str, Mapping[str, Any]]
"""Role of a file or a network in the run ("good 3", "mask 0", "vae") -> its file (or what it is),
bytes, sha256, as plain JSON."""

_ELSEWHERE = "choose another output folder"


@dataclass(frozen=True)
class RunRecord:
    """What makes a run this run and no other.

    Raises:
        SettingError: the settings are not plain JSON.
    """

    path: Path
    """The JSON file in the run's folder."""
    settings: Mapping[str, Any]
    inputs: Inputs = field(default_factory=dict)
    places: Mapping[str, str | None] = field(default_factory=dict)
    """Absolute paths. They are recorded, not compared."""
    may_grow: bool = False
    """Whether inputs may be added or left out when the run is resumed."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "settings", plain_settings(self.settings))

    @property
    def exists(self) -> bool:
        """Whether the folder holds a run."""
        return self.path.is_file()

    def check(self) -> None:
        """Compare with the run that the folder holds, if it holds one.

        Raises:
            OtherRunError: a run with other settings or inputs; the first difference is named.
            OutputError: the file is damaged.
        """
        if not self.exists:
            return
        recorded = read_record(self.path)
        before = recorded["settings"]
        for name in sorted({*before, *self.settings}):
            if before.get(name) != self.settings.get(name):
                old, new = _shown(before, name), _shown(self.settings, name)
                came = f"{self.path.parent} holds another run: {name} was {old}, now {new}"
                raise OtherRunError(came, "the same settings, to resume it", _ELSEWHERE)
        change = changed_input(recorded["inputs"], self.inputs, self.may_grow)
        if change:
            do = f"put it back, or {_ELSEWHERE}"
            raise OtherRunError(f"{change} ({self.path.parent})", "the same inputs, to resume", do)

    def write(self, **facts: Any) -> None:
        """Write the record, after :meth:`check`. A resumed run keeps the facts of its first start,
        and inputs that this start does not use.

        Args:
            facts: other entries, such as when the run started.

        Raises:
            OutputError: the folder cannot be written to.
        """
        before = read_record(self.path) if self.exists else {"inputs": {}}
        document = facts | before
        document["settings"] = self.settings
        document["inputs"] = {**before["inputs"], **self.inputs}
        document["places"] = dict(self.places)
        with atomic_write(self.path, "w") as file:
            json.dump(document, file, indent=1)


def _shown(settings: Mapping[str, Any], name: str) -> str:
    """A setting in words."""
    value = settings.get(name)
    return "not given" if value is None else str(value)[:200]


def read_record(path: Path) -> dict[str, Any]:
    """What :meth:`RunRecord.write` wrote: settings, inputs, places and facts.

    Raises:
        OutputError: the file is missing or damaged.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as reason:
        came = f"{path} cannot be read ({reason})"
        raise OutputError(came, "the record of a run", _ELSEWHERE) from reason
    parts = document if isinstance(document, dict) else {}
    settings, inputs = parts.get("settings"), parts.get("inputs")
    damaged = not isinstance(settings, dict) or not isinstance(inputs, dict)
    if damaged or not all(isinstance(entry, dict) for entry in parts["inputs"].values()):
        expected = "the settings and inputs of a run"
        raise OutputError(f"{path} is damaged", expected, _ELSEWHERE)
    return parts


def plain_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as they come back from a JSON file.

    Raises:
        SettingError: they are not plain JSON.
    """
    try:
        return dict(json.loads(json.dumps(settings, allow_nan=False)))
    except (TypeError, ValueError) as reason:
        came = f"the settings cannot be recorded ({reason})"
        raise SettingError(came, "plain JSON values") from reason


def settings_digest(settings: Mapping[str, Any]) -> str:
    """Digest of settings (plain JSON, in any order) for a file's name: 12 hexadecimal digits."""
    text = json.dumps(settings, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def read_inputs(files: Mapping[str, Path]) -> dict[str, dict[str, Any]]:
    """The inputs' records of these files.

    Raises:
        DataError: one cannot be read.
    """
    inputs: dict[str, dict[str, Any]] = {}
    for name, path in files.items():
        digest = file_digest(path, DataError, "a file of the run")
        inputs[name] = {
            "file": os.path.abspath(path),
            "bytes": path.stat().st_size,
            "sha256": digest,
        }
    return inputs


def changed_input(before: Inputs, current: Inputs, may_grow: bool = False) -> str:
    """The first input that differs from the record ``before``, in words; "" where none does.

    Args:
        may_grow: pass over inputs that only one of the two has.
    """
    for name, entry in current.items():
        recorded = before.get(name)
        if recorded is None:
            if not may_grow:
                return f"{entry['file']} is no input of the run that was begun"
            continue
        content = (recorded.get("bytes"), recorded.get("sha256"))
        if content != (entry["bytes"], entry["sha256"]):
            return f"{entry['file']} is not what it was when the run began"
    missing = [name for name in before if name not in current]
    if missing and not may_grow:
        return f"{before[missing[0]].get('file')} is missing among the inputs of the run"
    return ""


def file_digest(path: Path, error: type[BGDefectError], expected: str) -> str:
    """SHA-256 of a file. An unchanged file is read once in a process.

    Raises:
        BGDefectError: of the kind ``error``: it cannot be read.
    """
    try:
        status = path.stat()
        state = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        return _digest(os.path.abspath(path), state)
    except OSError as reason:
        raise error(f"{path} cannot be read ({reason.strerror or reason})", expected) from reason


@lru_cache(maxsize=100_000)
def _digest(path: str, state: tuple[int, ...]) -> str:
    """``state`` makes a changed file another key."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def locked(folder: Path, name: str = ".lock") -> Iterator[None]:
    """Keep other processes out of a folder while the block lasts. The lock ends with the process.

    Args:
        folder: made where it is missing. name: of the lock, an empty file in it.

    Raises:
        OutputError: the folder cannot be written to, or another process holds the lock.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / name, timeout=0, thread_local=False)
        lock.acquire()
    except Timeout as reason:
        came = f"{folder} is in use by another process"
        raise OutputError(came, "", "wait until it ends") from reason
    except (OSError, NotImplementedError) as reason:
        came = f"{folder} cannot be written to or locked ({reason})"
        raise OutputError(came, "a writable folder", _ELSEWHERE) from reason
    try:
        yield
    finally:
        lock.release()
