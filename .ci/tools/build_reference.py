"""Writes `docs/reference.md`: every registered choice and every option, from their declarations.

python .ci/tools/build_reference.py
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import MISSING
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bgdefect_core.declarations import Option, options_of  # noqa: E402
from bgdefect_core.method.backgrounds import BACKGROUNDS  # noqa: E402
from bgdefect_core.method.loss import LOSSES  # noqa: E402
from bgdefect_core.method.signals import SIGNALS  # noqa: E402
from bgdefect_core.method.solvers import SOLVERS  # noqa: E402
from bgdefect_core.method.spacings import SPACINGS  # noqa: E402
from trainer.bases.families import FAMILIES  # noqa: E402
from trainer.data.layouts import LAYOUTS  # noqa: E402
from trainer.evaluate.config import EvaluateConfig  # noqa: E402
from trainer.evaluate.detectors.arms import ARMS  # noqa: E402
from trainer.evaluate.detectors.losses import LOSSES as DETECTOR_LOSSES  # noqa: E402
from trainer.evaluate.detectors.networks import NETWORKS  # noqa: E402
from trainer.evaluate.detectors.schedules import SCHEDULES  # noqa: E402
from trainer.generation.config import GenerateConfig  # noqa: E402
from trainer.training.config import TrainConfig  # noqa: E402

PAGE = ROOT / "docs" / "reference.md"
COMMANDS = {"train": TrainConfig, "generate": GenerateConfig, "evaluate": EvaluateConfig}
REGISTRIES: dict[str, Mapping[str, Any]] = {
    "Background modes (`--background`)": BACKGROUNDS,
    "Mask signals (`--signal`)": SIGNALS,
    "Solvers (`--solver`)": SOLVERS,
    "Spacings (`--spacing`)": SPACINGS,
    "Losses (`--loss`)": LOSSES,
    "Data layouts (`--data`)": LAYOUTS,
    "Base families (`--base`)": FAMILIES,
    "Arms of the evaluation (`--arms`)": ARMS,
    "Networks of the detectors (`--network`)": NETWORKS,
    "Losses of the detectors (`--detector-loss`)": DETECTOR_LOSSES,
    "Schedules of the detectors (`--schedule`)": SCHEDULES,
}
HEAD = """# Reference

Every registered choice and every option of `train`, `generate` and `evaluate`. Made from their
declarations by `.ci/tools/build_reference.py`; a test compares.
"""


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """A Markdown table."""
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for row in rows:
        cells = [cell.replace("\n", "<br>").replace("|", "\\|") for cell in row]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def facts(entry: Any) -> str:
    """What a choice costs and needs, where its registry says so."""
    parts = []
    if hasattr(entry, "per_pair"):
        parts.append(f"evaluations a step: {entry.per_pair} a pair, {entry.per_sample} a sample")
    if hasattr(entry, "threshold"):
        parts.append(f"threshold {entry.threshold:g}")
    if getattr(entry, "evaluations", 0):
        parts.append(f"{entry.evaluations} further evaluations a sample")
    return "; ".join(parts)


def choices(title: str, registry: Mapping[str, Any]) -> list[str]:
    """The table of a registry."""
    rows = []
    for name, entry in registry.items():
        detail = facts(entry)
        rows.append((f"`{name}`", f"{entry.summary} ({detail})" if detail else entry.summary))
    return [f"## {title}", "", *table(("name", "what it is"), rows), ""]


def value(option: Option) -> str:
    """Default and range of an option."""
    if option.default is MISSING:
        text = "required"
    elif option.default is None:
        text = ""
    elif isinstance(option.default, tuple):
        text = " ".join(str(item) for item in option.default)
    else:
        text = str(option.default)
    if option.range is None:
        return text
    return f"{text} ({option.range.low:g} to {option.range.high:g})".strip()


def command(name: str, settings: type) -> list[str]:
    """The table of a command's options."""
    rows = []
    for option in options_of(settings):
        flag = option.name.replace("_", "-")
        rows.append((f"`--{flag}`", value(option), option.help))
    return [f"## `bgdefect {name}`", "", *table(("option", "default (range)", ""), rows), ""]


def reference() -> str:
    """The page."""
    lines = [HEAD]
    for title, registry in REGISTRIES.items():
        lines += choices(title, registry)
    for name, settings in COMMANDS.items():
        lines += command(name, settings)
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
