"""The command line's side of ``bgdefect evaluate``: settings from a file, and what is printed at
the end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bgdefect_core.errors import SettingError

from .config import EvaluateConfig, read_config, recipe_path
from .report.page import cell_text
from .report.tables import markdown
from .run import Outcome

_FILES = ("--config", "--recipe")
_TOLD = ("pixel_ap", "iou", "frechet distance (efficientnet-lite0, defect)")


def take_file(arguments: Sequence[str]) -> tuple[EvaluateConfig | None, list[str]]:
    """The settings of ``--config FILE`` or ``--recipe NAME``, where one is given, and the other
    arguments: they win.

    Raises:
        SettingError: both, no value, or a file that cannot be read.
    """
    rest: list[str] = []
    found: list[tuple[str, str]] = []
    items = iter(arguments)
    for item in items:
        option, equals, value = item.partition("=")
        if option in _FILES:
            value = value if equals else next(items, "")
            found.append((option, value))
        else:
            rest.append(item)
    if not found:
        return None, rest
    if len(found) > 1 or not found[0][1]:
        raise SettingError(
            f"{' and '.join(option for option, _ in found)}",
            "one of the two, with its value",
            "correct the command",
        )
    option, value = found[0]
    return read_config(Path(value) if option == "--config" else recipe_path(value)), rest


def tell(outcome: Outcome) -> list[str]:
    """What the terminal shows at the end."""
    if outcome.dry_run:
        return ["every path is there; nothing was written"]
    told = [
        row
        for row in outcome.summary
        if row.metric in _TOLD and row.part != "masks on generated samples"
    ]
    lines = [
        f"{row.object}/{row.defect} k={row.k or 'all'} {row.subject}: {row.metric} {cell_text(row)}"
        for row in told
    ]
    lines += [f"{markdown(table)}\n" for table in outcome.by_object]
    return [
        *lines,
        *outcome.goals.lines(),
        f"report:  {outcome.output / 'index.html'}",
        f"results: {outcome.output / 'results.json'}",
    ]
