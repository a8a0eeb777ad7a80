"""Training checkpoints: modules and optimizer in one safetensors file, never pickle.

Every random number of a run is a function of (seed, step)
(:func:`bgdefect_core.method.randomness.generator`), so that a step count is all the state that the
data order, the noise and the learning rate need: a run resumed from a checkpoint ends with the same
bits as one that was never stopped.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from bgdefect_core.errors import WeightsError
from bgdefect_core.files import atomic_write
from bgdefect_core.weights.safetensors_file import open_safetensors

log = logging.getLogger(__name__)

_PATTERN = "step-*.safetensors"
_KEY = "bgdefect_checkpoint"
_META = {"step": int, "extra": dict, "numbers": dict, "groups": list}
"""Entries of the metadata, and their types."""
_EXPECTED = "a whole checkpoint"


def save_checkpoint(
    folder: Path,
    step: int,
    modules: Mapping[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    extra: Mapping[str, Any] | None = None,
    keep: int = 2,
) -> Path:
    """Write ``folder/step-NNNNNN.safetensors`` and delete all but the ``keep`` newest.

    Args:
        folder: of the run's checkpoints.
        step: iterations done.
        modules: their trainable parameters and buffers are written.
        optimizer: its state is written.
        extra: any JSON value.
        keep: number of checkpoints that stay.

    Raises:
        OutputError: the place cannot be written to, or the disk is full.
    """
    tensors: dict[str, Tensor] = {}
    for name, module in modules.items():
        for key, tensor in _trained_state(module).items():
            tensors[f"{name}/{key}"] = tensor.detach().cpu().contiguous()
    state = optimizer.state_dict()
    numbers: dict[str, Any] = {}
    for index, entries in state["state"].items():
        for key, entry in entries.items():
            if isinstance(entry, Tensor):
                tensors[f"optimizer/{index}/{key}"] = entry.detach().cpu().contiguous()
            else:
                numbers[f"{index}/{key}"] = entry
    meta = {
        "step": step,
        "extra": dict(extra or {}),
        "numbers": numbers,
        "groups": state["param_groups"],
    }
    path = folder / f"step-{step:06d}.safetensors"
    with atomic_write(path) as file:
        file.write(save(tensors, metadata={_KEY: json.dumps(meta)}))
    for old_checkpoint in sorted(folder.glob(_PATTERN))[:-keep]:
        old_checkpoint.unlink()
    return path


def latest_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint of a folder; damaged ones are named in the log."""
    for path in sorted(folder.glob(_PATTERN), reverse=True):
        try:
            with open_safetensors(path, _EXPECTED) as file:
                _read_meta(file, path)
        except WeightsError as error:
            log.warning("%s; the checkpoint is passed over", error.came)
            continue
        return path
    return None


def load_checkpoint(
    path: Path, modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer
) -> tuple[int, dict[str, Any]]:
    """Put a checkpoint back into ``modules`` and ``optimizer``; returns ``(step, extra)``.

    Raises:
        WeightsError: a damaged checkpoint, or one of something else.
    """
    with open_safetensors(path, _EXPECTED) as file:
        meta = _read_meta(file, path)
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    for name, module in modules.items():
        state = {}
        for key in _trained_state(module):
            if f"{name}/{key}" not in tensors:
                came = f"{path} lacks {key} of {name}"
                raise WeightsError(came, _EXPECTED, "delete this checkpoint")
            state[key] = tensors[f"{name}/{key}"]
        module.load_state_dict(state, strict=False)
    entries: dict[int, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer/"):
            _, index, key = name.split("/")
            entries.setdefault(int(index), {})[key] = tensor
    for name, number in meta["numbers"].items():
        index, key = name.split("/")
        entries.setdefault(int(index), {})[key] = number
    optimizer.load_state_dict({"state": entries, "param_groups": meta["groups"]})
    return int(meta["step"]), meta["extra"]


def _trained_state(module: nn.Module) -> dict[str, Tensor]:
    """The trainable parameters and the buffers of a module."""
    state = module.state_dict()
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            state.pop(name, None)
    return state


def _read_meta(file: Any, path: Path) -> dict[str, Any]:
    """The metadata of an open checkpoint."""
    text = (file.metadata() or {}).get(_KEY)
    if text is None:
        raise WeightsError(f"{path}: its metadata is not a checkpoint's", _EXPECTED)
    try:
        meta = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: its metadata cannot be parsed", "JSON") from error
    if not isinstance(meta, dict):
        raise WeightsError(f"{path}: its metadata is damaged", _EXPECTED)
    for name, kind in _META.items():
        if not isinstance(meta.get(name), kind):
            raise WeightsError(f"{path}: its metadata lacks {name}", _EXPECTED)
    return meta
