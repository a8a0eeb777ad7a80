"""``bgdefect evaluate``: plan, estimate, measure, report. The same command goes on where it was
stopped."""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from io import StringIO
from pathlib import Path
from typing import Any

from tqdm import tqdm

from bgdefect_core.errors import OutputError
from bgdefect_core.files import atomic_write

from ..bases.devices import pick_device
from .config import EvaluateConfig
from .detectors.detection import Detectors
from .detectors.landscape_rows import Landscapes
from .detectors.metrics import sklearn_metrics
from .detectors.patchcore import PatchCore
from .detectors.pictures import FoldPictures
from .detectors.plans import ArmPlan, join_plans, plan_arms
from .detectors.reverse_distillation import ReverseDistillation
from .detectors.unsupervised import Baseline, baseline_rows
from .estimate import Estimate, estimate, needs_ours, place_of
from .measure import mask_rows, realism_rows, sample_rows
from .measures.features import network
from .measures.optional import Skip, can, skips
from .plan.plan import Cell, DetectorScope, make_cells, make_scopes
from .report.by_object import write_object_tables
from .report.goals import Measured, judge
from .report.page import Report, write_report
from .report.strips import sample_strips
from .report.summary import SummaryRow, summarise
from .report.tables import Table
from .report.verdicts import Goals
from .rows import Row
from .samples.ours import MethodSamples, base_name, check_generators, make_ours
from .samples.random_start import make_from_noise
from .samples.sample_set import NoSamples, SampleSet, candidate_folder, check_unseen, read_candidate
from .store import Store, plain_json

log = logging.getLogger(__name__)

OBJECT_TABLES = "tables.md"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """What an evaluation came to."""

    output: Path
    rows: tuple[Row, ...]
    summary: tuple[SummaryRow, ...]
    estimate: Estimate
    goals: Goals = Goals((), ())
    by_object: tuple[Table, ...] = ()
    """Of several objects, also in ``OBJECT_TABLES``."""
    dry_run: bool = False


def evaluate(config: EvaluateConfig, say: Say = log.info) -> Outcome:
    """Run it all, or go on with it.

    Args:
        config: what to measure. say: takes the estimate's lines before the work begins.

    Raises:
        BGDefectError: whatever the user can mend; wrong paths, splits and packages before any work
            is done.
    """
    config.check()
    if needs_ours(config):
        check_generators(config)
    network()
    sklearn_metrics()
    _check_output(config)
    cells = make_cells(config.plan, config.seed, config.output, write=not config.dry_run)
    tests = make_scopes(config.plan, cells, config.output, write=not config.dry_run)
    _check_candidates(config, tests)
    expected = estimate(config, cells, [tested.whole for tested in tests])
    for line in expected.lines():
        say(line)
    lacking = skips()
    for skip in lacking:
        say(f"will be left out: {skip.what}: {skip.why}")
    if config.dry_run:
        return Outcome(config.output, (), (), expected, dry_run=True)
    with atomic_write(config.output / "config.json", "w") as file:
        json.dump(config.record(), file, indent=1)
    store = Store(config.output)
    device = pick_device(config.device)
    detectors = Detectors(config.detector, config.arms.seeds, store, device)
    landscapes = Landscapes(config.landscape, detectors, config.seed)
    baselines = _baselines(config)
    arms = config.all_arms if _needs_plans(config) else []
    rows: list[Row] = []
    grids: dict[str, Any] = {}
    lines: list[dict[str, Any]] = []
    strips: dict[str, bytes] = {}
    maps: dict[str, Path] = {}
    skipped = lacking
    for tested in tqdm(tests, desc="evaluating", unit="cell"):
        own: list[list[ArmPlan]] = []
        for cell in tested.cells:
            made, others, unmade = _generators(config, cell)
            skipped += unmade
            strips |= {
                name: strip
                for name, strip in sample_strips(cell, made)
                if cell.data.number == config.plan.folds[0]
            }
            lines += [line for one in made for line in sample_rows(config, store, cell, one)]
            if "realism" in config.parts:
                rows += realism_rows(config, store, cell, made, others)
            if "masks" in config.parts:
                rows += mask_rows(config, store, cell, made)
            pictures = FoldPictures(cell.data.fold, config.detector.resolution)
            own.append(plan_arms(arms, cell, pictures, config.seed, made, others))
        whole, plans = tested.whole, own[0]
        if config.plan.detectors_by == "object":
            pictures = FoldPictures(whole.data.fold, config.detector.resolution)
            plans = join_plans(pictures, own)
        if "detection" in config.parts:
            rows += detectors.rows(whole, pictures, plans)
            maps |= detectors.map_files(whole, plans)
        for baseline in baselines:
            rows += baseline_rows(baseline, store, whole, pictures)
        if "landscape" in config.parts:
            landscape_rows, surfaces = landscapes.rows(whole, pictures, plans)
            rows += landscape_rows
            grids |= surfaces
        _write(config, rows, grids, lines, skipped)
    summary = summarise(rows)
    goals = judge([Measured(config.sampling.methods, tuple(rows))])
    objects = write_object_tables(config.output / OBJECT_TABLES, rows)
    report = Report(config.record(), rows, summary, goals, objects, grids, strips, maps, skipped)
    write_report(config.output / "index.html", report)
    return Outcome(config.output, tuple(rows), tuple(summary), expected, goals, tuple(objects))


