"""Everything that a training run needs before its first iteration: data, base, cache, optimizer,
folder."""

from __future__ import annotations

import logging
import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from torch import nn

from bgdefect_core.errors import DataError, OutputError, SettingError, check_range
from bgdefect_core.method.regions import Context, RegionPrompts
from bgdefect_core.records.run_record import RunRecord, read_inputs

from ..bases.load import Base
from ..data.examples import Example, validate
from ..data.layouts import find_examples
from ..data.splits import (
    Split,
    read_split,
    relative_file,
    split_halves,
    split_k_shots,
    write_split,
)
from .batches import Batch, Batches, validation_batches
from .cache import LatentCache, Views, build_cache
from .config import TrainConfig
from .run_folder import FREE, RunFolder, events_writer
from .sheet import SheetItem, sheet_items
from .tuning import Average, make_optimizer, make_trainable

log = logging.getLogger(__name__)


@dataclass
class Progress:
    """Where a run stands; kept in its checkpoints."""

    step: int = 0
    """Iterations done."""
    best: float | None = None
    """Least validation loss, for the early stop."""
    since_best: int = 0
    stopped: bool = False
    first: float | None = None
    """Validation loss before the first iteration."""
    last: float | None = None
    """The latest one."""


@dataclass
class Run:
    """A training run, set up."""

    config: TrainConfig
    folder: RunFolder
    split: Split
    base: Base
    resolution: int
    prompts: RegionPrompts
    prompt_texts: tuple[str, str, str]
    """``C_bg``, ``C_def``, ``C_m``."""
    context: Context
    """``C_1`` and ``C_2`` for the batch of 2B."""
    mask_weight: float
    cache: LatentCache
    batches: Batches
    validation: list[Batch]
    """Empty where nothing is held out."""
    sheet: list[SheetItem]
    accelerator: Accelerator
    unet: Any
    """As accelerate wraps it."""
    parameters: list[nn.Parameter]
    optimizer: Any
    average: Average | None
    progress: Progress = field(default_factory=Progress)

    def averaged(self) -> AbstractContextManager[None]:
        """The exponential mean of the weights in place, where there is one."""
        return self.average.in_place() if self.average else nullcontext()

    def modules(self) -> dict[str, nn.Module]:
        """What a checkpoint keeps."""
        unet: nn.Module = self.base.unet
        return {"unet": unet, "average": self.average} if self.average else {"unet": unet}


@dataclass(frozen=True)
class Chosen:
    """The class and its pictures."""

    split: Split
    folder: RunFolder
    object: str
    defect: str


def choose(config: TrainConfig) -> Chosen:
    """The class, its split, and where the result goes. Reads names only.

    Raises:
        DataError: none or several classes, or a split that cannot be. OutputError: the output is
            another file.
    """
    examples = find_examples(config.data, config.object, config.defect)
    classes = sorted({(example.object, example.defect) for example in examples})
    if len(classes) != 1:
        names = ", ".join(f"{name} / {defect}" for name, defect in classes[:20])
        raise DataError(
            f"{config.data} holds {len(classes)} classes",
            f"one of {names}",
            "name the object and the defect",
        )
    name, defect = classes[0]
    output = config.output
    if output.suffix != ".safetensors":
        if output.exists() and not output.is_dir():
            raise OutputError(
                f"{output} is a file",
                "a folder, or a name that ends in .safetensors",
                "choose another output",
            )
        output = output / f"{name}-{defect}.safetensors"
    return Chosen(_split(config, examples), RunFolder(output.absolute()), name, defect)


def _split(config: TrainConfig, examples: list[Example]) -> Split:
    if config.split_file is not None:
        return read_split(config.split_file, examples, config.data)
    if config.shots is not None:
        return split_k_shots(examples, config.shots)
    return split_halves(examples, config.fold or 0)


def record_of(config: TrainConfig, chosen: Chosen, base: Base, processes: int) -> RunRecord:
    """What makes a run this run and no other."""
    settings = asdict(config)
    for name in (*FREE, "data", "split_file"):
        del settings[name]
    settings |= {"object": chosen.object, "defect": chosen.defect, "base": base.name}
    settings |= {"base_fingerprint": base.fingerprint, "processes": processes}
    files: dict[str, Path] = {}
    for side, examples in (("train", chosen.split.train), ("held_out", chosen.split.held_out)):
        settings[side] = [relative_file(example, config.data) for example in examples]
        for number, example in enumerate(examples):
            files[f"{side} {number}"] = example.image
            for part, mask in enumerate(example.masks):
                files[f"{side} {number}, mask {part}"] = mask
    inputs = read_inputs(files) | base.inputs
    places = {"data": config.data, "split_file": config.split_file, "base": config.base}
    absolute = {name: os.path.abspath(path) if path else None for name, path in places.items()}
    return chosen.folder.record(settings, inputs, absolute)


