"""``bgdefect bench``: what training and generation cost beside the bare U-Net, in the same run.

Contenders take turns, and their order turns around each time; the median of the ratios of each turn
counts, so that a machine that slows down for a while does not decide.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from tqdm import tqdm

from bgdefect_core.errors import check_range
from bgdefect_core.method.attention import MapRecorder
from bgdefect_core.method.backgrounds import BACKGROUNDS, BackgroundName
from bgdefect_core.method.loss import disentanglement_loss
from bgdefect_core.method.predictor import unet_predictor
from bgdefect_core.method.regions import RegionPrompts
from bgdefect_core.method.sampling import sample

from ..bases.devices import pick_device

if TYPE_CHECKING:
    from ..bases.load import Base

Contender = Callable[[], Any]
_PROMPTS = ("a photo of a part", "a scratch defect on a part", "mask")


@dataclass(frozen=True)
class BenchTrainConfig:
    """Cost of one training iteration against the bare U-Net's forward and backward of 2B."""

    base: str | None = None
    """Base model; default: the embedded one."""
    batch: int = 4
    """Pictures an iteration, B; the U-Net sees 2B."""
    resolution: int | None = None
    """Pixels a side. Default: the base's native size."""
    lora_rank: int = 0
    """Rank of a LoRA; 0: the whole U-Net."""
    repeats: int = 7
    """Turns; the median counts."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to run."""


@dataclass(frozen=True)
class BenchGenerateConfig:
    """Cost of N variants of one (picture, mask), latent to latent, against as many bare U-Net
    samples."""

    base: str | None = None
    """Base model; default: the embedded one."""
    variants: int = 4
    """N."""
    steps: int = 50
    """DDIM steps each way."""
    resolution: int | None = None
    """Pixels a side. Default: the base's native size."""
    repeats: int = 7
    """Turns; the median counts."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to run."""


def bench_train(config: BenchTrainConfig) -> float:
    """Print the table; returns the median ratio of a whole iteration to the bare forward and
    backward.

    ``bare``: the unpatched U-Net on 2B samples, each with its own context of the same length as
        ours (``C_def`` and ``C_bg`` together),
    the mean square of its output, backward, gradients let go. No optimizer, no clipping: the least
        that any training step needs.
    ``iteration``: what ``bgdefect train`` computes by default in a step of one batch, with
        training's own functions: draw the batch, patch
    the U-Net (training does so once a run), Eq. 5 on the batch of 2B with the base's own weight
    inside the mask, backward, clip, the optimizer's step, gradients let go. Not in it: accelerate's
    wrapping, logging, checkpoints. Both train the same parameters in fp32.

    Raises:
        SettingError: a number out of its range.
    """
    from ..bases.load import load_base
    from ..training.batches import Batches
    from ..training.cache import LatentCache
    from ..training.tuning import make_optimizer, make_trainable

    _check(config.repeats, batch=config.batch)
    check_range("lora_rank", config.lora_rank, 0, 256)
    device = pick_device(config.device)
    base = load_base(config.base).to(device)
    latents, regions = _scene(base, config.resolution, 8)
    batches = Batches(
        LatentCache(latents, regions, 1, (8,) * 8),
        config.batch,
        len(base.schedule.alphas_cumprod),
        0,
    )
    parameters = make_trainable(base.unet, base.family.lora_modules, config.lora_rank, 0)
    optimizer = make_optimizer(parameters, 1e-6, device)
    weight = base.family.mask_weight
    context = base.prompts(_PROMPTS[0], [_PROMPTS[1]], _PROMPTS[2]).training_context().to(latents)
    z = torch.cat([latents[: config.batch].repeat(2, 1, 1, 1)] * -(-config.batch // len(latents)))[
        : 2 * config.batch
    ]
    t = torch.randint(0, len(base.schedule.alphas_cumprod), (2 * config.batch,)).to(device)
    tokens = context.tokens.repeat_interleave(config.batch, dim=0)

    def bare() -> None:
        base.unet(z, t, tokens, return_dict=False)[0].square().mean().backward()
        optimizer.zero_grad()

    def loss() -> None:
        batch = batches.at(0)[0]
        with unet_predictor(base.unet, base.schedule, cache_prompts=False) as predict:
            disentanglement_loss(
                predict, batch.z_0, batch.regions, batch.t, batch.eps, context, weight
            ).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)

    def iteration() -> None:
        loss()
        optimizer.step()
        optimizer.zero_grad()

    def without() -> None:
        loss()
        optimizer.zero_grad()

    turns = _race({"bare": bare, "loss": without, "iteration": iteration}, config.repeats, device)
    _heading(
        f"training, B = {config.batch}, {base.name}, {device.type}",
        "bare U-Net, forward and backward of 2B",
        turns,
    )
    _line("loss of Eq. 5, backward, clipping", turns["loss"], turns["bare"])
    return _line("whole iteration, with the optimizer", turns["iteration"], turns["bare"])


