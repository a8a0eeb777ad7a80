"""Names of LoRA tensors: peft's while training, the host's in the file.

In a class weights file the LoRA of the module
``down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q`` is

    lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q.lora_down.weight  [rank, in]   (peft's lora_A)
    lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q.lora_up.weight    [out, rank]  (peft's lora_B)
    lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q.alpha             []

and the module's weight grows by ``alpha / rank * up @ down``. ComfyUI's LoraLoader reads these
names (``comfy/lora.py``, ``model_lora_keys_unet``), and so does diffusers' ``load_lora_weights``.
peft's own ``unet. ... .to_q.lora_A.weight`` is NOT read by the host: it looks for
``.processor.to_q`` there, and passes over the rest with a line in its log.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from ..errors import WeightsError

__all__ = ["from_host_names", "to_host_names"]

_PREFIX = "lora_unet_"
_DOWN, _UP, _ALPHA = ".lora_down.weight", ".lora_up.weight", ".alpha"


def to_host_names(peft_state: Mapping[str, Tensor], alpha: float) -> dict[str, Tensor]:
    """Rename a LoRA for the file.

    Args:
        peft_state: ``<module>.lora_A.weight`` and ``<module>.lora_B.weight``, as peft's
            ``get_peft_model_state_dict`` returns them (a leading ``base_model.model.`` or
            ``unet.`` and the adapter's name ``.default`` are dropped).
        alpha: peft's ``lora_alpha``, the same for all modules.

    Raises:
        WeightsError: a tensor that is no LoRA matrix.
    """
    named: dict[str, Tensor] = {}
    for name, tensor in peft_state.items():
        plain = (
            name.removeprefix("base_model.model.")
            .removeprefix("unet.")
            .replace(".default.weight", ".weight")
        )
        for ours, theirs in ((_DOWN, ".lora_A.weight"), (_UP, ".lora_B.weight")):
            if plain.endswith(theirs):
                module = _PREFIX + plain.removesuffix(theirs).replace(".", "_")
                named[module + ours] = tensor
                named[module + _ALPHA] = torch.tensor(float(alpha))
                break
        else:
            raise WeightsError(
                f"{name!r} is no LoRA tensor",
                "a name that ends in .lora_A.weight or .lora_B.weight",
            )
    return named


def from_host_names(
    tensors: Mapping[str, Tensor], modules: Mapping[str, Tensor] | Iterable[str]
) -> dict[str, Tensor]:
    """Rename a file's LoRA for peft: the inverse of `to_host_names`, without alpha (see
    `ClassWeightsInfo.lora_alpha`).

    Args:
        tensors: as `weights.load_weights` returns them.
        modules: the names of the U-Net's weights, ``<module>.weight``; given a state dict, the
            shapes are compared too.

    Returns:
        ``<module>.lora_A.weight`` [rank, in, ...] and ``<module>.lora_B.weight`` [out, rank, ...].

    Raises:
        WeightsError: a module that this U-Net lacks, or one of another shape: the LoRA belongs to
            another base.
    """
    shapes = (
        {name: tuple(tensor.shape) for name, tensor in modules.items()}
        if isinstance(modules, Mapping)
        else {}
    )
    known = {
        _PREFIX + name.removesuffix(".weight").replace(".", "_"): name
        for name in modules
        if name.endswith(".weight")
    }
    named: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        module, _, end = name.partition(".")
        if module not in known:
            raise WeightsError(
                f"this U-Net has no module {module[:200]!r}",
                "the base that the LoRA was trained on",
                "load that base",
            )
        weight = known[module]
        if "." + end == _ALPHA:
            continue
        down = "." + end == _DOWN
        if weight in shapes and not _fits(tensor, shapes[weight], down):
            raise WeightsError(
                f"{name[:200]!r} has the shape {tuple(tensor.shape)}",
                f"one that fits the module's weight {shapes[weight]}",
                "load the base that the LoRA was trained on",
            )
        named[weight.removesuffix(".weight") + (".lora_A.weight" if down else ".lora_B.weight")] = (
            tensor
        )
    return named


def _fits(tensor: Tensor, shape: tuple[int, ...], down: bool) -> bool:
    return tensor.dim() == len(shape) and (
        tensor.shape[1:] == shape[1:] if down else tensor.shape[0] == shape[0]
    )
