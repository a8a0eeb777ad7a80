"""Weights of bases in their networks, and what libraries raise while they load."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from bgdefect_core.errors import BGDefectError, WeightsError
from bgdefect_core.weights.model_folders import check_types

HALF_KEPT = (torch.float32, torch.float16)
"""Types whose rounding to fp16 loses nothing that a fingerprint reads."""


def fill(network: nn.Module, tensors: dict[str, Tensor], where: str) -> None:
    """Put weights into a network made without memory, in fp32.

    Args:
        network: as ``accelerate.init_empty_weights`` leaves it.
        tensors: of any floating point type; names that the network lacks are passed over.
        where: the folder or file, for messages.

    Raises:
        WeightsError: missing tensors, other shapes, or quantised weights.
    """
    check_types(where, tensors)
    state = network.state_dict()
    missing = [name for name in state if name not in tensors and "position_ids" not in name]
    if missing:
        came = f"{where} lacks {len(missing)} tensors, first {sorted(missing)[0]}"
        raise WeightsError(came, "whole weights", "copy it again")
    weights = {}
    for name, tensor in tensors.items():
        if name not in state:
            continue
        if tensor.shape != state[name].shape:
            came = f"{where} holds {name} with the shape {tuple(tensor.shape)}"
            expected = f"{tuple(state[name].shape)}, as its configuration says"
            raise WeightsError(came, expected, "use the configuration that belongs to the weights")
        dtype = torch.float32 if tensor.is_floating_point() else tensor.dtype
        weights[name] = tensor.to(dtype, copy=True)
    network.load_state_dict(weights, strict=False, assign=True)


@contextmanager
def library_errors(where: Path | str, expected: str, do: str) -> Iterator[None]:
    """Whatever diffusers, transformers or tokenizers raise while they load becomes a WeightsError.

    Raises:
        WeightsError: naming the place and what the library said.
    """
    try:
        yield
    except (BGDefectError, MemoryError):
        raise
    except Exception as reason:  # their own classes, and bare Exceptions (tokenizers)
        text = str(reason).strip()[:300] or "no message"
        came = f"{where} cannot be loaded ({type(reason).__name__}: {text})"
        raise WeightsError(came, expected, do) from reason
