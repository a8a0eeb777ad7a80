"""The results of an evaluation as they were written: ``results.json``, read into records.

It is also written while an evaluation runs; classes that are not finished are not in it yet.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from bgdefect_core.errors import DataError
from bgdefect_core.files import atomic_write

from ..rows import Row, Skip, place
from ..samples.methods import read_method
from .goals import Measured

RESULTS = "results.json"
_PATHS = ("data", "base", "splits")
"""Settings that are paths."""


@dataclass(frozen=True)
class ShownSettings:
    """The settings of an evaluation that the summary shows; the file has all of them."""

    folds: list[int]
    shots: list[int]
    seeds: list[int]
    generators: list[str]
    candidate: list[str]
    samples: int
    train_steps: int
    network: str
    resolution: int
    crop: int
    detector_steps: int
    detector_batch: int


@dataclass(frozen=True)
class WrittenResults:
    """One evaluation as it was written."""

    name: str
    document: dict[str, Any]
    """All of the file."""
    settings: ShownSettings
    base: str
    skipped: tuple[Skip, ...]
    measured: Measured


def read_results(source: Path) -> WrittenResults:
    """Read an evaluation's ``results.json``.

    Args:
        source: an output folder of ``bgdefect evaluate``, or a record that :func:`write_record`
            wrote.

    Raises:
        DataError: there is none, or it is no such file.
    """
    path = source if source.is_file() else source / RESULTS
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        settings = _record(ShownSettings, document["config"])
        methods = tuple(map(read_method, settings.generators))
        rows = tuple(map(partial(_record, Row), document["rows"]))
        skipped = tuple(map(partial(_record, Skip), document["skipped"]))
        base = str(document["base"])
    except (OSError, ValueError, TypeError, KeyError) as reason:
        raise DataError(
            f"{path} holds no results ({reason!r})",
            "a folder that bgdefect evaluate wrote, or a record of evaluate-summary --records",
            "check the path",
        ) from reason
    name = source.resolve().stem if source.is_file() else source.resolve().name
    return WrittenResults(name, document, settings, base, skipped, Measured(methods, rows))


Record = TypeVar("Record")


def _record(kind: type[Record], values: dict[str, Any]) -> Record:
    """A JSON object as a dataclass; keys that are no fields are ignored.

    Raises:
        KeyError: a field is missing. TypeError: a value has another type.
    """
    hints = get_type_hints(kind)
    named = {}
    for field in fields(kind):  # type: ignore[arg-type]
        value = named[field.name] = values[field.name]
        expected = getattr(hints[field.name], "__origin__", hints[field.name])
        whole = isinstance(value, int) and isinstance(float(value), expected)
        if not (isinstance(value, expected) or whole):  # JSON may write 1.0 as 1
            raise TypeError(f"{field.name} is {value!r}")
    return kind(**named)


def write_record(folder: Path, results: WrittenResults) -> None:
    """Write all results as NAME.json; data set, base, splits and candidates by their names alone,
    without this machine's paths.

    Raises:
        OutputError: the file cannot be written.
    """
    settings = dict(results.document["config"])
    for name in _PATHS:
        settings[name] = Path(settings[name] or "").name
    settings["candidate"] = [text.partition("=")[0] for text in results.settings.candidate]
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / f"{results.name}.json", "w") as file:
        json.dump(results.document | {"config": settings}, file, separators=(",", ":"))
        file.write("\n")


def check_agreement(results: Sequence[WrittenResults]) -> None:
    """Refuse two evaluations with different values of one figure: their settings differ, and a mean
    of both means nothing.

    Raises:
        DataError: naming the figure and the two.
    """
    figures: dict[tuple[Any, ...], tuple[float | None, str]] = {}
    for evaluation in results:
        for row in evaluation.measured.rows:
            run = (row.fold, row.draw, row.seed)
            key = (row.part, row.object, row.defect, row.k, row.subject, row.metric, run)
            value, name = figures.setdefault(key, (row.value, evaluation.name))
            if value != row.value:
                where = (
                    f"{place(row.object, row.defect, row.k)}, fold {row.fold}, "
                    f"{row.subject}: {row.metric}"
                )
                raise DataError(
                    f"{name} and {evaluation.name} differ in {where}",
                    "one evaluation of each figure",
                    "leave one of them out",
                )
