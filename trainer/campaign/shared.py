"""What the classes and evaluations of a campaign share at the head."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bgdefect_core.files import atomic_write

from .blobs import ContentStore
from .classes import ClassFiles
from .measuring import Facts
from .plan import RunSettings
from .tasks import Task

__all__ = ["Marker", "Place", "Shared"]

Place = tuple[str, str]
"""Digest of a tree, and a path in it."""


@dataclass
class Shared:
    """What all classes of a campaign share."""

    settings: RunSettings
    files: ClassFiles
    store: ContentStore
    facts: Facts
    base: Place | None
    """None: the embedded one."""
    work: Path
    """Folder for what only the campaign reads."""
    ahead: int = 4
    """Shards whose masks are placed before they can be painted."""

    def data_places(self, object: str) -> dict[str, Place]:
        """The data set as far as an object needs it, and its table of groups, as places of an
        order."""
        tree, inside = self.files.object_tree(object)
        places = {"data": (self.store.add_tree(tree), inside)}
        for name, (table, place) in self.files.group_file().items():
            places[name] = (self.store.add_tree(table), place)
        return places

    def order(self, places: Mapping[str, Place]) -> dict[str, Any]:
        """What every order says."""
        return {"threads": self.settings.threads, "base": self.base, "places": dict(places)}

    def task(self, kind: str, name: str, group: str, order: Mapping[str, Any]) -> Task:
        """A task with all contents that its order names.

        Args:
            kind, name, group: of the task.
        """
        digests = [digest for digest, _ in order["places"].values()]
        if order["base"]:
            digests.append(order["base"][0])
        if "chunk" in order:
            digests.append(order["chunk"])
        contents = tuple(self.store.contents(digests))
        return Task(kind, name, group, order, contents, self.settings.task_minutes)

    def marker(self, name: str, key: str) -> Marker:
        """The marker of a class or an evaluation.

        Args:
            name: of its file. key: of all that it is made from.
        """
        return Marker(self.work / "done" / f"{name}.json", key)


@dataclass(frozen=True)
class Marker:
    """A file that says that a class or an evaluation is done, and with which figures."""

    path: Path
    key: str

    def read(self) -> dict[str, Any] | None:
        """The figures; None where it is not done, or was made from something else."""
        try:
            entry = json.loads(self.path.read_text(encoding="utf-8"))
            return dict(entry["figures"]) if entry["key"] == self.key else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, figures: Mapping[str, Any]) -> None:
        """Keep that it is done.

        Raises:
            OutputError: it cannot be written.
        """
        with atomic_write(self.path, "w") as file:
            json.dump({"key": self.key, "figures": dict(figures)}, file)
