"""One HTML page with all tables, plots and pictures; it opens without a network, from any folder."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from PIL import Image

from bgdefect_core.crop import crop_box, take
from bgdefect_core.overlay import CYAN, GREEN, outlined
from bgdefect_core.pictures import Picture, atomic_write

from .config import EvaluateConfig
from .goals import Goals
from .optional import skips
from .ours import Made
from .plots import arm_plot, landscape_plot
from .rows import Row, SummaryRow
from .samples import GeneratedSample
from .store import Store

PLOTTED = "pixel_ap"
_TILE, _GAP, _SAMPLES, _STRIPS = 112, 4, 8, 12
_PAINTED = "normal with the requested mask, result with the label"
_SQUARES = "from noise, no picture before: the sample twice, with its mask"
_HEADINGS = {
    "realism": "Realism",
    "masks on real defects": "Masks on real defects",
    "masks on generated samples": "Masks on generated samples",
    "detection": "Detection",
    "landscape": "Loss landscape",
}


@dataclass(frozen=True)
class Table:
    """Subjects down, metrics across."""

    title: str
    reference: str
    metrics: list[str]
    lines: list[tuple[str, list[str]]]


def write_report(
    config: EvaluateConfig,
    store: Store,
    rows: Sequence[Row],
    summary: Sequence[SummaryRow],
    grids: dict[str, Any],
    made: Sequence[Made],
    goals: Goals,
) -> Path:
    """Write ``index.html`` into the output; the same results give the same bytes.

    Raises:
        OutputError: the place cannot be written to. SettingError: matplotlib is not installed.
    """
    sections = []
    for part, heading in _HEADINGS.items():
        tables = _tables(part, rows, summary)
        if tables:
            sections.append({"title": heading, "tables": tables, "plots": _plots(part, summary, grids)})
    pictures = [
        (f"{one.samples.name}: {_SQUARES if one.from_noise else _PAINTED}", _samples_strip(one)) for one in made if one.samples.samples
    ]
    files = sorted((store.root / "pictures").glob("*.png"))[:_STRIPS]
    pictures += [(f"{file.stem}: truth beside the detector's map", _data_uri(file.read_bytes())) for file in files]
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined).from_string(
        Path(__file__).with_name("report.html.j2").read_text(encoding="utf-8")
    )
    page = config.output / "index.html"
    values = {"sections": sections, "goals": goals, "pictures": pictures, "skipped": skips(), "settings": config.record()}
    with atomic_write(page, "w") as file:
        file.write(template.render(values, data=config.data.name))
    return page


def _tables(part: str, rows: Sequence[Row], summary: Sequence[SummaryRow]) -> list[Table]:
    """A table for each class and number of shots."""
    found = []
    mine = [row for row in summary if row.part == part]
    for object, defect, k in dict.fromkeys((row.object, row.defect, row.k) for row in mine):
        here = [row for row in mine if (row.object, row.defect, row.k) == (object, defect, k)]
        metrics = list(dict.fromkeys(row.metric for row in here))
        cells = {(row.subject, row.metric): cell_text(row) for row in here}
        subjects = list(dict.fromkeys(row.subject for row in here))
        lines = [(subject, [cells.get((subject, metric), "") for metric in metrics]) for subject in subjects]
        own = [row for row in rows if (row.part, row.object, row.defect, row.k) == (part, object, defect, k)]
        references = sorted({f"{row.reference} ({row.split})" for row in own})
        title = f"{object} / {defect}, {f'k = {k}' if k else 'all real defects of the training side'}"
        found.append(Table(title, "; ".join(references), metrics, lines))
    return found


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
        return [_data_uri(landscape_plot({name: grid for name, grid in grids.items() if name.startswith(f"{cell}: ")})) for cell in cells]
    if part != "detection":
        return []
    plots = []
    mine = [row for row in summary if row.part == part and row.metric == PLOTTED]
    for object, defect, k in dict.fromkeys((row.object, row.defect, row.k) for row in mine):
        here = [row for row in mine if (row.object, row.defect, row.k) == (object, defect, k)]
        plots.append(_data_uri(arm_plot(f"{object} / {defect}, k = {k or 'all'}", PLOTTED, here)))
    return plots


def _samples_strip(made: Made) -> str:
    columns = [_tile(sample) for sample in made.samples.samples[:_SAMPLES]]
    strip = np.concatenate([np.pad(one, ((0, 0), (0, _GAP), (0, 0)), constant_values=255) for one in columns], axis=1)
    return _data_uri(_png(strip))


def _tile(sample: GeneratedSample) -> Picture:
    """Two squares above each other, zoomed to the mask."""
    crop = crop_box(sample.requested, 96, "defect")
    source = sample.picture if sample.source is None else sample.source
    upper = outlined(take(source, crop, _TILE), take(sample.requested, crop, _TILE), CYAN)
    lower = outlined(take(sample.picture, crop, _TILE), take(sample.label, crop, _TILE), GREEN)
    return np.concatenate([upper, np.full((_GAP, _TILE, 3), 255, np.uint8), lower])


def _png(picture: Picture) -> bytes:
    file = BytesIO()
    Image.fromarray(picture).save(file, format="PNG")
    return file.getvalue()


def _data_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
