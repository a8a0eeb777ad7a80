"""The trained parameters: the U-Net or a part of it, or a LoRA on its attention; their exponential
mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from diffusers.models import UNet2DConditionModel
from diffusers.training_utils import EMAModel
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from torch import Tensor, nn

from bgdefect_core.declarations import Registry
from bgdefect_core.weights.lora_names import to_host_names


@dataclass(frozen=True)
class TrainedPart:
    """A part of the U-Net that a class may train."""

    name: str
    summary: str
    holds: Callable[[str], bool]
    """Whether the parameter of this (diffusers) name belongs to it."""


TRAINED_PARTS: Registry[TrainedPart] = Registry(
    "trained part",
    TrainedPart("unet", "the whole U-Net, as in the paper", lambda name: True),
    TrainedPart(
        "cross_attention_kv",
        "the keys and values of cross-attention alone",  # Custom Diffusion (Kumari et al. 2023)
        lambda name: ".attn2.to_k." in name or ".attn2.to_v." in name,
    ),
)
if TYPE_CHECKING:
    TrainedPartName = str
else:
    TrainedPartName = Literal[tuple(TRAINED_PARTS)]
DEFAULT_TRAINED_PART: TrainedPartName = "unet"


def make_trainable(
    unet: UNet2DConditionModel,
    lora_modules: Sequence[str],
    lora_rank: int,
    seed: int,
    part: TrainedPart = TRAINED_PARTS[DEFAULT_TRAINED_PART],
) -> list[nn.Parameter]:
    """Unfreeze a part of the U-Net (rank 0), or add a LoRA (alpha = rank) that starts as no change.

    Args:
        unet: of the base, changed in place.
        lora_modules: names of the layers that a LoRA adapts.
        lora_rank: 0 for no LoRA.
        seed: of the LoRA's first matrices.
        part: that is trained where there is no LoRA.

    Returns:
        The parameters to train.
    """
    module: nn.Module = unet
    if lora_rank == 0:
        for name, parameter in module.named_parameters():
            parameter.requires_grad_(part.holds(name))
    else:
        module.requires_grad_(False)
        config = LoraConfig(r=lora_rank, lora_alpha=lora_rank, target_modules=list(lora_modules))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            unet.add_adapter(config)
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def make_optimizer(
    parameters: list[nn.Parameter], lr: float, device: torch.device
) -> torch.optim.Optimizer:
    """AdamW (choice 10), fused where the device has it: one pass over the weights, a third of the
    time."""
    return torch.optim.AdamW(parameters, lr=lr, fused=device.type in ("cpu", "cuda"))


def class_tensors(unet: UNet2DConditionModel, lora_rank: int) -> dict[str, Tensor]:
    """The tensors of the class weights file: the whole U-Net, or the LoRA under the host's
    names."""
    state: Mapping[str, Tensor] = unet.state_dict()
    if lora_rank == 0:
        return dict(state)
    return to_host_names(get_peft_model_state_dict(unet, state_dict=dict(state)), float(lora_rank))


def make_average(parameters: list[nn.Parameter], decay: float) -> EMAModel:
    """An exponential mean that starts at the parameters.

    The decay of iteration n is ``min(decay, n / (n + 9))``: early values are forgotten faster.
    """
    return EMAModel(
        parameters,
        decay=decay,
        update_after_step=-1,
        use_ema_warmup=True,
        inv_gamma=9,
        power=1,
        foreach=True,
    )


@contextmanager
def averaged(average: EMAModel | None, parameters: list[nn.Parameter]) -> Iterator[None]:
    """The mean in the parameters' place while the block lasts; nothing without a mean."""
    if average is None:
        yield
        return
    average.store(parameters)
    average.copy_to(parameters)
    try:
        yield
    finally:
        average.restore(parameters)
