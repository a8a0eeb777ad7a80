"""What ``bench gpu`` measures: training, painting, coding and agreement with the CPU.

The networks have Stable Diffusion's sizes and random weights, on which cost does not depend."""

from __future__ import annotations

import gc
import json
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn

from bgdefect_core.method.backgrounds import BACKGROUNDS
from bgdefect_core.method.loss import LossWeights, NoisyBatch, disentanglement_loss
from bgdefect_core.method.predictor import unet_predictor
from bgdefect_core.method.regions import RegionPrompts
from bgdefect_core.method.sample_batch import SampleBatch
from bgdefect_core.method.sampling import SamplingSettings, sample
from bgdefect_core.method.schedule import NoiseSchedule, schedule_from_config
from bgdefect_core.method.solvers import SOLVERS

from ..bases.devices import DTYPES
from ..bases.families import FAMILIES, Family
from ..training.tuning import make_optimizer, make_trainable

TOKENS = 77
"""Of a prompt."""
_FACTOR = 8
"""Pixels a side of a latent cell."""
_TINY: dict[str, Any] = {
    "attention_head_dim": 2,
    "cross_attention_dim": 32,
    "transformer_layers_per_block": 1,
}
_WARM_UP, _TURNS = 1, 3
"""Turns of a measurement that do not count, and those of which the median does."""


@dataclass(frozen=True)
class GpuTask:
    """One measurement."""

    kind: str
    """Of ``KINDS``."""
    family: str
    resolution: int
    """Side of the pictures in pixels."""
    precision: str
    batch: int = 1
    """Pictures of an iteration, or samples."""
    lora_rank: int = 0
    checkpointing: bool = False
    compiled: bool = False
    tiny: bool = False
    """Whether all widths are shrunk, to try the code."""

    @property
    def words(self) -> str:
        """What is done, without family, precision, batch and size."""
        if self.kind != "train":
            return f"{self.kind}, compiled" if self.compiled else self.kind
        what = f"train, LoRA {self.lora_rank}" if self.lora_rank else "train, whole U-Net"
        return f"{what}, recomputed activations" if self.checkpointing else what

    @property
    def name(self) -> str:
        """The whole task, unlike all others."""
        places = (self.words, self.family, f"{self.resolution} px", self.precision)
        return ", ".join((*places, f"batch {self.batch}", *(["tiny"] if self.tiny else [])))


@dataclass(frozen=True)
class GpuResult:
    """What a task came to; None: not asked, or not known."""

    seconds: float | None = None
    """Of an iteration of training, of painting the batch, of coding and decoding it."""
    peak: float | None = None
    """Most memory of the device, GB of 10^9 bytes."""
    difference: float | None = None
    """Mean difference from fp32 on the CPU inside the mask, over the latents' spread there."""
    note: str = ""


def measure(task: GpuTask, device: torch.device) -> GpuResult:
    """Do a task; a device that is too small, or a compiler that fails, is a result.

    Raises:
        RuntimeError: what the device raises otherwise.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    try:
        return KINDS[task.kind](task, device)
    except torch.OutOfMemoryError:
        return GpuResult(note="out of memory")
    except RuntimeError as reason:
        if not task.compiled:
            raise
        return GpuResult(note=f"not compiled ({type(reason).__name__})")
    finally:
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()


def config_of(family: Family, part: str, tiny: bool) -> dict[str, Any]:
    """The shipped configuration of a network, or one of its form with narrow layers."""
    config: dict[str, Any] = json.loads((family.config_folder / part / "config.json").read_text())
    if tiny:
        config["block_out_channels"] = [32] * len(config["block_out_channels"])
        if part == "unet":
            config |= _TINY
    return config


def random_unet(task: GpuTask, device: torch.device, dtype: torch.dtype) -> Any:
    """A frozen U-Net with random weights, made on ``device``."""
    config = config_of(FAMILIES[task.family], "unet", task.tiny)
    with torch.device(device):
        torch.manual_seed(0)
        unet = UNet2DConditionModel.from_config(config)
    nn.Module.to(unet, dtype=dtype)
    return unet.eval().requires_grad_(False)


@dataclass(frozen=True)
class Scene:
    """What the U-Net of a task reads."""

    schedule: NoiseSchedule
    prompts: RegionPrompts
    z_0: Tensor
    """``[B, 4, h, w]``, random."""
    regions: Tensor
    """long ``[B, h, w]``, a square of a quarter of the side."""


def scene_of(task: GpuTask, device: torch.device) -> Scene:
    """Random prompts and latents, equal on all devices."""
    family = FAMILIES[task.family]
    generator = torch.Generator().manual_seed(0)
    config = config_of(family, "unet", task.tiny)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).to(device)

    added: dict[str, Tensor] = {}
    if config.get("addition_embed_type") is not None:
        width = config["projection_class_embeddings_input_dim"]
        added["text_embeds"] = random(1, width - 6 * config["addition_time_embed_dim"])
    tokens = [random(1, TOKENS, config["cross_attention_dim"]) for _ in range(4)]
    prompts = RegionPrompts(tokens[0], [tokens[1]], tokens[2], [[1, 2]], tokens[3], added)
    cells = task.resolution // _FACTOR
    regions = torch.zeros(task.batch, cells, cells, dtype=torch.long)
    regions[:, 3 * cells // 8 : 5 * cells // 8, 3 * cells // 8 : 5 * cells // 8] = 1
    scheduler = json.loads((family.config_folder / "scheduler/scheduler_config.json").read_text())
    z_0 = random(task.batch, 4, cells, cells)
    return Scene(schedule_from_config(scheduler), prompts, z_0, regions.to(device))


def train(task: GpuTask, device: torch.device) -> GpuResult:
    """Iterations of training, as ``bgdefect train`` computes them: weights in fp32, products in the
    task's precision."""
    family, scene = FAMILIES[task.family], scene_of(task, device)
    unet = random_unet(task, device, torch.float32)
    parameters = make_trainable(unet, family.lora_modules, task.lora_rank, 0)
    unet.train()
    if task.checkpointing:
        unet.enable_gradient_checkpointing()
    optimizer = make_optimizer(parameters, 1e-6, device)
    scaler = torch.amp.GradScaler(device.type, enabled=task.precision == "fp16")
    context = scene.prompts.training_context()
    weights = LossWeights(family.mask_weight)
    t = torch.linspace(100, 900, task.batch, device=device).long()
    eps = torch.randn_like(scene.z_0)

    with unet_predictor(unet, scene.schedule, cache_prompts=False) as predict:

        def iteration() -> None:
            half = task.precision != "fp32"
            with torch.autocast(device.type, DTYPES[task.precision], enabled=half):
                loss = disentanglement_loss(
                    predict, NoisyBatch(scene.z_0, scene.regions, t, eps), context, weights
                )
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()

        seconds = timed(iteration, device)
    return GpuResult(seconds, peak_of(device))


