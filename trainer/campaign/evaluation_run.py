"""The way of one evaluation through a campaign, at the head: one task, and its files."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bgdefect_core.declarations import flat_values, options_of, replace_options
from bgdefect_core.files import write_file
from bgdefect_core.records.run_record import settings_digest

from ..data.layouts import ReadingSettings
from ..evaluate.config import EvaluateConfig, read_config, recipe_path
from ..evaluate.report.evidence import SummaryConfig, evaluate_summary
from ..evaluate.run import evaluate
from .classes import ClassPlan
from .figures import Figures, Stage
from .plan import Plan
from .shared import Marker, Shared
from .tasks import Ended, Task
from .typed import EVALUATION, order_values, with_values

__all__ = ["EvaluationRun", "evaluations_of", "write_summary"]

log = logging.getLogger(__name__)

_REFUSED = {
    *("data", "output", "base", "classes", "objects", "splits", "candidate", "device", "dry_run"),
    *(option.name for option in options_of(ReadingSettings)),
    "advise",
}


class EvaluationRun:
    """The evaluation of some classes together.

    Args:
        object: whose classes. defect: of a single class; "" for all of the object.
        config: the settings. shared: with the campaign's other runs.
    """

    def __init__(self, object: str, defect: str, config: EvaluateConfig, shared: Shared) -> None:
        self.object, self.defect = object, defect
        self.stage: Stage = "waiting"
        self.reason = ""
        self.figures = Figures()
        self.config, self._shared = config, shared
        self._key = ""

    @property
    def name(self) -> str:
        """As a person reads it."""
        return f"evaluation of {self.object}" + (f" / {self.defect}" if self.defect else "")

    @property
    def folder(self) -> Path:
        """Where its files are written."""
        name = f"{self.object}-{self.defect}" if self.defect else self.object
        return self._shared.settings.output / "evaluate" / name

    def begin(self) -> Sequence[Task]:
        """The task; none where it is done.

        Raises:
            BGDefectError: the settings cannot be, or the data set cannot be read.
        """
        self.stage = "evaluating"
        self.config.check()
        shared = self._shared
        tree, _ = shared.files.object_tree(self.object)
        values = order_values(self.config)
        identity = {"settings": values, "content": tree.content, "base": shared.facts.fingerprint}
        self._key = settings_digest(identity)
        if self._marker.read() is not None and (self.folder / "results.json").is_file():
            self._finish()
            return []
        order = shared.order(shared.data_places(self.object)) | {
            "evaluate": values,
            "layout": shared.files.layout,
            "scratch": self._key,
        }
        return [shared.task("evaluate", self.name, self.name, order)]

    def expected_seconds(self) -> float:
        """What it would take on this machine, by measured steps. Nothing is written.

        Raises:
            BGDefectError: what the evaluation would refuse.
        """
        config = replace_options(self.config, output=self.folder, dry_run=True)
        outcome = evaluate(config, log.debug)
        return sum(work.seconds for work in outcome.estimate.works)

    def take(self, ended: Ended) -> Sequence[Task]:
        """Write the files.

        Raises:
            OutputError: they cannot be written. Lost: the result went with its machine.
        """
        for name, content in ended.fetch().items():
            write_file(self.folder / name, content)
        self._marker.write({})
        self._finish()
        return []

    def _finish(self) -> None:
        self.figures.page = str(self.folder / "index.html")
        self.stage = "done"

    @property
    def _marker(self) -> Marker:
        return self._shared.marker(f"evaluate-{self.folder.name}", self._key)

    def fail(self, reason: str) -> None:
        """End it."""
        self.stage, self.reason = "failed", reason

    def close(self) -> None:
        """Nothing is open."""


def evaluations_of(plan: Plan, classes: Sequence[ClassPlan], shared: Shared) -> list[EvaluationRun]:
    """The evaluations of a plan: one for each class, or for each object where its detectors are
    the object's.

    Raises:
        SettingError: an unknown option, or a value of another type.
    """
    if plan.evaluate is None:
        return []
    config = _settings(plan, dict(plan.evaluate))
    by_object: dict[str, list[str]] = {}
    for item in classes:
        by_object.setdefault(item.object, []).append(item.defect)
    runs: list[EvaluationRun] = []
    for object, defects in by_object.items():
        groups = [[defect] for defect in defects]
        if config.plan.detectors_by == "object":
            groups = [defects]
        for group in groups:
            names = tuple(f"{object}/{defect}" for defect in group)
            single = group[0] if config.plan.detectors_by == "class" else ""
            chosen = replace_options(config, classes=names)
            runs.append(EvaluationRun(object, single, chosen, shared))
    return runs


def _settings(plan: Plan, values: dict[str, Any]) -> EvaluateConfig:
    """The settings of all evaluations: those of a recipe, where one is named, with others beside
    it."""
    recipe = values.pop("recipe", None)
    config = EVALUATION if recipe is None else read_config(recipe_path(str(recipe)))
    config = with_values("[evaluate]", config, values, _REFUSED)
    return replace_options(
        config,
        data=plan.data.source,
        base=plan.run.base or config.sampling.base,
        objects=(),
        **flat_values(plan.data.reading),
    )


def write_summary(runs: Sequence[EvaluationRun]) -> Path | None:
    """Write all results together as ``summary.md`` beside them; None where there are none.

    Raises:
        OutputError: it cannot be written.
    """
    folders = tuple(run.folder for run in runs if run.stage == "done")
    if not folders:
        return None
    path = folders[0].parent / "summary.md"
    evaluate_summary(SummaryConfig(folders, output=path))
    return path
