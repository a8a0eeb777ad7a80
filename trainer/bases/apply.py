"""Putting a trained class on a base: the whole U-Net, or a LoRA merged into it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from bgdefect_core.errors import SettingError, WeightsError
from bgdefect_core.weights.files import ClassWeightsInfo, check_base, check_keys, load_weights
from bgdefect_core.weights.lora_names import from_host_names

from .base import Base
from .load import load_base


def load_trained(
    spec: str | Path | None, weights_path: str | Path, allow_other_base: bool = False
) -> tuple[Base, ClassWeightsInfo]:
    """Load a base with a class on it, each read once.

    Where the class was trained with a given prediction type, the base is taken to predict that.

    Args:
        spec: of the base, see :func:`trainer.bases.load.load_base`.
        weights_path: the class weights file.
        allow_other_base: see :func:`bgdefect_core.weights.files.check_base`.

    Raises:
        WeightsError: a damaged file, or weights that do not fit the base.
    """
    tensors, info = load_weights(weights_path)
    base = load_base(spec, info.prediction_type if info.prediction_given else None)
    _apply(base, tensors, info, Path(weights_path), allow_other_base)
    return base, info


def load_class(
    base: Base, weights_path: str | Path, allow_other_base: bool = False
) -> ClassWeightsInfo:
    """Load a class weights file onto ``base.unet``, in place.

    A LoRA is merged (``W + alpha / rank * up @ down``): sampling then costs what the base costs.
    A base carries one class: load it again for another one.

    Args:
        base: fresh from :func:`trainer.bases.load.load_base`, on any device and of any type; the
            merge is computed in fp32.
        weights_path: the class weights file.
        allow_other_base: see :func:`bgdefect_core.weights.files.check_base`.

    Raises:
        WeightsError: a damaged file, or one that does not fit the base.
        SettingError: the base already carries a class.
    """
    tensors, info = load_weights(weights_path)
    _apply(base, tensors, info, Path(weights_path), allow_other_base)
    return info


def _apply(
    base: Base,
    tensors: Mapping[str, Tensor],
    info: ClassWeightsInfo,
    path: Path,
    allow_other_base: bool,
) -> None:
    if base.applied:
        came = f"the base already carries {base.applied}"
        raise SettingError(came, "a fresh base", "load the base again")
    if info.resolution % base.factor:
        came = f"{path} says that it was trained at {info.resolution} pixels"
        expected = f"a multiple of {base.factor}, the base's factor"
        raise WeightsError(came, expected, "train the class again")
    predicts = base.schedule.prediction_type
    check_base(info, base.fingerprint, base.architecture, predicts, allow_other_base)
    state: dict[str, Tensor] = base.unet.state_dict()
    if info.kind == "full":
        check_keys(tensors, state)
        for name, tensor in tensors.items():
            if tensor.shape != state[name].shape:
                came = f"{name} has the shape {tuple(tensor.shape)}"
                expected = f"{tuple(state[name].shape)}"
                raise WeightsError(came, expected, f"load the base {info.base_name!r}")
        base.unet.load_state_dict(tensors)
    else:
        _merge(state, from_host_names(tensors, state), info.lora_alpha)
    base.applied = str(path)


@torch.no_grad()
def _merge(state: Mapping[str, Tensor], lora: Mapping[str, Tensor], alpha: float) -> None:
    """Add every LoRA to its weight, in place.

    Args:
        state: the U-Net's own tensors.
        lora: under peft's names.
        alpha: the LoRA's ``lora_alpha``.
    """
    for name, down in lora.items():
        if not name.endswith(".lora_A.weight"):
            continue
        module = name.removesuffix(".lora_A.weight")
        weight = state[f"{module}.weight"]
        up = lora[f"{module}.lora_B.weight"]
        if up.shape[1] != down.shape[0]:
            came = f"the LoRA of {module} has ranks {down.shape[0]} and {up.shape[1]}"
            raise WeightsError(came, "one rank", "train again")
        change = up.float().flatten(1) @ down.float().flatten(1) * (alpha / down.shape[0])
        merged = weight.float() + change.view(weight.shape).to(weight.device)
        weight.copy_(merged.to(weight.dtype))
