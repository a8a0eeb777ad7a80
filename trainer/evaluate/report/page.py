"""One HTML page with all tables, plots and pictures; it opens without a network, from any
folder."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from PIL import Image

from bgdefect_core.files import atomic_write
from bgdefect_core.pictures.crop import crop_box, take
from bgdefect_core.pictures.files import Picture
from bgdefect_core.pictures.overlay import CYAN, GREEN, outlined

from ..measures.optional import Skip
from ..plan.plan import Cell
from ..rows import CEILING, REAL, Row, place
from ..samples.ours import MethodSamples
from ..samples.sample_set import GeneratedSample
from .goals import Goals
from .plots import arm_plot, landscape_plot
from .rows import Key, SummaryRow, grouped
from .statistics import Runs, closed_gap, minus
from .tables import METRIC, POINTS, RUNS_NOTE, Table, pivot

PLOTTED = "pixel_ap"
_METRICS_DOWN = ("realism", "landscape")
_TILE, _GAP, _SAMPLES, _STRIPS = 112, 4, 8, 24
_PAINTED = "the good picture with the requested mask, the result, the result with its label"
_SQUARES = "from noise, no picture before: the sample with its mask, alone, and again"
_HEADINGS = {
    "realism": "Realism",
    "masks on real defects": "Masks on real defects",
    "masks on generated samples": "Masks on generated samples",
    "detection": "Detection",
    "landscape": "Loss landscape",
}


def write_report(
    output: Path,
    settings: Mapping[str, Any],
    rows: Sequence[Row],
    summary: Sequence[SummaryRow],
    grids: dict[str, Any],
    strips: Mapping[str, bytes],
    maps: Mapping[str, Path],
    goals: Goals,
    by_object: Sequence[Table],
    skipped: Sequence[Skip],
) -> Path:
    """Write ``index.html`` into the output; the same results give the same bytes.

    Args:
        settings: the evaluation's record. strips: title -> PNG of generated samples.
        maps: title -> file of detectors' maps.
        by_object: tables over several objects, if any. skipped: what was not measured.

    Raises:
        OutputError: the place cannot be written to. SettingError: matplotlib is not installed.
    """
    sections: list[dict[str, Any]] = (
        [{"title": "By object", "tables": by_object, "plots": []}] if by_object else []
    )
    for part, heading in _HEADINGS.items():
        tables = _tables(part, rows)
        if tables:
            sections.append(
                {"title": heading, "tables": tables, "plots": _plots(part, summary, grids)}
            )
    shown = {title: path.read_bytes() for title, path in list(maps.items())[:_STRIPS]}
    pictures = [(title, _data_uri(strip)) for title, strip in (*strips.items(), *shown.items())]
    template = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    ).from_string(Path(__file__).with_name("report.html.j2").read_text(encoding="utf-8"))
    page = output / "index.html"
    values = {
        "sections": sections,
        "goals": goals,
        "pictures": pictures,
        "skipped": skipped,
        "settings": settings,
    }
    with atomic_write(page, "w") as file:
        file.write(template.render(values, data=Path(settings["data"]).name, runs_note=RUNS_NOTE))
    return page


def _tables(part: str, rows: Sequence[Row]) -> list[Table]:
    """Tables of each class and number of shots: metrics down where they differ in size, else
    subjects down."""
    found: list[Table | None] = []
    mine = [row for row in rows if row.part == part]
    for object, defect, k in dict.fromkeys((row.object, row.defect, row.k) for row in mine):
        own = [row for row in mine if (row.object, row.defect, row.k) == (object, defect, k)]
        groups = grouped(own)
        title = place(object, defect, k)
        note = f"Against {'; '.join(sorted({f'{row.reference} ({row.split})' for row in own}))}."
        if part in _METRICS_DOWN:
            found.append(
                pivot(
                    title,
                    {(key.metric, key.subject): runs for key, runs in groups.items()},
                    note=note,
                    head=METRIC,
                )
            )
            continue
        cells = {(key.subject, key.metric): runs for key, runs in groups.items()}
        points = part == "detection"
        found.append(
            pivot(
                title,
                cells,
                POINTS if points else 1,
                note=note,
                decimals=1 if points else 3,
                head="subject",
            )
        )
        if points:
            less = f"{title}: difference against real only, paired by fold and seed"
            found.append(
                pivot(
                    less,
                    _differences(groups),
                    POINTS,
                    sign=True,
                    note="Points.",
                    decimals=1,
                    head="subject",
                )
            )
    return [table for table in found if table is not None]


def _differences(groups: dict[Key, Runs]) -> dict[tuple[str, str], Runs]:
    """Paired differences of every arm, and the share of the gap in ``PLOTTED`` that it closes,
    where that is wide enough."""
    cells: dict[tuple[str, str], Runs] = {}
    for key, runs in groups.items():
        if key.subject != REAL:
            cells[key.subject, key.metric] = minus(runs, groups.get(key._replace(subject=REAL), {}))
    arms = {key.subject: runs for key, runs in groups.items() if key.metric == PLOTTED}
    for subject in [arm for arm in arms if arm not in (REAL, CEILING)]:
        cells[subject, f"gap in {PLOTTED} closed (%)"] = closed_gap(
            arms[subject], arms.get(REAL, {}), arms.get(CEILING, {})
        )
    return cells


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


def _plots(part: str, summary: Sequence[SummaryRow], grids: dict[str, Any]) -> list[str]:
    if part == "landscape":
        cells = dict.fromkeys(name.split(": ")[0] for name in grids)
        return [
            _data_uri(
                landscape_plot(
                    {name: grid for name, grid in grids.items() if name.startswith(f"{cell}: ")}
                )
            )
            for cell in cells
        ]
    if part != "detection":
        return []
    plots = []
    mine = [row for row in summary if row.part == part and row.metric == PLOTTED]
    reach = min(
        max(
            [
                0.1,
                *(
                    row.high if row.high is not None else row.mean
                    for row in mine
                    if row.mean is not None
                ),
            ]
        ),
        1.0,
    )
    for object, defect, k in dict.fromkeys((row.object, row.defect, row.k) for row in mine):
        here = [row for row in mine if (row.object, row.defect, row.k) == (object, defect, k)]
        plots.append(
            _data_uri(arm_plot(f"{object} / {defect}, k = {k or 'all'}", PLOTTED, here, reach))
        )
    return plots


def sample_strips(cell: Cell, made: Sequence[MethodSamples]) -> list[tuple[str, bytes]]:
    """Title and PNG of the first samples of every generator."""
    where = f"{place(cell.data.object, cell.data.defect, cell.k)}, fold {cell.data.number}"
    return [
        (
            f"{where}, {one.samples.name}: {_SQUARES if one.from_noise else _PAINTED}",
            _samples_strip(one),
        )
        for one in made
        if one.samples.samples
    ]


def _samples_strip(made: MethodSamples) -> bytes:
    columns = [_tile(sample) for sample in made.samples.samples[:_SAMPLES]]
    strip = np.concatenate(
        [np.pad(one, ((0, 0), (0, _GAP), (0, 0)), constant_values=255) for one in columns], axis=1
    )
    return _png(strip)


def _tile(sample: GeneratedSample) -> Picture:
    """Three squares above each other, zoomed to the mask."""
    crop = crop_box(sample.requested, 96, "defect")
    source = sample.picture if sample.source is None else sample.source
    upper = outlined(take(source, crop, _TILE), take(sample.requested, crop, _TILE), CYAN)
    result = take(sample.picture, crop, _TILE)
    lower = outlined(result, take(sample.label, crop, _TILE), GREEN)
    gap = np.full((_GAP, _TILE, 3), 255, np.uint8)
    return np.concatenate([upper, gap, result, gap, lower])


def _png(picture: Picture) -> bytes:
    file = BytesIO()
    Image.fromarray(picture).save(file, format="PNG")
    return file.getvalue()


def _data_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
