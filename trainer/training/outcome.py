"""What a training leaves: the class weights with what is known of them, and the best weights so far
where it may stop early."""

from __future__ import annotations

import logging
import math
from pathlib import Path

import torch
from safetensors.torch import save

from bgdefect_core.errors import WeightsError
from bgdefect_core.files import atomic_write
from bgdefect_core.weights.files import ClassWeightsInfo, save_weights
from bgdefect_core.weights.safetensors_file import open_safetensors

from ..bases.versions import library_versions
from .run import Progress, TrainingRun
from .tuning import averaged, class_tensors

log = logging.getLogger(__name__)


def save_best(run: TrainingRun) -> None:
    tensors = {}
    for index, parameter in enumerate(run.parameters):
        tensors[str(index)] = parameter.detach().cpu().contiguous()
    with atomic_write(run.folder.best) as file:
        file.write(save(tensors))


@torch.no_grad()
def _load_best(run: TrainingRun) -> None:
    path = run.folder.best
    with open_safetensors(path, "the best weights") as file:
        names = set(file.keys())
        for index, parameter in enumerate(run.parameters):
            if str(index) not in names:
                raise WeightsError(f"{path} is incomplete", "the best weights", "train again")
            parameter.copy_(file.get_tensor(str(index)))


def finish(run: TrainingRun) -> Path:
    """Write the class weights: the last ones, their exponential mean, or those of the best
    validation."""
    run.accelerator.wait_for_everyone()
    weights = run.folder.weights
    if not run.accelerator.is_main_process:
        return weights
    with averaged(run.average, run.parameters):
        if run.config.early_stop:
            _load_best(run)
        tensors = class_tensors(run.base.unet, run.config.lora_rank)
        half = run.config.weights_precision == "fp16"
        save_weights(weights, tensors, _info(run), fp16=half)
    first, last = _reported_losses(run.progress, run.config.early_stop > 0)
    if first is not None and last is not None:
        log.info("validation loss %.4f before, %.4f after", first, last)
    return weights


def _reported_losses(progress: Progress, early_stop: bool) -> tuple[float | None, float | None]:
    """Validation loss before the training and of the weights that are written; None where there is
    none, or no finite one."""
    first = progress.first
    last = progress.best if early_stop else progress.last
    if first is not None and not math.isfinite(first):
        first = None
    if last is not None and not math.isfinite(last):
        last = None
    return first, last


def _info(run: TrainingRun) -> ClassWeightsInfo:
    config, base = run.config, run.base
    first, last = _reported_losses(run.progress, config.early_stop > 0)
    return ClassWeightsInfo(
        kind="lora" if config.lora_rank else "full",
        object=run.target.object,
        defect=run.target.defect,
        background_prompt=run.prompt_texts.background,
        defect_prompt=run.prompt_texts.defect,
        mask_prompt=run.prompt_texts.mask,
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
        prediction_given=config.prediction is not None,
    )
