"""``bgdefect bench train`` and ``bench sampling``: cost beside the bare U-Net, in the same run.

Contenders take turns, and their order is reversed each time. The median of the ratios of each turn
counts, so that a machine that slows down for a while does not decide.
"""

from __future__ import annotations

import operator
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor
from tqdm import tqdm

from bgdefect_core.declarations import Doc, Range, check_settings
from bgdefect_core.method.attention import MapRecorder
from bgdefect_core.method.backgrounds import BACKGROUNDS, BackgroundName
from bgdefect_core.method.loss import LossWeights, disentanglement_loss
from bgdefect_core.method.predictor import added_inputs, unet_predictor
from bgdefect_core.method.regions import RegionPrompts
from bgdefect_core.method.sampling import sample

from ..bases.devices import DTYPES, pick_device
from ..bases.load import Base, load_base
from ..bases.precision import choose_precision
from ..training.batches import Batches
from ..training.cache import LatentCache
from ..training.tuning import make_optimizer, make_trainable
from .options import PROMPTS, BaseOption, DeviceOption, RepeatsOption, ResolutionOption

Contender = Callable[[], Any]
Turns = Mapping[str, Sequence[float]]
"""Seconds of each contender in each turn."""
_PICTURES = 8
"""Pictures in the cache of the training."""


@dataclass(frozen=True)
class BenchTrainConfig:
    """Cost of one training iteration against the bare U-Net's forward and backward of 2B."""

    base: BaseOption = None
    batch: Annotated[
        int, Range(1, 1024), Doc("Pictures of an iteration, B; the U-Net sees 2B.")
    ] = 4
    resolution: ResolutionOption = None
    lora_rank: Annotated[int, Range(0, 256), Doc("Rank of a LoRA. 0: the whole U-Net.")] = 0
    repeats: RepeatsOption = 7
    device: DeviceOption = "auto"


@dataclass(frozen=True)
class BenchSamplingConfig:
    """Cost of N variants of one (picture, mask), latent to latent, against as many bare U-Net
    samples."""

    base: BaseOption = None
    variants: Annotated[int, Range(1, 1024), Doc("N.")] = 4
    steps: Annotated[int, Doc("DDIM steps each way.")] = 50
    resolution: ResolutionOption = None
    repeats: RepeatsOption = 7
    device: DeviceOption = "auto"


