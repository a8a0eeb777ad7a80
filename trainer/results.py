"""``bgdefect results``: what the tool does on real data sets, measured and printed as the tables of ``docs/results.md``.

For each defect class: few-shot training on one half of its pictures, then generation on ``train/good`` in each background mode, every
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
from typing import Any, get_args

from bgdefect_core.dataset import extras_folder, read_manifest
from bgdefect_core.errors import DataError
from bgdefect_core.pictures import atomic_write
from bgdefect_core.quality import QualityLimits
from bgdefect_core.sampling import BackgroundMode

from .data import find_examples
from .generate import generate
from .generate_config import GenerateConfig
from .train import train
from .train_config import TrainConfig


@dataclass(frozen=True)
class ResultsConfig:
    """Train and generate every defect class of some data sets, and print the figures."""

    data: tuple[Path, ...]
    """Object folders in MVTec AD layout."""
    output: Path = Path("runs/results")
    """Weights, data sets, contact sheets and ``results.json``. The same command goes on where it was stopped."""
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
    seconds: float
    """A sample, all told."""


def results(config: ResultsConfig) -> str:
    """Run everything and return the tables in Markdown."""
    classes, rows = [], []
    for folder in config.data:
        defects = sorted({(example.object, example.defect) for example in find_examples(folder)})
        for object, defect in defects:
            weights = config.output / f"{object}-{defect}.safetensors"
            started = time.monotonic()
            if not weights.exists():
                train(
                    TrainConfig(
                        folder,
                        weights,
                        object,
                        defect,
                        config.base,
                        steps=config.steps,
                        seed=config.seed,
                        precision="bf16",
                    )
                )
                _write(weights.with_suffix(".seconds.json"), time.monotonic() - started)
            classes.append((object, defect, *_training(weights)))
            for mode in get_args(BackgroundMode):
                _generate(config, folder, weights, object, defect, mode)
                rows.append(_row(config.output / mode, object, defect, mode))
            _write(config.output / "results.json", [row.__dict__ for row in rows])
    return report(classes, rows)


def _generate(config: ResultsConfig, folder: Path, weights: Path, object: str, defect: str, mode: Any) -> None:
    root = config.output / mode
    started = time.monotonic()
    generate(
        GenerateConfig(
            weights,
            folder,
            root,
            mask_split=weights.with_suffix(".run") / "split.json",
            count=config.count,
            batch=config.batch,
            retries=0,
            guidance=(3.0,),  # a single attempt each, at the most that the default comes to
            seed=config.seed,
            background=mode,
            base=config.base,
        )
    )
    timing = extras_folder(root, object, defect) / "seconds.json"
    if not timing.exists():
        _write(timing, time.monotonic() - started)


def _row(root: Path, object: str, defect: str, mode: str) -> Row:
    timing = extras_folder(root, object, defect) / "seconds.json"
    records = read_manifest(extras_folder(root, object, defect) / "manifest.jsonl")
    if not records:
        raise DataError(f"{root} holds no samples of {object} / {defect}", "masks that fit on the good pictures", "add good pictures")
    quality = [record["quality"] for record in records]
    limits = QualityLimits()
    return Row(
        object,
        defect,
        mode,
        len(records),
        sum(one["strength"] >= limits.min_strength and one["contrast"] >= limits.min_contrast for one in quality) / max(len(records), 1),
        median(item["strength"] for item in quality),
        median(item["fill"] for item in quality),
        median(item["latent_background_psnr"] for item in quality),
        median(item["background_psnr"] for item in quality),
        json.loads(timing.read_text()) / max(len(records), 1),
    )


def _training(weights: Path) -> tuple[int, float, float, float]:
    """Training pictures, validation loss before and after, seconds."""
    run = weights.with_suffix(".run")
    with (run / "log.csv").open(newline="") as file:
        losses = [float(line["validation"]) for line in csv.DictReader(file) if line["validation"]]
    split = json.loads((run / "split.json").read_text())
    return len(split["train"]), losses[0], losses[-1], json.loads(weights.with_suffix(".seconds.json").read_text())


def report(classes: Sequence[tuple[str, str, int, float, float, float]], rows: Sequence[Row]) -> str:
    """Two Markdown tables: training, generation."""
    lines = [
        "| set | defect | training pictures | held-out loss before | after | training, s |",
        "|---|---|---|---|---|---|",
    ]
    lines += [f"| {o} | {d} | {n} | {before:.4f} | {after:.4f} | {s:.0f} |" for o, d, n, before, after, s in classes]
    lines += [
        "",
        "| set | defect | background | samples | defect shows | strength | refined-mask fill | background before stitching, dB "
        "| after, dB | s a sample |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.object} | {row.defect} | {row.mode} | {row.samples} | {row.shows:.0%} | {row.strength:.2f} | {row.fill:.2f} "
        f"| {row.before:.1f} | {row.after:.1f} | {row.seconds:.2f} |"
        for row in rows
    ]
    return "\n".join(lines)


def _write(path: Path, value: Any) -> None:
    with atomic_write(path, "w") as file:
        json.dump(value, file)
