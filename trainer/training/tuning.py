"""The trained parameters: the whole U-Net, or a LoRA on its attention; their exponential mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from diffusers.models import UNet2DConditionModel
from diffusers.training_utils import EMAModel
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from torch import Tensor, nn

from bgdefect_core.weights.lora_names import to_host_names


def make_trainable(
    unet: UNet2DConditionModel, lora_modules: Sequence[str], lora_rank: int, seed: int
) -> list[nn.Parameter]:
    """Unfreeze the whole U-Net (rank 0), or add a LoRA (alpha = rank) that starts as no change.

    Args:
        unet: of the base, changed in place.
        lora_modules: names of the layers that a LoRA adapts.
        lora_rank: 0 for the whole U-Net.
        seed: of the LoRA's first matrices.

    Returns:
        The parameters to train.
    """
    module: nn.Module = unet
    if lora_rank == 0:
        module.requires_grad_(True)
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
