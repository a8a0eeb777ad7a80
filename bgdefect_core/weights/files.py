"""Class weights files: one defect class, trained, in one safetensors file.

The metadata of the file holds ``format`` ("pt", as every reader of safetensors expects),
``bgdefect`` (one JSON object, the fields of `ClassWeightsInfo`) and ``tensors`` (how many there
are). Nothing in a file is ever executed, and reading the metadata never loads a tensor. A full
U-Net is stored under its diffusers names; for LoRA see `lora_names`.

The base is known by a fingerprint, not by a file name: the same weights as a diffusers folder, as a
    single file, in
fp32 or in fp16 have one fingerprint.
"""

from __future__ import annotations

import hashlib
import json
import logging
import struct
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor
from torch.nn import Parameter

from ..errors import WeightsError
from ..files import atomic_write
from ..paths import system_errors
from .info import ClassWeightsInfo, architecture_of, parse_info, plain

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
_HEADER_LIMIT = 16 << 20  # bytes; a full SDXL U-Net needs 0.3 MB
_PICKLES = tuple(bytes((0x80, protocol)) for protocol in range(2, 6))
_LORA_ENDS = (".lora_down.weight", ".lora_up.weight", ".alpha")


def fingerprint(state_dict: Mapping[str, Tensor]) -> str:
    """Name the base: SHA-256 over four named tensors of an unpatched U-Net, rounded to fp16.

    Args:
        state_dict: diffusers names, no LoRA or other patch applied; only the four tensors need to
            be there.

    Returns:
        64 hexadecimal digits, or "unknown" where a tensor is missing or neither fp32 nor fp16 (bf16
        and quantised weights have lost bits that fp16 keeps; a quantised tensor may be of a type of
        its own that calls itself fp16).
    """
    digest = hashlib.sha256()
    for name in FINGERPRINT_TENSORS:
        tensor = state_dict.get(name)
        if (
            tensor is None
            or type(tensor) not in (Tensor, Parameter)
            or tensor.dtype not in (torch.float32, torch.float16)
        ):
            return UNKNOWN
        digest.update(f"{name} {tuple(tensor.shape)}\n".encode())
        digest.update(_half_bytes(tensor))
    return digest.hexdigest()


