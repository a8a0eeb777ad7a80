"""Names of LoRA tensors: peft's while training, the host's in the file.

In a class weights file the LoRA of the module
``down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q`` has three tensors that begin with
``lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q``:

    .lora_down.weight  [rank, in]   (peft's lora_A)
    .lora_up.weight    [out, rank]  (peft's lora_B)
    .alpha             []

The module's weight grows by ``alpha / rank * up @ down``. ComfyUI's LoraLoader reads these names
(``comfy/lora.py``, ``model_lora_keys_unet``), and so does diffusers' ``load_lora_weights``. The
host does NOT read peft's own ``unet. ... .to_q.lora_A.weight``: it looks for ``.processor.to_q``
there, and skips the other names with a line in its log.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from ..errors import WeightsError

__all__ = ["from_host_names", "to_host_names"]

_PREFIX = "lora_unet_"
_DOWN, _UP, _ALPHA = ".lora_down.weight", ".lora_up.weight", ".alpha"
_HOST_ENDS = {"A.weight": _DOWN, "B.weight": _UP}
"""peft's ends after ``.lora_``, and the host's."""


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
        plain = name.removeprefix("base_model.model.").removeprefix("unet.")
        plain = plain.replace(".default.weight", ".weight")
        module, _, end = plain.partition(".lora_")
        if end not in _HOST_ENDS:
            expected = "a name that ends in .lora_A.weight or .lora_B.weight"
            raise WeightsError(f"{name!r} is no LoRA tensor", expected)
        host_module = _PREFIX + module.replace(".", "_")
        named[host_module + _HOST_ENDS[end]] = tensor
        named[host_module + _ALPHA] = torch.tensor(float(alpha))
    return named


def from_host_names(
    tensors: Mapping[str, Tensor], modules: Mapping[str, Tensor] | Iterable[str]
) -> dict[str, Tensor]:
    """Rename a file's LoRA for peft: the inverse of `to_host_names`, without alpha.

    Args:
        tensors: as `files.load_weights` returns them.
        modules: the names of the U-Net's weights, ``<module>.weight``; given a state dict, the
            shapes are compared too.

    Returns:
        ``<module>.lora_A.weight`` [rank, in, ...] and ``<module>.lora_B.weight`` [out, rank, ...].

    Raises:
        WeightsError: a module that this U-Net lacks, or one of another shape: the LoRA belongs to
            another base.
    """
    weight_names = {}
    for weight_name in modules:
        if weight_name.endswith(".weight"):
            host_module = _PREFIX + weight_name.removesuffix(".weight").replace(".", "_")
            weight_names[host_module] = weight_name
    named: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        host_module, _, end = name.partition(".")
        if host_module not in weight_names:
            expected = "the base that the LoRA was trained on"
            came = f"this U-Net has no module {host_module[:200]!r}"
            raise WeightsError(came, expected, "load that base")
        if "." + end == _ALPHA:
            continue
        weight_name = weight_names[host_module]
        down = "." + end == _DOWN
        if isinstance(modules, Mapping):
            shape = tuple(modules[weight_name].shape)
            if not _fits(tensor, shape, down):
                came = f"{name[:200]!r} has the shape {tuple(tensor.shape)}"
                expected = f"one that fits the module's weight {shape}"
                raise WeightsError(came, expected, "load the base that the LoRA was trained on")
        module = weight_name.removesuffix(".weight")
        named[module + (".lora_A.weight" if down else ".lora_B.weight")] = tensor
    return named


def _fits(tensor: Tensor, shape: tuple[int, ...], down: bool) -> bool:
    if tensor.dim() != len(shape):
        return False
    return tensor.shape[1:] == shape[1:] if down else tensor.shape[0] == shape[0]
