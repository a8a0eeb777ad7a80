"""Writes the tables of the documentation from the declarations: `docs/reference.md`, which holds
every registered choice and every option, and what stands in other pages between the markers
`<!-- table: NAME -->` and `<!-- end of table -->`.

python .ci/tools/build_reference.py
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import MISSING
from pathlib import Path
from typing import Any

from workflow_specs import SUMMARIES

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bgdefect_core.declarations import Option, options_of  # noqa: E402
from bgdefect_core.method.backgrounds import BACKGROUNDS  # noqa: E402
from bgdefect_core.method.loss import LOSSES  # noqa: E402
from bgdefect_core.method.sampling import SamplingSettings  # noqa: E402
from bgdefect_core.method.signals import SIGNALS  # noqa: E402
from bgdefect_core.method.solvers import SOLVERS  # noqa: E402
from bgdefect_core.method.spacings import SPACINGS  # noqa: E402
from bgdefect_core.quality.properties import PROPERTIES  # noqa: E402
from trainer.bases.families import FAMILIES  # noqa: E402
from trainer.campaign.plan import DataSettings, RunSettings  # noqa: E402
from trainer.cli.commands import COMMANDS  # noqa: E402
from trainer.data.formats import FORMATS  # noqa: E402
from trainer.data.layouts import LAYOUTS, data_help  # noqa: E402
from trainer.evaluate.config import EvaluateConfig  # noqa: E402
from trainer.evaluate.detectors.arms import ARMS  # noqa: E402
from trainer.evaluate.detectors.losses import LOSSES as DETECTOR_LOSSES  # noqa: E402
from trainer.evaluate.detectors.networks import NETWORKS  # noqa: E402
from trainer.evaluate.detectors.schedules import SCHEDULES  # noqa: E402
from trainer.evaluate.misses.settings import MissesConfig  # noqa: E402
from trainer.generation.config import GenerateConfig  # noqa: E402
from trainer.training.config import TrainConfig  # noqa: E402
from trainer.training.timesteps import TIMESTEP_DRAWS  # noqa: E402
from trainer.training.tuning import TRAINED_PARTS  # noqa: E402

PAGE = ROOT / "docs" / "reference.md"
SETTINGS = {
    "train": TrainConfig,
    "generate": GenerateConfig,
    "evaluate": EvaluateConfig,
    "misses": MissesConfig,
}
REGISTRIES: dict[str, Mapping[str, Any]] = {
    "Commands (`bgdefect COMMAND`)": COMMANDS,
    "Background modes (`--background`)": BACKGROUNDS,
    "Mask signals (`--signal`)": SIGNALS,
    "Solvers (`--solver`)": SOLVERS,
    "Spacings (`--spacing`)": SPACINGS,
    "Properties of real defects that the verdict asks for": PROPERTIES,
    "Losses (`--loss`)": LOSSES,
    "Distributions of training timesteps (`--timesteps`)": TIMESTEP_DRAWS,
    "Trained parts (`--trained-part`)": TRAINED_PARTS,
    "Data layouts (`--data`)": LAYOUTS,
    "Data formats (`--format`)": FORMATS,
    "Base families (`--base`)": FAMILIES,
    "Arms of the evaluation (`--arms`)": ARMS,
    "Networks of the detectors (`--network`)": NETWORKS,
    "Losses of the detectors (`--detector-loss`)": DETECTOR_LOSSES,
    "Schedules of the detectors (`--schedule`)": SCHEDULES,
}
PAGES = (ROOT / "README.md", ROOT / "docs" / "evidence-protocol.md", ROOT / "docs" / "campaign.md")
"""Pages with tables between markers."""
MARKED = re.compile(
    r"(?P<begin><!-- table: (?P<name>[^>]+) -->)\n.*?(?P<end><!-- end of table -->)", re.DOTALL
)
HEAD = """# Reference

