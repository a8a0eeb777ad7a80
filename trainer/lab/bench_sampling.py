"""``bgdefect bench sampling``: cost of the generation beside the bare U-Net, in the same run."""

from __future__ import annotations

import operator
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Annotated

import torch
from torch import Tensor

from bgdefect_core.declarations import Doc, Range, check_settings
from bgdefect_core.method.attention_maps import MapRecorder
from bgdefect_core.method.backgrounds import BACKGROUNDS, BackgroundName
from bgdefect_core.method.predictor import added_inputs, unet_predictor
from bgdefect_core.method.regions import Context, RegionPrompts
from bgdefect_core.method.sample_batch import SampleBatch
from bgdefect_core.method.sampling import sample
from bgdefect_core.method.schedule import Levels

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
    device, count = pick_device(config.device), config.variants
    base = load_base(config.base).to(device)
    work = _SamplingCost(base, *bench_scene(base, config.resolution, 1), config.steps, count)
    contenders: dict[str, Contender] = {
        "bare 1": partial(work.run_bare, 1),
        f"bare {count}": partial(work.run_bare, count),
        "replay": partial(work.paint, "replay"),
        "noised": partial(work.paint, "noised"),
        # each sample with an inversion of its own, as the equations are printed
        "literal": partial(work.paint, "literal", pictures=count),
    }
    turns = race(contenders, config.repeats, device)
    title = f"generation, N = {count}, {config.steps} steps, {base.name}, {device.type}"
    lines = _rows(title, turns, count, config.steps)
    seconds = race({"vae": work.code}, config.repeats, device)["vae"]
    vae = f"VAE apart: 1 encoded, 1 + {count} decoded"
    return "\n".join([*lines, f"{vae:44} {statistics.median(seconds):9.3f} s"])


@dataclass(frozen=True, eq=False)
class _SamplingCost:
    """What is timed, on one picture with its mask."""

    base: Base
    z_0: Tensor
    """``[1, C, h, w]``."""
    regions: Tensor
    """long ``[1, h, w]``."""
    steps: int
    count: int
    """Variants."""

    @cached_property
    def prompts(self) -> RegionPrompts:
        """Those of all benches."""
        return bench_prompts(self.base)

    @cached_property
    def levels(self) -> Levels:
        """Of a run."""
        return self.base.schedule.levels(self.steps)

    @cached_property
    def context(self) -> Context:
        """What the bare U-Net reads, on its device."""
        return self.prompts.defect_context().to(self.z_0)

    def run_bare(self, batch: int) -> None:
        """The steps of a run, evaluated by the U-Net alone."""
        z, tokens = self.z_0.expand(batch, -1, -1, -1), self.context.tokens.expand(batch, -1, -1)
        added = added_inputs(self.context, z)
        for timestep in self.levels.timesteps[1:]:
            t = torch.full((batch,), timestep, device=z.device)
            self.base.unet(z, t, tokens, added_cond_kwargs=added, return_dict=False)

    def paint(self, mode: BackgroundName, pictures: int = 1) -> None:
        """All variants, latent to latent, with the maps recorded where the grid allows it.

        Args:
            pictures: that are prepared: one for all variants, or one for each.
        """
        z_0, regions = self.z_0.expand(pictures, -1, -1, -1), self.regions.expand(pictures, -1, -1)
        recorder = MapRecorder(self.prompts.word_positions())
        rows = [number % pictures for number in range(self.count)]
        batch = SampleBatch(regions[rows], range(self.count))
        with unet_predictor(self.base.unet, self.base.schedule) as predict:
            background = BACKGROUNDS[mode].prepare(predict, z_0, regions, self.prompts, self.levels)
            sample(predict, background.rows(rows), batch, self.prompts, recorder=recorder)

    def code(self) -> None:
        """What the VAE does for all variants."""
        side = self.base.factor
        self.base.encode(torch.zeros(1, 3, self.z_0.shape[2] * side, self.z_0.shape[3] * side))
        self.base.decode(self.z_0)
        self.base.decode(self.z_0.expand(self.count, -1, -1, -1))


def _rows(title: str, turns: Mapping[str, Sequence[float]], count: int, steps: int) -> list[str]:
    """The table of the background modes over the bare U-Net."""
    once, batched = turns["bare 1"], turns[f"bare {count}"]
    both = list(map(operator.add, once, batched))
    threefold = [3 * seconds for seconds in batched]
    lines = heading(title, f"bare, {steps} x batch of {count}", batched)
    lines += [
        row(f"replay: {steps} + {steps} N bare samples", turns["replay"], both),
        row(f"noised: {steps} N bare samples", turns["noised"], batched),
        row(f"literal, as printed: {3 * steps} N bare samples", turns["literal"], threefold),
    ]
    for mode in ("replay", "noised"):
        share = median_ratio(turns[mode], turns["literal"])
        lines.append(f"{f'  {mode} of it':44} {share:9.2f}")
    return lines