def network_input(what: str, weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """What ``inputs`` records of a network that no fingerprint names (VAE, text encoder): all its
    weights, rounded to fp16, too.

    Args:
        what: the network in words, for the message. weights: its state dict; names and integer
            buffers do not count, since they change between releases of transformers.
    """
    digest, size = hashlib.sha256(), 0
    for tensor in weights.values():
        if tensor.is_floating_point():
            content = _half_bytes(tensor)
            digest.update(f"{tuple(tensor.shape)}\n".encode() + content)
            size += len(content)
    return {"file": what, "bytes": size, "sha256": digest.hexdigest()}


def _half_bytes(tensor: Tensor) -> bytes:
    """Rounded to fp16, little-endian."""
    return (
        tensor.detach()
        .to("cpu", torch.float16)
        .contiguous()
        .numpy()
        .astype("<f2", copy=False)
        .tobytes()
    )


def check_base(
    info: ClassWeightsInfo,
    base_fingerprint: str,
    architecture: Mapping[str, Any],
    prediction_type: str,
    allow_other_base: bool = False,
) -> None:
    """Refuse a base that these weights do not fit; warn of one that they were not trained on.

    Args:
        base_fingerprint, architecture, prediction_type: of the base at hand (`fingerprint`,
            `architecture_of`). Only the architecture's keys that both sides know are compared.
        allow_other_base: turns the refusal of a full U-Net on another base into a warning.

    Raises:
        WeightsError: another architecture or prediction type; for a full U-Net also another base.
    """
    for key, trained in info.architecture.items():
        if key in architecture and plain(architecture[key]) != plain(trained):
            raise WeightsError(
                f"the base's U-Net has {key} {architecture[key]!r}",
                f"{trained!r}, as in the U-Net on which {_label(info)} was trained",
                f"load the base {info.base_name!r}",
            )
    if prediction_type != info.prediction_type:
        raise WeightsError(
            f"the base predicts {prediction_type!r}",
            f"{info.prediction_type!r}, as when {_label(info)} was trained",
            f"load the base {info.base_name!r}",
        )
    if UNKNOWN in (base_fingerprint, info.base_fingerprint):
        log.warning(
            "cannot tell whether %s was trained on this base: bf16 and quantised bases are not recognised",
            _label(info),
        )
    elif base_fingerprint != info.base_fingerprint:
        if info.kind == "full" and not allow_other_base:
            raise WeightsError(
                f"{_label(info)} was trained on another base, {info.base_name!r} ({info.base_fingerprint[:12]})",
                f"that base, not {base_fingerprint[:12]}",
                "load that base, or allow another one (--allow-other-base)",
            )
        log.warning(
            "%s was trained on another base, %r: expect weaker defects",
            _label(info),
            info.base_name,
        )


def check_keys(names: Iterable[str], expected: Iterable[str]) -> None:
    """Raise WeightsError unless both name the same tensors; for a full U-Net against
    ``unet.state_dict()``."""
    got, want = set(names), set(expected)
    missing, unknown = sorted(want - got), sorted(got - want)
    if missing or unknown:
        what = "; ".join(
            f"{len(some)} tensors are {how}, first {some[0][:200]!r}"
            for some, how in ((missing, "missing"), (unknown, "not part of this U-Net"))
            if some
        )
        raise WeightsError(
            what,
            f"the {len(want)} tensors of the base's U-Net",
            "use the base that they were trained on",
        )


def save_weights(
    path: str | Path, tensors: Mapping[str, Tensor], info: ClassWeightsInfo, fp16: bool = False
) -> None:
    """Write a class weights file: under a temporary name first, so that a kill leaves the old file
    or the new one.

    Args:
        tensors: diffusers names for a full U-Net, host names for LoRA (see
            `lora_names.to_host_names`).
        fp16: store floating point tensors as fp16: half the size.

    Raises:
        WeightsError: NaN or infinity (also from rounding to fp16), missing tensors, a broken info.
        OutputError: the place cannot be written to, or the disk is full.
    """
    path = Path(path)
    stored = {}
    for name, tensor in tensors.items():
        half = fp16 and tensor.is_floating_point()
        stored[name] = (
            tensor.detach().to("cpu", torch.float16 if half else tensor.dtype).contiguous()
        )
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
    return _read_header(Path(path))[0]


def load_weights(path: str | Path) -> tuple[dict[str, Tensor], ClassWeightsInfo]:
    """Load a class weights file onto the CPU, every tensor checked.

    Raises:
        WeightsError: all that `read_info` refuses; missing tensors; NaN or infinity.
    """
    path = Path(path)
    info, count = _read_header(path)
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(
            f"{path}: cannot be read ({error})", "", "copy the file again"
        ) from error
    if len(tensors) != count:
        raise WeightsError(
            f"{path}: holds {len(tensors)} tensors",
            f"{count}, as its metadata says",
            "copy the file again",
        )
    _check_tensors(tensors, info, path)
    return tensors, info


def _label(info: ClassWeightsInfo) -> str:
    return f"{info.object!r} / {info.defect!r}"


def _check_tensors(tensors: Mapping[str, Tensor], info: ClassWeightsInfo, path: Path) -> None:
    if not tensors:
        raise WeightsError(f"{path}: holds no tensors", "", "train the class again")
    if info.kind == "full":
        absent = [name for name in FINGERPRINT_TENSORS if name not in tensors]
    else:
        modules = {
            name.removesuffix(end) for name in tensors for end in _LORA_ENDS if name.endswith(end)
        }
        absent = [
            module + end
            for module in sorted(modules)
            for end in _LORA_ENDS
            if module + end not in tensors
        ]
        other = sorted(name for name in tensors if not name.endswith(_LORA_ENDS))
        if other:
            raise WeightsError(
                f"{path}: holds {other[0][:200]!r}", "names that end in " + ", ".join(_LORA_ENDS)
            )
    if absent:
        raise WeightsError(
            f"{path}: {len(absent)} tensors are missing, first {absent[0][:200]!r}",
            "",
            "copy the file again",
        )
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise WeightsError(
                f"{path}: NaN or infinity in {name[:200]!r}",
                "finite weights",
                "train again, or store as fp32",
            )


def _read_header(path: Path) -> tuple[ClassWeightsInfo, int]:
    """Info and number of tensors. Parsed by hand: the header's size is bounded, and the rest stays
    unread."""
    expected = "a class weights file (.safetensors)"
    with system_errors(WeightsError, expected):
        there, other, size = (
            path.is_file(),
            path.exists(),
            path.stat().st_size if path.is_file() else 0,
        )
    if not there:
        kind = "a folder" if path.is_dir() else "no plain file" if other else "no such file"
        raise WeightsError(f"{path}: {kind}", expected)
    try:
        with path.open("rb") as file:
            start = file.read(9)
            length = struct.unpack("<Q", start[:8])[0] if len(start) == 9 else 0
            looks_right = start[8:] == b"{" and length <= _HEADER_LIMIT
            raw = file.read(length - 1) if looks_right and length > 0 else b""
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error})") from error
    if not looks_right:
        pickled = start[:2] == b"PK" or start[:2] in _PICKLES
        kind = (
            "is a pickle (.pt, .ckpt) under another name"
            if pickled
            else "is not a safetensors file"
        )
        raise WeightsError(f"{path}: {kind}", "a class weights file that `bgdefect train` wrote")
    if len(raw) < length - 1:
        raise WeightsError(
            f"{path}: is truncated within its header",
            f"{8 + length} bytes or more",
            "copy the file again",
        )
    try:
        header = json.loads(b"{" + raw)
        tensors = [entry for name, entry in header.items() if name != "__metadata__"]
        end = max((int(entry["data_offsets"][1]) for entry in tensors), default=0)
    except (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise WeightsError(
            f"{path}: is not a safetensors file (its header cannot be parsed)"
        ) from error
    if size < 8 + length + end:
        raise WeightsError(
            f"{path}: is truncated to {size} bytes",
            f"{8 + length + end} bytes",
            "copy the file again",
        )
    metadata = header.get("__metadata__")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("bgdefect"), str):
        raise WeightsError(
            f"{path}: has no BGDefect metadata", "a class weights file that `bgdefect train` wrote"
        )
    count = str(metadata.get("tensors"))
    if not (count.isascii() and count.isdigit() and len(count) < 10):
        raise WeightsError(
            f"{path}: its metadata lacks the number of tensors", "", "copy the file again"
        )
    return parse_info(metadata["bgdefect"], str(path)), int(count)
