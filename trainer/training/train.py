"""``bgdefect train``: fine-tune the U-Net on one defect class (Eq. 5-7; docs/method.md, choices 6,
10, 11).

``setup`` reads and encodes everything, ``fit`` runs the iterations, ``finish`` writes the class
weights. Every random number is a function of (seed, step), so a run that is killed at any moment
and started again ends, on a CPU, with the same bits.
"""

from __future__ import annotations

import logging
import math
from contextlib import closing, nullcontext
from dataclasses import asdict, replace
from pathlib import Path

import torch
from accelerate.state import AcceleratorState
from accelerate.utils import broadcast
from torch import Tensor, distributed
from tqdm import tqdm

from bgdefect_core.errors import SettingError, WeightsError
from bgdefect_core.method.loss import NoisyBatch
from bgdefect_core.method.predictor import Predictor, unet_predictor

from ..bases.devices import pick_device
from ..bases.load import load_base
from ..bases.precision import choose_precision
from .boxes.rounds import tighten_boxes
from .checkpoint import latest_checkpoint, load_checkpoint, save_checkpoint
from .config import TrainConfig
from .outcome import finish, save_best
from .run import Progress, TrainingClass, TrainingRun
from .run_folder import Row, RunLog
from .setup import (
    check_inputs,
    choose_class,
    make_accelerator,
    record_of,
    setup,
)
from .sheet import make_sheet
from .tuning import averaged

__all__ = ["TrainConfig", "fit", "finish", "learn", "train", "validation_loss"]

log = logging.getLogger(__name__)

LOG_EVERY = 10
"""Iterations between readings of the loss: each one waits for the device."""
CLIP = 1.0
"""Largest norm of the gradient."""


def train(config: TrainConfig) -> Path:
    """Train one class and write its weights file; returns its path.

    Started again with the same settings, a run resumes from its last checkpoint; a finished one
    returns at once.

    Raises:
        BGDefectError: whatever the user can mend, of every kind, as early as possible.
    """
    config.check()
    target = choose_class(config)
    if config.masks_from != "labels":
        target = tighten_boxes(config, target, learn)
    weights = learn(config, target)
    _leave_processes()
    return weights


def _leave_processes() -> None:
    """End the connection of several processes: its threads can abort a process that exits with them
    running. A later training in these processes connects anew."""
    if distributed.is_initialized():
        distributed.destroy_process_group()
        AcceleratorState._reset_state(reset_partial_state=True)


def learn(config: TrainConfig, target: TrainingClass) -> Path:
    """:func:`train`, of a class that is chosen: by its examples' own masks."""
    base = load_base(config.base, config.prediction)
    precision = choose_precision(config.precision, base, pick_device(config.device))
    config = replace(config, precision=precision)
    accelerator = make_accelerator(config.device, config.precision)
    folder = target.folder
    try:
        record = record_of(config, target, base, accelerator.num_processes)
        folder.check(record)
        accelerator.wait_for_everyone()
        if folder.finished:
            log.info(
                "%s is trained already; without it, the same command writes it again",
                folder.weights,
            )
            return folder.weights
        views, sheet = check_inputs(config, target, base)
        with folder.held(record) if accelerator.is_main_process else nullcontext():
            accelerator.wait_for_everyone()
            run = setup(config, target, base, accelerator, views, sheet)
            resume(run)
            fit(run)
            return finish(run)
    finally:
        AcceleratorState._reset_state()  # the next run in this process may want another precision


def resume(run: TrainingRun) -> None:
    """Continue from the newest whole checkpoint, if there is one.

    Raises:
        WeightsError: it belongs to something else.
    """
    path = latest_checkpoint(run.folder.checkpoints)
    if path is None:
        return
    try:
        _, extra = load_checkpoint(path, run.modules(), run.optimizer.optimizer)
        run.progress = Progress(**extra["progress"])
        if run.accelerator.scaler is not None and extra["scaler"]:
            run.accelerator.scaler.load_state_dict(extra["scaler"])
    except (KeyError, TypeError, ValueError, RuntimeError) as reason:
        came = f"{path} does not fit the run ({reason!r})"
        do = "delete it: the run then resumes from the one before"
        raise WeightsError(came, "a checkpoint of this run", do) from reason
    if run.average is not None:
        run.average.optimization_step = run.progress.step
    log.info("resuming from iteration %d", run.progress.step)


