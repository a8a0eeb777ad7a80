"""The record in the metadata of a class weights file, and its strict reader.

A file may come from anywhere: the record is bounded in size, must be JSON, and every field has one
type and range. Fields that this version does not know are ignored.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from typing import Annotated, Any, Literal, NamedTuple, NoReturn

from ..declarations import Option, Range, options_of
from ..errors import WeightsError
from ..method.schedule import PredictionType
from ..pictures.crop import Zoom

__all__ = ["ClassWeightsInfo", "PromptTexts", "architecture_of", "parse_info", "plain"]

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
_INFO_LIMIT = 64 << 10
"""Characters of a record; ours have fewer than 3,000."""
_INT_LIMIT = 1 << 63
_EXACT_FLOAT = 1 << 53
"""Up to here a float holds every whole number."""


class PromptTexts(NamedTuple):
    """The prompts of a class."""

    background: str
    """``C_bg``."""
    defect: str
    """``C_def``."""
    mask: str
    """``C_m``."""


@dataclass(frozen=True)
class ClassWeightsInfo:
    """What a class weights file says about itself.

    Attributes:
        kind: "full" (a whole U-Net) or "lora".
        object: the object, as its folder is named.
        defect: the defect, as its folder is named.
        background_prompt: ``C_bg`` of Eq. 10, as trained.
        defect_prompt: ``C_def`` of Eq. 10, as trained.
        mask_prompt: ``C_m`` of Eq. 11, as trained.
        base_name: of the base's folder or file.
        base_fingerprint: see `files.fingerprint`.
        base_licence: OpenRAIL-M of SD 1.x passes on to a full U-Net.
        prediction_type: what the U-Net predicts.
        resolution: side of the training squares in pixels.
        zoom: the crop rule of the training, which generation repeats.
        steps: training iterations.
        loss: name of the training loss.
        seed: of the training.
        date: ISO 8601.
        architecture: see `architecture_of`.
        lora_rank: 0 for a full U-Net.
        lora_alpha: 0 for a full U-Net.
        libraries: name -> version.
        mask_sides: longest side of each training mask in pixels, a hint for placement.
        validation_before: mean loss of the held-out pictures before the first iteration; None where
            none was held out.
        validation_after: the same, of the weights in the file.
        prediction_given: whether the user gave ``prediction_type``; else it was read from the base.
        format_version: of this record.
    """

    kind: Literal["full", "lora"]
    object: str
    defect: str
    background_prompt: str
    defect_prompt: str
    mask_prompt: str
    base_name: str
    base_fingerprint: str
    base_licence: str
    prediction_type: PredictionType
    resolution: Annotated[int, Range(8, 4096)]
    zoom: Zoom
    steps: Annotated[int, Range(0, 10**9)]
    loss: str
    seed: int
    date: str
    architecture: dict[str, Any] = field(default_factory=dict)
    lora_rank: Annotated[int, Range(0, 4096)] = 0
    lora_alpha: Annotated[float, Range(0, 1e6)] = 0.0
    libraries: dict[str, str] = field(default_factory=dict)
    mask_sides: list[int] = field(default_factory=list)
    validation_before: Annotated[float | None, Range(0, math.inf)] = None
    validation_after: Annotated[float | None, Range(0, math.inf)] = None
    prediction_given: bool = False
    format_version: int = FORMAT_VERSION


def architecture_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a diffusers U-Net's configuration that decide whether weights fit it."""
    return {key: plain(config[key]) for key in ARCHITECTURE_KEYS if key in config}


def plain(value: Any) -> Any:
    """The value with tuples as lists at any depth, so that it compares with its JSON form."""
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def parse_info(text: str, where: str) -> ClassWeightsInfo:
    """Read the record.

    Args:
        text: JSON, at most 65,536 characters.
        where: the file, for messages.

    Raises:
        WeightsError: too long, no JSON, NaN, a missing field, one of another type or out of its
            range, a newer format.
    """
    if len(text) > _INFO_LIMIT:
        came = f"{where}: its metadata has {len(text)} characters"
        raise WeightsError(came, f"at most {_INFO_LIMIT}")
    try:
        record = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{where}: its metadata cannot be parsed", "JSON") from error
    if not isinstance(record, dict):
        raise WeightsError(f"{where}: its metadata is {type(record).__name__}", "a JSON object")
    version = record.get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        expected = f"{FORMAT_VERSION} or older"
        raise WeightsError(f"{where}: has format {version}", expected, "update BGDefect")
    values = {}
    for option in options_of(ClassWeightsInfo):
        if option.name in record:
            values[option.name] = _checked(option, record[option.name], where)
        elif option.default is MISSING:
            came = f"{where}: its metadata lacks {option.name!r}"
            raise WeightsError(came, "", "copy the file again, or train the class again")
    return ClassWeightsInfo(**values)


def _checked(option: Option, value: Any, where: str) -> Any:
    """The value, if it has the field's type and lies in its range."""
    came = f"{where}: its metadata has {option.name} = {str(value)[:80]!r}"
    if value is None and option.default is None:
        return None
    if option.choices:
        if not isinstance(value, str) or value not in option.choices:
            raise WeightsError(came, " or ".join(option.choices))
        return value
    if option.kind in (float, float | None) and type(value) is int and abs(value) < _EXACT_FLOAT:
        value = float(value)
    if not _has_type(value, option.kind):
        kind = getattr(option.kind, "__name__", str(option.kind))
        raise WeightsError(came, f"a value of type {kind}")
    limits = option.range
    if limits is not None and not limits.low <= value <= limits.high:
        raise WeightsError(came, f"{limits.low:g} to {limits.high:g}")
    return value


def _has_type(value: Any, kind: Any) -> bool:
    """Whether a JSON value has the type of a field."""
    if kind is int:
        return type(value) is int and abs(value) < _INT_LIMIT
    if kind in (float, float | None):
        return isinstance(value, float) and math.isfinite(value)
    if kind == dict[str, str]:
        return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())
    if kind == dict[str, Any]:
        return isinstance(value, dict)
    if kind == list[int]:
        return isinstance(value, list) and all(type(number) is int for number in value)
    return isinstance(value, kind)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
