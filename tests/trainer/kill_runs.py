"""Runs trainings, kills them (kill -9) at chosen moments and lets each go on; a script of
test_checkpoint.py.

One fresh process, one thread; every run is a fork of it, so the imports are paid once.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from trainer.training import outcome, train

MOMENTS: dict[str, tuple[Any, str, int, bool]] = {
    "in the first validation": (train, "loss_of", 3, False),
    "in an iteration": (train, "iteration", 4, False),
    "while a checkpoint is written": (os, "fsync", 8, False),
    "while a checkpoint is renamed": (os, "replace", 9, False),
    "after a checkpoint": (train, "save_checkpoint", 2, True),
    "before the weights": (outcome, "save_weights", 1, False),
}
"""Module, function, at which of its calls, and whether after the call."""


def settings(data: str, base: str, output: Path) -> train.TrainConfig:
    """A run of 7 iterations with everything that has state: average, early stop, validation, two
    kept checkpoints."""
    return train.TrainConfig(
        data=Path(data),
        output=output,
        defect="spot",
        base=base,
        steps=7,
        batch=2,
        views=2,
        save_every=2,
        validate_every=3,
        early_stop=5,
        ema=0.9,
        device="cpu",
    )


def deadly(original: Callable[..., Any], count: int, after: bool) -> Callable[..., Any]:
    """The function, but its ``count``-th call kills the process."""
    calls = 0

    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == count and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*args, **kwargs)
        if calls == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return call


def forked(action: Callable[[], object]) -> int:
    """Do it in a fork; its exit code, negative for a signal."""
    child = os.fork()
    if child == 0:
        try:
            action()
        finally:
            os._exit(1 if sys.exc_info()[0] else 0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main() -> None:
    """Arguments: data, base, folder. Writes ``folder/codes.json``: for each moment the two exit
    codes."""
    torch.set_num_threads(1)
    data, base, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    codes = {"never": [forked(lambda: train.train(settings(data, base, folder / "never")))]}
    for moment, (module, name, count, after) in MOMENTS.items():
        config = settings(data, base, folder / moment)

        def killed(
            config: train.TrainConfig = config,
            where: tuple[Any, str, int, bool] = (module, name, count, after),
        ) -> None:
            setattr(where[0], where[1], deadly(getattr(where[0], where[1]), where[2], where[3]))
            train.train(dataclasses.replace(config))

        codes[moment] = [forked(killed), int((config.output / "plate-spot.safetensors").exists())]
        codes[moment].append(forked(lambda config=config: train.train(config)))  # type: ignore[misc]
    (folder / "codes.json").write_text(json.dumps(codes))


if __name__ == "__main__":
    main()