def make_accelerator(config: TrainConfig) -> Accelerator:
    """One process, or those of ``accelerate launch``."""
    precision = "no" if config.precision == "fp32" else config.precision
    try:
        # Said aloud: without it, processes launched on a machine that has only a CPU would not know
        # of each other.
        return Accelerator(cpu=config.on_cpu, mixed_precision=precision)
    except (ValueError, RuntimeError) as reason:
        raise SettingError(
            f"accelerate refuses this set-up ({reason})", "a device that can do it", "try fp32"
        ) from reason


def working_resolution(wanted: int | None, base: Base) -> int:
    """Side of the squares in pixels that a base works on; None: its native one.

    Raises:
        SettingError: out of range, or no multiple of the base's factor.
    """
    resolution = base.resolution if wanted is None else wanted
    check_range("resolution", resolution, 32, 4096)
    if resolution % base.factor:
        raise SettingError(
            f"resolution is {resolution}", f"a multiple of {base.factor}", "choose one"
        )
    return resolution


def check_inputs(config: TrainConfig, chosen: Chosen, base: Base) -> tuple[Views, list[SheetItem]]:
    """All that can be refused before anything is written; returns how pictures are looked at, and
    the sheet's items.

    Raises:
        SettingError, DataError, PictureError: an option that nothing can come of, or a file that
            cannot be used.
    """
    resolution = working_resolution(config.resolution, base)
    train, held_out = chosen.split.train, chosen.split.held_out
    validate([*train, *held_out])
    if not held_out:
        log.warning("no picture is held out: there is no validation loss")
        if config.early_stop:
            raise SettingError(
                "early_stop with nothing held out",
                "held-out pictures",
                "train on fewer, or leave early_stop out",
            )
    if config.tensorboard:
        events_writer()
    views = Views(
        resolution, config.zoom, config.views, config.flips, config.quarter_turns, config.seed
    )
    return views, sheet_items(config.data, held_out or train, views) if config.sample_every else []


def setup(
    config: TrainConfig,
    chosen: Chosen,
    base: Base,
    accelerator: Accelerator,
    views: Views,
    sheet: list[SheetItem],
) -> Run:
    """Encode all pictures and prompts, and make the U-Net trainable. The folder is held;
    ``check_inputs`` gave the last two."""
    train, held_out = chosen.split.train, chosen.split.held_out
    device, main = accelerator.device, accelerator.is_main_process
    if main:
        write_split(chosen.folder.split, chosen.split, config.data)
    base.to(device)
    cache = build_cache(base, train, views, progress=main).to(device)
    validation: list[Batch] = []
    timesteps = len(base.schedule.alphas_cumprod)
    if held_out:
        plain = Views(views.resolution, config.zoom, count=1)
        validation = validation_batches(
            build_cache(base, held_out, plain).to(device), config.batch, timesteps, config.seed
        )
    templates = (config.background_prompt, config.defect_prompt, config.mask_prompt)
    texts = [config.prompt(template, chosen.object, chosen.defect) for template in templates]
    prompts = base.prompts(texts[0], [texts[1]], texts[2])
    unet, parameters, optimizer = _trainable(config, base, accelerator)
    process = (accelerator.process_index, accelerator.num_processes)
    return Run(
        config=config,
        folder=chosen.folder,
        split=chosen.split,
        base=base,
        resolution=views.resolution,
        prompts=prompts,
        prompt_texts=(texts[0], texts[1], texts[2]),
        context=prompts.training_context(),
        mask_weight=base.family.mask_weight if config.mask_weight is None else config.mask_weight,
        cache=cache,
        batches=Batches(cache, config.batch, timesteps, config.seed, config.accumulate, *process),
        validation=validation,
        sheet=sheet,
        accelerator=accelerator,
        unet=unet,
        parameters=parameters,
        optimizer=optimizer,
        average=Average(parameters, config.ema).to(device) if config.ema else None,
    )


def _trainable(
    config: TrainConfig, base: Base, accelerator: Accelerator
) -> tuple[Any, list[nn.Parameter], Any]:
    parameters = make_trainable(base.unet, base.family.lora_modules, config.lora_rank, config.seed)
    base.unet.train()
    if config.gradient_checkpointing:
        base.unet.enable_gradient_checkpointing()
    lr = config.lr if config.lr is not None else base.family.default_lr(config.lora_rank)
    optimizer = make_optimizer(parameters, lr, accelerator.device)
    unet, wrapped = accelerator.prepare(base.unet, optimizer)
    return unet, parameters, wrapped
