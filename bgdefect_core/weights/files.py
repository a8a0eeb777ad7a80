"""Class weights files: one defect class, trained, in one safetensors file.

The metadata of the file holds ``format`` ("pt", as every reader of safetensors expects),
``bgdefect`` (one JSON object, the fields of `ClassWeightsInfo`) and ``tensors`` (their number).
Nothing in a file is ever executed, and reading the metadata loads no tensor. A full U-Net is stored
under its diffusers names; for LoRA see `lora_names`.

A base is identified by a fingerprint, not by a file name: the same weights as a diffusers folder or
a single file, in fp32 or fp16, have the same fingerprint.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor
from torch.nn import Parameter

from ..errors import WeightsError
from ..files import atomic_write
from .info import ClassWeightsInfo, architecture_of, parse_info, plain
from .model_folders import check_types, is_short
from .safetensors_file import open_safetensors

__all__ = [
    "ClassWeightsInfo",
    "UNKNOWN",
    "architecture_of",
    "check_base",
    "check_keys",
    "fingerprint",
    "network_input",
    "load_weights",
    "read_info",
    "save_weights",
]

log = logging.getLogger(__name__)

UNKNOWN = "unknown"
FINGERPRINT_TENSORS = (
    "conv_in.weight",
    "time_embedding.linear_1.weight",
    "mid_block.resnets.0.conv1.weight",
    "conv_out.weight",
)
_LORA_ENDS = (".lora_down.weight", ".lora_up.weight", ".alpha")
_EXPECTED = "a class weights file that `bgdefect train` wrote"
_AGAIN = "copy the file again"
_NAME_LENGTH = 200
"""Longest part of a tensor's name in a message."""


def fingerprint(state_dict: Mapping[str, Tensor]) -> str:
    """Identify a base: SHA-256 over four tensors of the unpatched U-Net, rounded to fp16.

    Args:
        state_dict: diffusers names, no LoRA or other patch applied; only the four tensors are read.

    Returns:
        64 hexadecimal digits, or "unknown" where a tensor is missing or neither fp32 nor fp16: bf16
        and quantised weights have lost bits that fp16 keeps, and a quantised tensor may have a type
        of its own that reports fp16.
    """
    digest = hashlib.sha256()
    for name in FINGERPRINT_TENSORS:
        tensor = state_dict.get(name)
        if tensor is None or type(tensor) not in (Tensor, Parameter):
            return UNKNOWN
        if tensor.dtype not in (torch.float32, torch.float16):
            return UNKNOWN
        digest.update(f"{name} {tuple(tensor.shape)}\n".encode())
        digest.update(_half_bytes(tensor))
    return digest.hexdigest()


