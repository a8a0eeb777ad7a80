"""One worker: the place in which tasks are done, with the base and the class that it keeps loaded.

The result of a task is a function of its order and of contents. The number of threads is the
plan's, since it decides last digits.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch

from bgdefect_core.method.schedule import PredictionType
from bgdefect_core.weights.files import read_info
from bgdefect_core.weights.info import ClassWeightsInfo

from ..bases.apply import load_class
from ..bases.load import Base, load_base
from ..data.layouts import ReadingSettings, layout_of
from ..generation.config import GenerateConfig
from ..generation.setup import settle_base
from .blobs import Shelf

__all__ = ["Worker", "threads"]

Remembered = TypeVar("Remembered")


class Worker:
    """What the tasks of one worker share.

    Args:
        shelf: where contents are found.
        scratch: a folder for work that is not finished; a task finds there what an earlier try at
            it left.
    """

    def __init__(self, shelf: Shelf, scratch: Path) -> None:
        self.shelf = shelf
        self._scratch = scratch
        self._base: tuple[object, Base] | None = None
        self._class_base: tuple[object, Base] | None = None
        self._unfinished: str | None = None
        self._memory: dict[str, tuple[object, Any]] = {}

    def place_of(self, order: Mapping[str, Any], name: str) -> Path:
        """The file or folder of a role in an order."""
        tree, inside = order["places"][name]
        return self.shelf.lay_out(tree) / inside

    def reading(
        self, order: Mapping[str, Any], reading: ReadingSettings, data: Path
    ) -> ReadingSettings:
        """How an order's data set is read here: with its table of groups, and in its layout, which
        a part of it may not show.

        Args:
            data: the data set as it is laid out.
        """
        if "group_file" in order["places"]:
            reading = replace(reading, group_file=self.place_of(order, "group_file"))
        if layout_of(data, reading).name != order["layout"]:
            reading = replace(reading, layout=order["layout"])
        return reading

    def base_path(self, order: Mapping[str, Any]) -> str | None:
        """The base of an order; None: the embedded one."""
        if order["base"] is None:
            return None
        tree, inside = order["base"]
        return str(self.shelf.lay_out(tree) / inside)

    def base(self, order: Mapping[str, Any], prediction: PredictionType | None) -> Base:
        """A copy of the order's base that the caller may change; it is read once a worker."""
        key = (str(order["base"]), prediction)
        if self._base is None or self._base[0] != key:
            self._base = self._class_base = None  # free the memory first
            self._base = (key, load_base(self.base_path(order), prediction))
        return copy.deepcopy(self._base[1])

    def trained(
        self, order: Mapping[str, Any], config: GenerateConfig
    ) -> tuple[Base, ClassWeightsInfo]:
        """The base with the class of the settings' weights on it, ready to paint; the last one is
        kept.

        Raises:
            BGDefectError: as of :func:`load_base`, :func:`load_class` and :func:`settle_base`.
        """
        info = read_info(config.weights)
        files = (str(order["base"]), str(order["places"]["weights"]))
        key = (*files, config.device, config.precision)
        if self._class_base is None or self._class_base[0] != key:
            self._class_base = None
            base = self.base(order, info.prediction_type if info.prediction_given else None)
            load_class(base, config.weights, config.allow_other_base)
            self._class_base = (key, settle_base(base, config))
        return self._class_base[1], info

    def known(self, kind: str, key: object) -> Any:
        """What :meth:`keep` kept under this key; None where it is another's."""
        entry = self._memory.get(kind)
        return entry[1] if entry is not None and entry[0] == key else None

    def keep(self, kind: str, key: object, value: Remembered) -> Remembered:
        """Keep one value of a kind, in place of the last."""
        self._memory[kind] = (key, value)
        return value

    def scratch(self, key: str) -> Path:
        """The folder of a task's unfinished work; that of the task before is deleted."""
        if self._unfinished not in (None, key):
            shutil.rmtree(self._scratch / str(self._unfinished), ignore_errors=True)
        self._unfinished = key
        return self._scratch / key


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Compute with so many threads while the block lasts."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
