"""``bgdefect bench sampling``: cost of the generation beside the bare U-Net, in the same run."""

from __future__ import annotations

import operator
import statistics
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from bgdefect_core.declarations import Doc, Range, check_settings
from bgdefect_core.method.attention_maps import MapRecorder
from bgdefect_core.method.backgrounds import BACKGROUNDS, BackgroundName
from bgdefect_core.method.predictor import added_inputs, unet_predictor
from bgdefect_core.method.regions import RegionPrompts
from bgdefect_core.method.sample_batch import SampleBatch
from bgdefect_core.method.sampling import sample

from ..bases.devices import pick_device
from ..bases.load import Base, load_base
from .options import BaseOption, DeviceOption, RepeatsOption, ResolutionOption
from .race import Contender, bench_prompts, bench_scene, heading, median_ratio, race, row


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
    z_0, regions = bench_scene(base, config.resolution, 1)
    prompts = bench_prompts(base)
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

    turns = race(
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
    lines = heading(
        f"generation, N = {count}, {steps} steps, {base.name}, {device.type}",
        f"bare, {steps} x batch of {count}",
        batched,
    )
    lines += [
        row(f"replay: {steps} + {steps} N bare samples", turns["replay"], both),
        row(f"noised: {steps} N bare samples", turns["noised"], batched),
        row(f"literal, as printed: {3 * steps} N bare samples", turns["literal"], threefold),
    ]
    for mode in ("replay", "noised"):
        share = median_ratio(turns[mode], turns["literal"])
        lines.append(f"{f'  {mode} of it':44} {share:9.2f}")
    return "\n".join([*lines, _vae_line(base, z_0, count, config.repeats, device)])


def _vae_line(base: Base, z_0: Tensor, count: int, repeats: int, device: torch.device) -> str:
    pixels = torch.zeros(1, 3, z_0.shape[2] * base.factor, z_0.shape[3] * base.factor)
    latents = z_0.expand(count, -1, -1, -1)

    def coded() -> None:
        base.encode(pixels)
        base.decode(z_0)
        base.decode(latents)

    seconds = race({"vae": coded}, repeats, device)["vae"]
    title = f"VAE apart: 1 encoded, 1 + {count} decoded"
    return f"{title:44} {statistics.median(seconds):9.3f} s"


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
    rows = [number % len(regions) for number in range(count)]
    batch = SampleBatch(regions[rows], range(count))
    with unet_predictor(base.unet, base.schedule) as predict:
        background = BACKGROUNDS[mode].prepare(predict, z_0, regions, prompts, levels)
        return sample(predict, background.rows(rows), batch, prompts, recorder=recorder)