def fit(run: TrainingRun) -> None:
    """Run the remaining iterations: log, validate, save, draw sheets, stop early."""
    config, progress = run.config, run.progress
    main = run.accelerator.is_main_process
    run_log = RunLog(run.folder, progress.step, config.tensorboard) if main else None
    bar = tqdm(
        initial=progress.step, total=config.steps, desc="training", unit="it", disable=not main
    )
    pending: list[Tensor] = []
    with (
        bar,
        closing(run_log) if run_log else nullcontext(),
        unet_predictor(run.unet, run.base.schedule, cache_prompts=False) as predict,
    ):
        if progress.step == 0:
            progress.first = progress.last = _validate(run, predict)
            if run_log and progress.first is not None:
                run_log.write([(0, None, progress.first)])
        while progress.step < config.steps and not progress.stopped:
            pending.append(iteration(run, predict, progress.step))
            progress.step += 1
            bar.update()
            validation = None
            if progress.step == config.steps or _due(progress.step, config.validate_every):
                validation = _validate(run, predict)
            last = progress.step == config.steps or progress.stopped
            save_now = last or _due(progress.step, config.save_every)
            if save_now or validation is not None or _due(progress.step, LOG_EVERY):
                rows = _rows(run, pending, validation)
                pending = []
                bar.set_postfix(loss=f"{rows[-1][1]:.4f}")
                if run_log:
                    run_log.write(rows)
            if main and save_now:
                _save(run)
            if main and _due(progress.step, config.sample_every):
                _draw_sheet(run)


def iteration(run: TrainingRun, predict: Predictor, step: int) -> Tensor:
    """One optimizer step on ``accumulate`` batches; returns their mean loss, still on the
    device."""
    batches = run.batches.at(step)
    total = torch.zeros((), device=run.accelerator.device)
    for number, batch in enumerate(batches, start=1):
        last = number == len(batches)
        # processes exchange gradients once an iteration
        with nullcontext() if last else run.accelerator.no_sync(run.unet):
            loss = loss_of(run, predict, batch) / len(batches)
            run.accelerator.backward(loss)
        total += loss.detach()
    run.accelerator.clip_grad_norm_(run.parameters, CLIP)
    run.optimizer.step()
    run.optimizer.zero_grad()
    if run.average is not None:
        run.average.step(run.parameters)
    return total


def loss_of(run: TrainingRun, predict: Predictor, batch: NoisyBatch) -> Tensor:
    """The loss of the run on one batch."""
    return run.loss.compute(predict, batch, run.context, run.weights)


@torch.no_grad()
def validation_loss(run: TrainingRun, predict: Predictor) -> float | None:
    """Mean loss of the held-out pictures' plain crops at fixed timesteps and noise; None where none
    is held out."""
    if not run.validation:
        return None
    shown = run.accelerator.is_main_process
    bar = tqdm(run.validation, desc="validating", unit="batch", leave=False, disable=not shown)
    losses = [loss_of(run, predict, batch) * len(batch.t) for batch in bar]
    mean = torch.stack(losses).sum() / sum(len(batch.t) for batch in run.validation)
    return float(broadcast(mean))


def _validate(run: TrainingRun, predict: Predictor) -> float | None:
    """Validation loss of the weights that would be written now; counts for the early stop."""
    progress, patience = run.progress, run.config.early_stop
    with averaged(run.average, run.parameters):
        loss = validation_loss(run, predict)
        progress.last = loss
        if loss is None or not patience or progress.step == 0:
            return loss
        if progress.best is None or loss < progress.best:
            progress.best, progress.since_best = loss, 0
            if run.accelerator.is_main_process:
                save_best(run)
        else:
            progress.since_best += 1
            progress.stopped = progress.since_best >= patience
    return loss


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0


def _rows(run: TrainingRun, pending: list[Tensor], validation: float | None) -> list[Row]:
    """The log's lines of the latest iterations; the loss is the mean over processes.

    Raises:
        SettingError: a loss is not finite.
    """
    losses: list[float] = run.accelerator.reduce(torch.stack(pending), "mean").tolist()
    first = run.progress.step - len(losses) + 1
    rows: list[Row] = []
    for step, loss in enumerate(losses, start=first):
        if not math.isfinite(loss):
            came = f"the loss is {loss} at iteration {step}"
            do = "lower the learning rate, or train in fp32 or bf16"
            raise SettingError(came, "a finite number", do)
        rows.append((step, loss, validation if step == run.progress.step else None))
    return rows


def _save(run: TrainingRun) -> None:
    scaler = run.accelerator.scaler
    extra = {
        "progress": asdict(run.progress),
        "scaler": scaler.state_dict() if scaler is not None else {},
    }
    save_checkpoint(
        run.folder.checkpoints, run.progress.step, run.modules(), run.optimizer.optimizer, extra
    )


def _draw_sheet(run: TrainingRun) -> None:
    path = run.folder.folder / "samples" / f"step-{run.progress.step:06d}.png"
    with averaged(run.average, run.parameters):
        make_sheet(run.base, run.base.unet, run.prompts, run.sheet, path, seed=run.config.seed)
