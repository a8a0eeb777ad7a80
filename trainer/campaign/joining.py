"""Joining a Ray cluster, and what a worker takes of its machines."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass

import ray

from bgdefect_core.errors import SettingError

from .plan import RunSettings

__all__ = ["Needs", "join", "needs_of"]


@dataclass(frozen=True)
class Needs:
    """What a worker takes of a machine."""

    cpus: int
    gpus: float
    memory: int
    """Bytes; 0: not asked for."""

    def fitting(self, resources: Mapping[str, float]) -> int:
        """How many workers some resources are enough for."""
        counts = [resources.get("CPU", 0) / self.cpus]
        if self.gpus:
            counts.append(resources.get("GPU", 0) / self.gpus)
        if self.memory:
            counts.append(resources.get("memory", 0) / self.memory)
        return int(min(counts))


def join(address: str | None, cpus: int) -> None:
    """Join a cluster, or start one on this machine that nothing else can reach.

    Args:
        cpus: of a local one.

    Raises:
        SettingError: there is no cluster at the address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no word to anybody
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        ray.init(
            address="local",  # never a cluster that happens to be there
            num_cpus=cpus,
            include_dashboard=False,
            _node_ip_address="127.0.0.1",
            **quiet,
        )
        return
    try:
        ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as reason:
        came = f"there is no Ray cluster at {address} ({reason})"
        raise SettingError(
            came, "the address of one", "ray start --head, then its port"
        ) from reason


def needs_of(run: RunSettings, is_small: bool) -> Needs:
    """What the workers of a plan take. They do tasks of every kind, so that each has what the
    largest needs.

    Args:
        is_small: whether several tasks share a GPU.
    """
    gpus, several = run.gpus, run.gpus_per_class > 1
    has_gpus = ray.cluster_resources().get("GPU", 0) > 0
    if gpus is None:
        gpus = (0.25 if is_small and not several else 1.0) if has_gpus else 0.0
    if several and gpus:
        gpus = max(gpus, float(run.gpus_per_class))
    cpus = run.threads * run.gpus_per_class
    return Needs(cpus, gpus, int(run.memory * 1e9))
