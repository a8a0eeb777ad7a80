"""``bgdefect bench generate``: whole runs with the first release's settings and with today's
defaults, side by side.

A run is the command as a user starts it: a process of its own, from its start to the page. The
runs take turns and their order is reversed each time, so that a machine that slows down for a while
does not decide; the median of the ratios of each turn counts.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Annotated

import torch
from tqdm import tqdm

from bgdefect_core.declarations import Doc, Range, check_settings
from bgdefect_core.errors import OutputError, SettingError
from bgdefect_core.method.backgrounds import BACKGROUNDS
from bgdefect_core.method.signals import SIGNALS
from bgdefect_core.pictures.mask_reading import read_label
from bgdefect_core.pictures.masks import Mask
from bgdefect_core.pictures.picture import Pixels
from bgdefect_core.pictures.reading import read_of_folder
from bgdefect_core.pictures.writing import write_mask, write_picture
from bgdefect_core.records.manifest import ManifestLine, read_manifest
from bgdefect_core.weights.files import ClassWeightsInfo, read_info, save_weights

from ..bases.load import load_base
from ..data.examples import load_example
from ..data.layouts import find_examples
from ..data.splits import read_split
from ..evaluate.measures.features import NAME
from ..evaluate.measures.realism import VIEWS, ViewFeatures, realism, view_features
from ..training.run_folder import RunFolder
from .bench_precision import draw_scenes
from .options import PROMPTS, BaseOption, DeviceOption

_FORMER = (
    "--spacing leading --steps 50 --solver ddim --precision fp32 --start noise --guidance 1 2 3"
)
FIRST_RELEASE = tuple(_FORMER.split())
"""What the first release did by default, as options of ``bgdefect generate``."""
CONTENDERS = {"first release": FIRST_RELEASE, "defaults": ()}
_ANYTHING = ("strength", "contrast", "fill", "background-psnr", "latent-background-psnr")
_OBJECT, _DEFECT = "part", "scratch"
_GOOD, _MASKS = 8, 8
"""Drawn pictures and masks of a bench without a class."""


@dataclass(frozen=True)
class BenchGenerateConfig:
    """Samples a second of the first release's settings and of today's defaults."""

    weights: Annotated[
        Path | None,
        Doc(
            "Class weights that ``bgdefect train`` wrote, for the accepted share and the kernel "
            "distance. Default: the base as it is, on drawn pictures, every sample accepted."
        ),
    ] = None
    data: Annotated[
        Path | None, Doc("The data set on which the class was trained; belongs to weights.")
    ] = None
    samples: Annotated[int, Range(1, 10_000), Doc("Samples of a run.")] = 24
    repeats: Annotated[int, Range(1, 100), Doc("Turns.")] = 1
    base: BaseOption = None
    device: DeviceOption = "auto"

    def check(self) -> None:
        """Raise SettingError where a value is out of its range, or weights lack their data."""
        check_settings(self)
        if (self.weights is None) != (self.data is None):
            expected = "both weights and data, or neither"
            raise SettingError("one of weights and data", expected, "give the other, too")


@dataclass(frozen=True)
class WholeRun:
    """What one run took and made."""

    wall: float
    """Seconds from its start to its end."""
    processor: float
    """Seconds of processor time, which other work on the machine hardly changes."""
    lines: Sequence[ManifestLine]
    """Its manifest: one line an attempt."""
    root: Path


def bench_generate(config: BenchGenerateConfig) -> str:
    """The table of both contenders.

    Raises:
        SettingError: weights without data. OutputError: a run failed.
    """
    config.check()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        options = _class_options(config) or _stand_in(config, folder / "drawn")
        options += ["--count", str(config.samples), "--device", config.device]
        if config.base is not None:
            options += ["--base", config.base]
        turns: dict[str, list[WholeRun]] = {name: [] for name in CONTENDERS}
        for turn in tqdm(range(config.repeats), desc="measuring", unit="turn", leave=False):
            for name in list(CONTENDERS)[:: -1 if turn % 2 else 1]:
                root = folder / f"{name} {turn}"
                turns[name].append(_timed([*options, *CONTENDERS[name]], root))
        return _table(config, turns)


def _timed(options: Sequence[str], root: Path) -> WholeRun:
    """One run of ``bgdefect generate`` in a process of its own.

    Raises:
        OutputError: it failed; its last words are in the message.
    """
    package = __name__.split(".")[0]
    arguments = ["generate", *options, "--output", str(root)]
    before, started = _processor_seconds(), time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", package, *arguments], capture_output=True, text=True, check=False
    )
    wall = time.monotonic() - started
    processor = _processor_seconds() - before
    manifests = sorted(root.glob("extras/*/*/manifest.jsonl"))
    if done.returncode not in (0, 1) or not manifests:
        came = f"bgdefect generate ended with {done.returncode}: {done.stderr.strip()[-500:]}"
        raise OutputError(came, "a finished run", "mend what it says")
    return WholeRun(wall, processor, read_manifest(manifests[0]), root)


def _processor_seconds() -> float:
    """Processor time of all runs that have ended."""
    times = os.times()
    return times.children_user + times.children_system


def _class_options(config: BenchGenerateConfig) -> list[str]:
    """The options of a trained class; empty without one."""
    if config.weights is None:
        return []
    split = str(RunFolder(config.weights).split)
    weights, good = str(config.weights), str(config.data)
    return ["--weights", weights, "--good", good, "--mask-split", split]


def _stand_in(config: BenchGenerateConfig, folder: Path) -> list[str]:
    """The options of a class that is the base itself, with drawn pictures and masks; every sample
    is accepted."""
    base = load_base(config.base)
    scenes = draw_scenes(max(_GOOD, _MASKS), base.resolution)
    for number in range(_GOOD):
        path = folder / "good" / f"{number:03d}.png"
        write_picture(path, scenes.pictures[number])
    for number in range(_MASKS):
        write_mask(folder / "masks" / f"{number:03d}_mask.png", scenes.masks[number])
    info = ClassWeightsInfo(
        kind="full",
        object=_OBJECT,
        defect=_DEFECT,
        background_prompt=PROMPTS.background,
        defect_prompt=PROMPTS.defect,
        mask_prompt=PROMPTS.mask,
        base_name=base.name,
        base_fingerprint=base.fingerprint,
        base_licence=base.licence,
        prediction_type=base.schedule.prediction_type,
        resolution=base.resolution,
        zoom="defect",
        steps=0,
        loss="disentangled",
        seed=0,
        date="",
        architecture=base.architecture,
    )
    weights = folder / "class.safetensors"
    save_weights(weights, base.unet.state_dict(), info)
    options = ["--weights", str(weights), "--good", str(folder / "good")]
    options += ["--mask-library", str(folder / "masks")]
    for limit in _ANYTHING:
        options += [f"--min-{limit}", "0"]
    return options


def _table(config: BenchGenerateConfig, turns: Mapping[str, Sequence[WholeRun]]) -> str:
    first = turns["first release"]
    threads = torch.get_num_threads()
    lines = [
        f"whole runs of {config.samples} samples, start and files included "
        f"({config.repeats} turns, medians, {threads} threads)",
        f"{'':14} {'samples/s':>10} {'ratio':>7} {'processor':>10} {'accepted':>9} "
        f"{'evaluations':>12} {'kernel distance':>16}",
    ]
    reference = _reference(config)
    for name, runs in turns.items():
        rates: list[float] = []
        ratios: list[float] = []
        processor_ratios: list[float] = []
        for before, run in zip(first, runs, strict=True):
            rates.append(config.samples / run.wall)
            ratios.append(before.wall / run.wall)
            processor_ratios.append(before.processor / run.processor)
        last = runs[-1]
        lines.append(
            f"{name:14} {statistics.median(rates):10.3f} {statistics.median(ratios):7.2f} "
            f"{statistics.median(processor_ratios):10.2f} "
            f"{_first_attempts(last.lines):9.2f} {_evaluations(last.lines):12.1f} "
            f"{_kernel_distance(last, reference):>16}"
        )
    return "\n".join(lines)


def _first_attempts(lines: Sequence[ManifestLine]) -> float:
    """Share of the first attempts that were accepted."""
    attempts = accepted = 0
    for line in lines:
        if line.attempt == 0:
            attempts += 1
            accepted += line.accepted
    return accepted / max(attempts, 1)


def _evaluations(lines: Sequence[ManifestLine]) -> float:
    """Network evaluations for each accepted sample, all attempts counted."""
    total = accepted = 0
    pairs = set()
    for line in lines:
        accepted += line.accepted
        settings = line.settings
        steps, background = int(settings["steps"]), BACKGROUNDS[settings["background"]]
        guided = line.guidance not in (None, 1)
        level = (line.start or {}).get("level", 1)
        total += ceil(level * steps) * (background.per_sample + guided)
        total += SIGNALS[settings["signal"]].evaluations
        pair = line.mask_origin.get("pair")
        if pair not in pairs:
            total += steps * background.per_pair
            pairs.add(pair)
    return total / max(accepted, 1)


def _reference(config: BenchGenerateConfig) -> ViewFeatures | None:
    """Features of the real defects that the class was not trained on; None without a class."""
    if config.weights is None or config.data is None:
        return None
    info = read_info(config.weights)
    examples = find_examples(config.data, info.object, info.defect)
    split = read_split(RunFolder(config.weights).split, examples, config.data)
    if len(split.held_out) < 2:
        return None
    pictures: list[Pixels] = []
    masks: list[Mask] = []
    for example in split.held_out:
        picture, mask = load_example(example)
        pictures.append(picture)
        masks.append(mask)
    return view_features(pictures, masks)


def _kernel_distance(run: WholeRun, reference: ViewFeatures | None) -> str:
    """Of the accepted samples to held-out real defects; "-" where there are too few of either."""
    accepted = [line for line in run.lines if line.accepted]
    if reference is None or len(accepted) < 2:
        return "-"
    pictures: list[Pixels] = []
    labels: list[Mask] = []
    for line in accepted:
        pictures.append(read_of_folder(run.root / line.file))
        labels.append(read_label(run.root / line.label))
    figures = realism(view_features(pictures, labels), reference, reference, seed=0)
    return f"{figures[f'kernel distance ({NAME}, {VIEWS[0]})']:.4f}"
