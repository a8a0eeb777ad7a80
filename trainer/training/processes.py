"""A training on several processes of this machine: what ``accelerate launch`` does, for a caller
that is no command line."""

from __future__ import annotations

import os

import torch
from torch.distributed.elastic.utils.distributed import get_free_port
from torch.multiprocessing.spawn import (
    ProcessExitedException,
    ProcessRaisedException,
    start_processes,
)

from bgdefect_core.errors import WeightsError

from .config import TrainConfig
from .train import train

__all__ = ["train_on"]


def train_on(config: TrainConfig, processes: int, threads: int) -> None:
    """:func:`train`, on several processes: each on a GPU of its own, or all on the CPU.

    Args:
        processes: each computes ``batch``. threads: of each on the CPU.

    Raises:
        WeightsError: a process failed; the message ends as its own did.
    """
    config.check()
    port = get_free_port()
    try:
        start_processes(
            _train_as, (processes, port, config, threads), processes, start_method="spawn"
        )
    except (ProcessRaisedException, ProcessExitedException) as reason:
        last = str(reason).strip().splitlines()[-1]
        raise WeightsError(f"a process of the training failed ({last})") from reason


def _train_as(number: int, processes: int, port: int, config: TrainConfig, threads: int) -> None:
    """One of the processes."""
    torch.set_num_threads(threads)
    os.environ.update(
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
        WORLD_SIZE=str(processes),
        RANK=str(number),
        LOCAL_RANK=str(number),
    )
    train(config)
