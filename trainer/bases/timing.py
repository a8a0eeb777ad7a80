"""How long the work of a base takes on this machine, measured before a run starts; and times in
words."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from bgdefect_core.method.predictor import unet_predictor

from .base import Base
from .devices import DTYPES

__all__ = ["NetworkTiming", "duration", "time_network", "timed"]


@dataclass(frozen=True)
class NetworkTiming:
    """Seconds of one step of each kind; 0: not measured."""

    iteration: float = 0.0
    """A training iteration: both halves of Eq. 5 for each picture."""
    sample: float = 0.0
    """One sample in a call of the U-Net."""
    encode: float = 0.0
    """One square through the VAE's encoder."""
    decode: float = 0.0
    """One square through the VAE's decoder."""


def time_network(
    base: Base, precision: str, train_batch: int, batch: int, resolution: int | None = None
) -> NetworkTiming:
    """Time one call of the U-Net with gradients, one without, and one of each half of the VAE.

    Args:
        base: on its device; it is left as it was.
        precision: "fp32", "bf16" or "fp16", by autocast.
        train_batch: pictures of an iteration. batch: samples of a call in generation.
        resolution: side of the squares in pixels; None: the base's own.
    """
    device = base.unet.device
    channels = int(base.unet.config["in_channels"])
    side = base.working_resolution(resolution) // base.factor
    prompts = base.prompts("a photo of a part", ["a defect on a part"], "mask")
    context = prompts.background_context()

    def latents(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        regions = torch.zeros(count, side, side, dtype=torch.long, device=device)
        return torch.zeros(count, channels, side, side, device=device), regions

    module: torch.nn.Module = base.unet
    kind = DTYPES[precision]
    arithmetic = torch.autocast(device.type, kind, enabled=kind != torch.float32)
    with arithmetic, unet_predictor(base.unet, base.schedule, cache_prompts=False) as predict:
        z, regions = latents(batch)
        with torch.no_grad():
            call = timed(lambda: float(predict(z, 1, context, regions).sum()))
            square = torch.zeros(1, 3, side * base.factor, side * base.factor)
            encode = timed(lambda: float(base.encode(square).sum()))
            decode = timed(lambda: float(base.decode(z[:1]).sum()))
        module.requires_grad_(True)
        z, regions = latents(2 * train_batch)

        def step() -> None:
            loss = predict(z, 1, prompts.background_context(), regions).square().mean()
            loss.backward()
            module.zero_grad()

        iteration = timed(step, 1)
        module.requires_grad_(False)
        return NetworkTiming(iteration, call / batch, encode, decode)


def timed(step: Callable[[], object], times: int = 2) -> float:
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


def duration(seconds: float) -> str:
    """A time in words, by its two largest units: "4.2 s", "3 min 07 s", "2 h 05 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"
