"""What an evaluation will cost, measured on this machine before it starts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import torch

from bgdefect_core.declarations import replace_options
from bgdefect_core.jobs import PaintSettings
from bgdefect_core.method.backgrounds import BACKGROUNDS
from bgdefect_core.method.predictor import unet_predictor
from bgdefect_core.method.signals import SIGNALS

from ..bases.devices import DTYPES, pick_device
from ..bases.load import load_base
from ..bases.precision import choose_precision
from .detectors.landscape import PRODUCTS
from .detectors.landscape_rows import BATCH as LANDSCAPE_BATCH
from .detectors.losses import focal_loss
from .detectors.networks import NETWORKS
from .detectors.networks.network import probability_maps, seeded
from .detectors.reverse_distillation import BATCH, fit_student, make_student
from .detectors.settings import DetectorSettings, LandscapeSettings
from .measures.features import SIDE, pooled_features
from .plan.folds import Fold
from .plan.plan import Cell
from .samples.generation import Generation
from .samples.methods import Method

NOT_COUNTED = (
    "samples that are painted anew, baselines on efficientnet-lite0, FID and LPIPS, reading and "
    "writing pictures; a method's own train_resolution"
)


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
            product = f"{work.count:6} x {work.seconds_each:9.1f} s = {_clock(work.seconds)}"
            lines.append(f"{work.name:22} {product}")
        total = sum(work.seconds for work in self.works)
        return [*lines, f"{'about':22} {_clock(total):>22}", f"not counted: {NOT_COUNTED}"]


def generation_work(generation: Generation, cells: Sequence[Cell], levels: int) -> list[Work]:
    """Trainings, sample sets, and the agreement of masks on real defects.

    Args:
        levels: noise levels at which attention is recorded on real defects; 0: masks are not
            measured.
    """
    methods = generation.settings.methods
    iteration, evaluation = _network_seconds(generation)
    steps: dict[tuple[str, str], int] = {}
    finished: set[tuple[str, str]] = set()
    for cell in cells:
        for method in methods:
            training = (cell.name, method.training_name)
            steps[training] = int(method.train.get("steps", generation.settings.train_steps))
            if generation.is_trained(cell, method):
                finished.add(training)
    missing = [steps[training] for training in steps if training not in finished]
    mean_steps = float(np.mean(missing)) if missing else 0.0
    evaluations = float(np.mean([_evaluations(method) for method in methods]))
    set_seconds = evaluations * evaluation * generation.settings.samples
    works = [
        Work("trainings", len(missing), iteration * mean_steps),
        Work("sample sets", len(cells) * len(methods), set_seconds),
    ]
    if levels:
        held_out = float(np.mean([len(cell.data.fold.test) for cell in cells]))
        painting = {method.training_name for method in methods if not method.from_noise}
        levels += sum(signal.evaluations for signal in SIGNALS.values())
        seconds = held_out * levels * evaluation
        works.append(Work("mask agreement", len(cells) * len(painting), seconds))
    return works


def _evaluations(method: Method) -> float:
    """U-Net samples of one sample that is accepted at once."""
    paint = replace_options(PaintSettings(), **method.paint_settings)
    sampling = paint.sampling
    background = BACKGROUNDS[sampling.background]
    guided = int(sampling.guidance[0] != 1)
    bare: float = 1 + guided
    if not method.from_noise:
        sampled = (background.per_sample + guided) * paint.starting.mean_level
        bare = background.per_pair + sampled
    return sampling.steps * bare + SIGNALS[paint.label.signal].evaluations


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
    step_seconds = _timed(step)
    picture_seconds = _timed(lambda: probability_maps(net, black)) / len(black)
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

    forward_seconds = _timed(forward)
    step_seconds = _timed(lambda: focal_loss(net(pictures), pictures[:, 0]).backward())
    batches = settings.landscape_crops // LANDSCAPE_BATCH
    points = settings.landscape_points**2
    seconds = batches * (points * forward_seconds + PRODUCTS * 3 * step_seconds)
    return Work("landscapes", count, seconds)


def realism_work(samples: int, count: int) -> Work:
    """Features of ``count`` sample sets, in two views."""
    black = [np.zeros((SIDE, SIDE, 3), np.uint8)] * 4
    picture_seconds = _timed(lambda: pooled_features(black), 1) / len(black)
    return Work("realism", count, 2 * samples * picture_seconds)


def reverse_distillation_work(
    epochs: int, side: int, folds: Sequence[Fold], device: torch.device
) -> Work:
    """The training of one student for each fold, on pictures of ``side`` pixels."""
    net, loss = make_student(side, 0)
    net = net.to(device)
    black = [np.zeros((side, side, 3), np.uint8)] * BATCH
    batches = ceil(len(folds[0].good_train) / BATCH)
    seconds = _timed(lambda: fit_student(net, loss, black, 1, 0), 1) * epochs * batches
    return Work("reverse distillation", len(folds), seconds)


def _network_seconds(generation: Generation) -> tuple[float, float]:
    """Seconds of a training iteration (batch 4, both halves of Eq. 5) and of one U-Net sample in
    generation."""
    settings = generation.settings
    base = load_base(settings.base).to(pick_device(generation.device))
    device = base.unet.device
    channels = int(base.unet.config["in_channels"])
    side = base.resolution // base.factor
    prompts = base.prompts("a photo of a part", ["a defect on a part"], "mask")
    context = prompts.background_context()

    def latents(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        regions = torch.zeros(count, side, side, dtype=torch.long, device=device)
        return torch.zeros(count, channels, side, side, device=device), regions

    module: torch.nn.Module = base.unet
    kind = DTYPES[choose_precision(settings.train_precision, base, device)]
    arithmetic = torch.autocast(device.type, kind, enabled=kind != torch.float32)
    with arithmetic, unet_predictor(base.unet, base.schedule, cache_prompts=False) as predict:
        z, regions = latents(settings.batch)
        with torch.no_grad():
            batch_seconds = _timed(lambda: float(predict(z, 1, context, regions).sum()))
        module.requires_grad_(True)
        z, regions = latents(8)

        def step() -> None:
            loss = predict(z, 1, prompts.background_context(), regions).square().mean()
            loss.backward()
            module.zero_grad()

        return _timed(step, 1), batch_seconds / settings.batch


def _timed(step: Callable[[], object], times: int = 2) -> float:
    """Least seconds of one call, after a first call that warms up. Calls on a GPU return before
    they are done and are waited for."""

    def finish() -> None:
        step()
        if torch.cuda.is_available():
            torch.cuda.synchronize()

    finish()
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        finish()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def _clock(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"
