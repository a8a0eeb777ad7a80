"""What the first task of a campaign finds out: device, precision, and seconds of a step."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..bases.devices import pick_device
from ..bases.precision import choose_precision
from ..bases.timing import NetworkTiming, time_network
from .tasks import Parts
from .typed import GENERATION, TRAINING, with_values
from .worker import Worker

__all__ = ["Facts", "measure"]


@dataclass(frozen=True)
class Facts:
    """What a worker says of itself and of the base."""

    name: str
    """Of the base."""
    fingerprint: str
    """Of its U-Net."""
    inputs: dict[str, dict[str, Any]]
    """Its other networks, as inputs of a run."""
    device: str
    """Type of the device: "cpu", "cuda" or "mps"."""
    processor: str
    train_precision: str
    precision: str
    """Of painting."""
    resolution: int
    """Side of the squares in pixels."""
    factor: int
    parameters: int
    """Of the U-Net."""
    timing: NetworkTiming

    @staticmethod
    def from_parts(parts: Parts) -> Facts:
        """From the result of :func:`measure`."""
        record = json.loads(parts["facts"])
        return Facts(**{**record, "timing": NetworkTiming(**record["timing"])})


def measure(worker: Worker, order: Mapping[str, Any]) -> Parts:
    """Settle what "auto" means for the device and the precisions; time a step of each kind where
    the order asks for it.

    Raises:
        WeightsError: the base cannot be loaded. SettingError: no such device.
    """
    training = with_values("the order", TRAINING, order["train"])
    generation = with_values("the order", GENERATION, order["generate"])
    device = pick_device(training.device)
    base = worker.base(order, training.prediction).to(device)
    train_precision = choose_precision(training.precision, base, device)
    timing = NetworkTiming()
    if order["timed"]:
        timing = time_network(
            base, train_precision, training.batch, generation.batch, training.resolution
        )
    facts = Facts(
        name=base.name,
        fingerprint=base.fingerprint,
        inputs=base.inputs,
        device=device.type,
        processor=platform.processor() or platform.machine(),
        train_precision=train_precision,
        precision=choose_precision(generation.precision, base, device),
        resolution=base.working_resolution(training.resolution),
        factor=base.factor,
        parameters=sum(parameter.numel() for parameter in base.unet.parameters()),
        timing=timing,
    )
    return {"facts": json.dumps(asdict(facts)).encode()}
