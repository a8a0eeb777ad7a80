"""Putting a trained class on a base: the whole U-Net, or a LoRA merged into it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from bgdefect_core.errors import SettingError, WeightsError
from bgdefect_core.weights.files import ClassWeightsInfo, check_base, check_keys, load_weights
from bgdefect_core.weights.lora_names import from_host_names

from .load import Base


def load_class(
    base: Base, weights_path: str | Path, allow_other_base: bool = False
) -> ClassWeightsInfo:
    """Load a class weights file onto ``base.unet``, in place.

    A LoRA is merged (``W + alpha / rank * up @ down``): sampling then costs what the base costs.
    One class a base: load the base again for another one.

    Args:
        base: fresh from :func:`load_base`; any device and type (the merge is done in fp32).
        allow_other_base: see :func:`bgdefect_core.weights.files.check_base`.

    Raises:
        WeightsError: a damaged file, or one that does not fit the base. SettingError: the base
            already carries a class.
    """
    if base.applied:
        raise SettingError(
            f"the base already carries {base.applied}", "a fresh base", "load the base again"
        )
    tensors, info = load_weights(weights_path)
    if info.resolution % base.factor:
        came = f"{weights_path} says that it was trained at {info.resolution} pixels"
        raise WeightsError(
            came, f"a multiple of {base.factor}, the base's factor", "train the class again"
        )
    check_base(
        info, base.fingerprint, base.architecture, base.schedule.prediction_type, allow_other_base
    )
    state: dict[str, Tensor] = base.unet.state_dict()
    if info.kind == "full":
        check_keys(tensors, state)
        wrong = [name for name, tensor in tensors.items() if tensor.shape != state[name].shape]
        if wrong:
            what = f"{wrong[0]} has the shape {tuple(tensors[wrong[0]].shape)}"
            raise WeightsError(
                what, f"{tuple(state[wrong[0]].shape)}", f"load the base {info.base_name!r}"
            )
        base.unet.load_state_dict(tensors)
    else:
        _merge(state, from_host_names(tensors, state), info.lora_alpha)
    base.applied = str(weights_path)
    return info


@torch.no_grad()
def _merge(state: Mapping[str, Tensor], lora: Mapping[str, Tensor], alpha: float) -> None:
    """Add every LoRA to the weight that it belongs to; ``state``'s tensors are the network's
    own."""
    for name, down in lora.items():
        if not name.endswith(".lora_A.weight"):
            continue
        module = name.removesuffix(".lora_A.weight")
        weight, up = state[f"{module}.weight"], lora[f"{module}.lora_B.weight"]
        if up.shape[1] != down.shape[0]:
            raise WeightsError(
                f"the LoRA of {module} has ranks {down.shape[0]} and {up.shape[1]}",
                "one rank",
                "train again",
            )
        change = up.float().flatten(1) @ down.float().flatten(1) * (alpha / down.shape[0])
        weight.copy_(
            (weight.float() + change.view(weight.shape).to(weight.device)).to(weight.dtype)
        )
