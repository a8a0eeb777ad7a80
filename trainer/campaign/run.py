"""``bgdefect campaign``: read the plan, begin where an earlier start ended, work, report."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from bgdefect_core.errors import DataError, SettingError
from bgdefect_core.records.run_record import locked

from ..bases.load import MINI
from ..bases.timing import duration
from .blobs import ContentStore, InPlace
from .board import Board, Campaign
from .class_run import ClassRun
from .classes import ClassFiles, ClassPlan, classes_of
from .config import CampaignConfig
from .dry_run import DryRun, dry_run
from .evaluation_run import evaluations_of, write_summary
from .head import CampaignRun, Head
from .local import LocalExecutor
from .measuring import Facts
from .plan import Plan, absolute_place, read_plan
from .shared import Shared
from .tasks import Ended, Executor, Task
from .typed import order_values
from .worker import Worker

__all__ = ["campaign", "exit_code", "open_plan", "tell"]

log = logging.getLogger(__name__)

_WORK = "work"
"""Folder of what only the campaign reads: unfinished trainings, placed masks."""


def open_plan(config: CampaignConfig) -> Plan:
    """The plan with what the command line sets in its place.

    Raises:
        SettingError: as :func:`read_plan`, or a value out of its range.
    """
    plan = read_plan(config.plan)
    run, data = plan.run, plan.data
    if config.output is not None:
        run = replace(run, output=config.output.absolute())
    if config.base is not None:
        run = replace(run, base=config.base)
    if config.write_from_workers is not None:
        place = absolute_place(Path.cwd(), config.write_from_workers)
        run = replace(run, write_from_workers=place)
    if config.data is not None:
        data = replace(data, source=config.data.absolute())
    plan = replace(plan, run=run, data=data)
    plan.check()
    return plan


def campaign(config: CampaignConfig, say: Callable[[str], None] = log.info) -> Campaign | DryRun:
    """Run a campaign, or resume it, or say what it would do.

    Args:
        say: takes lines before the work begins.

    Raises:
        BGDefectError: the plan, the data set or the output cannot be used at all, or the disk is
            full. A mistake of a class stops no other class and is told at the end.
    """
    began = time.process_time()
    plan = open_plan(config)
    classes = classes_of(plan)
    ready = _ready(plan, classes)
    if config.dry_run:
        return _dry_run(config, plan, classes, ready)
    refused = [item for item in classes if item.problems]
    for item in refused:
        say(f"{item.name} is left out: {'; '.join(item.problems)}")
    work = plan.run.output / _WORK
    with locked(work):
        store = ContentStore(work / "contents")
        files = ClassFiles(plan)
        base = base_content(plan, files, store)
        executor = make_executor(config, plan, store, work)
        with closing(executor):
            facts = measure_first(executor, ready[0], store, plan, base)
            shared = Shared(plan.run, files, store, facts, base, work, 2 * executor.slots + 2)
            evaluations = evaluations_of(plan, ready, shared)
            runs: list[CampaignRun] = [ClassRun(item, shared) for item in ready if plan.run.paint]
            runs += evaluations
            board = Board(plan.run.output, runs, refused, about(plan, facts, executor))
            head = Head(runs, executor, plan.run.tries, board.tell)
            try:
                head.run()
            except BaseException:
                board.write("stopped", _told_last(head, executor, began))
                raise
            write_summary(evaluations)
            return board.write("done", _told_last(head, executor, began))


def _ready(plan: Plan, classes: Sequence[ClassPlan]) -> list[ClassPlan]:
    """The classes that can be learned.

    Raises:
        DataError: there are none.
    """
    ready = [item for item in classes if not item.problems]
    if ready:
        return ready
    reasons = ""
    for item in classes:
        reasons += f"\n  {item.name}: {'; '.join(item.problems)}"
    raise DataError(f"no class of {plan.data.source} can be learned:{reasons}", "at least one")


def _told_last(head: Head, executor: Executor, began: float) -> dict[str, float]:
    """What the page tells at the end.

    Args:
        began: processor time of this process when the campaign began.
    """
    head_seconds = time.process_time() - began - (executor.processor if executor.is_here else 0.0)
    return {
        "tasks given again": head.repeated,
        "workers lost": executor.lost,
        "processor seconds of tasks": round(executor.processor, 2),
        "processor seconds of the head": round(head_seconds, 2),
    }


def _dry_run(
    config: CampaignConfig, plan: Plan, classes: Sequence[ClassPlan], ready: Sequence[ClassPlan]
) -> DryRun:
    """What would be done, with steps measured by one worker."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        store = ContentStore(work / "contents")
        base = base_content(plan, ClassFiles(plan), store)
        with closing(make_executor(config, plan, store, work)) as executor:
            facts = measure_first(executor, ready[0], store, plan, base, timed=True)
            shared = Shared(plan.run, ClassFiles(plan), store, facts, base, work)
            evaluations = evaluations_of(plan, ready, shared)
            return dry_run(plan, classes, evaluations, facts, executor.slots)


