"""The plots of the report, as PNG bytes (matplotlib, without a window)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np

from bgdefect_core.errors import SettingError

from ..detectors.arms.real import REAL
from .gains import Gains, cells_of
from .statistics import Interval, of_runs
from .summary import Key, SummaryRow
from .tables import POINTS

PLOTTED = "pixel_ap"
"""The metric that plots show."""
_DOTS_PER_INCH = 110
_BLUE, _GRAY = "#4477aa", "#888888"
_LEVELS = 15


def _figure(width: float, height: float) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError as reason:
        raise SettingError(
            "matplotlib is not installed", "it", "pip install 'bgdefect[evaluate]'"
        ) from reason
    return Figure(figsize=(width, height), layout="constrained")


def _png(figure: Any) -> bytes:
    file = BytesIO()
    figure.savefig(file, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
    return file.getvalue()


def _draw_interval(axes: Any, interval: Interval, height: float, color: str) -> None:
    """A mean, in points, with its interval."""
    if interval.low is not None and interval.high is not None:
        ends = [POINTS * interval.low, POINTS * interval.high]
        axes.plot(ends, [height, height], color=color, linewidth=2)
    axes.plot([POINTS * interval.mean], [height], "o", color=color)


def arm_plot(title: str, metric: str, rows: Sequence[SummaryRow], reach: float) -> bytes:
    """Mean and 95 % interval of one metric, in points, for each arm; a dotted line at real only.

    Args:
        reach: 0..1, the end of the axis: the same for all plots of a page, so that they can be
            compared.
    """
    figure = _figure(7, 0.35 * len(rows) + 1.2)
    axes = figure.add_subplot()
    labels = []
    for line, row in enumerate(rows):
        labels.append(f"{row.subject} (n = {row.runs})")
        if row.mean is not None:
            _draw_interval(axes, Interval(row.mean, row.low, row.high, row.runs), line, _BLUE)
    for row in rows:
        if row.subject == REAL.name and row.mean is not None:
            axes.axvline(POINTS * row.mean, color=_GRAY, linestyle=":", linewidth=1)
    axes.set_yticks(range(len(rows)), labels)
    axes.invert_yaxis()
    axes.set_xlim(0, POINTS * reach)
    axes.set_xlabel(f"{metric}, points: mean and 95 % interval")
    axes.set_title(title)
    axes.grid(axis="x", alpha=0.3)
    return _png(figure)


def gain_plot(metric: str, arms: Sequence[Gains]) -> bytes:
    """Gains over the known real defects in points: a panel for each number of these, with the
    classes and last their mean down, and one line for each arm.

    A large dot is a mean, a small one a run, a line the 95 % interval. The axis ends with the runs
    and the intervals of the means: those of few runs go on beyond it.
    """
    cells = cells_of(arms)
    classes = list(dict.fromkeys(map(_class_of, cells)))
    numbers = list(dict.fromkeys(cell.k for cell in cells))
    height = (0.13 * len(arms) + 0.25) * (len(classes) + 1) + 1.5
    figure = _figure(2.2 + 3.2 * len(numbers), height)
    panels = figure.subplots(1, len(numbers), sharex=True, sharey=True, squeeze=False)[0]
    shown = [0.0]
    for axes, k in zip(panels, numbers, strict=True):
        for number, arm in enumerate(arms):
            offset = 0.8 * ((number + 0.5) / len(arms) - 0.5)
            shown += _draw_gains(axes, arm.of_number(k), classes, offset, f"C{number}")
        axes.axvline(0, color=_GRAY, linewidth=1)
        axes.axhline(len(classes) - 0.5, color=_GRAY, linestyle=":", linewidth=1)
        axes.set_title(f"k = {k or 'all'}")
        axes.grid(axis="x", alpha=0.3)
    panels[0].set_yticks(range(len(classes) + 1), [*classes, "mean"])
    panels[0].invert_yaxis()
    panels[0].set_xlim(min(shown) - 2, max(shown) + 2)
    figure.supxlabel(
        f"gain in {metric} over {REAL.name}, points: mean, 95 % interval, runs", fontsize=10
    )
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(arms), fontsize=9)
    return _png(figure)


def _class_of(cell: Key) -> str:
    return f"{cell.object} / {cell.defect}"


def _draw_gains(
    axes: Any, gains: Gains, classes: Sequence[str], offset: float, color: str
) -> list[float]:
    """One arm in one panel; returns the points that the axis must show."""
    shown: list[float] = []
    axes.plot([], [], "o-", color=color, label=gains.arm)
    for cell, runs in gains.cells.items():
        height = classes.index(_class_of(cell)) + offset
        _draw_interval(axes, of_runs(runs), height, color)
        points = [POINTS * gain for gain in runs.values()]
        axes.plot(points, [height] * len(points), ".", color=color, alpha=0.5)
        shown += points
    if gains.cells:
        mean = gains.mean
        _draw_interval(axes, mean, len(classes) + offset, color)
        if mean.low is not None and mean.high is not None:
            shown += [POINTS * mean.low, POINTS * mean.high]
    return shown


def landscape_plot(surfaces: Mapping[str, Sequence[Sequence[float]]]) -> bytes:
    """Contours of loss surfaces side by side, on one colour scale."""
    figure = _figure(4.2 * len(surfaces), 3.8)
    grids = {name: np.array(surface, np.float64) for name, surface in surfaces.items()}
    low = float(min(map(np.min, grids.values())))
    high = max(float(np.quantile(grid, 0.9)) for grid in grids.values())
    levels = np.linspace(low, max(high, low + 1e-6), _LEVELS)
    for index, (name, grid) in enumerate(grids.items(), start=1):
        axes = figure.add_subplot(1, len(grids), index)
        steps = np.linspace(-1, 1, len(grid))
        contours = axes.contourf(steps, steps, grid, levels=levels, extend="both", cmap="viridis")
        axes.set_title(name, fontsize=9)
        axes.set_xlabel("b")
        axes.set_ylabel("a")
        figure.colorbar(contours, ax=axes, label="focal loss")
    return _png(figure)
