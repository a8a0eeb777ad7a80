"""Class weights on the host's MODEL: what its base is, whether they fit, and the patches."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import comfy.lora
import comfy.utils
from torch import Tensor

from ..bgdefect_core.errors import WeightsError
from ..bgdefect_core.weights.files import (
    FINGERPRINT_TENSORS,
    ClassWeightsInfo,
    check_base,
    fingerprint,
    load_weights,
)
from ._class_patches import architecture_of, full_patches
from ._host import prediction_type_of

_PREFIX = "diffusion_model."


def apply_weights(
    model: Any, path: Path, strength: float, allow_other_base: bool
) -> tuple[Any, ClassWeightsInfo]:
    """A clone of the MODEL that carries a class weights file.

    Args:
        strength: of a LoRA; a full U-Net is blended, ``(1 - strength) base + strength class``.
        allow_other_base: as in `bgdefect_core.weights.files.check_base`.

    Raises:
        WeightsError: a damaged file, or one that does not fit the MODEL.
    """
    tensors, info = load_weights(path)
    unet_config = model.model.model_config.unet_config
    names: dict[str, str] = {}
    weights: dict[str, Tensor] = {}
    for theirs, ours in comfy.utils.unet_to_diffusers(unet_config).items():
        names[theirs] = _PREFIX + ours
        weight = _unpatched(model, names[theirs])
        if weight is not None:
            weights[theirs] = weight
    if not weights:
        what = f"model is a {type(model.model).__name__}"
        raise WeightsError(
            what, "a U-Net of Stable Diffusion's form", f"load the base {info.base_name!r}"
        )
    base = fingerprint({name: weights[name] for name in FINGERPRINT_TENSORS if name in weights})
    check_base(
        info, base, architecture_of(unet_config), prediction_type_of(model), allow_other_base
    )
    patches = (
        full_patches(tensors, weights, names) if info.kind == "full" else _lora(model, tensors)
    )
    clone = model.clone()
    base_strength = 1 - strength if info.kind == "full" else 1.0
    taken = clone.add_patches(patches, strength, base_strength)
    refused = sorted(set(patches) - set(taken))
    if refused:
        raise WeightsError(
            f"model lacks {len(refused)} of the file's modules, first {refused[0]!r}",
            "the base it was trained on",
        )
    return clone, info


def _unpatched(model: Any, name: str) -> Tensor | None:
    """A weight of the MODEL without the patches (LoRAs) that may be on it right now."""
    saved = model.backup.get(name)
    if saved is not None:
        weight: Tensor = saved.weight
        return weight
    try:
        weight = comfy.utils.get_attr(model.model, name)
    except AttributeError:
        return None
    return weight


def _lora(model: Any, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """A LoRA by the host's own reader; every module must have its place and fit."""
    places = comfy.lora.model_lora_keys_unet(model.model, {})
    modules = sorted({name.split(".")[0] for name in tensors})
    unknown = [module for module in modules if module not in places]
    if unknown:
        raise WeightsError(
            f"model has no module {unknown[0][:200]!r}",
            "the base that the LoRA was trained on",
            "load that base",
        )
    for module in modules:
        weight = comfy.utils.get_attr(model.model, places[module])
        down = tensors[f"{module}.lora_down.weight"]
        up = tensors[f"{module}.lora_up.weight"]
        alpha = tensors[f"{module}.alpha"]
        # The host would leave a module out that does not fit, and paint without it.
        deep = min(down.ndim, up.ndim) > 1
        if (
            not deep
            or up.flatten(1).shape != (len(weight), len(down))
            or down[0].numel() != weight[0].numel()
            or alpha.numel() != 1
        ):
            what = (
                f"{module[:200]!r} has lora_down {list(down.shape)}, lora_up {list(up.shape)} "
                f"and alpha {list(alpha.shape)}"
            )
            expected = f"one rank, for a weight of {list(weight.shape)}, and one alpha"
            raise WeightsError(
                what, expected, "load the base that the LoRA was trained on, or copy the file again"
            )
    patches: dict[str, Any] = comfy.lora.load_lora(dict(tensors), places)
    return patches
