"""The loop that every stage of the pretraining runs: one-cycle learning rate, clipping,
checkpoints, resume after a kill.

What a step sees and draws depends on ``(seed, step)`` alone, so that a step count is all the state
that a resumed run needs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from ..training.checkpoint import latest_checkpoint, load_checkpoint, save_checkpoint
from .stream import PictureWindow

Item = TypeVar("Item")


@dataclass(frozen=True)
class PretrainStage:
    """What a stage trains, and for how long."""

    folder: Path
    """Of its checkpoints."""
    title: str
    """Before the progress bar."""
    steps: int
    """In all."""
    save_every: int
    lr: float
    """Peak of the one-cycle learning rate; a parameter group with a ``share`` gets that share of
    it."""
    modules: Mapping[str, nn.Module]
    """All that a checkpoint keeps."""
    optimizer: torch.optim.Optimizer
    clipped: Sequence[nn.Parameter]
    """Parameters whose gradient's norm is clipped together."""
    most: float = 1.0
    """The largest norm."""
    figure: str = "loss"
    """Name of the running mean in the bar and in the checkpoints."""
    share: float = 0.01
    """Of a new value in the running mean."""


def one_cycle(step: int, steps: int, peak: float) -> float:
    """Learning rate: linear warm-up over 8 % of the steps, then half a cosine down to 1 % of the
    peak."""
    warm = max(1, steps // 12)
    if step < warm:
        return peak * (step + 1) / warm
    progress = (step - warm) / max(1, steps - warm)
    return peak * (0.01 + 0.99 * 0.5 * (1 + float(np.cos(np.pi * progress))))


def run_steps(
    stage: PretrainStage,
    pictures: Callable[[int], PictureWindow[Item]],
    step_loss: Callable[[int, deque[Item]], tuple[Tensor, float | None]],
    after_step: Callable[[int], None] | None = None,
    mean: float | None = None,
) -> None:
    """Run a stage, or go on from its last checkpoint; nothing where it is finished.

    Args:
        pictures: step to begin at -> the window of drawn pictures.
        step_loss: step and pictures -> the loss to go down on, and what the running mean takes in
            (None: nothing at this step).
        after_step: called with the step after the optimizer's.
        mean: where the running mean begins; None: at its first value.
    """
    start, optimizer = 0, stage.optimizer
    checkpoint = latest_checkpoint(stage.folder)
    if checkpoint:
        start, extra = load_checkpoint(checkpoint, stage.modules, optimizer)
        mean = extra[stage.figure]
    if start >= stage.steps:
        return
    bar = tqdm(
        range(start, stage.steps), initial=start, total=stage.steps, desc=stage.title, mininterval=5
    )
    for step, held in zip(bar, pictures(start), strict=False):
        for group in optimizer.param_groups:
            group["lr"] = group.get("share", 1.0) * one_cycle(step, stage.steps, stage.lr)
        loss, value = step_loss(step, held)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(stage.clipped, stage.most)
        optimizer.step()
        if after_step:
            after_step(step)
        if value is not None:
            mean = value if mean is None else (1 - stage.share) * mean + stage.share * value
        bar.set_postfix({stage.figure: "" if mean is None else f"{mean:.4g}"}, refresh=False)
        if (step + 1) % stage.save_every == 0 or step + 1 == stage.steps:
            save_checkpoint(stage.folder, step + 1, stage.modules, optimizer, {stage.figure: mean})