def make_executor(config: CampaignConfig, plan: Plan, store: ContentStore, work: Path) -> Executor:
    """The executor that the command line asks for.

    Raises:
        SettingError: Ray is not installed, or cannot be reached.
    """
    if config.workers is None and config.address is None:
        return LocalExecutor(Worker(InPlace(store), work / "unfinished"))
    try:
        from .cluster import RayExecutor
        from .joining import join, needs_of
    except ImportError as reason:
        came = "workers are asked for, and Ray is not installed"
        raise SettingError(came, "", "pip install 'bgdefect[ray]'") from reason
    run = plan.run
    join(config.address, (config.workers or 1) * run.threads * run.gpus_per_class)
    is_small = run.base is None or run.base == MINI
    needs = needs_of(run, is_small)
    return RayExecutor(store, str(run.output.absolute()), needs, config.workers)


def base_content(plan: Plan, files: ClassFiles, store: ContentStore) -> tuple[str, str] | None:
    """The base by content; None: the embedded one, which every machine has.

    Raises:
        SettingError: there is nothing at its path.
    """
    base = plan.run.base
    if base is None or base == MINI:
        return None
    if not Path(base).exists():
        expected = "a diffusers folder or a .safetensors file"
        raise SettingError(f"the base {base} does not exist", expected, "check the path")
    tree, inside = files.path_tree(Path(base))
    return store.add_tree(tree), inside


def measure_first(
    executor: Executor,
    item: ClassPlan,
    store: ContentStore,
    plan: Plan,
    base: tuple[str, str] | None,
    timed: bool = False,
) -> Facts:
    """What a worker says of itself and of the base.

    Args:
        item: a class, for the settings. timed: whether steps are measured.

    Raises:
        SettingError: the base cannot be loaded, or no worker answers.
    """
    order = {
        "threads": plan.run.threads,
        "base": base,
        "places": {},
        "train": order_values(item.train),
        "generate": order_values(item.generate),
        "timed": timed,
    }
    contents = store.contents([base[0]] if base else [])
    task = Task("measure", "the base", "", order, tuple(contents), plan.run.task_minutes)
    problem = ""
    for _ in range(plan.run.tries):
        while not executor.takes(task.kind):
            executor.wait(1.0)
        executor.start(task)
        ended: list[Ended] = []
        while not ended:
            ended = executor.wait(1.0)
        problem = ended[0].problem
        if not problem:
            return Facts.from_parts(ended[0].fetch())
    raise SettingError(f"the base could not be looked at: {problem}", "", "mend it")


def about(plan: Plan, facts: Facts, executor: Executor) -> dict[str, str | int]:
    """What the page tells of a campaign."""
    return {
        "data": str(plan.data.source),
        "base": facts.name,
        "device": facts.device,
        "processor": facts.processor,
        "threads of a task": plan.run.threads,
        "workers": executor.slots,
        "precision of training": facts.train_precision,
        "precision of painting": facts.precision,
    }


def tell(result: Campaign | DryRun) -> list[str]:
    """Lines for the terminal at the end."""
    if isinstance(result, DryRun):
        return result.lines
    lines: list[str] = []
    for entry in result.classes:
        name = entry["name"]
        if entry["stage"] == "failed":
            lines.append(f"{name} failed: {entry['reason']}")
        elif entry["wanted"]:
            lines.append(f"{name}: {entry['accepted']} of {entry['wanted']} samples are good")
    return [*lines, *_closing_lines(result)]


def _closing_lines(result: Campaign) -> Sequence[str]:
    done, failed = result.count("done"), result.count("failed")
    return [
        f"{done} classes are done, {failed} failed, in {duration(result.seconds)}",
        f"page:   {result.output / 'index.html'}",
        f"record: {result.output / 'campaign.json'}",
    ]


def exit_code(result: Campaign | DryRun) -> int:
    """1 where classes were painted and none has a good sample, or where one failed or cannot be
    learned."""
    if isinstance(result, DryRun):
        return int(result.failing > 0)
    has_samples = result.total("accepted") > 0 or result.total("wanted") == 0
    return 0 if has_samples and not result.count("failed") else 1
