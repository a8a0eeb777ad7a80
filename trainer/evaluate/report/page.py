"""One HTML page with all tables, plots and pictures; it opens offline, from any folder."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from bgdefect_core.copies import FROM_EXEMPLAR
from bgdefect_core.files import atomic_write

from ..detectors.arms.real import CEILING, REAL
from ..rows import Row, Skip, place
from .alarm_goals import alarm_tables
from .gains import gain_tables
from .plots import PLOTTED, arm_plot, landscape_plot
from .statistics import Runs, closed_gap, minus
from .summary import Key, SummaryRow, grouped
from .tables import POINTS, RUNS_NOTE, Cells, Table, decimals_by_line, pivot
from .verdicts import Goals

_METRICS_DOWN = ("realism", "landscape")
"""Parts whose tables have one line a metric; the others have one line a subject."""
_MOST_MAPS = 24
_LEAST_REACH = 0.1
_HEADINGS = {
    "realism": "Realism",
    "masks on real defects": "Masks on real defects",
    "masks on generated samples": "Masks on generated samples",
    "detection": "Detection",
    "landscape": "Loss landscape",
}


@dataclass(frozen=True)
class Report:
    """Everything that the page shows."""

    settings: Mapping[str, Any]
    """The evaluation's record."""
    rows: Sequence[Row]
    summary: Sequence[SummaryRow]
    goals: Goals
    by_object: Sequence[Table]
    """Tables over several objects, if any."""
    landscapes: Mapping[str, Sequence[Sequence[float]]]
    """``CELL: ARM`` -> loss surface."""
    strips: Mapping[str, bytes]
    """Title -> PNG of generated samples."""
    maps: Mapping[str, Path]
    """Title -> file of a detector's maps."""
    skipped: Sequence[Skip]
    """What was not measured."""


def write_report(path: Path, report: Report) -> None:
    """Write the page; the same results give the same bytes.

    Raises:
        OutputError: the file cannot be written. SettingError: matplotlib is not installed.
    """
    sections: list[dict[str, Any]] = []
    if report.by_object:
        sections.append({"title": "By object", "tables": report.by_object, "plots": []})
    gains = gain_tables(report.rows)
    if gains:
        sections.append({"title": "Gains", "tables": gains, "plots": []})
    for part, heading in _HEADINGS.items():
        tables = _tables(part, report.rows)
        if tables:
            plots = _plots(part, report)
            sections.append({"title": heading, "tables": tables, "plots": plots})
    alarms = alarm_tables(grouped(report.rows))
    if alarms:
        sections.append({"title": "Alarms", "tables": alarms, "plots": []})
    pictures = list(report.strips.items())
    for title, file in list(report.maps.items())[:_MOST_MAPS]:
        pictures.append((title, file.read_bytes()))

    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    environment.filters["data_uri"] = _data_uri
    source = Path(__file__).with_name("report.html.j2").read_text(encoding="utf-8")
    text = environment.from_string(source).render(
        data=Path(report.settings["data"]).name,
        runs_note=RUNS_NOTE,
        sections=sections,
        goals=report.goals,
        pictures=pictures,
        skipped=report.skipped,
        settings=report.settings,
    )
    with atomic_write(path, "w") as page:
        page.write(text)


_NO_EVIDENCE = (
    "Methods with a difference from the exemplar start from real defects: their shares of accepted "
    "samples are no evidence, since the verdict compares with that very defect."
)


def _tables(part: str, rows: Sequence[Row]) -> list[Table]:
    """The tables of each class and number of shots."""
    classes: dict[tuple[str, str, int], list[Row]] = {}
    for row in rows:
        if row.part == part:
            classes.setdefault((row.object, row.defect, row.k), []).append(row)
    tables: list[Table | None] = []
    for (object, defect, k), class_rows in classes.items():
        title, groups = place(object, defect, k), grouped(class_rows)
        references = sorted({f"{row.reference} ({row.split})" for row in class_rows})
        note = f"Against {'; '.join(references)}."
        if any(row.metric.startswith(FROM_EXEMPLAR) for row in class_rows):
            note += f" {_NO_EVIDENCE}"
        metrics_down: Cells = {}
        subjects_down: Cells = {}
        for key, runs in groups.items():
            metrics_down[key.metric, key.subject] = runs
            subjects_down[key.subject, key.metric] = runs
        if part in _METRICS_DOWN:
            decimals = decimals_by_line(metrics_down)
            tables.append(pivot(title, metrics_down, note=note, decimals=decimals, head="metric"))
        elif part == "detection":
            figures = pivot(title, subjects_down, POINTS, note=note, decimals=1, head="subject")
            tables += [figures, _difference_table(title, groups)]
        else:
            tables.append(pivot(title, subjects_down, note=note, decimals=3, head="subject"))
    return list(filter(None, tables))


def _difference_table(title: str, groups: dict[Key, Runs]) -> Table | None:
    """Paired differences of every arm of one class, and the share of the gap in ``PLOTTED`` that it
    closes, where the gap is wide enough."""
    cells: Cells = {}
    for key, runs in groups.items():
        if key.subject != REAL.name:
            real = groups.get(key._replace(subject=REAL.name), {})
            cells[key.subject, key.metric] = minus(runs, real)
    arms = {key.subject: runs for key, runs in groups.items() if key.metric == PLOTTED}
    real, ceiling = arms.pop(REAL.name, {}), arms.pop(CEILING.name, {})
    for arm, runs in arms.items():
        cells[arm, f"gap in {PLOTTED} closed (%)"] = closed_gap(runs, real, ceiling)
    title = f"{title}: difference against real only, paired by fold, draw and seed"
    return pivot(title, cells, POINTS, sign=True, note="Points.", decimals=1, head="subject")


def cell_text(row: SummaryRow) -> str:
    """Mean, interval, paired difference against real only, share of the gap closed."""
    if row.mean is None:
        return "not defined"
    text = f"{row.mean:.3f}"
    if row.low is not None and row.high is not None:
        text += f" [{row.low:.3f}, {row.high:.3f}]"
    if row.difference is not None:
        text += f"; {row.difference:+.3f}"
        if row.difference_low is not None and row.difference_high is not None:
            text += f" [{row.difference_low:+.3f}, {row.difference_high:+.3f}]"
    return text + (f"; closes {row.closed:.0%}" if row.closed is not None else "")


def _plots(part: str, report: Report) -> list[bytes]:
    """PNG of each plot of a part."""
    if part == "landscape":
        cells: dict[str, dict[str, Sequence[Sequence[float]]]] = {}
        for name, grid in report.landscapes.items():
            cells.setdefault(name.split(": ")[0], {})[name] = grid
        return list(map(landscape_plot, cells.values()))
    if part != "detection":
        return []
    reach = _LEAST_REACH
    classes: dict[tuple[str, str, int], list[SummaryRow]] = {}
    for row in report.summary:
        if (row.part, row.metric) == (part, PLOTTED):
            classes.setdefault((row.object, row.defect, row.k), []).append(row)
            if row.mean is not None:
                reach = max(reach, row.mean if row.high is None else row.high)
    plots = []
    for (object, defect, k), rows in classes.items():
        plots.append(arm_plot(place(object, defect, k), PLOTTED, rows, min(reach, 1.0)))
    return plots


def _data_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
