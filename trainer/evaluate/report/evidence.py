"""``bgdefect evaluate-summary``: the results of one or several evaluations as Markdown tables,
goals last.

It reads ``results.json`` alone, also of an evaluation that is still running: classes that are not
    finished are not in it yet.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from bgdefect_core.errors import DataError
from bgdefect_core.files import atomic_write

from ..rows import Row
from ..samples.methods import read_method
from .goals import Measured, judge
from .tables import RUNS_NOTE, Table, markdown, sections

RESULTS = "results.json"


@dataclass(frozen=True)
class SummaryConfig:
    """Print the results of evaluations as Markdown tables: realism, masks, detection with
    intervals, goals."""

    folders: tyro.conf.Positional[tuple[Path, ...]]
    """Output folders of bgdefect evaluate; their classes count for the goals."""
    chosen_on: tuple[Path, ...] = ()
    """Output folders of the evaluations that chose the defaults: in the tables, but not in the
    goals."""
    output: Path | None = None
    """File to write the same text to."""
    records: Path | None = None
    """Folder to keep every evaluation's results in as NAME.json, the data set by its name alone:
    without this machine's paths."""


@dataclass(frozen=True)
class Results:
    """One evaluation as it was written."""

    name: str
    document: dict[str, Any]
    """All of the file."""
    config: dict[str, Any]
    base: str
    skipped: tuple[dict[str, str], ...]
    measured: Measured


def evaluate_summary(config: SummaryConfig) -> str:
    """The text; also written to ``config.output``.

    Raises:
        DataError: no folders, no results in one, or two that differ in one figure. OutputError: the
            file cannot be written.
    """
    if not config.folders:
        raise DataError(
            "no folder of results is given", "output folders of bgdefect evaluate", "name them"
        )
    counted = [read_results(folder) for folder in config.folders]
    chosen = [read_results(folder) for folder in config.chosen_on]
    check_agreement([*chosen, *counted])
    text = render(counted, chosen)
    if config.output is not None:
        with atomic_write(config.output, "w") as file:
            file.write(text)
    if config.records is not None:
        config.records.mkdir(parents=True, exist_ok=True)
        for one in (*counted, *chosen):
            settings = one.config | {
                name: Path(one.config[name] or "").name for name in ("data", "base", "splits")
            }
            settings["candidate"] = [
                candidate.partition("=")[0] for candidate in one.config["candidate"]
            ]
            with atomic_write(config.records / f"{one.name}.json", "w") as file:
                json.dump(
                    one.document | {"config": settings}, file, indent=None, separators=(",", ":")
                )
                file.write("\n")
    return text


def read_results(folder: Path) -> Results:
    """Read an evaluation's ``results.json``.

    Raises:
        DataError: none is there, or it is no such file.
    """
    path = folder / RESULTS
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        settings = dict(document["config"])
        generators = tuple(read_method(text) for text in settings["generators"])
        rows = tuple(Row(**row) for row in document["rows"])
        skipped = tuple(document["skipped"])
        return Results(
            folder.resolve().name,
            document,
            settings,
            str(document["base"]),
            skipped,
            Measured(generators, rows),
        )
    except (OSError, ValueError, TypeError, KeyError) as reason:
        raise DataError(
            f"{path} holds no results ({reason!r})",
            "a folder that bgdefect evaluate wrote",
            "check the path",
        ) from reason


def check_agreement(results: Sequence[Results]) -> None:
    """Refuse two evaluations that hold one figure with two values: their settings differ, and a
    mean of both means nothing.

    Raises:
        DataError: naming the figure and the two.
    """
    seen: dict[tuple[Any, ...], tuple[float | None, str]] = {}
    for one in results:
        for row in one.measured.rows:
            key = (
                row.part,
                row.object,
                row.defect,
                row.fold,
                row.k,
                row.seed,
                row.subject,
                row.metric,
            )
            value, name = seen.setdefault(key, (row.value, one.name))
            if value != row.value:
                where = f"{row.object} / {row.defect}, k = {row.k}, fold {row.fold}, {row.subject}: {row.metric}"
                raise DataError(
                    f"{name} and {one.name} differ in {where}",
                    "one evaluation of each figure",
                    "leave one of them out",
                )


def render(counted: Sequence[Results], chosen: Sequence[Results]) -> str:
    """Markdown of all tables.

    Args:
        counted: whose classes the goals are about. chosen: those that chose the defaults, in tables
            of their own.
    """
    results = [*counted, *chosen]
    goals = judge([one.measured for one in counted])
    names = ", ".join(one.name for one in counted)
    parts = ["### Evaluations", markdown(_settings_table(results))]
    missing = {skip["what"]: skip["why"] for one in results for skip in one.skipped}
    parts += (
        ["Not measured: " + "; ".join(f"{what} ({why})" for what, why in missing.items()) + "."]
        if missing
        else []
    )
    for some, label in ((counted, ""), (chosen, ", classes that chose the defaults")):
        rows = list(dict.fromkeys(row for one in some for row in one.measured.rows))
        for heading, tables in sections(rows).items():
            parts += [f"### {heading}{label}", RUNS_NOTE, *(markdown(table) for table in tables)]
    parts += [
        "### Goals",
        f"Judged on: {names}.",
        markdown(goals.overview()),
        *(markdown(table) for table in goals.tables),
    ]
    return "\n\n".join(parts) + "\n"


def _settings_table(results: Sequence[Results]) -> Table:
    columns = (
        "folder",
        "base",
        "folds",
        "k",
        "seeds",
        "generators",
        "samples",
        "iterations",
        "detector: size, crop, width, draws",
    )
    lines = []
    for one in results:
        settings = one.config
        detector = f"{settings['resolution']}, {settings['crop']}, {settings['width']}, {settings['epochs']} x {settings['draws']}"
        lists = [
            ", ".join(str(item) for item in settings[name])
            for name in ("folds", "shots", "seeds", "generators")
        ]
        lines.append(
            (
                one.name,
                one.base,
                *lists,
                str(settings["samples"]),
                str(settings["train_steps"]),
                detector,
            )
        )
    return Table("Settings", "", columns, tuple(lines))
