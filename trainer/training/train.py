"""``bgdefect train``: fine-tune the U-Net on one defect class (Eq. 5-7; docs/method.md, choices 6,
10, 11).

``setup`` reads and encodes everything, ``fit`` runs the iterations, ``finish`` writes the class
weights. Every random number is a function of (seed, step), so a run that is killed at any moment
and started again ends, on a CPU, with the same bits.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from contextlib import closing, nullcontext
from dataclasses import asdict
from pathlib import Path

import torch
from accelerate.state import AcceleratorState
from accelerate.utils import broadcast
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor
from tqdm import tqdm

from bgdefect_core.errors import SettingError, WeightsError
from bgdefect_core.files import atomic_write
from bgdefect_core.method.loss import disentanglement_loss, naive_loss
from bgdefect_core.method.predictor import Predictor, unet_predictor
from bgdefect_core.weights.files import ClassWeightsInfo, save_weights

from ..bases.load import load_base
from ..bases.versions import library_versions
from .batches import Batch
from .checkpoint import latest_checkpoint, load_checkpoint, save_checkpoint
from .config import TrainConfig
from .run_folder import Row, RunLog
from .setup import Chosen, Progress, Run, check_inputs, choose, make_accelerator, record_of, setup
from .sheet import make_sheet
from .tuning import class_tensors

__all__ = ["TrainConfig", "fit", "finish", "train", "validation_loss"]

log = logging.getLogger(__name__)

LOG_EVERY = 10
"""Iterations between readings of the loss: each one waits for the device."""
CLIP = 1.0
"""Largest norm of the gradient."""


def train(config: TrainConfig) -> Path:
    """Train one class and write its weights file; returns its path.

    Started again with the same settings, a run goes on from its last checkpoint; a finished one
    returns at once.

    Raises:
        BGDefectError: whatever the user can mend, of every kind, before time is spent where that is
            possible.
    """
    config.check()
    chosen = choose(config)
    base = load_base(config.base)
    accelerator = make_accelerator(config)
    try:
        record = record_of(config, chosen, base, accelerator.num_processes)
        chosen.folder.check(record)
        accelerator.wait_for_everyone()
        if chosen.folder.finished:
            log.info(
                "%s is trained already; without it, the same command writes it again",
                chosen.folder.weights,
            )
            return chosen.folder.weights
        views, sheet = check_inputs(config, chosen, base)
        with chosen.folder.held(record) if accelerator.is_main_process else nullcontext():
            accelerator.wait_for_everyone()
            run = setup(config, chosen, base, accelerator, views, sheet)
            resume(run)
            fit(run)
            return finish(run, chosen)
    finally:
        AcceleratorState._reset_state()  # the next run in this process may want another precision


def resume(run: Run) -> None:
    """Go on from the newest whole checkpoint, if there is one."""
    path = latest_checkpoint(run.folder.checkpoints)
    if path is None:
        return
    try:
        _, extra = load_checkpoint(path, run.modules(), run.optimizer.optimizer)
        run.progress = Progress(**extra["progress"])
        if run.accelerator.scaler is not None and extra["scaler"]:
            run.accelerator.scaler.load_state_dict(extra["scaler"])
    except (KeyError, TypeError, ValueError, RuntimeError) as reason:
        do = "delete it: the run then goes on from the one before"
        raise WeightsError(
            f"{path} does not fit the run ({reason!r})", "a checkpoint of this run", do
        ) from reason
    log.info("going on from iteration %d", run.progress.step)


def fit(run: Run) -> None:
    """Run the iterations that are left: log, validate, save, draw sheets, stop early."""
    config, progress, main = run.config, run.progress, run.accelerator.is_main_process
    record = RunLog(run.folder, progress.step, config.tensorboard) if main else None
    bar = tqdm(
        initial=progress.step, total=config.steps, desc="training", unit="it", disable=not main
    )
    pending: list[Tensor] = []
    with (
        bar,
        closing(record) if record else nullcontext(),
        unet_predictor(run.unet, run.base.schedule, cache_prompts=False) as predict,
    ):
        if progress.step == 0:
            progress.first = progress.last = _validate(run, predict)
            if record and progress.first is not None:
                record.write([(0, None, progress.first)])
        while progress.step < config.steps and not progress.stopped:
            pending.append(iteration(run, predict, progress.step))
            progress.step += 1
            bar.update()
            last = progress.step == config.steps
            validation = (
                _validate(run, predict)
                if last or _due(progress.step, config.validate_every)
                else None
            )
            last = last or progress.stopped
            if (
                last
                or validation is not None
                or _due(progress.step, LOG_EVERY)
                or _due(progress.step, config.save_every)
            ):
                rows = _rows(run, pending, validation)
                pending = []
                bar.set_postfix(loss=f"{rows[-1][1]:.4f}")
                if record:
                    record.write(rows)
            if main and (last or _due(progress.step, config.save_every)):
                _save(run)
            if main and _due(progress.step, config.sample_every):
                with run.averaged():
                    path = run.folder.folder / "samples" / f"step-{progress.step:06d}.png"
                    make_sheet(
                        run.base, run.base.unet, run.prompts, run.sheet, path, seed=config.seed
                    )


def iteration(run: Run, predict: Predictor, step: int) -> Tensor:
    """One optimizer step on ``accumulate`` batches; returns their mean loss, still on the
    device."""
    batches = run.batches.at(step)
    total = torch.zeros((), device=run.accelerator.device)
    for number, batch in enumerate(batches, start=1):
        last = number == len(batches)
        with (
            nullcontext() if last else run.accelerator.no_sync(run.unet)
        ):  # processes exchange gradients once
            loss = loss_of(run, predict, batch) / len(batches)
            run.accelerator.backward(loss)
        total += loss.detach()
    run.accelerator.clip_grad_norm_(run.parameters, CLIP)
    run.optimizer.step()
    run.optimizer.zero_grad()
    if run.average:
        run.average.update(step + 1)
    return total


def loss_of(run: Run, predict: Predictor, batch: Batch) -> Tensor:
    """Eq. 5, or Table 4's naive loss."""
    if run.config.loss == "naive":
        return naive_loss(predict, batch.z_0, batch.regions, batch.t, batch.eps, run.prompts)
    return disentanglement_loss(
        predict, batch.z_0, batch.regions, batch.t, batch.eps, run.context, run.mask_weight
    )