@torch.no_grad()
def bench_generate(config: BenchGenerateConfig) -> dict[str, float]:
    """Print the table; returns the median ratios of ``replay`` and ``noised`` to their shares of
    bare U-Net samples."""
    from ..bases.load import load_base

    _check(config.repeats, variants=config.variants)
    device, count = pick_device(config.device), config.variants
    base = load_base(config.base).to(device)
    levels = base.schedule.levels(config.steps)
    z_0, regions = _scene(base, config.resolution, 1)
    prompts = base.prompts(_PROMPTS[0], [_PROMPTS[1]], _PROMPTS[2])
    tokens = prompts.defect_context().to(z_0).tokens

    def bare(batch: int) -> Contender:
        z, context = z_0.expand(batch, -1, -1, -1), tokens.expand(batch, -1, -1)
        times = [torch.full((batch,), timestep, device=device) for timestep in levels.timesteps[1:]]
        return lambda: [base.unet(z, t, context, return_dict=False)[0] for t in times]

    def ours(mode: BackgroundName) -> Contender:
        return lambda: _variants(base, mode, z_0, regions, prompts, config)

    def literal() -> (
        torch.Tensor
    ):  # each sample with an inversion of its own, as the equations are printed
        return _variants(
            base,
            "literal",
            z_0.expand(count, -1, -1, -1),
            regions.expand(count, -1, -1),
            prompts,
            config,
        )

    contenders = {
        "bare 1": bare(1),
        f"bare {count}": bare(count),
        "replay": ours("replay"),
        "noised": ours("noised"),
        "literal": literal,
    }
    turns = _race(contenders, config.repeats, device)
    once, each = turns["bare 1"], turns[f"bare {count}"]
    steps = config.steps
    _heading(
        f"generation, N = {count}, {steps} steps, {base.name}, {device.type}",
        f"bare, {steps} x batch of {count}",
        {"": each},
    )
    both = [one + other for one, other in zip(once, each, strict=True)]
    ratios = {
        "replay": _line(f"replay: {steps} + {steps} N bare samples", turns["replay"], both),
        "noised": _line(f"noised: {steps} N bare samples", turns["noised"], each),
    }
    _line(
        f"literal, as printed: {3 * steps} N bare samples",
        turns["literal"],
        [3 * seconds for seconds in each],
    )
    for mode in ("replay", "noised"):
        share = statistics.median(
            own / whole for own, whole in zip(turns[mode], turns["literal"], strict=True)
        )
        print(f"{f'  {mode} of it':44} {share:9.2f}")
    pixels = torch.zeros(1, 3, z_0.shape[2] * base.factor, z_0.shape[3] * base.factor)
    latents = z_0.expand(count, -1, -1, -1)
    vae = _race(
        {"": lambda: (base.encode(pixels), base.decode(z_0), base.decode(latents))},
        config.repeats,
        device,
    )
    print(f"{f'VAE apart: 1 encoded, 1 + {count} decoded':44} {statistics.median(vae['']):9.3f} s")
    return ratios


def _variants(
    base: Base,
    mode: BackgroundName,
    z_0: torch.Tensor,
    regions: torch.Tensor,
    prompts: RegionPrompts,
    config: BenchGenerateConfig,
) -> torch.Tensor:
    """N variants, latent to latent, with the maps recorded where the grid allows it.

    Args:
        z_0, regions: of one (picture, mask), inverted once for all variants; or N of them, each
            inverted.
    """
    levels, count = base.schedule.levels(config.steps), config.variants
    recorder = MapRecorder(prompts.word_positions())
    with unet_predictor(base.unet, base.schedule) as predict:
        background = BACKGROUNDS[mode]
        latents = background.prepare(predict, z_0, regions, prompts, levels)
        shared = [level.expand(count, -1, -1, -1) for level in latents]
        spread = regions.expand(count, -1, -1)
        return sample(
            predict, background, shared, spread, prompts, levels, range(count), recorder=recorder
        )


def _scene(base: Base, resolution: int | None, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random latents ``[count, C, h, w]`` and a region map with a square of a quarter of the side
    in the middle.

    Raises:
        SettingError: a resolution out of range, or no multiple of the base's factor.
    """

    cells = base.working_resolution(resolution) // base.factor
    device = base.unet.device
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(
        count, int(base.unet.config["in_channels"]), cells, cells, generator=generator
    ).to(device)
    regions = torch.zeros(count, cells, cells, dtype=torch.long, device=device)
    low, high = 3 * cells // 8, 5 * cells // 8
    regions[:, low:high, low:high] = 1
    return latents, regions


def _race(
    contenders: dict[str, Contender], repeats: int, device: torch.device
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


def _check(repeats: int, **others: int) -> None:
    check_range("repeats", repeats, 1, 1000)
    for name, value in others.items():
        check_range(name, value, 1, 1024)


def _heading(title: str, reference: str, turns: dict[str, list[float]]) -> None:
    seconds = next(iter(turns.values()))
    print(f"{title} ({len(seconds)} turns, medians, {torch.get_num_threads()} threads)")
    print(f"{'':44} {'time':>11} {'over bare':>10}")
    print(f"{reference:44} {statistics.median(seconds):9.3f} s {1:10.3f}")


def _line(title: str, own: Sequence[float], bare: Sequence[float]) -> float:
    ratio = statistics.median(one / other for one, other in zip(own, bare, strict=True))
    print(f"{title:44} {statistics.median(own):9.3f} s {ratio:10.3f}")
    return ratio
