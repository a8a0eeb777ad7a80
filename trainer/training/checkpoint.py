"""Training checkpoints: modules and optimizer in one safetensors file, never pickle.

Every random number of a run is a function of (seed, step)
(:func:`bgdefect_core.method.randomness.generator`), so that a step count is all the state
that the data order, the noise and the learning rate need: a run resumed from a checkpoint ends with
the same bits as one that was never stopped.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from bgdefect_core.errors import WeightsError
from bgdefect_core.files import atomic_write

log = logging.getLogger(__name__)
_PATTERN = "step-*.safetensors"


def save_checkpoint(
    folder: Path,
    step: int,
    modules: Mapping[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    extra: Mapping[str, Any] | None = None,
    keep: int = 2,
) -> Path:
    """Write ``folder/step-NNNNNN.safetensors`` (temporary name, then renamed) and delete all but
    the ``keep`` newest.

    Only trainable parameters and buffers of ``modules`` are kept where a module has frozen ones.
    ``extra`` is any JSON value.
    """
    tensors: dict[str, Tensor] = {}
    for name, module in modules.items():
        for key, value in _trained_state(module).items():
            tensors[f"{name}/{key}"] = value.detach().cpu().contiguous()
    state = optimizer.state_dict()
    numbers: dict[str, Any] = {}
    for index, entries in state["state"].items():
        for key, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer/{index}/{key}"] = value.detach().cpu().contiguous()
            else:
                numbers[f"{index}/{key}"] = value
    meta = {
        "step": step,
        "extra": dict(extra or {}),
        "numbers": numbers,
        "groups": state["param_groups"],
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step-{step:06d}.safetensors"
    with atomic_write(path) as file:
        file.write(save(tensors, metadata={"bgdefect_checkpoint": json.dumps(meta)}))
    for old in sorted(folder.glob(_PATTERN))[:-keep]:
        old.unlink()
    return path


def latest_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint of ``folder``; damaged ones are named in the log and passed
    over."""
    for path in sorted(folder.glob(_PATTERN), reverse=True):
        try:
            _read_meta(path)
        except WeightsError as error:
            log.warning("%s", error)
            continue
        return path
    return None


def load_checkpoint(
    path: Path, modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer
) -> tuple[int, dict[str, Any]]:
    """Put a checkpoint back into ``modules`` and ``optimizer``; returns ``(step, extra)``."""
    meta = _read_meta(path)
    with safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    for name, module in modules.items():
        wanted = _trained_state(module)
        found = {key: tensors.get(f"{name}/{key}") for key in wanted}
        missing = [key for key, value in found.items() if value is None]
        if missing:
            raise WeightsError(
                f"{path}: {len(missing)} tensors of {name} are missing ({missing[0]}, ...); delete this checkpoint"
            )
        module.load_state_dict(
            {key: value for key, value in found.items() if value is not None}, strict=False
        )
    state: dict[int, dict[str, Any]] = {}
    for key, tensor in tensors.items():
        if key.startswith("optimizer/"):
            _, index, entry = key.split("/")
            state.setdefault(int(index), {})[entry] = tensor
    for key, number in meta["numbers"].items():
        index, entry = key.split("/")
        state.setdefault(int(index), {})[entry] = number
    optimizer.load_state_dict({"state": state, "param_groups": meta["groups"]})
    return int(meta["step"]), meta["extra"]


def _trained_state(module: nn.Module) -> dict[str, Tensor]:
    frozen = {name for name, parameter in module.named_parameters() if not parameter.requires_grad}
    return {key: value for key, value in module.state_dict().items() if key not in frozen}


def _read_meta(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get("bgdefect_checkpoint")
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"{path}: not a whole checkpoint ({error}); it is passed over"
        ) from error
    if text is None:
        raise WeightsError(
            f"{path}: a safetensors file, but not a BGDefect checkpoint; it is passed over"
        )
    try:
        meta = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: its metadata is no JSON; it is passed over") from error
    kinds = {"step": int, "extra": dict, "numbers": dict, "groups": list}
    if not isinstance(meta, dict) or not all(
        isinstance(meta.get(name), kind) for name, kind in kinds.items()
    ):
        raise WeightsError(
            f"{path}: its metadata lacks one of {', '.join(kinds)}; it is passed over"
        )
    return meta
