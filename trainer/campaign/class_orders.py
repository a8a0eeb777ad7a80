"""The orders of a class's generation: to place the masks of a shard, and to paint it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bgdefect_core.placement.choice import PairChoice
from bgdefect_core.records.run_record import settings_digest

from ..generation.attempts import KnownOutcomes
from ..generation.config import GenerateConfig
from ..training.run_folder import RunFolder
from .blobs import Tree
from .classes import ClassPlan
from .plan import PATHS
from .shared import Place, Shared
from .tasks import Task
from .typed import order_values

__all__ = ["GenerationOrders"]


class GenerationOrders:
    """Makes the tasks of one class.

    Args:
        item: the class. generate: its settings, with the precision.
        folder: of its training. shared: with the campaign's other classes.
    """

    def __init__(
        self, item: ClassPlan, generate: GenerateConfig, folder: RunFolder, shared: Shared
    ) -> None:
        self._item, self._generate, self._shared = item, generate, shared
        self._file = folder.weights.name
        self._places = self._generation_places(folder)

    def _generation_places(self, folder: RunFolder) -> dict[str, Place]:
        """The files of the generation by content."""
        store, files = self._shared.store, self._shared.files
        parent = folder.weights.parent
        names = [folder.weights.name, folder.split.relative_to(parent).as_posix()]
        places = {"weights": (store.add_tree(Tree.of(parent, names)), "")}
        for name in PATHS:
            path = getattr(self._generate, name)
            if path == self._item.train.data:
                tree, inside = files.object_tree(self._item.object)
            elif path is not None:
                tree, inside = files.path_tree(path)
            else:
                continue
            places[name] = (store.add_tree(tree), inside)
        return places

    @property
    def key(self) -> str:
        """Of all that the data set is made from."""
        contents: dict[str, Any] = {}
        for name, (digest, inside) in self._places.items():
            contents[name] = [self._shared.store.tree(digest).content, inside]
        return settings_digest({"settings": order_values(self._generate), "contents": contents})

    def place(self, number: int, pairs: range, choices: Sequence[PairChoice]) -> Task:
        """Place the masks of a shard.

        Args:
            number: of the shard. pairs: of the shard. choices: of all pairs before.
        """
        reads_data = self._generate.good == self._item.train.data
        order = self._order(self._places) | {
            "layout": self._shared.files.layout if reads_data else "",
            "split": self._generate.mask_split is not None,
            "pairs": [pairs.start, pairs.stop],
            "choices": [choice.as_json() for choice in choices],
            "shard": number,
        }
        return self._task("place", f"masks of shard {number}", order)

    def paint(
        self,
        number: int,
        parcel: str,
        pictures: Sequence[str],
        known: KnownOutcomes,
        target: Mapping[str, Any] | None,
    ) -> Task:
        """Paint a shard.

        Args:
            parcel: digest of its placed pairs. pictures: their good pictures.
            known: of its samples. target: the data set, where the worker writes; else None.
        """
        store = self._shared.store
        whole = store.tree(self._places["good"][0])
        tree = Tree(whole.root, {name: whole.files[name] for name in pictures})
        places = {"weights": self._places["weights"], "good": (store.add_tree(tree), "")}
        outcomes: list[tuple[int, int, str]] = []
        for index, attempts in known.outcomes.items():
            for attempt, outcome in attempts.items():
                outcomes.append((index, attempt, outcome))
        order = self._order(places) | {
            "layout": "",
            "split": False,
            "chunk": parcel,
            "known": outcomes,
            "begun_anew": list(known.begun_anew.items()),
            "shard": number,
        }
        if target is not None:
            order["data_set"] = {**target, "part": f"{number:05d}-{len(outcomes):05d}"}
        return self._task("paint", f"shard {number}", order)

    def assemble(self, closing: Mapping[str, Any]) -> Task:
        """Merge the manifest of a class that workers have written, and write its page.

        Args:
            closing: what the order says of it.
        """
        order = self._order({}) | dict(closing) | {"base": None, "scratch": self.key}
        return self._task("assemble", "page", order)

    def _order(self, places: Mapping[str, Place]) -> dict[str, Any]:
        values = {"generate": order_values(self._generate), "file": self._file}
        return self._shared.order(places) | values

    def _task(self, kind: str, name: str, order: Mapping[str, Any]) -> Task:
        return self._shared.task(kind, f"{self._item.name}: {name}", self._item.name, order)