def bench_train(config: BenchTrainConfig) -> str:
    """The table of the training's cost.

    ``bare``: the unpatched U-Net on 2B samples, each with its own context of the same length as
    ours (``C_def`` and ``C_bg`` together), the mean square of its output, backward, gradients
    released. No optimizer, no clipping: the least that any training step needs.

    ``iteration``: what ``bgdefect train`` computes by default in a step of one batch, with
    training's own functions: draw the batch, patch the U-Net (training does so once a run), Eq. 5
    on the batch of 2B with the base's own weight inside the mask, backward, clip, the optimizer's
    step, gradients released. Not included: accelerate's wrapping, logging, checkpoints. Both train
    the same parameters in fp32.

    The last line is the same iteration in the precision that ``auto`` comes to here. In bf16 the
    products of the U-Net are bf16; weights, optimizer, normalisations and loss stay in fp32.

    Raises:
        SettingError: a number out of its range.
    """
    check_settings(config)
    device, size = pick_device(config.device), config.batch
    base = load_base(config.base).to(device)
    timesteps = len(base.schedule.alphas_cumprod)
    latents, regions = _scene(base, config.resolution, _PICTURES)
    cache = LatentCache(latents, regions, 1, (8,) * _PICTURES)
    batches = Batches(cache, size, timesteps, 0)
    parameters = make_trainable(base.unet, base.family.lora_modules, config.lora_rank, 0)
    optimizer = make_optimizer(parameters, 1e-6, device)
    weights = LossWeights(base.family.mask_weight)
    context = _prompts(base).training_context().to(latents)
    doubled = latents[:size].repeat(2, 1, 1, 1)
    z = torch.cat([doubled] * -(-size // _PICTURES))[: 2 * size]
    t = torch.randint(0, timesteps, (2 * size,)).to(device)
    tokens = context.tokens.repeat_interleave(size, dim=0)
    added = added_inputs(context, z)

    def bare() -> None:
        output = base.unet(z, t, tokens, added_cond_kwargs=added, return_dict=False)[0]
        output.square().mean().backward()
        optimizer.zero_grad()

    precision = choose_precision("auto", base, device)

    def gradients(precision: str = "fp32") -> None:
        batch = batches.at(0)[0]
        with (
            torch.autocast(device.type, DTYPES[precision], enabled=precision != "fp32"),
            unet_predictor(base.unet, base.schedule, cache_prompts=False) as predict,
        ):
            loss = disentanglement_loss(
                predict, batch.z_0, batch.regions, batch.t, batch.eps, context, weights
            )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)

    def iteration(precision: str = "fp32") -> None:
        gradients(precision)
        optimizer.step()
        optimizer.zero_grad()

    def without_step() -> None:
        gradients()
        optimizer.zero_grad()

    contenders: dict[str, Contender] = {
        "bare": bare,
        "loss": without_step,
        "iteration": iteration,
    }
    if precision != "fp32":
        contenders["auto"] = lambda: iteration(precision)
    turns = _race(contenders, config.repeats, device)
    lines = _heading(
        f"training, B = {size}, {base.name}, {device.type}",
        "bare U-Net, forward and backward of 2B",
        turns["bare"],
    )
    lines.append(_line("loss of Eq. 5, backward, clipping", turns["loss"], turns["bare"]))
    lines.append(_line("whole iteration, with the optimizer", turns["iteration"], turns["bare"]))
    if precision == "fp32":
        return "\n".join([*lines, "the precision auto comes to fp32 here"])
    lines.append(_line(f"whole iteration in {precision}", turns["auto"], turns["bare"]))
    share = _median_ratio(turns["iteration"], turns["auto"])
    lines.append(f"{'  iterations a second over fp32':44} {share:9.2f}")
    return "\n".join(lines)


@torch.no_grad()
def bench_sampling(config: BenchSamplingConfig) -> str:
    """The table of the generation's cost.

    Raises:
        SettingError: a number out of its range.
    """
    check_settings(config)
    device, count, steps = pick_device(config.device), config.variants, config.steps
    base = load_base(config.base).to(device)
    levels = base.schedule.levels(steps)
    z_0, regions = _scene(base, config.resolution, 1)
    prompts = _prompts(base)
    placed = prompts.defect_context().to(z_0)

    def bare(batch: int) -> Contender:
        z, tokens = z_0.expand(batch, -1, -1, -1), placed.tokens.expand(batch, -1, -1)
        added = added_inputs(placed, z)
        times = [torch.full((batch,), timestep, device=device) for timestep in levels.timesteps[1:]]

        def evaluated() -> None:
            for t in times:
                base.unet(z, t, tokens, added_cond_kwargs=added, return_dict=False)

        return evaluated

    def variants(mode: BackgroundName, pictures: int = 1) -> Contender:
        latents, maps = z_0.expand(pictures, -1, -1, -1), regions.expand(pictures, -1, -1)
        return lambda: _variants(base, mode, latents, maps, prompts, steps, count)

    turns = _race(
        {
            "bare 1": bare(1),
            f"bare {count}": bare(count),
            "replay": variants("replay"),
            "noised": variants("noised"),
            # each sample with an inversion of its own, as the equations are printed
            "literal": variants("literal", count),
        },
        config.repeats,
        device,
    )
    once, batched = turns["bare 1"], turns[f"bare {count}"]
    both = list(map(operator.add, once, batched))
    threefold = [3 * seconds for seconds in batched]
    lines = _heading(
        f"generation, N = {count}, {steps} steps, {base.name}, {device.type}",
        f"bare, {steps} x batch of {count}",
        batched,
    )
    lines += [
        _line(f"replay: {steps} + {steps} N bare samples", turns["replay"], both),
        _line(f"noised: {steps} N bare samples", turns["noised"], batched),
        _line(f"literal, as printed: {3 * steps} N bare samples", turns["literal"], threefold),
    ]
    for mode in ("replay", "noised"):
        share = _median_ratio(turns[mode], turns["literal"])
        lines.append(f"{f'  {mode} of it':44} {share:9.2f}")
    return "\n".join([*lines, _vae_line(base, z_0, count, config.repeats, device)])


def _vae_line(base: Base, z_0: Tensor, count: int, repeats: int, device: torch.device) -> str:
    pixels = torch.zeros(1, 3, z_0.shape[2] * base.factor, z_0.shape[3] * base.factor)
    latents = z_0.expand(count, -1, -1, -1)

    def coded() -> None:
        base.encode(pixels)
        base.decode(z_0)
        base.decode(latents)

    seconds = _race({"vae": coded}, repeats, device)["vae"]
    title = f"VAE apart: 1 encoded, 1 + {count} decoded"
    return f"{title:44} {statistics.median(seconds):9.3f} s"


def _prompts(base: Base) -> RegionPrompts:
    background, defect, placeholder = PROMPTS
    return base.prompts(background, [defect], placeholder)


def _variants(
    base: Base,
    mode: BackgroundName,
    z_0: Tensor,
    regions: Tensor,
    prompts: RegionPrompts,
    steps: int,
    count: int,
) -> Tensor:
    """N variants, latent to latent, with the maps recorded where the grid allows it.

    Args:
        z_0, regions: of one (picture, mask), prepared once for all variants; or N of them.
    """
    levels = base.schedule.levels(steps)
    recorder = MapRecorder(prompts.word_positions())
    background = BACKGROUNDS[mode]
    with unet_predictor(base.unet, base.schedule) as predict:
        latents = background.prepare(predict, z_0, regions, prompts, levels)
        shared = [level.expand(count, -1, -1, -1) for level in latents]
        maps = regions.expand(count, -1, -1)
        return sample(
            predict, background, shared, maps, prompts, levels, range(count), recorder=recorder
        )


def _scene(base: Base, resolution: int | None, count: int) -> tuple[Tensor, Tensor]:
    """Random latents ``[count, C, h, w]`` and a region map with a square of a quarter of the side
    in the middle.

    Raises:
        SettingError: a resolution out of range, or not a multiple of the base's factor.
    """
    cells = base.working_resolution(resolution) // base.factor
    channels = int(base.unet.config["in_channels"])
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(count, channels, cells, cells, generator=generator)
    regions = torch.zeros(count, cells, cells, dtype=torch.long)
    low, high = 3 * cells // 8, 5 * cells // 8
    regions[:, low:high, low:high] = 1
    return latents.to(base.unet.device), regions.to(base.unet.device)


def _race(
    contenders: Mapping[str, Contender], repeats: int, device: torch.device
) -> dict[str, list[float]]:
    """Seconds of each contender in each turn, after one turn to warm up."""
    turns: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in tqdm(range(repeats + 1), desc="measuring", unit="turn", leave=False):
        names = list(contenders) if turn % 2 else list(contenders)[::-1]
        for name in names:
            _wait(device)
            started = time.perf_counter()
            contenders[name]()
            _wait(device)
            if turn:
                turns[name].append(time.perf_counter() - started)
    return turns


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
    elif device.type == "mps":
        torch.mps.synchronize()


def _heading(title: str, reference: str, seconds: Sequence[float]) -> list[str]:
    return [
        f"{title} ({len(seconds)} turns, medians, {torch.get_num_threads()} threads)",
        f"{'':44} {'time':>11} {'over bare':>10}",
        f"{reference:44} {statistics.median(seconds):9.3f} s {1:10.3f}",
    ]


def _line(title: str, seconds: Sequence[float], bare: Sequence[float]) -> str:
    ratio = _median_ratio(seconds, bare)
    return f"{title:44} {statistics.median(seconds):9.3f} s {ratio:10.3f}"


def _median_ratio(seconds: Sequence[float], reference: Sequence[float]) -> float:
    return statistics.median(map(operator.truediv, seconds, reference))
