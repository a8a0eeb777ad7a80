"""``bgdefect evaluate``: plan, estimate, measure, report. The same command resumes a run."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from bgdefect_core.errors import OutputError
from bgdefect_core.files import atomic_write

from ..bases.devices import pick_device
from .config import EvaluateConfig
from .detectors.alarms import AlarmMeasure
from .detectors.detection import Detectors
from .detectors.landscape_rows import Landscapes
from .detectors.metrics import sklearn_metrics
from .detectors.patchcore import PatchCore
from .detectors.reverse_distillation import ReverseDistillation
from .detectors.reverse_lite0 import ReverseLite0
from .detectors.simplenet import SimpleNet
from .detectors.unsupervised import Baseline
from .estimate import Estimate
from .evaluation import Evaluation
from .held_out import HeldOutSide
from .measures.cell_masks import MaskMeasure
from .measures.cell_realism import RealismMeasure
from .measures.features import network
from .measures.optional import can, skips
from .plan.plan import fold_numbers, make_cells, make_scopes
from .report.by_object import write_object_tables
from .report.goals import Measured, judge
from .report.page import Report, write_report
from .report.summary import SummaryRow, summarise
from .report.tables import Table
from .report.verdicts import Goals
from .results import Results
from .rows import Row
from .samples.cell_samples import check_candidates
from .samples.generation import Generation
from .samples.methods import Method
from .store import Store

log = logging.getLogger(__name__)

OBJECT_TABLES = "tables.md"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """What came of an evaluation."""

    output: Path
    rows: tuple[Row, ...]
    summary: tuple[SummaryRow, ...]
    estimate: Estimate
    goals: Goals = Goals((), ())
    by_object: tuple[Table, ...] = ()
    """Of several objects, also in ``OBJECT_TABLES``."""
    dry_run: bool = False


def evaluate(config: EvaluateConfig, say: Say = log.info) -> Outcome:
    """Measure everything, or resume.

    Args:
        config: what to measure. say: takes the estimate's lines before the work begins.

    Raises:
        BGDefectError: whatever the user can mend; wrong paths, splits and packages before any work
            is done.
    """
    config.check()
    output, seed, sampling = config.output, config.seed, config.sampling
    evaluation = evaluation_of(config)
    evaluation.generation.check()
    network()
    sklearn_metrics()
    if output.exists() and not output.is_dir():
        raise OutputError(f"{output} is a file", "a folder", "choose another output")
    cells = make_cells(config.plan, seed, output, write=not config.dry_run)
    scopes = make_scopes(config.plan, cells, output, write=not config.dry_run)
    check_candidates(sampling, scopes)
    estimate = evaluation.estimate(cells, scopes)
    unavailable = [*skips(), *config.absent_arms]
    for line in estimate.lines():
        say(line)
    for skip in unavailable:
        say(f"will be left out: {skip.what}: {skip.why}")
    if config.dry_run:
        return Outcome(output, (), (), estimate, dry_run=True)

    record = config.record()
    with atomic_write(output / "config.json", "w") as file:
        json.dump(record, file, indent=1)
    results = Results(unavailable)
    for scope in tqdm(scopes, desc="evaluating", unit="cell"):
        evaluation.measure(scope, results)
        results.write(output, record, evaluation.generation.base_name)

    return _report(results, output, record, sampling.methods, estimate)


def evaluation_of(config: EvaluateConfig) -> Evaluation:
    """All measures, ready to be taken."""
    seed, device = config.seed, pick_device(config.device)
    store, generation = Store(config.output), generation_of(config)
    sampling, measures = config.sampling, config.measures
    detectors = Detectors(config.detector, config.arms.seeds, store, device)
    parts = config.alarms.alarm_parts
    return Evaluation(
        parts=config.parts,
        generation=generation,
        realism=RealismMeasure(store, measures.features, sampling.samples, seed, device),
        masks=MaskMeasure(store, sampling.base, measures.mask_levels, seed, config.device),
        arms=config.trained_arms,
        detectors=detectors,
        held_out=HeldOutSide.of(generation, config.trained_arms, parts),
        alarms=AlarmMeasure(detectors, parts, seed),
        baselines=_baselines(config, device),
        landscapes=Landscapes(config.landscape, detectors, seed),
        shown_fold=fold_numbers(config.plan)[0],
    )


def generation_of(config: EvaluateConfig) -> Generation:
    """How samples are made."""
    return Generation(
        config.sampling,
        config.plan.data,
        config.output / "ours",
        config.seed,
        config.device,
        config.needs_samples,
        config.plan.reading,
    )


def _baselines(config: EvaluateConfig, device: torch.device) -> list[Baseline]:
    """The unsupervised methods on efficientnet-lite0, and the originals whose weights are on this
    machine."""
    seed, steps = config.seed, config.lite_baselines
    baselines: list[Baseline] = []
    if "patchcore" in config.parts:
        baselines.append(PatchCore(config.patchcore.patchcore_share, seed))
    if "simplenet" in config.parts:
        baselines.append(SimpleNet(steps.simplenet_steps, seed))
    if "reverse_distillation" in config.parts:
        baselines.append(ReverseLite0(steps.reverse_steps, seed, device))
        if can("reverse distillation"):
            epochs = config.reverse_distillation.reverse_epochs
            baselines.append(ReverseDistillation(epochs, seed, device))
    return baselines


def _report(
    results: Results,
    output: Path,
    record: Mapping[str, Any],
    methods: tuple[Method, ...],
    estimate: Estimate,
) -> Outcome:
    """Judge the goals and write the tables and the page."""
    rows, summary = tuple(results.rows), tuple(summarise(results.rows))
    goals = judge([Measured(methods, rows)])
    by_object = tuple(write_object_tables(output / OBJECT_TABLES, rows))
    report = Report(
        settings=record,
        rows=rows,
        summary=summary,
        goals=goals,
        by_object=by_object,
        landscapes=results.landscapes,
        strips=results.strips,
        maps=results.maps,
        skipped=results.skips,
    )
    write_report(output / "index.html", report)
    return Outcome(output, rows, summary, estimate, goals, by_object)