@torch.no_grad()
def validation_loss(run: Run, predict: Predictor) -> float | None:
    """Mean loss of the held-out pictures' plain crops at fixed timesteps and noise; None where none
    is held out."""
    if not run.validation:
        return None
    losses = [loss_of(run, predict, batch) * len(batch.t) for batch in run.validation]
    mean = torch.stack(losses).sum() / sum(len(batch.t) for batch in run.validation)
    return float(broadcast(mean))


def _validate(run: Run, predict: Predictor) -> float | None:
    """Validation loss of the weights that would be written now; keeps count for the early stop."""
    progress, patience = run.progress, run.config.early_stop
    with run.averaged():
        value = validation_loss(run, predict)
        progress.last = value
        if value is None or not patience or progress.step == 0:
            return value
        if progress.best is None or value < progress.best:
            progress.best, progress.since_best = value, 0
            if run.accelerator.is_main_process:
                tensors = {
                    str(index): parameter.detach().cpu().contiguous()
                    for index, parameter in enumerate(run.parameters)
                }
                with atomic_write(run.folder.folder / "best.safetensors") as file:
                    file.write(save(tensors))
        else:
            progress.since_best += 1
            progress.stopped = progress.since_best >= patience
    return value


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0


def _rows(run: Run, pending: list[Tensor], validation: float | None) -> list[Row]:
    """The log's lines of the latest iterations; the loss is the mean over processes."""
    losses: list[float] = run.accelerator.reduce(torch.stack(pending), "mean").tolist()
    first = run.progress.step - len(losses) + 1
    for step, loss in enumerate(losses, start=first):
        if not math.isfinite(loss):
            came = f"the loss is {loss} at iteration {step}"
            raise SettingError(
                came, "a finite number", "lower the learning rate, or train in fp32 or bf16"
            )
    rows: list[Row] = [(step, loss, None) for step, loss in enumerate(losses, start=first)]
    rows[-1] = (rows[-1][0], rows[-1][1], validation)
    return rows


def _save(run: Run) -> None:
    scaler = run.accelerator.scaler
    extra = {
        "progress": asdict(run.progress),
        "scaler": scaler.state_dict() if scaler is not None else {},
    }
    save_checkpoint(
        run.folder.checkpoints, run.progress.step, run.modules(), run.optimizer.optimizer, extra
    )


def finish(run: Run, chosen: Chosen) -> Path:
    """Write the class weights: the last ones, their exponential mean, or those of the best
    validation."""
    run.accelerator.wait_for_everyone()
    if not run.accelerator.is_main_process:
        return run.folder.weights
    with run.averaged():
        if run.config.early_stop:
            _load_best(run)
        tensors = class_tensors(run.base.unet, run.config.lora_rank)
        save_weights(
            run.folder.weights,
            tensors,
            _info(run, chosen),
            fp16=run.config.weights_precision == "fp16",
        )
    first, last = _validation(run)
    if first is not None and last is not None:
        log.info("validation loss %.4f before, %.4f after", first, last)
    return run.folder.weights


@torch.no_grad()
def _load_best(run: Run) -> None:
    path = run.folder.folder / "best.safetensors"
    try:
        tensors: Mapping[str, Tensor] = load_file(path)
        for index, parameter in enumerate(run.parameters):
            parameter.copy_(tensors[str(index)])
    except (OSError, SafetensorError, KeyError) as reason:
        raise WeightsError(
            f"{path} cannot be read ({reason})", "the best weights", "train again"
        ) from reason


def _validation(run: Run) -> tuple[float | None, float | None]:
    """Validation loss before the training and of the weights that are written; None where there is
    none, or no finite one."""
    progress = run.progress
    losses = (progress.first, progress.best if run.config.early_stop else progress.last)
    first, last = (loss if loss is not None and math.isfinite(loss) else None for loss in losses)
    return first, last


def _info(run: Run, chosen: Chosen) -> ClassWeightsInfo:
    config, base = run.config, run.base
    first, last = _validation(run)
    return ClassWeightsInfo(
        kind="lora" if config.lora_rank else "full",
        object=chosen.object,
        defect=chosen.defect,
        background_prompt=run.prompt_texts[0],
        defect_prompt=run.prompt_texts[1],
        mask_prompt=run.prompt_texts[2],
        base_name=base.name,
        base_fingerprint=base.fingerprint,
        base_licence=base.licence,
        prediction_type=base.schedule.prediction_type,
        resolution=run.resolution,
        zoom=config.zoom,
        steps=run.progress.step,
        loss=config.loss,
        seed=config.seed,
        date=run.folder.started,
        architecture=base.architecture,
        lora_rank=config.lora_rank,
        lora_alpha=float(config.lora_rank),
        libraries=library_versions(),
        mask_sides=list(run.cache.mask_sides),
        validation_before=first,
        validation_after=last,
    )