def _needs_plans(config: EvaluateConfig) -> bool:
    return "detection" in config.parts or "landscape" in config.parts


def _baselines(config: EvaluateConfig) -> list[Baseline]:
    """The unsupervised baselines that are measured; reverse distillation where its weights are on
    this machine."""
    baselines: list[Baseline] = []
    if "patchcore" in config.parts:
        baselines.append(PatchCore(config.patchcore.patchcore_share, config.seed))
    if "reverse_distillation" in config.parts and can("reverse distillation"):
        epochs = config.reverse_distillation.reverse_epochs
        baselines.append(ReverseDistillation(epochs, config.seed, pick_device(config.device)))
    return baselines


def _check_output(config: EvaluateConfig) -> None:
    if config.output.exists() and not config.output.is_dir():
        raise OutputError(f"{config.output} is a file", "a folder", "choose another output")


def _check_candidates(config: EvaluateConfig, tests: Sequence[DetectorScope]) -> None:
    """Refuse a candidate that holds what a detector is tested or chosen with, before any work."""
    for tested in tests:
        for data in {cell.data.name: cell.data for cell in tested.cells}.values():
            for name, folder in config.sampling.candidate_folders.items():
                check_unseen(
                    name,
                    candidate_folder(folder, data.number),
                    data.object,
                    data.defect,
                    tested.whole.data.fold,
                )


def _generators(
    config: EvaluateConfig, cell: Cell
) -> tuple[list[MethodSamples], list[SampleSet], list[Skip]]:
    """Our samples by every generator that made any, the candidates', and which generator made
    none."""
    made: list[MethodSamples] = []
    unmade: list[Skip] = []
    if needs_ours(config):
        place = place_of(config, cell)
        for spec in config.sampling.methods:
            make = make_from_noise if spec.from_noise else make_ours
            try:
                made.append(make(config, place, cell.data.fold, cell.shots, spec))
                if not made[-1].samples.samples:
                    raise NoSamples(
                        f"none of {made[-1].samples.attempts} attempts was accepted",
                        "",
                        "see the page beside its samples",
                    )
            except NoSamples as reason:
                unmade.append(Skip(f"{cell.name}, generator {spec.name}", str(reason)))
                log.warning("%s, generator %s is left out: %s", cell.name, spec.name, reason)
    object, defect = cell.data.object, cell.data.defect
    folders = {
        name: candidate_folder(folder, cell.data.number)
        for name, folder in config.sampling.candidate_folders.items()
    }
    return (
        made,
        [read_candidate(name, folder, object, defect) for name, folder in folders.items()],
        unmade,
    )


def _write(
    config: EvaluateConfig,
    rows: Sequence[Row],
    grids: dict[str, Any],
    lines: Sequence[dict[str, Any]],
    skipped: Sequence[Skip],
) -> None:
    """The results so far: ``results.json``, ``results.csv``, ``summary.csv``, ``samples.csv``.

    Times stand in the units alone: they never repeat.
    """
    summary = summarise(rows)
    document = {
        "config": config.record(),
        "base": base_name(config),
        "skipped": [asdict(skip) for skip in skipped],
        "rows": [asdict(row) for row in rows],
        "summary": [asdict(row) for row in summary],
        "landscapes": grids,
    }
    with atomic_write(config.output / "results.json", "w") as file:
        json.dump(plain_json(document), file, indent=1, allow_nan=False)
        file.write("\n")
    _write_csv(
        config.output / "results.csv",
        [field.name for field in fields(Row)],
        [asdict(row) for row in rows],
    )
    _write_csv(
        config.output / "summary.csv",
        [field.name for field in fields(SummaryRow)],
        [asdict(row) for row in summary],
    )
    if lines:
        _write_csv(
            config.output / "samples.csv",
            list(dict.fromkeys(key for line in lines for key in line)),
            lines,
        )


def _write_csv(path: Path, header: Sequence[str], lines: Sequence[dict[str, Any]]) -> None:
    text = StringIO()
    writer = csv.DictWriter(text, header, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    with atomic_write(path, "w") as file:
        file.write(text.getvalue())
