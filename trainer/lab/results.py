"""``bgdefect results``: what the tool does on real data sets, measured and printed as the tables of
``docs/results.md``.

For each defect class: few-shot training on one half of its pictures, then generation on
    ``train/good`` in each background mode, every
sample a single attempt.
"""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bgdefect_core.errors import DataError
from bgdefect_core.files import atomic_write
from bgdefect_core.method.backgrounds import BACKGROUNDS, BackgroundName
from bgdefect_core.method.sampling import SamplingSettings
from bgdefect_core.painting import PaintSettings
from bgdefect_core.quality import QualityLimits
from bgdefect_core.records.dataset import read_manifest
from bgdefect_core.records.dataset_place import extras_folder
from bgdefect_core.records.manifest import ManifestLine

from ..data.layouts import find_examples
from ..generation.config import GenerateConfig
from ..generation.generate import generate
from ..training.config import TrainConfig
from ..training.run_folder import RunFolder
from ..training.train import train

MODES: tuple[BackgroundName, ...] = tuple(BACKGROUNDS)


@dataclass(frozen=True)
class ResultsConfig:
    """Train and generate every defect class of some data sets, and print the figures."""

    data: tuple[Path, ...]
    """Object folders in MVTec AD layout."""
    output: Path = Path("runs/results")
    """Weights, data sets, contact sheets and ``results.json``. The same command goes on where it
    was stopped."""
    steps: int = 300
    """Training iterations a class."""
    count: int = 16
    """Samples a class and background mode."""
    batch: int = 8
    """Samples a call of the U-Net."""
    base: str | None = None
    """Base model; nothing = the embedded one."""
    seed: int = 0


@dataclass(frozen=True)
class Row:
    """One class in one background mode; medians over its samples."""

    object: str
    defect: str
    mode: str
    samples: int
    shows: float
    """Share of samples in which the defect shows (strength and contrast above the limits)."""
    strength: float
    fill: float
    before: float
    """Background PSNR before stitching, against the VAE's own reconstruction, dB."""
    after: float
    """Background PSNR after stitching, against the input picture, dB (100 = identical)."""
    seconds: float | None
    """A sample, all told; None: not known, as the run was stopped within."""


def results(config: ResultsConfig) -> str:
    """Run everything and return the tables in Markdown.

    Raises:
        BGDefectError: whatever ``train`` and ``generate`` refuse, settings before the first
            training.
    """
    found = [
        (folder, *name)
        for folder in config.data
        for name in sorted({(one.object, one.defect) for one in find_examples(folder)})
    ]
    for folder, object, defect in found:
        _training_config(config, folder, object, defect).check()
        _generation_config(config, folder, object, defect, MODES[0]).check()
    classes, rows = [], []
    for folder, object, defect in found:
        weights = _weights(config, object, defect)
        started, fresh = time.monotonic(), not RunFolder(weights.absolute()).folder.exists()
        train(_training_config(config, folder, object, defect))
        _note(weights.with_suffix(".seconds.json"), time.monotonic() - started if fresh else None)
        classes.append((object, defect, *_training(weights)))
        for mode in MODES:
            extras = extras_folder(config.output / mode, object, defect)
            started, before = time.monotonic(), _records(extras)
            generate(_generation_config(config, folder, object, defect, mode))
            if (
                len(_records(extras)) > len(before) > 0
            ):  # what was made before is in no time of ours
                _write(extras / "seconds.json", None)
            _note(extras / "seconds.json", None if before else time.monotonic() - started)
            rows.append(_row(config, object, defect, mode))
        _write(config.output / "results.json", [row.__dict__ for row in rows])
    return report(classes, rows)


def _weights(config: ResultsConfig, object: str, defect: str) -> Path:
    return config.output / f"{object}-{defect}.safetensors"


def _training_config(config: ResultsConfig, folder: Path, object: str, defect: str) -> TrainConfig:
    weights = _weights(config, object, defect)
    return TrainConfig(
        folder,
        weights,
        object,
        defect,
        config.base,
        steps=config.steps,
        seed=config.seed,
        precision="bf16",
    )


def _generation_config(
    config: ResultsConfig, folder: Path, object: str, defect: str, mode: BackgroundName
) -> GenerateConfig:
    weights = _weights(config, object, defect)
    return GenerateConfig(
        weights,
        folder,
        config.output / mode,
        mask_split=RunFolder(weights).split,
        count=config.count,
        batch=config.batch,
        retries=0,
        paint=PaintSettings(SamplingSettings(background=mode, guidance=(3.0,))),
        seed=config.seed,
        base=config.base,
    )


def _note(path: Path, seconds: float | None) -> None:
    """Keep the time of a part; None, which stays: it was stopped within, and nobody knows."""
    if not path.exists():
        _write(path, seconds)


def _records(extras: Path) -> list[ManifestLine]:
    path = extras / "manifest.jsonl"
    return read_manifest(path) if path.exists() else []


def _row(config: ResultsConfig, object: str, defect: str, mode: BackgroundName) -> Row:
    root = config.output / mode
    seconds = json.loads((extras_folder(root, object, defect) / "seconds.json").read_text())
    records = _records(extras_folder(root, object, defect))
    if not records:
        raise DataError(
            f"{root} holds no samples of {object} / {defect}",
            "masks that fit on the good pictures",
            "add good pictures",
        )
    quality = [record.quality for record in records]
    limits = QualityLimits()
    return Row(
        object,
        defect,
        mode,
        len(records),
        sum(
            one["strength"] >= limits.min_strength and one["contrast"] >= limits.min_contrast
            for one in quality
        )
        / len(records),
        median(item["strength"] for item in quality),
        median(item["fill"] for item in quality),
        median(item["latent_background_psnr"] for item in quality),
        median(item["background_psnr"] for item in quality),
        None if seconds is None else seconds / len(records),
    )


def _training(weights: Path) -> tuple[int, float, float, float | None]:
    """Training pictures, validation loss before and after, seconds (None: not known)."""
    run = weights.with_suffix(".run")
    with (run / "log.csv").open(newline="") as file:
        losses = [float(line["validation"]) for line in csv.DictReader(file) if line["validation"]]
    split = json.loads((run / "split.json").read_text())
    return (
        len(split["train"]),
        losses[0],
        losses[-1],
        json.loads(weights.with_suffix(".seconds.json").read_text()),
    )


def report(
    classes: Sequence[tuple[str, str, int, float, float, float | None]], rows: Sequence[Row]
) -> str:
    """Two Markdown tables: training, generation."""
    lines = [
        "| set | defect | training pictures | held-out loss before | after | training, s |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {o} | {d} | {n} | {before:.4f} | {after:.4f} | {_shown(s, 0)} |"
        for o, d, n, before, after, s in classes
    ]
    lines += [
        "",
        "| set | defect | background | samples | defect shows | strength | refined-mask fill | background before stitching, dB "
        "| after, dB | s a sample |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.object} | {row.defect} | {row.mode} | {row.samples} | {row.shows:.0%} | {row.strength:.2f} | {row.fill:.2f} "
        f"| {row.before:.1f} | {row.after:.1f} | {_shown(row.seconds, 2)} |"
        for row in rows
    ]
    return "\n".join(lines)


def _shown(seconds: float | None, digits: int) -> str:
    return "-" if seconds is None else f"{seconds:.{digits}f}"


def _write(path: Path, value: Any) -> None:
    with atomic_write(path, "w") as file:
        json.dump(value, file)