def network_input(what: str, weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Record a network that has no fingerprint (VAE, text encoder) as an input of a run.

    Args:
        what: the network in words, for messages.
        weights: its state dict. All floating point tensors count, rounded to fp16; names and
            integer buffers do not, since they differ between releases of transformers.
    """
    digest = hashlib.sha256()
    size = 0
    for tensor in weights.values():
        if tensor.is_floating_point():
            content = _half_bytes(tensor)
            digest.update(f"{tuple(tensor.shape)}\n".encode() + content)
            size += len(content)
    return {"file": what, "bytes": size, "sha256": digest.hexdigest()}


def _half_bytes(tensor: Tensor) -> bytes:
    """The tensor rounded to fp16, little-endian."""
    half = tensor.detach().to("cpu", torch.float16).contiguous()
    return half.numpy().astype("<f2", copy=False).tobytes()


def check_base(
    info: ClassWeightsInfo,
    base_fingerprint: str,
    architecture: Mapping[str, Any],
    prediction_type: str,
    allow_other_base: bool = False,
) -> None:
    """Refuse a base that the weights do not fit; warn of one that they were not trained on.

    Args:
        info: of the weights.
        base_fingerprint: of the base, see `fingerprint`.
        architecture: of the base's U-Net, see `architecture_of`. Only keys that both sides have are
            compared.
        prediction_type: of the base.
        allow_other_base: warn, rather than refuse, where a full U-Net meets another base.

    Raises:
        WeightsError: another architecture or prediction type; for a full U-Net also another base.
    """
    label = f"{info.object!r} / {info.defect!r}"
    load = f"load the base {info.base_name!r}"
    for key, trained in info.architecture.items():
        if key in architecture and plain(architecture[key]) != plain(trained):
            came = f"the base's U-Net has {key} {architecture[key]!r}"
            expected = f"{trained!r}, as in the U-Net on which {label} was trained"
            raise WeightsError(came, expected, load)
    if prediction_type != info.prediction_type:
        expected = f"{info.prediction_type!r}, as when {label} was trained"
        raise WeightsError(f"the base predicts {prediction_type!r}", expected, load)
    if UNKNOWN in (base_fingerprint, info.base_fingerprint):
        log.warning(
            "cannot tell whether %s was trained on this base: bf16 and quantised bases are not"
            " recognised",
            label,
        )
    elif base_fingerprint != info.base_fingerprint:
        other = f"another base, {info.base_name!r}"
        if info.kind == "full" and not allow_other_base:
            raise WeightsError(
                f"{label} was trained on {other} ({info.base_fingerprint[:12]})",
                f"that base, not {base_fingerprint[:12]}",
                "load that base, or allow another one (--allow-other-base)",
            )
        log.warning("%s was trained on %s: expect weaker defects", label, other)


def check_keys(names: Iterable[str], expected: Iterable[str]) -> None:
    """Raise WeightsError unless both name the same tensors.

    Args:
        names: of a full U-Net's file.
        expected: of ``unet.state_dict()``.
    """
    file_names, unet_names = set(names), set(expected)
    missing = sorted(unet_names - file_names)
    unknown = sorted(file_names - unet_names)
    faults = []
    for tensors, fault in ((missing, "missing"), (unknown, "not part of this U-Net")):
        if tensors:
            first = tensors[0][:_NAME_LENGTH]
            faults.append(f"{len(tensors)} tensors are {fault}, first {first!r}")
    if faults:
        expects = f"the {len(unet_names)} tensors of the base's U-Net"
        raise WeightsError("; ".join(faults), expects, "use the base that they were trained on")


def save_weights(
    path: str | Path, tensors: Mapping[str, Tensor], info: ClassWeightsInfo, fp16: bool = False
) -> None:
    """Write a class weights file, under a temporary name first: a kill leaves the old or the new.

    Args:
        path: the file to write.
        tensors: diffusers names for a full U-Net, host names for LoRA (`lora_names.to_host_names`).
        info: what the file says about itself.
        fp16: store floating point tensors as fp16, at half the size.

    Raises:
        WeightsError: NaN or infinity (also from rounding to fp16), missing tensors, a broken info.
        OutputError: the place cannot be written to, or the disk is full.
    """
    path = Path(path)
    stored = {}
    for name, tensor in tensors.items():
        half = fp16 and tensor.is_floating_point()
        dtype = torch.float16 if half else tensor.dtype
        stored[name] = tensor.detach().to("cpu", dtype).contiguous()
    record = json.dumps(asdict(info))
    parse_info(record, str(path))
    _check_tensors(stored, info, path)
    metadata = {"format": "pt", "bgdefect": record, "tensors": str(len(stored))}
    with atomic_write(path) as file:
        file.write(save(stored, metadata=metadata))


def read_info(path: str | Path) -> ClassWeightsInfo:
    """Read what a class weights file says about itself; no tensor is loaded.

    Raises:
        WeightsError: missing, truncated, not safetensors, a pickle, not written by this package, or
            broken metadata.
    """
    path = Path(path)
    with open_safetensors(path, _EXPECTED) as file:
        return _read_header(file, path)[0]


def load_weights(path: str | Path) -> tuple[dict[str, Tensor], ClassWeightsInfo]:
    """Load a class weights file onto the CPU and check every tensor.

    Raises:
        WeightsError: all that `read_info` refuses; missing tensors; NaN or infinity; weights that
            are quantised with scales. Those of 8 bits alone are read as fp32, with a warning.
    """
    path = Path(path)
    with open_safetensors(path, _EXPECTED) as file:
        info, count = _read_header(file, path)
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no dict)
    if len(tensors) != count:
        came = f"{path}: holds {len(tensors)} tensors"
        raise WeightsError(came, f"{count}, as its metadata says", _AGAIN)
    if any(map(is_short, tensors.values())):
        check_types(str(path), tensors)
        for name, tensor in tensors.items():
            tensors[name] = tensor.float() if is_short(tensor) else tensor
    _check_tensors(tensors, info, path)
    return tensors, info


def _read_header(file: Any, path: Path) -> tuple[ClassWeightsInfo, int]:
    """The record and the number of tensors."""
    metadata = file.metadata() or {}
    if "bgdefect" not in metadata:
        raise WeightsError(f"{path}: has no BGDefect metadata", _EXPECTED)
    count = metadata.get("tensors", "")
    if not (count.isascii() and count.isdigit() and len(count) < 10):
        raise WeightsError(f"{path}: its metadata lacks the number of tensors", "", _AGAIN)
    return parse_info(metadata["bgdefect"], str(path)), int(count)


def _check_tensors(tensors: Mapping[str, Tensor], info: ClassWeightsInfo, path: Path) -> None:
    if not tensors:
        raise WeightsError(f"{path}: holds no tensors", "", "train the class again")
    required = set(FINGERPRINT_TENSORS) if info.kind == "full" else _lora_names(tensors, path)
    missing = sorted(required - set(tensors))
    if missing:
        first = missing[0][:_NAME_LENGTH]
        came = f"{path}: {len(missing)} tensors are missing, first {first!r}"
        raise WeightsError(came, "", _AGAIN)
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            came = f"{path}: NaN or infinity in {name[:_NAME_LENGTH]!r}"
            raise WeightsError(came, "finite weights", "train again, or store as fp32")


def _lora_names(tensors: Iterable[str], path: Path) -> set[str]:
    """The names that a LoRA file must hold: three for each module that it names."""
    names = set()
    for name in sorted(tensors):
        end = "." + name.partition(".")[2]
        if end not in _LORA_ENDS:
            expected = "names that end in " + ", ".join(_LORA_ENDS)
            raise WeightsError(f"{path}: holds {name[:_NAME_LENGTH]!r}", expected)
        module = name.removesuffix(end)
        names |= {module + part for part in _LORA_ENDS}
    return names
