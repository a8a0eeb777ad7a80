"""Preparation of a training run before its first iteration: data, base, cache, optimizer."""

from __future__ import annotations

import logging
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from accelerate import Accelerator
from torch import nn

from bgdefect_core.errors import OutputError, SettingError
from bgdefect_core.method.loss import LOSSES, LossWeights, NoisyBatch
from bgdefect_core.records.run_record import RunRecord, read_inputs

from ..bases.devices import pick_device
from ..bases.load import Base
from ..data.examples import validate
from ..data.layouts import find_class
from ..data.splits import Split, relative_file, spread_evenly, write_split
from .batches import Batches, validation_batches
from .cache import LatentCache, Views, build_cache
from .config import TrainConfig
from .run import TrainingClass, TrainingRun
from .run_folder import FREE, RunFolder, events_writer, recorded_object
from .sheet import SheetItem, sheet_items
from .splitting import split_of
from .timesteps import TIMESTEP_DRAWS
from .tuning import TRAINED_PARTS, make_average, make_optimizer, make_trainable

log = logging.getLogger(__name__)


def choose_class(config: TrainConfig) -> TrainingClass:
    """The class, its split, and the folder of the run. Only names are read.

    Raises:
        DataError: no class or several, or a split that cannot be.
        OutputError: the output is another file.
    """
    examples = find_class(config.data, config.object, config.defect, config.reading)
    name, defect = examples[0].object, examples[0].defect
    output = config.output
    is_folder = output.suffix != ".safetensors"
    if is_folder and output.exists() and not output.is_dir():
        expected = "a folder, or a name that ends in .safetensors"
        raise OutputError(f"{output} is a file", expected, "choose another output")
    folders = Path(os.path.abspath(config.data)).parts[-3:]  # a file may lie in "annotations"
    if config.object is None and name in folders:
        runs = sorted(output.glob("*.run")) if is_folder else [output.with_suffix(".run")]
        name = recorded_object(runs, name, defect, examples[0].image)
    if is_folder:
        output = output / f"{name}-{defect}.safetensors"
    return TrainingClass(name, defect, split_of(config, examples), RunFolder(output.absolute()))


class KnownBase(Protocol):
    """What the identity of a run needs of a base."""

    @property
    def name(self) -> str:
        """As :class:`Base`."""

    @property
    def fingerprint(self) -> str:
        """As :class:`Base`."""

    @property
    def inputs(self) -> dict[str, dict[str, Any]]:
        """As :class:`Base`."""


def record_of(
    config: TrainConfig, target: TrainingClass, base: KnownBase, processes: int
) -> RunRecord:
    """The identity of a run: settings and inputs that decide what is learned.

    Args:
        config: with the precision settled.
    """
    settings = asdict(config)
    for name in (*FREE, "data", "split_file"):
        del settings[name]
    del settings["reading"]["group_file"]  # what it says is in the sides
    settings |= {"object": target.object, "defect": target.defect, "base": base.name}
    settings |= {"base_fingerprint": base.fingerprint, "processes": processes}
    files: dict[str, Path] = {}
    for side, examples in (("train", target.split.train), ("held_out", target.split.held_out)):
        settings[side] = [relative_file(example, config.data) for example in examples]
        for number, example in enumerate(examples):
            files[f"{side} {number}"] = example.image
            if example.regions_digest is not None:
                settings[f"{side} {number}, regions"] = example.regions_digest
            if example.others_digest is not None:
                settings[f"{side} {number}, others"] = example.others_digest
            for part, mask in enumerate(example.label_files):
                files[f"{side} {number}, mask {part}"] = mask
    inputs = read_inputs(files) | base.inputs
    places = {"data": config.data, "split_file": config.split_file, "base": config.base}
    absolute = {name: os.path.abspath(path) if path else None for name, path in places.items()}
    return target.folder.record(settings, inputs, absolute)


def make_accelerator(device: str, precision: str) -> Accelerator:
    """One process, or those of ``accelerate launch``.

    Raises:
        SettingError: accelerate refuses the combination.
    """
    mixed_precision = "no" if precision == "fp32" else precision
    on_cpu = pick_device(device).type == "cpu"
    try:
        # cpu is given also on a machine that has only a CPU: without it, launched processes would
        # not find each other there.
        return Accelerator(cpu=on_cpu, mixed_precision=mixed_precision)
    except (ValueError, RuntimeError) as reason:
        came = f"accelerate refuses device {device} with {precision} ({reason})"
        raise SettingError(came, "a device that can do it", "try fp32") from reason


