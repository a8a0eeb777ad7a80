"""What of the U-Net is trained: all of it, or a LoRA on its attention; and the exponential mean of
it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from diffusers.models import UNet2DConditionModel
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from torch import Tensor, nn

from bgdefect_core.weights.lora_names import to_host_names


def make_trainable(
    unet: UNet2DConditionModel, lora_modules: Sequence[str], lora_rank: int, seed: int
) -> list[nn.Parameter]:
    """Unfreeze the whole U-Net (rank 0), or add a LoRA (alpha = rank) that starts as no change;
    returns what trains."""
    module: nn.Module = unet
    if lora_rank == 0:
        module.requires_grad_(True)
    else:
        module.requires_grad_(False)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            unet.add_adapter(
                LoraConfig(r=lora_rank, lora_alpha=lora_rank, target_modules=list(lora_modules))
            )
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def make_optimizer(
    parameters: list[nn.Parameter], lr: float, device: torch.device
) -> torch.optim.Optimizer:
    """AdamW (choice 10); fused where the device knows it: one pass over the weights instead of a
    dozen, a third of the time."""
    return torch.optim.AdamW(parameters, lr=lr, fused=device.type in ("cpu", "cuda"))


def class_tensors(unet: UNet2DConditionModel, lora_rank: int) -> dict[str, Tensor]:
    """What the class weights file holds: the whole U-Net, or the LoRA under the host's names."""
    state: Mapping[str, Tensor] = unet.state_dict()
    if lora_rank == 0:
        return dict(state)
    return to_host_names(get_peft_model_state_dict(unet, state_dict=dict(state)), float(lora_rank))


class Average(nn.Module):
    """Exponential mean of the trained parameters; warm: early on it forgets faster."""

    def __init__(self, parameters: list[nn.Parameter], decay: float) -> None:
        super().__init__()
        self.live, self.decay = parameters, decay
        for index, parameter in enumerate(parameters):
            self.register_buffer(f"mean_{index}", parameter.detach().clone())

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the parameters after ``step`` iterations."""
        decay = min(self.decay, step / (9 + step))
        torch._foreach_lerp_(
            list(self.buffers()), [parameter.detach() for parameter in self.live], 1 - decay
        )

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The mean in the parameters' place while the block lasts."""
        kept = [parameter.detach().clone() for parameter in self.live]
        self._put(list(self.buffers()))
        try:
            yield
        finally:
            self._put(kept)

    @torch.no_grad()
    def _put(self, values: list[Tensor]) -> None:
        for parameter, value in zip(self.live, values, strict=True):
            parameter.copy_(value)
