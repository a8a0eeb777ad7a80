"""The page and the record of a campaign, written while it runs and at its end.

OUTPUT/index.html      every class with its state
OUTPUT/campaign.json   the same as JSON
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from jinja2 import Environment, StrictUndefined

from bgdefect_core.files import atomic_write
from bgdefect_core.paths import without_surrogates

from ..bases.timing import duration
from .classes import ClassPlan
from .figures import Figures
from .head import CampaignRun

__all__ = ["Board", "Campaign"]

log = logging.getLogger(__name__)

_EVERY = 2.0
"""Least seconds between two writings while a campaign runs."""
_SLOWEST = 5
_KINDS = {
    "learn": "learning",
    "place": "placing",
    "paint": "painting",
    "assemble": "assembling",
    "evaluate": "evaluating",
}
"""Kind of task -> what a class does while it runs."""
_TOTALS = ("wanted", "written", "accepted", "rejected", "unmade")

State = Literal["running", "done", "stopped"]


@dataclass(frozen=True)
class Campaign:
    """What a campaign came to."""

    output: Path
    classes: tuple[Mapping[str, Any], ...]
    """As ``campaign.json`` has them; evaluations too."""
    seconds: float
    state: State = "done"

    def count(self, stage: str) -> int:
        """Classes in a stage."""
        return sum(entry["stage"] == stage for entry in self.classes)

    def total(self, name: str) -> int:
        """Sum of a figure of all classes."""
        return sum(entry[name] for entry in self.classes)


class Board:
    """Shows a campaign.

    Args:
        output: its folder.
        runs: its classes and evaluations. refused: classes that have a mistake before they begin.
        about: what else is told, by name.
    """

    def __init__(
        self,
        output: Path,
        runs: Sequence[CampaignRun],
        refused: Sequence[ClassPlan],
        about: Mapping[str, Any],
    ) -> None:
        self._output, self._runs, self._about = output, runs, about
        self._refused = [_refused_entry(item) for item in refused]
        self._started = time.monotonic()
        self._written = 0.0
        self._stages: dict[str, str] = {}

    def tell(self) -> None:
        """Log what has changed; write the page where the last is old."""
        for run in self._runs:
            name, stage = run.name, run.stage
            if self._stages.get(name, "waiting") != stage:
                self._stages[name] = stage
                if stage != "failed":  # the head has said why
                    log.info("%s: %s", name, _news(run))
        if time.monotonic() - self._written >= _EVERY:
            self.write("running", {})

    def write(self, state: State, more: Mapping[str, Any]) -> Campaign:
        """Write page and record.

        Args:
            more: what is told besides, by name.

        Raises:
            OutputError: they cannot be written.
        """
        self._written = time.monotonic()
        entries = [*map(self._entry, self._runs), *self._refused]
        seconds = self._written - self._started
        campaign = Campaign(self._output, tuple(entries), seconds, state)
        about = {**self._about, **more}
        document = {"state": state, "seconds": round(seconds, 1), "about": about}
        with atomic_write(self._output / "campaign.json", "w") as file:
            json.dump(document | {"classes": entries}, file, indent=1)
        with atomic_write(self._output / "index.html", "w") as file:
            file.write(_page(campaign, about))
        return campaign

    def _entry(self, run: CampaignRun) -> dict[str, Any]:
        figures = asdict(run.figures)
        if figures["page"] and "://" not in figures["page"]:
            relative = os.path.relpath(figures["page"], self._output)
            figures["page"] = quote(os.fsencode(Path(relative).as_posix()))
        times = {kind: round(value, 2) for kind, value in figures["seconds"].items()}
        names = {"object": run.object, "defect": run.defect, "name": run.name}
        return {**names, "stage": run.stage, "reason": run.reason, **figures, "seconds": times}


def _refused_entry(item: ClassPlan) -> dict[str, Any]:
    figures = asdict(Figures())
    names = {"object": item.object, "defect": item.defect, "name": item.name}
    reason = "; ".join(item.problems)
    return {**names, "stage": "failed", "reason": reason, **figures}


def _news(run: CampaignRun) -> str:
    if run.stage != "done" or not run.figures.wanted:
        return run.stage
    figures = run.figures
    return f"done, {figures.accepted} of {figures.wanted} samples are good"


def _page(campaign: Campaign, about: Mapping[str, Any]) -> str:
    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    environment.filters["duration"] = duration
    source = Path(__file__).with_name("page.html.j2").read_text(encoding="utf-8")
    times = {}
    for entry in campaign.classes:
        times[entry["name"]] = sum(entry["seconds"].get(kind, 0.0) for kind in _KINDS)
    slowest = [pair for pair in Counter(times).most_common(_SLOWEST) if pair[1] > 0]
    text = environment.from_string(source).render(
        state=campaign.state,
        classes=campaign.classes,
        done=campaign.count("done"),
        summary=_summary(campaign),
        slowest=slowest,
        about=about,
        kinds=_KINDS,
        **{name: campaign.total(name) for name in _TOTALS},
    )
    return without_surrogates(text)


def _summary(campaign: Campaign) -> str:
    counts = f"{campaign.count('done')} of {len(campaign.classes)} classes are done"
    failed = campaign.count("failed")
    failures = f", {failed} failed" if failed else ""
    return f"{campaign.state}: {counts}{failures}, after {duration(campaign.seconds)}"
