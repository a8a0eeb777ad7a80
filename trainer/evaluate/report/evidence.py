"""``bgdefect evaluate-summary``: the results of one or several evaluations as Markdown tables,
goals last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Annotated

import tyro

from bgdefect_core.declarations import Doc
from bgdefect_core.errors import DataError
from bgdefect_core.files import atomic_write

from ..rows import Row
from .alarm_goals import alarm_tables
from .gains import gain_tables, gains_of
from .goals import judge
from .metric_tables import sections
from .plots import PLOTTED, gain_plot
from .results import WrittenResults, check_agreement, read_results, write_record
from .summary import grouped
from .tables import RUNS_NOTE, Table, markdown


@dataclass(frozen=True)
class SummaryConfig:
    """Print the results of evaluations as Markdown tables: realism, masks, detection with
    intervals, goals."""

    folders: Annotated[
        tyro.conf.Positional[tuple[Path, ...]],
        Doc(
            "Output folders of bgdefect evaluate, or records (NAME.json) of earlier ones; their "
            "classes count for the goals."
        ),
    ]
    chosen_on: Annotated[
        tuple[Path, ...],
        Doc(
            "Output folders or records of the evaluations that chose the defaults: in the tables, "
            "but not in the goals."
        ),
    ] = ()
    output: Annotated[Path | None, Doc("File for the same text.")] = None
    records: Annotated[
        Path | None,
        Doc(
            "Folder for the results of every evaluation as NAME.json; the data set by its name "
            "alone, without this machine's paths."
        ),
    ] = None
    plot: Annotated[
        Path | None,
        Doc("PNG file for the gains in pixel AP over the known real defects, with intervals."),
    ] = None


def evaluate_summary(config: SummaryConfig) -> str:
    """The text; also written to ``config.output``.

    Raises:
        DataError: no folders, a folder without results, or two evaluations that differ in one
            figure. OutputError: a file cannot be written.
    """
    if not config.folders:
        raise DataError(
            "no folder of results is given", "output folders of bgdefect evaluate", "name them"
        )
    counted = list(map(read_results, config.folders))
    chosen = list(map(read_results, config.chosen_on))
    check_agreement([*chosen, *counted])
    text = render(counted, chosen)
    if config.output is not None:
        with atomic_write(config.output, "w") as file:
            file.write(text)
    if config.plot is not None:
        gains = gains_of(_rows(counted), PLOTTED)
        if not gains:
            raise DataError("evaluations without detectors", "gains to plot", "leave out --plot")
        with atomic_write(config.plot, "wb") as file:
            file.write(gain_plot(PLOTTED, gains))
    if config.records is not None:
        for results in (*counted, *chosen):
            write_record(config.records, results)
    return text


def render(counted: Sequence[WrittenResults], chosen: Sequence[WrittenResults]) -> str:
    """Markdown of all tables.

    Args:
        counted: evaluations of the classes that the goals are about. chosen: evaluations that chose
            the defaults, in tables of their own.
    """
    evaluations = [*counted, *chosen]
    blocks = ["### Evaluations", markdown(_settings_table(evaluations))]
    skips: dict[str, str] = {}
    for evaluation in evaluations:
        for skip in evaluation.skipped:
            skips[skip.what] = f"{skip.what} ({skip.why})"
    if skips:
        blocks.append(f"Not measured: {'; '.join(skips.values())}.")

    for group, label in ((counted, ""), (chosen, ", classes that chose the defaults")):
        rows = _rows(group)
        gains = gain_tables(rows)
        if gains:
            blocks += [f"### Gains{label}", *map(markdown, gains)]
        alarms = alarm_tables(grouped(rows))
        if alarms:
            blocks += [f"### Alarms{label}", RUNS_NOTE, *map(markdown, alarms)]
        for heading, tables in sections(rows).items():
            blocks += [f"### {heading}{label}", RUNS_NOTE, *map(markdown, tables)]

    goals = judge([evaluation.measured for evaluation in counted])
    names = ", ".join(evaluation.name for evaluation in counted)
    blocks += ["### Goals", f"Judged on: {names}.", markdown(goals.overview())]
    blocks += map(markdown, goals.tables)
    return "\n\n".join(blocks) + "\n"


def _rows(evaluations: Sequence[WrittenResults]) -> list[Row]:
    """The rows of all evaluations, each once, by the number of known defects."""
    rows: dict[Row, None] = {}
    for evaluation in evaluations:
        rows |= dict.fromkeys(evaluation.measured.rows)
    return sorted(rows, key=attrgetter("k"))


def _settings_table(evaluations: Sequence[WrittenResults]) -> Table:
    columns = (
        "folder",
        "base",
        "folds",
        "k",
        "seeds",
        "generators",
        "samples",
        "iterations",
        "detector: network, size, crop, steps",
    )
    lines = []
    for evaluation in evaluations:
        settings = evaluation.settings
        detector = (
            f"{settings.network}, {settings.resolution}, {settings.crop}, "
            f"{settings.detector_steps} x {settings.detector_batch}"
        )
        line = (
            evaluation.name,
            evaluation.base,
            ", ".join(map(str, settings.folds)),
            ", ".join(map(str, settings.shots)),
            ", ".join(map(str, settings.seeds)),
            ", ".join(settings.generators),
            str(settings.samples),
            str(settings.train_steps),
            detector,
        )
        lines.append(line)
    return Table("Settings", "", columns, tuple(lines))
