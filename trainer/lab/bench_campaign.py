"""``bgdefect bench campaign``: a plan in one process and on workers, side by side; and, with what
was measured, campaigns of any size on paper.

The overhead counts processor seconds: of the tasks and of the head, which other work on the machine
hardly changes. What it takes to start Ray and its workers is told apart: it does not grow with the
campaign.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from bgdefect_core.declarations import Doc, Range, check_settings
from bgdefect_core.errors import OutputError
from bgdefect_core.records.run_record import read_record

from ..bases.timing import duration
from ..campaign.simulation import Costs, simulate

WORKERS = (1, 8, 64, 1000)
CLASSES = (10, 73, 1000, 10_000)
_SHARD = 32
"""Samples of a shard with the default batch."""
_KINDS = ("learn", "place", "paint", "write", "page")


@dataclass(frozen=True)
class BenchCampaignConfig:
    """What Ray costs over one process with the same plan, and where the head becomes the limit."""

    plan: Annotated[Path, tyro.conf.Positional, Doc("Plan of the campaign that is run twice.")]
    workers: Annotated[int, Range(1, 1000), Doc("Workers of the second run.")] = 1
    samples: Annotated[int, Range(1, 100_000), Doc("On paper: samples of a class.")] = 500
    iterations: Annotated[
        int, Range(1, 1_000_000), Doc("On paper: training iterations of a class.")
    ] = 500
    speedup: Annotated[
        float,
        Range(0.001, 10_000),
        Doc("On paper: how many times faster a worker learns and paints than was measured here."),
    ] = 1.0
    sample_bytes: Annotated[
        int | None, Range(1, 10**10), Doc("On paper: bytes of a sample. Default: as measured.")
    ] = None
    network: Annotated[
        float, Range(0.001, 10_000), Doc("On paper: network of the head in GB/s.")
    ] = 1.1


@dataclass(frozen=True)
class RunFigures:
    """What one run took."""

    tasks: float
    """Processor seconds; so are the next two."""
    head: float
    whole: float
    """Of the process and all that it started."""
    seconds: Mapping[str, float]
    """Kind -> seconds of the clock, of all classes."""
    classes: int
    attempts: int
    samples: int
    bytes: int
    iterations: int
    weights: int


def bench_campaign(config: BenchCampaignConfig) -> str:
    """The overhead, and the table on paper.

    Raises:
        OutputError: a run failed.
    """
    check_settings(config)
    with tempfile.TemporaryDirectory() as place:
        alone = _run(config.plan, Path(place) / "alone", [])
        options = ["--workers", str(config.workers)]
        spread = _run(config.plan, Path(place) / "ray", options)
    return "\n".join([*_overhead(alone, spread, config.workers), "", *_paper(config, alone)])


def _run(plan: Path, output: Path, options: Sequence[str]) -> RunFigures:
    """One run of ``bgdefect campaign`` in a process of its own.

    Raises:
        OutputError: it failed; its last words are in the message.
    """
    package = __name__.split(".")[0]
    words = [sys.executable, "-m", package, "campaign", str(plan), "--output", str(output)]
    before = _processor_seconds()
    done = subprocess.run([*words, *options], capture_output=True, text=True, check=False)
    whole = _processor_seconds() - before
    if done.returncode:
        came = f"bgdefect campaign ended with {done.returncode}: {done.stderr.strip()[-500:]}"
        raise OutputError(came, "a finished campaign", "mend what it says")
    record = json.loads((output / "campaign.json").read_text(encoding="utf-8"))
    return _figures(output, record, whole)


def _figures(output: Path, record: Mapping[str, Any], whole: float) -> RunFigures:
    classes = record["classes"]
    seconds: dict[str, float] = {}
    for kind in _KINDS:
        seconds[kind] = sum(entry["seconds"][kind] for entry in classes)
    iterations = 0
    for path in sorted((output / "weights").glob("*.run/run.json")):
        iterations += int(read_record(path)["settings"]["steps"])
    weights = sum(path.stat().st_size for path in (output / "weights").glob("*.safetensors"))
    return RunFigures(
        tasks=record["about"]["processor seconds of tasks"],
        head=record["about"]["processor seconds of the head"],
        whole=whole,
        seconds=seconds,
        classes=len(classes),
        attempts=sum(entry["attempts"] for entry in classes),
        samples=sum(entry["wanted"] for entry in classes),
        bytes=sum(entry["bytes"] for entry in classes),
        iterations=iterations,
        weights=weights,
    )


def _processor_seconds() -> float:
    """Of all finished processes that this one started."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _overhead(alone: RunFigures, spread: RunFigures, workers: int) -> list[str]:
    one_process = alone.tasks + alone.head
    many_workers = spread.tasks + spread.head
    lines = ["processor seconds        tasks     head    together   with all that was started"]
    for name, run in (("one process", alone), (f"Ray, {workers} workers", spread)):
        together = run.tasks + run.head
        lines.append(
            f"{name:20} {run.tasks:9.1f} {run.head:8.1f} {together:11.1f} {run.whole:14.1f}"
        )
    lines.append(f"overhead of tasks and head: {100 * (many_workers / one_process - 1):+.1f} %")
    each = spread.bytes / max(spread.samples, 1)
    lines.append(f"bytes through the head a sample: {each:,.0f}, of {spread.attempts} attempts")
    return lines


def _paper(config: BenchCampaignConfig, run: RunFigures) -> list[str]:
    """The table of campaigns on paper."""
    each = {kind: run.seconds[kind] / run.samples for kind in ("place", "paint", "write")}
    size = run.bytes / run.samples
    write = each["write"]
    if config.sample_bytes is not None:
        write, size = write * config.sample_bytes / size, float(config.sample_bytes)
    learn = run.seconds["learn"] / run.iterations * config.iterations
    costs = Costs(
        learn=learn / config.speedup,
        place=each["place"],
        paint=each["paint"] / config.speedup,
        write=write,
        task=0.005,
        page=run.seconds["page"] / run.classes,
        size=size,
        weights=run.weights / run.classes,
        network=config.network * 1e9,
    )
    shards = -(-config.samples // _SHARD)
    lines = [
        f"on paper: a class learns {duration(costs.learn)}; a sample takes {costs.place:.3f} s to "
        f"place, {costs.paint:.3f} s to paint, {costs.write:.4f} s at the head, "
        f"{costs.size / 1e6:.2f} MB",
        "workers classes        time  workers busy  head busy | written by workers: time  busy",
    ]
    for classes in CLASSES:
        for workers in WORKERS:
            result = simulate(costs, workers, classes, shards, _SHARD)
            other = simulate(costs, workers, classes, shards, _SHARD, at_workers=True)
            lines.append(
                f"{workers:7} {classes:7} {duration(result.seconds):>11} {result.busy:13.0%} "
                f"{result.head:10.0%} | {duration(other.seconds):>24} {other.busy:5.0%}"
            )
    return lines
