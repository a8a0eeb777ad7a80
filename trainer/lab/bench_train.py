"""``bgdefect bench train``: cost of the training beside the bare U-Net, in the same run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from bgdefect_core.declarations import Doc, Range, check_settings
from bgdefect_core.method.loss import LossWeights, disentanglement_loss
from bgdefect_core.method.predictor import added_inputs, unet_predictor
from bgdefect_core.method.regions import Context

from ..bases.devices import DTYPES, pick_device
from ..bases.load import Base, load_base
from ..bases.precision import choose_precision
from ..training.batches import Batches
from ..training.cache import LatentCache
from ..training.tuning import make_optimizer, make_trainable
from .options import BaseOption, DeviceOption, RepeatsOption, ResolutionOption
from .race import Contender, bench_prompts, bench_scene, heading, median_ratio, race, row

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
    device = pick_device(config.device)
    base = load_base(config.base).to(device)
    training = _prepare(base, device, config)
    precision = choose_precision("auto", base, device)
    contenders: dict[str, Contender] = {
        "bare": training.bare,
        "loss": training.without_step,
        "iteration": training.iteration,
    }
    if precision != "fp32":
        contenders["auto"] = lambda: training.iteration(precision)
    turns = race(contenders, config.repeats, device)
    lines = heading(
        f"training, B = {config.batch}, {base.name}, {device.type}",
        "bare U-Net, forward and backward of 2B",
        turns["bare"],
    )
    lines.append(row("loss of Eq. 5, backward, clipping", turns["loss"], turns["bare"]))
    lines.append(row("whole iteration, with the optimizer", turns["iteration"], turns["bare"]))
    if precision == "fp32":
        return "\n".join([*lines, "the precision auto comes to fp32 here"])
    lines.append(row(f"whole iteration in {precision}", turns["auto"], turns["bare"]))
    share = median_ratio(turns["iteration"], turns["auto"])
    lines.append(f"{'  iterations a second over fp32':44} {share:9.2f}")
    return "\n".join(lines)


@dataclass(frozen=True)
class _Training:
    """The contenders, on the same U-Net, parameters and pictures."""

    base: Base
    device: torch.device
    batches: Batches
    context: Context
    parameters: list[nn.Parameter]
    optimizer: Any
    weights: LossWeights
    bare_inputs: tuple[Tensor, Tensor, Tensor]
    """``z [2B, C, h, w]``, ``t [2B]``, context ``[2B, L, D]``."""
    bare_conditions: dict[str, Tensor] | None

    def bare(self) -> None:
        """The U-Net alone, forward and backward of 2B."""
        z, t, tokens = self.bare_inputs
        output = self.base.unet(
            z, t, tokens, added_cond_kwargs=self.bare_conditions, return_dict=False
        )[0]
        output.square().mean().backward()
        self.optimizer.zero_grad()

    def without_step(self) -> None:
        """An iteration but for the optimizer's step."""
        self._gradients("fp32")
        self.optimizer.zero_grad()

    def iteration(self, precision: str = "fp32") -> None:
        """A whole iteration."""
        self._gradients(precision)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def _gradients(self, precision: str) -> None:
        batch = self.batches.at(0)[0]
        with (
            torch.autocast(self.device.type, DTYPES[precision], enabled=precision != "fp32"),
            unet_predictor(self.base.unet, self.base.schedule, cache_prompts=False) as predict,
        ):
            loss = disentanglement_loss(predict, batch, self.context, self.weights)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)


def _prepare(base: Base, device: torch.device, config: BenchTrainConfig) -> _Training:
    size, timesteps = config.batch, len(base.schedule.alphas_cumprod)
    latents, regions = bench_scene(base, config.resolution, _PICTURES)
    cache = LatentCache(latents, regions, 1, (8,) * _PICTURES)
    parameters = make_trainable(base.unet, base.family.lora_modules, config.lora_rank, 0)
    optimizer = make_optimizer(parameters, 1e-6, device)
    context = bench_prompts(base).training_context().to(latents)
    doubled = latents[:size].repeat(2, 1, 1, 1)
    z = torch.cat([doubled] * -(-size // _PICTURES))[: 2 * size]
    t = torch.randint(0, timesteps, (2 * size,)).to(device)
    tokens = context.tokens.repeat_interleave(size, dim=0)
    return _Training(
        base=base,
        device=device,
        batches=Batches(cache, size, timesteps, 0),
        context=context,
        parameters=parameters,
        optimizer=optimizer,
        weights=LossWeights(base.family.mask_weight),
        bare_inputs=(z, t, tokens),
        bare_conditions=added_inputs(context, z),
    )
