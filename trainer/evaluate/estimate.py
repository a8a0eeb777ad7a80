"""What an evaluation will cost, measured on this machine before it starts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import numpy as np
import torch

from bgdefect_core.method.backgrounds import BACKGROUNDS
from bgdefect_core.method.predictor import unet_predictor
from bgdefect_core.method.refinement import LabelSettings
from bgdefect_core.method.sampling import SamplingSettings
from bgdefect_core.method.signals import SIGNALS

from ..bases.devices import DTYPES, pick_device
from ..bases.load import load_base
from .config import EvaluateConfig
from .detectors.landscape import PRODUCTS
from .detectors.landscape_rows import BATCH as LANDSCAPE_BATCH
from .detectors.network import focal_loss, make_net, probability_maps
from .detectors.reverse_distillation import BATCH, fit_student, make_student
from .measures.features import SIDE, pooled_features
from .measures.optional import can
from .plan.plan import Cell
from .samples.methods import Method
from .samples.ours import finished

NOT_COUNTED = "samples that are painted anew, PatchCore, FID and LPIPS, reading and writing pictures; a generator's own train_resolution"


@dataclass(frozen=True)
class Estimate:
    """Seconds of each kind of work; finished measurements other than trainings are not taken off.
    ``NOT_COUNTED``: what is left out."""

    seconds: dict[str, float]
    counts: dict[str, int]
    units: dict[str, float]
    """Measured seconds of one unit."""

    @property
    def total(self) -> float:
        return sum(self.seconds.values())

    def lines(self) -> list[str]:
        """For the terminal."""
        found = [
            f"{name:22} {self.counts[name]:6} x {self.units[name]:9.1f} s = {_clock(self.seconds[name])}"
            for name in self.seconds
        ]
        return [*found, f"{'about':22} {_clock(self.total):>22}", f"not counted: {NOT_COUNTED}"]


def estimate(config: EvaluateConfig, cells: Sequence[Cell], tested: Sequence[Cell]) -> Estimate:
    """Time one step of each kind and count the steps.

    Args:
        cells: of the classes. tested: what detectors are about.
    """
    counts: dict[str, int] = {}
    units: dict[str, float] = {}
    if needs_ours(config):
        specs = config.sampling.methods
        trainings = {
            (cell.name, tuple(sorted(spec.train.items()))) for cell in cells for spec in specs
        }
        done = {
            (cell.name, tuple(sorted(s.train.items())))
            for cell in cells
            for s in specs
            if finished(place_of(config, cell), s)
        }
        iteration, evaluation = _network_seconds(config)
        lacking = [
            int(dict(train).get("train_steps", config.sampling.train_steps))
            for _, train in trainings - done
        ]
        counts["trainings"], units["trainings"] = (
            len(lacking),
            iteration * float(np.mean(lacking)) if lacking else 0.0,
        )
        evaluations = [_evaluations(spec) for spec in specs]
        counts["sample sets"] = len(cells) * len(specs)
        units["sample sets"] = float(np.mean(evaluations)) * evaluation * config.sampling.samples
        if "masks" in config.parts:
            held_out = float(np.mean([len(cell.data.fold.test) for cell in cells]))
            painted = {tuple(sorted(spec.train.items())) for spec in specs if not spec.from_noise}
            counts["mask agreement"] = len(cells) * len(painted)
            further = sum(signal.evaluations for signal in SIGNALS.values())
            units["mask agreement"] = (
                held_out * (config.measures.mask_levels + further) * evaluation
            )
    folds = {cell.data.name: cell for cell in tested}
    if "detection" in config.parts:
        per_cell = [arm for arm in config.all_arms if arm.known != "all"]
        own = len(tested) * len(per_cell)
        if 0 not in config.plan.shots:  # else the arm that knows few is the one that knows all
            own += len(folds) * (len(config.all_arms) - len(per_cell))
        counts["detectors"], units["detectors"] = (
            own * len(config.arms.seeds),
            _detector_seconds(config, tested[0]),
        )
    if "landscape" in config.parts:
        counts["landscapes"] = len(tested) * sum(arm.landscape for arm in config.all_arms)
        units["landscapes"] = _landscape_seconds(config)
    if "realism" in config.parts:
        subjects = len(config.sampling.methods) + len(config.sampling.candidate) + 2
        counts["realism"] = len(cells) * subjects
        units["realism"] = 2 * config.sampling.samples * _feature_seconds()
    if "reverse_distillation" in config.parts and can("reverse distillation"):
        counts["reverse distillation"], units["reverse distillation"] = (
            len(folds),
            _student_seconds(config, tested[0]),
        )
    return Estimate({name: counts[name] * units[name] for name in counts}, counts, units)


def _evaluations(spec: Method) -> int:
    """U-Net samples of one sample that is accepted at once."""
    background = BACKGROUNDS[spec.generate.get("background", SamplingSettings.background)]
    bare = 1 if spec.from_noise else background.per_pair + background.per_sample
    first = spec.generate.get("guidance", SamplingSettings.guidance)[0]
    signal = SIGNALS[spec.generate.get("signal", LabelSettings.signal)].evaluations
    return int(spec.generate.get("steps", 50)) * (bare + (first != 1)) + signal


def needs_ours(config: EvaluateConfig) -> bool:
    """Whether anything asks for samples of our own."""
    detectors = "detection" in config.parts or "landscape" in config.parts
    arms = any(arm.samples == "generator" for arm in config.all_arms)
    return (detectors and arms) or "realism" in config.parts or "masks" in config.parts


def place_of(config: EvaluateConfig, cell: Cell) -> Path:
    """Folder of a cell's own generators."""
    return config.output / "ours" / cell.name