def check_inputs(
    config: TrainConfig, target: TrainingClass, base: Base
) -> tuple[Views, list[SheetItem]]:
    """Refuse whatever can be refused before anything is written.

    Returns:
        The views of each picture, and the items of the sample sheets (none where none is wanted).

    Raises:
        SettingError: an option that cannot take effect.
        DataError: a file that cannot be used.
        PictureError: a good picture for the sheet that cannot be read.
    """
    resolution = base.working_resolution(config.resolution)
    train, held_out = target.split.train, target.split.held_out
    validate([*train, *held_out])
    if not held_out:
        log.warning("no picture is held out: there is no validation loss")
        if config.early_stop:
            came = "early_stop with nothing held out"
            do = "train on fewer, or leave early_stop out"
            raise SettingError(came, "held-out pictures", do)
    if config.tensorboard:
        events_writer()
    views = Views(
        resolution=resolution,
        zoom=config.zoom,
        count=config.views,
        flips=config.flips,
        turns=config.quarter_turns,
        seed=config.seed,
    )
    sheet: list[SheetItem] = []
    if config.sample_every:
        sheet = sheet_items(config.data, held_out or train, views, config.reading)
    return views, sheet


def _learning_data(
    config: TrainConfig, split: Split, base: Base, views: Views, accelerator: Accelerator
) -> tuple[LatentCache, list[NoisyBatch]]:
    """The encoded training pictures, and the batches of a validation (none where nothing is held
    out)."""
    device, shown = accelerator.device, accelerator.is_main_process
    title = "training pictures" if shown else ""
    cache = build_cache(base, split.train, views, progress=title).to(device)
    validating = spread_evenly(split.held_out, config.validation_pictures)
    if not validating:
        return cache, []
    plain_crops = Views(views.resolution, config.zoom, count=1)
    title = "held-out pictures" if shown else ""
    held_out = build_cache(base, validating, plain_crops, progress=title).to(device)
    timesteps = len(base.schedule.alphas_cumprod)
    return cache, validation_batches(held_out, config.batch, timesteps, config.seed)


def _loss_weights(config: TrainConfig, base: Base) -> LossWeights:
    weight = base.family.mask_weight if config.mask_weight is None else config.mask_weight
    return LossWeights(weight, config.min_snr_gamma)


def _trained_parameters(config: TrainConfig, base: Base) -> list[nn.Parameter]:
    """What of the U-Net is trained; it is in training mode then."""
    parameters = make_trainable(
        base.unet,
        base.family.lora_modules,
        config.lora_rank,
        config.seed,
        TRAINED_PARTS[config.trained_part],
    )
    base.unet.train()
    if config.gradient_checkpointing:
        base.unet.enable_gradient_checkpointing()
    return parameters


def setup(
    config: TrainConfig,
    target: TrainingClass,
    base: Base,
    accelerator: Accelerator,
    views: Views,
    sheet: list[SheetItem],
) -> TrainingRun:
    """Encode pictures and prompts, and make the U-Net trainable. The run's folder is held;
    :func:`check_inputs` gave the last two."""
    device = accelerator.device
    if accelerator.is_main_process:
        write_split(target.folder.split, target.split, config.data)
    base.to(device)
    texts = config.prompts(target.object, target.defect)
    prompts = base.prompts(texts.background, [texts.defect], texts.mask)
    for text_encoder in base.text_encoders:  # read no more; SDXL's take 3.3 GB
        nn.Module.to(text_encoder, "cpu")
    cache, validation = _learning_data(config, target.split, base, views, accelerator)
    parameters = _trained_parameters(config, base)
    lr = base.family.default_lr(config.lora_rank) if config.lr is None else config.lr
    unet, optimizer = accelerator.prepare(base.unet, make_optimizer(parameters, lr, device))
    loss = LOSSES[config.loss]
    return TrainingRun(
        config=config,
        target=target,
        base=base,
        resolution=views.resolution,
        prompts=prompts,
        prompt_texts=texts,
        loss=loss,
        context=loss.context(prompts),
        weights=_loss_weights(config, base),
        cache=cache,
        batches=Batches(
            cache,
            config.batch,
            len(base.schedule.alphas_cumprod),
            config.seed,
            config.accumulate,
            accelerator.process_index,
            accelerator.num_processes,
            TIMESTEP_DRAWS[config.timesteps],
        ),
        validation=validation,
        sheet=sheet,
        accelerator=accelerator,
        unet=unet,
        parameters=parameters,
        optimizer=optimizer,
        average=make_average(parameters, config.ema) if config.ema else None,
    )