def painted(unet: Any, scene: Scene, steps: int | None = None) -> Tensor:
    """One sample a picture with the default settings: latents ``[B, 4, h, w]``."""
    settings = SamplingSettings() if steps is None else SamplingSettings(steps=steps)
    mode, levels = BACKGROUNDS[settings.background], settings.levels(scene.schedule)
    prompts, regions = scene.prompts, scene.regions
    batch, solver = SampleBatch(regions, range(len(regions))), SOLVERS[settings.solver]
    with torch.no_grad(), unet_predictor(unet, scene.schedule) as predict:
        background = mode.prepare(predict, scene.z_0, regions, prompts, levels)
        return sample(predict, background, batch, prompts, solver=solver)


def paint(task: GpuTask, device: torch.device) -> GpuResult:
    """Samples of one batch, latent to latent."""
    unet = random_unet(task, device, DTYPES[task.precision])
    scene = scene_of(task, device)
    if task.compiled:
        unet.compile(backend="inductor" if device.type == "cuda" else "eager")
    return GpuResult(timed(lambda: painted(unet, scene), device), peak_of(device))


def code(task: GpuTask, device: torch.device) -> GpuResult:
    """The VAE: a batch encoded and decoded."""
    config = config_of(FAMILIES[task.family], "vae", task.tiny)
    with torch.device(device):
        vae = AutoencoderKL.from_config(config).eval().requires_grad_(False)
    nn.Module.to(vae, dtype=DTYPES[task.precision])
    nn.Module.to(vae, memory_format=torch.channels_last)
    side = task.resolution
    pixels = torch.zeros(task.batch, 3, side, side, device=device, dtype=DTYPES[task.precision])

    def coded() -> None:
        vae.decode(vae.encode(pixels).latent_dist.mean)

    with torch.no_grad():
        return GpuResult(timed(coded, device), peak_of(device))


def agree(task: GpuTask, device: torch.device) -> GpuResult:
    """Two steps of painting, against the same weights in fp32 on the CPU."""
    unet = random_unet(task, torch.device("cpu"), torch.float32)
    reference = painted(unet, scene_of(task, torch.device("cpu")), steps=2)
    nn.Module.to(unet, device=device, dtype=DTYPES[task.precision])
    scene = scene_of(task, device)
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        result = painted(unet, scene, steps=2).cpu()
    finally:
        torch.backends.cudnn.allow_tf32 = before
    inside = (scene.regions.cpu() > 0)[:, None].expand_as(reference)
    apart = (result - reference)[inside].abs().mean() / reference[inside].std()
    return GpuResult(peak=peak_of(device), difference=float(apart))


KINDS: Mapping[str, Callable[[GpuTask, torch.device], GpuResult]] = {
    "train": train,
    "paint": paint,
    "code": code,
    "agree": agree,
}
"""The kinds of tasks."""


def timed(work: Callable[[], Any], device: torch.device) -> float:
    """Median of the seconds of a few turns."""
    turns: list[float] = []
    for turn in range(_WARM_UP + _TURNS):
        started = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if turn >= _WARM_UP:
            turns.append(time.perf_counter() - started)
    return statistics.median(turns)


def peak_of(device: torch.device) -> float | None:
    """Most memory since the task began, GB of 10^9 bytes; None on a CPU."""
    return torch.cuda.max_memory_allocated(device) / 1e9 if device.type == "cuda" else None
