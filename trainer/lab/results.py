"""``bgdefect results``: the figures of ``docs/results.md``, measured on real data sets.

For each defect class: few-shot training on one half of its pictures, then generation on
``train/good`` in each background mode, every sample a single attempt.
"""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any

from bgdefect_core.declarations import Doc
from bgdefect_core.errors import DataError
from bgdefect_core.files import atomic_write
from bgdefect_core.jobs import PaintSettings
from bgdefect_core.method.backgrounds import BACKGROUNDS, BackgroundName
from bgdefect_core.method.sampling import SamplingSettings
from bgdefect_core.quality import QualityLimits
from bgdefect_core.records.dataset_place import extras_folder
from bgdefect_core.records.manifest import ManifestLine, read_manifest

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

    data: Annotated[tuple[Path, ...], Doc("Object folders in MVTec AD layout.")]
    output: Annotated[
        Path,
        Doc(
            "Folder for weights, data sets, contact sheets and ``results.json``. The same command "
            "resumes a run that was stopped."
        ),
    ] = Path("runs/results")
    steps: Annotated[int, Doc("Training iterations of a class.")] = 300
    count: Annotated[int, Doc("Samples of a class and background mode.")] = 16
    batch: Annotated[int, Doc("Samples in a call of the U-Net.")] = 8
    base: Annotated[str | None, Doc("Base model. Default: the embedded one.")] = None
    seed: Annotated[int, Doc("Seed of everything random.")] = 0


@dataclass(frozen=True)
class TrainingRow:
    """The training of one class."""

    object: str
    defect: str
    pictures: int
    before: float
    """Validation loss before the training."""
    after: float
    seconds: float | None
    """None: not known, since the run was stopped meanwhile."""


@dataclass(frozen=True)
class GenerationRow:
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
    """Of a sample, everything included. None: not known, since the run was stopped meanwhile."""


def results(config: ResultsConfig) -> str:
    """Run everything and return the tables in Markdown.

    Raises:
        BGDefectError: whatever ``train`` and ``generate`` refuse, settings before the first
            training.
    """
    classes: list[tuple[Path, str, str]] = []
    for folder in config.data:
        names = {(example.object, example.defect) for example in find_examples(folder)}
        for object, defect in sorted(names):
            classes.append((folder, object, defect))
    for folder, object, defect in classes:
        _training_config(config, folder, object, defect).check()
        _generation_config(config, folder, object, defect, MODES[0]).check()
    trained: list[TrainingRow] = []
    generated: list[GenerationRow] = []
    for folder, object, defect in classes:
        trained.append(_train(config, folder, object, defect))
        for mode in MODES:
            generated.append(_generate(config, folder, object, defect, mode))
        _write(config.output / "results.json", [asdict(row) for row in generated])
    return report(trained, generated)


def _train(config: ResultsConfig, folder: Path, object: str, defect: str) -> TrainingRow:
    """Train one class, or read the figures of a finished training."""
    weights = _weights(config, object, defect)
    run = RunFolder(weights.absolute())
    started, fresh = time.monotonic(), not run.folder.exists()
    train(_training_config(config, folder, object, defect))
    times = weights.with_suffix(".seconds.json")
    _note(times, time.monotonic() - started if fresh else None)
    losses: list[float] = []
    with (run.folder / "log.csv").open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            if line["validation"]:
                losses.append(float(line["validation"]))
    pictures = len(json.loads(run.split.read_text(encoding="utf-8"))["train"])
    return TrainingRow(object, defect, pictures, losses[0], losses[-1], _read(times))


def _generate(
    config: ResultsConfig, folder: Path, object: str, defect: str, mode: BackgroundName
) -> GenerationRow:
    """Generate one class in one background mode, or read the figures of a finished run."""
    root = config.output / mode
    extras = extras_folder(root, object, defect)
    times = extras / "seconds.json"
    started, before = time.monotonic(), _lines(extras)
    generate(_generation_config(config, folder, object, defect, mode))
    lines = _lines(extras)
    if len(lines) > len(before) > 0:  # the time of the earlier samples is not part of this one
        _write(times, None)
    _note(times, None if before else time.monotonic() - started)
    if not lines:
        raise DataError(
            f"{root} holds no samples of {object} / {defect}",
            "masks that fit on the good pictures",
            "add good pictures",
        )
    limits = QualityLimits()
    values: dict[str, list[float]] = {}
    shown = 0
    for line in lines:
        strong = line.quality["strength"] >= limits.min_strength
        shown += strong and line.quality["contrast"] >= limits.min_contrast
        for name, value in line.quality.items():
            values.setdefault(name, []).append(value)
    seconds = _read(times)
    return GenerationRow(
        object,
        defect,
        mode,
        samples=len(lines),
        shows=shown / len(lines),
        strength=median(values["strength"]),
        fill=median(values["fill"]),
        before=median(values["latent_background_psnr"]),
        after=median(values["background_psnr"]),
        seconds=None if seconds is None else seconds / len(lines),
    )


def _weights(config: ResultsConfig, object: str, defect: str) -> Path:
    return config.output / f"{object}-{defect}.safetensors"


def _training_config(config: ResultsConfig, folder: Path, object: str, defect: str) -> TrainConfig:
    return TrainConfig(
        folder,
        _weights(config, object, defect),
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
    # a single attempt at each sample, with the highest guidance that the default reaches
    sampling = SamplingSettings(background=mode, guidance=(3.0,))
    return GenerateConfig(
        weights,
        folder,
        config.output / mode,
        mask_split=RunFolder(weights).split,
        count=config.count,
        batch=config.batch,
        retries=0,
        seed=config.seed,
        paint=PaintSettings(sampling),
        base=config.base,
    )


def _note(path: Path, seconds: float | None) -> None:
    """Keep the time of a part. None stays: the part was stopped, and its time is not known."""
    if not path.exists():
        _write(path, seconds)


def _lines(extras: Path) -> list[ManifestLine]:
    path = extras / "manifest.jsonl"
    return read_manifest(path) if path.exists() else []


def report(trained: Sequence[TrainingRow], generated: Sequence[GenerationRow]) -> str:
    """Two Markdown tables: training, generation."""
    lines = [
        "| set | defect | training pictures | held-out loss before | after | training, s |",
        "|---|---|---|---|---|---|",
    ]
    for row in trained:
        lines.append(
            f"| {row.object} | {row.defect} | {row.pictures} | {row.before:.4f} "
            f"| {row.after:.4f} | {_shown(row.seconds, 0)} |"
        )
    lines += [
        "",
        "| set | defect | background | samples | defect shows | strength | refined-mask fill "
        "| background before stitching, dB | after, dB | s a sample |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for sample in generated:
        lines.append(
            f"| {sample.object} | {sample.defect} | {sample.mode} | {sample.samples} "
            f"| {sample.shows:.0%} | {sample.strength:.2f} | {sample.fill:.2f} "
            f"| {sample.before:.1f} | {sample.after:.1f} | {_shown(sample.seconds, 2)} |"
        )
    return "\n".join(lines)


def _shown(seconds: float | None, digits: int) -> str:
    return "-" if seconds is None else f"{seconds:.{digits}f}"


def _read(path: Path) -> float | None:
    seconds: float | None = json.loads(path.read_text(encoding="utf-8"))
    return seconds


def _write(path: Path, value: Any) -> None:
    with atomic_write(path, "w") as file:
        json.dump(value, file)
