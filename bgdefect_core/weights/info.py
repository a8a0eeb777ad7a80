"""What a class weights file says about itself: the record in its metadata, and its strict reader.

A file may come from anywhere: the record is bounded in size, must be JSON, and every field has one
    type. Fields that
this version does not know are passed over.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, NoReturn

from ..errors import WeightsError

__all__ = ["ClassWeightsInfo", "architecture_of", "parse_info", "plain"]

FORMAT_VERSION = 1
ARCHITECTURE_KEYS = (
    "in_channels",
    "out_channels",
    "block_out_channels",
    "layers_per_block",
    "cross_attention_dim",
    "attention_head_dim",
    "down_block_types",
    "up_block_types",
    "transformer_layers_per_block",
    "use_linear_projection",
)
_INFO_LIMIT = 64 << 10  # characters; ours are below 3,000


@dataclass(frozen=True)
class ClassWeightsInfo:
    """What a class weights file says about itself.

    Attributes:
        kind: "full" (a whole U-Net) or "lora".
        object, defect: the class, in the words of the folder names.
        background_prompt, defect_prompt, mask_prompt: ``C_bg``, ``C_def`` and ``C_m`` of Eq. 10, as
            they were trained.
        base_name, base_fingerprint, base_licence: the base; see `weights.fingerprint`. SD 1.x's
            OpenRAIL-M passes on to a full U-Net.
        architecture: see `architecture_of`.
        prediction_type: "epsilon" or "v_prediction".
        resolution: side of the training squares in pixels.
        zoom: "whole" or "defect", the zoom rule that generation has to repeat.
        steps: training iterations. loss: "disentangled" or "naive". seed: of the training.
        validation_before, validation_after: mean loss of the held-out pictures before the first
            iteration, and of the weights in the file; None where nothing was held out, and in older
            files.
        lora_rank, lora_alpha: 0 for a full U-Net.
        libraries: name -> version. date: ISO 8601. mask_sides: longest side of each training mask
            in pixels, a hint for placement. format_version: of this record.
    """

    kind: str
    object: str
    defect: str
    background_prompt: str
    defect_prompt: str
    mask_prompt: str
    base_name: str
    base_fingerprint: str
    base_licence: str
    prediction_type: str
    resolution: int
    zoom: str
    steps: int
    loss: str
    seed: int
    date: str
    architecture: dict[str, Any] = field(default_factory=dict)
    lora_rank: int = 0
    lora_alpha: float = 0.0
    libraries: dict[str, str] = field(default_factory=dict)
    mask_sides: list[int] = field(default_factory=list)
    validation_before: float | None = None
    validation_after: float | None = None
    format_version: int = FORMAT_VERSION


_CHOICES = {
    "kind": ("full", "lora"),
    "prediction_type": ("epsilon", "v_prediction"),
    "zoom": ("whole", "defect"),
}
_LEAST = {
    "resolution": 8,
    "steps": 0,
    "lora_rank": 0,
    "lora_alpha": 0.0,
    "validation_before": 0.0,
    "validation_after": 0.0,
}
_MOST = {"resolution": 4096, "steps": 10**9, "lora_rank": 4096, "lora_alpha": 1e6}


def architecture_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a diffusers U-Net's configuration that decides whether weights fit it; tuples
    become lists."""
    return {key: plain(config[key]) for key in ARCHITECTURE_KEYS if key in config}


def plain(value: Any) -> Any:
    """Tuples become lists, at any depth, so that a configuration compares with its JSON form."""
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def parse_info(text: str, where: str) -> ClassWeightsInfo:
    """Read the record.

    Args:
        text: JSON, at most 65,536 characters. where: the file, for messages.

    Raises:
        WeightsError: too long, no JSON, NaN, a missing field, one of another type or out of its
            range, a newer format.
    """
    if len(text) > _INFO_LIMIT:
        raise WeightsError(
            f"{where}: its metadata has {len(text)} characters", f"at most {_INFO_LIMIT}"
        )
    try:
        record = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{where}: its metadata cannot be parsed", "JSON") from error
    if not isinstance(record, dict):
        raise WeightsError(f"{where}: its metadata is {type(record).__name__}", "a JSON object")
    version = record.get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise WeightsError(
            f"{where}: has format {version}", f"{FORMAT_VERSION} or older", "update BGDefect"
        )
    values = {}
    for item in fields(ClassWeightsInfo):
        if item.name in record:
            values[item.name] = _checked(item.name, str(item.type), record[item.name], where)
        elif item.default is MISSING and item.default_factory is MISSING:
            raise WeightsError(
                f"{where}: its metadata lacks {item.name!r}",
                "",
                "copy the file again, or train the class again",
            )
    return ClassWeightsInfo(**values)


def _checked(name: str, kind: str, value: Any, where: str) -> Any:
    if kind == "float | None" and value is None:
        return None
    kind = kind.removesuffix(" | None")
    if (
        kind == "float"
        and isinstance(value, int)
        and not isinstance(value, bool)
        and abs(value) < 1 << 53
    ):
        value = float(value)
    fits = {
        "str": isinstance(value, str),
        "int": isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63,
        "float": isinstance(value, float) and math.isfinite(value),
        "dict[str, Any]": isinstance(value, dict),
        "dict[str, str]": isinstance(value, dict)
        and all(isinstance(item, str) for item in value.values()),
        "list[int]": isinstance(value, list) and all(type(item) is int for item in value),
    }[kind]
    if not fits:
        raise WeightsError(
            f"{where}: its metadata has {name} = {str(value)[:80]!r}", f"a value of type {kind}"
        )
    if name in _CHOICES and value not in _CHOICES[name]:
        raise WeightsError(
            f"{where}: its metadata has {name} = {value[:80]!r}", " or ".join(_CHOICES[name])
        )
    if name in _LEAST and value < _LEAST[name]:
        raise WeightsError(f"{where}: its metadata has {name} = {value}", f"{_LEAST[name]} or more")
    if name in _MOST and value > _MOST[name]:
        raise WeightsError(f"{where}: its metadata has {name} = {value}", f"{_MOST[name]} or less")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
