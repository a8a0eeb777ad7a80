"""The command line's side of ``bgdefect evaluate``: settings from a file, and what is printed at
the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from bgdefect_core.errors import SettingError

from .advise import Advised, advise
from .config import EvaluateConfig, read_config, recipe_path
from .report.page import cell_text
from .report.tables import markdown
from .run import Outcome, evaluate

_FILES = ("--config", "--recipe")
_PRINTED = ("pixel_ap", "iou", "frechet distance (efficientnet-lite0, defect)")


def take_file(arguments: Sequence[str]) -> tuple[EvaluateConfig | None, list[str]]:
    """The settings of ``--config FILE`` or ``--recipe NAME``, if one is given, and the remaining
    arguments, which win.

    Raises:
        SettingError: both, no value, or a file that cannot be read.
    """
    remaining: list[str] = []
    files: list[tuple[str, str]] = []
    items = iter(arguments)
    for item in items:
        option, equals, value = item.partition("=")
        if option in _FILES:
            files.append((option, value if equals else next(items, "")))
        else:
            remaining.append(item)
    if not files:
        return None, remaining
    option, value = files[0]
    if len(files) > 1 or not value:
        came = " and ".join(option for option, _ in files)
        raise SettingError(came, "one of the two, with its value", "correct the command")
    path = Path(value) if option == "--config" else recipe_path(value)
    return read_config(path), remaining


def measure(config: EvaluateConfig, say: Callable[[str], None]) -> Outcome | Advised:
    """The evaluation, or the advice.

    Raises:
        BGDefectError: whatever the user can mend.
    """
    return advise(config, say) if config.advice.advise else evaluate(config, say)


def tell(outcome: Outcome | Advised) -> list[str]:
    """Lines for the terminal at the end of a run."""
    if outcome.dry_run:
        known = outcome.lines if isinstance(outcome, Advised) else ()
        return [*known, "every path is there; nothing was written"]
    if isinstance(outcome, Advised):
        return [*outcome.lines, f"advice: {outcome.output / 'advice.html'}"]
    lines = []
    for row in outcome.summary:
        if row.metric in _PRINTED and row.part != "masks on generated samples":
            where = f"{row.object}/{row.defect} k={row.k or 'all'} {row.subject}"
            lines.append(f"{where}: {row.metric} {cell_text(row)}")
    for table in outcome.by_object:
        lines.append(f"{markdown(table)}\n")
    return [
        *lines,
        *outcome.goals.lines(),
        f"report:  {outcome.output / 'index.html'}",
        f"results: {outcome.output / 'results.json'}",
    ]