Every registered choice and every option of `train`, `generate`, `evaluate` and `misses`. Made from
their declarations by `.ci/tools/build_reference.py`; a test compares.
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


def meaning(option: Option, page: str = "") -> str:
    """The help text of an option. A list of layouts or formats in it becomes a link to their table.

    Args:
        option: of a settings class. page: that the link leads to; empty: the reference itself.
    """
    text = option.help
    text = text.replace(data_help(""), f" ([layouts]({page}#data-layouts---data)).")
    for place, registry in (("data-layouts---data", LAYOUTS), ("data-formats---format", FORMATS)):
        text = text.replace(f".{registry.help('')}", f" ([table]({page}#{place})).")
    return text


def costs(steps: int) -> list[str]:
    """The table of the background modes with what they cost, in samples of the U-Net."""
    rows = []
    for name, background in BACKGROUNDS.items():
        cost = f"{background.per_sample * steps} N"
        if background.per_pair:
            cost = f"{background.per_pair * steps} + {cost}"
        rows.append((f"`{name}`", background.summary, cost))
    evaluations = f"U-Net evaluations for N variants, {steps} steps"
    head = ("`--background`", "outside the mask", evaluations)
    return table(head, rows)


def summaries(head: tuple[str, str], registry: Mapping[str, Any]) -> list[str]:
    """A table of names and what they are."""
    return table(head, [(f"`{name}`", entry.summary) for name, entry in registry.items()])


def data_formats() -> list[str]:
    """The table of what is read and written: a row a layout, with the formats that it reads."""
    written: dict[str, list[str]] = {name: [] for name in LAYOUTS}
    for name, entry in FORMATS.items():
        written[name if name in LAYOUTS else name.partition("-")[0]].append(
            f"`{name}`: {entry.summary}"
        )
    rows = []
    for name, entry in LAYOUTS.items():
        rows.append((f"`{name}`", entry.summary, "\n".join(written[name])))
    return table(("format", "read (`--data`, `--layout`)", "written (`--format`)"), rows)


def tables() -> dict[str, list[str]]:
    """The tables that stand in other pages, by the name in their marker."""
    workflows = [(f"`{name}`", summary) for name, summary in SUMMARIES.items()]
    return {
        "arms": summaries(("arm", "defects that it trains on"), ARMS),
        "background costs": costs(SamplingSettings.steps),
        "backgrounds": summaries(("background", "outside the mask"), BACKGROUNDS),
        "campaign": plan_options(),
        "formats": data_formats(),
        "signals": summaries(("signal", "what the refined mask is made of"), SIGNALS),
        "workflows": table(("workflow", "what it shows"), workflows),
    }


def plan_options() -> list[str]:
    """What stands in a plan above and in its table of the data."""
    rows = []
    for place, settings in (("", RunSettings), ("[data] ", DataSettings)):
        for option in options_of(settings):
            text = meaning(option, PAGE.name)
            rows.append((f"`{place}{option.name}`", value(option), text))
    return table(("entry", "default (range)", ""), rows)


def filled(text: str) -> str:
    """A page with the tables of today between its markers.

    Raises:
        KeyError: a marker names no table.
    """
    known = tables()

    def fill(found: re.Match[str]) -> str:
        lines = known[found["name"]]
        return "\n".join([found["begin"], *lines, found["end"]])

    return MARKED.sub(fill, text)


def command(name: str, settings: type) -> list[str]:
    """The table of a command's options."""
    rows = []
    for option in options_of(settings):
        flag = option.name.replace("_", "-")
        rows.append((f"`--{flag}`", value(option), meaning(option)))
    return [f"## `bgdefect {name}`", "", *table(("option", "default (range)", ""), rows), ""]


def reference() -> str:
    """The page."""
    lines = [HEAD]
    for title, registry in REGISTRIES.items():
        lines += choices(title, registry)
    for name, settings in SETTINGS.items():
        lines += command(name, settings)
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
    for page in PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