def _timed(step: Callable[[], object], times: int = 2) -> float:
    """Least seconds of one call after a first that warms up; a GPU's calls return before they are
    done and are waited for."""

    def done() -> None:
        step()
        if torch.cuda.is_available():
            torch.cuda.synchronize()

    done()
    found = []
    for _ in range(times):
        started = time.perf_counter()
        done()
        found.append(time.perf_counter() - started)
    return min(found)


def _network_seconds(config: EvaluateConfig) -> tuple[float, float]:
    """Seconds of a training iteration (batch 4, both halves of Eq. 5) and of one U-Net sample in
    generation."""
    base = load_base(config.sampling.base).to(pick_device(config.device))
    cells = base.resolution // base.factor
    prompts = base.prompts("a photo of a part", ["a defect on a part"], "mask")

    def latents(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        shape = (count, int(base.unet.config["in_channels"]), cells, cells)
        return torch.zeros(shape, device=base.unet.device), torch.zeros(
            count, cells, cells, dtype=torch.long, device=base.unet.device
        )

    module: torch.nn.Module = base.unet
    kind = DTYPES[config.sampling.train_precision]
    arithmetic = torch.autocast(base.unet.device.type, kind, enabled=kind != torch.float32)
    with arithmetic, unet_predictor(base.unet, base.schedule, cache_prompts=False) as predict:
        z, regions = latents(config.sampling.batch)
        with torch.no_grad():
            evaluation = (
                _timed(lambda: float(predict(z, 1, prompts.background_context(), regions).sum()))
                / config.sampling.batch
            )
        module.requires_grad_(True)
        z, regions = latents(8)

        def step() -> None:
            loss = predict(z, 1, prompts.background_context(), regions).square().mean()
            loss.backward()
            module.zero_grad()

        return _timed(step, 1), evaluation


def _detector_seconds(config: EvaluateConfig, cell: Cell) -> float:
    """Seconds of one detector: its steps, validations and test."""
    settings, device = config.detector, pick_device(config.device)
    net = make_net(config.detector.width, 0).to(device)
    pictures = torch.rand(
        config.detector.detector_batch, 3, config.detector.crop, config.detector.crop, device=device
    )
    truth = torch.zeros(
        config.detector.detector_batch, config.detector.crop, config.detector.crop, device=device
    )

    def step() -> None:
        focal_loss(net(pictures), truth).backward()

    one = _timed(step)
    black = [np.zeros((config.detector.resolution, config.detector.resolution, 3), np.uint8)] * 4
    picture = _timed(lambda: probability_maps(net, black)) / 4
    fold = cell.data.fold
    validations = settings.epochs * (len(fold.validation) + len(fold.good_validation))
    tests = len(fold.test) + len(fold.good_test)
    return one * settings.epochs * max(1, settings.draws // settings.detector_batch) + picture * (
        validations + tests
    )


def _landscape_seconds(config: EvaluateConfig) -> float:
    """Seconds of one loss surface, and of its top eigenvalue with the usual number of products,
    each about three trainings' steps."""
    net = make_net(config.detector.width, 0).to(pick_device(config.device)).eval()
    pictures = torch.rand(
        LANDSCAPE_BATCH,
        3,
        config.detector.crop,
        config.detector.crop,
        device=next(net.parameters()).device,
    )
    batches = config.landscape.landscape_crops // LANDSCAPE_BATCH

    def forward() -> None:
        with torch.no_grad():
            net(pictures)

    one, step = (
        _timed(forward),
        _timed(lambda: focal_loss(net(pictures), pictures[:, 0]).backward()),
    )
    return batches * (config.landscape.landscape_points**2 * one + PRODUCTS * 3 * step)


def _student_seconds(config: EvaluateConfig, cell: Cell) -> float:
    """Seconds of the training of one reverse distillation."""
    net, loss = make_student(config.detector.resolution, 0)
    net = net.to(pick_device(config.device))
    black = [
        np.zeros((config.detector.resolution, config.detector.resolution, 3), np.uint8)
    ] * BATCH
    batches = ceil(len(cell.data.fold.good_train) / BATCH)
    return (
        _timed(lambda: fit_student(net, loss, black, 1, 0), 1)
        * config.reverse_distillation.reverse_epochs
        * batches
    )


def _feature_seconds() -> float:
    black = [np.zeros((SIDE, SIDE, 3), np.uint8)] * 4
    return _timed(lambda: pooled_features(black), 1) / 4


def _clock(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"
