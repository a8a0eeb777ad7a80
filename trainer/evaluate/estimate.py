"""What an evaluation will cost, measured on this machine before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import torch

from bgdefect_core.declarations import replace_options
from bgdefect_core.jobs import PaintSettings
from bgdefect_core.method.signals import SIGNALS

from ..bases.devices import pick_device
from ..bases.load import load_base
from ..bases.precision import choose_precision
from ..bases.timing import NetworkTiming, duration, time_network, timed
from ..generation.dry_run import sample_seconds
from .detectors.landscape import PRODUCTS
from .detectors.landscape_rows import BATCH as LANDSCAPE_BATCH
from .detectors.losses import focal_loss
from .detectors.networks import NETWORKS
from .detectors.networks.network import probability_maps, seeded
from .detectors.reverse_distillation import BATCH, fit_student, make_student
from .detectors.settings import DetectorSettings, LandscapeSettings
from .measures.features import SIDE, pooled_features
from .plan.fold import Fold
from .plan.plan import Cell
from .samples.generation import Generation
from .samples.methods import Method

NOT_COUNTED = (
    "samples that are painted anew, baselines on efficientnet-lite0, FID and LPIPS, reading and "
    "writing pictures; a method's own train_resolution"
)


TRAINING_BATCH = 4
"""Pictures of a training iteration: the default of a class training."""


@dataclass(frozen=True)
class Work:
    """One kind of work."""

    name: str
    count: int
    seconds_each: float
    """Of one unit, as measured."""

    @property
    def seconds(self) -> float:
        """Of all units."""
        return self.count * self.seconds_each


@dataclass(frozen=True)
class Estimate:
    """All work; finished measurements other than trainings are not subtracted. ``NOT_COUNTED``:
    what is left out."""

    works: tuple[Work, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Number of units of each kind of work."""
        return {work.name: work.count for work in self.works}

    def lines(self) -> list[str]:
        """For the terminal."""
        lines = []
        for work in self.works:
            product = f"{work.count:6} x {work.seconds_each:9.1f} s = {duration(work.seconds)}"
            lines.append(f"{work.name:22} {product}")
        total = sum(work.seconds for work in self.works)
        return [*lines, f"{'about':22} {duration(total):>22}", f"not counted: {NOT_COUNTED}"]


def generation_work(generation: Generation, cells: Sequence[Cell], levels: int) -> list[Work]:
    """Trainings, sample sets, and the agreement of masks on real defects.

    Args:
        levels: noise levels at which attention is recorded on real defects; 0: masks are not
            measured.
    """
    methods = generation.settings.methods
    timing = _network_timing(generation)
    steps: dict[tuple[str, str], int] = {}
    finished: set[tuple[str, str]] = set()
    for cell in cells:
        for method in methods:
            training = (cell.name, method.training_name)
            steps[training] = int(method.train.get("steps", generation.settings.train_steps))
            if generation.is_trained(cell, method):
                finished.add(training)
    missing: list[int] = []
    for training, count in steps.items():
        if training not in finished:
            missing.append(count)
    mean_steps = float(np.mean(missing or list(steps.values())))
    each = float(np.mean([_sample_seconds(method, timing) for method in methods]))
    set_seconds = each * generation.settings.samples
    works = [
        Work("trainings", len(missing), timing.iteration * mean_steps),
        Work("sample sets", len(cells) * len(methods), set_seconds),
    ]
    if levels:
        held_out = float(np.mean([len(cell.data.fold.test) for cell in cells]))
        painting = {method.training_name for method in methods if not method.from_noise}
        levels += sum(signal.evaluations for signal in SIGNALS.values())
        seconds = held_out * levels * timing.sample
        works.append(Work("mask agreement", len(cells) * len(painting), seconds))
    return works


def _sample_seconds(method: Method, timing: NetworkTiming) -> float:
    """Seconds that the networks take for a sample which is accepted at its first attempt."""
    paint = replace_options(PaintSettings(), **method.paint_settings)
    sampling = paint.sampling
    if not method.from_noise:
        return sample_seconds(paint, timing)
    guided = int(sampling.guidance[0] != 1)
    evaluations = sampling.steps * (1 + guided) + SIGNALS[paint.label.signal].evaluations
    return evaluations * timing.sample + timing.decode


def detector_work(settings: DetectorSettings, fold: Fold, count: int, device: torch.device) -> Work:
    """``count`` detectors: their steps and tests."""
    net = seeded(NETWORKS[settings.network], settings.width, 0)
    net = net.to(device).train()
    batch, crop = settings.detector_batch, settings.crop
    pictures = torch.rand(batch, 3, crop, crop, device=device)
    truth = torch.zeros(batch, crop, crop, device=device)

    def step() -> None:
        focal_loss(net(pictures), truth).backward()

    black = [np.zeros((settings.resolution, settings.resolution, 3), np.uint8)] * 4
    step_seconds = timed(step)
    picture_seconds = timed(lambda: probability_maps(net, black)) / len(black)
    tested = len(fold.test) + len(fold.good_test)
    seconds = step_seconds * settings.detector_steps + picture_seconds * tested
    return Work("detectors", count, seconds)


def landscape_work(
    settings: LandscapeSettings, detector: DetectorSettings, count: int, device: torch.device
) -> Work:
    """``count`` loss surfaces and their top eigenvalues, with the usual number of products, each of
    which costs about three training steps."""
    net = seeded(NETWORKS[detector.network], detector.width, 0).to(device).eval()
    pictures = torch.rand(LANDSCAPE_BATCH, 3, detector.crop, detector.crop, device=device)

    def forward() -> None:
        with torch.no_grad():
            net(pictures)

    forward_seconds = timed(forward)
    step_seconds = timed(lambda: focal_loss(net(pictures), pictures[:, 0]).backward())
    batches = settings.landscape_crops // LANDSCAPE_BATCH
    points = settings.landscape_points**2
    seconds = batches * (points * forward_seconds + PRODUCTS * 3 * step_seconds)
    return Work("landscapes", count, seconds)


def realism_work(samples: int, count: int) -> Work:
    """Features of ``count`` sample sets, in two views."""
    black = [np.zeros((SIDE, SIDE, 3), np.uint8)] * 4
    picture_seconds = timed(lambda: pooled_features(black), 1) / len(black)
    return Work("realism", count, 2 * samples * picture_seconds)


def reverse_distillation_work(
    epochs: int, side: int, folds: Sequence[Fold], device: torch.device
) -> Work:
    """The training of one student for each fold, on pictures of ``side`` pixels."""
    net, loss = make_student(side, 0)
    net = net.to(device)
    black = [np.zeros((side, side, 3), np.uint8)] * BATCH
    batches = ceil(len(folds[0].good_train) / BATCH)
    seconds = timed(lambda: fit_student(net, loss, black, 1, 0), 1) * epochs * batches
    return Work("reverse distillation", len(folds), seconds)


def _network_timing(generation: Generation) -> NetworkTiming:
    settings = generation.settings
    base = load_base(settings.base).to(pick_device(generation.device))
    precision = choose_precision(settings.train_precision, base, base.unet.device)
    return time_network(base, precision, TRAINING_BATCH, settings.batch)
