"""Methods of generation, as the settings name them: ``NAME`` or ``NAME:key=value,key=value``.

A key is an option of training or generation. Where painting has an option of the same name, the
option of training is written ``train_NAME``.
"""

from __future__ import annotations

import re
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Union, get_args, get_origin

from bgdefect_core.declarations import Option, options_of
from bgdefect_core.errors import SettingError
from bgdefect_core.jobs import Framing, PaintSettings

from ...generation.config import GenerateConfig
from ...training.config import TrainConfig

_SET_BY_EVALUATION = {
    "allow_other_base",
    "base",
    "batch",
    "count",
    "data",
    "defect",
    "device",
    "dry_run",
    "early_stop",
    "fold",
    "format",
    "group_file",
    "group_key",
    "group_pattern",
    "good",
    "layout",
    "line_width",
    "mask_library",
    "mask_split",
    "mask_classes",
    "mask_values",
    "masks",
    "more_like",
    "more_like_factor",
    "object",
    "output",
    "outside_files",
    "precision",
    "replace_rejected",
    "sample_every",
    "save_every",
    "seed",
    "shots",
    "sides",
    "split_file",
    "tensorboard",
    "val_share",
    "weights",
}
"""Options of training and generation that are not a method's to choose."""
WHOLE_SQUARE = Option(
    name="whole_square",
    kind=bool,
    default=False,
    help="The whole square comes from pure noise, in place of a defect that is composited into a "
    "good picture (docs/method.md, choice 11 (a)).",
)
READ_BY_WHOLE_SQUARE = ("guidance", "steps", "spacing", "solver", WHOLE_SQUARE.name)
"""Keys of generation that whole squares from noise read."""


def _keys() -> tuple[dict[str, Option], dict[str, Option]]:
    """The keys of training and those of generation, each with its option."""
    generation: dict[str, Option] = {WHOLE_SQUARE.name: WHOLE_SQUARE}
    for option in options_of(GenerateConfig):
        if option.name not in _SET_BY_EVALUATION:
            generation[option.name] = option
    painting = {*_names(Framing), *generation}
    training: dict[str, Option] = {}
    for option in options_of(TrainConfig):
        if option.name not in _SET_BY_EVALUATION:
            key = f"train_{option.name}" if option.name in painting else option.name
            training[key] = option
    return training, generation


def _names(settings: type) -> set[str]:
    """The names of the options of a settings class."""
    return {option.name for option in options_of(settings)}


TRAINING_KEYS, GENERATION_KEYS = _keys()


@dataclass(frozen=True)
class Method:
    """A method of generation: what differs from the defaults."""

    name: str
    train: Mapping[str, Any] = field(default_factory=dict)
    """Options of ``TrainConfig``; methods that agree here share their weights."""
    generate: Mapping[str, Any] = field(default_factory=dict)
    """Options of ``GenerateConfig``, and whether whole squares are made."""

    @property
    def from_noise(self) -> bool:
        """Whether nothing of a good picture enters: neither a background nor a refined mask."""
        return bool(self.generate.get(WHOLE_SQUARE.name))

    @property
    def generate_settings(self) -> dict[str, Any]:
        """Options of ``GenerateConfig`` alone."""
        settings = dict(self.generate)
        settings.pop(WHOLE_SQUARE.name, None)
        return settings

    @property
    def paint_settings(self) -> dict[str, Any]:
        """Options of ``PaintSettings`` alone."""
        settings = dict(self.generate)
        for name in self.generate.keys() - _names(PaintSettings):
            del settings[name]
        return settings

    @property
    def training_name(self) -> str:
        """Folder of the weights: the same for methods that share them."""
        parts = []
        for key, option in TRAINING_KEYS.items():
            if option.name in self.train:
                parts.append(f"{key}={self.train[option.name]}")
        return "-".join(sorted(parts)) or "default"


def check_name(kind: str, name: str) -> None:
    """Refuse a name that is not safe as the name of a folder.

    Args:
        kind: what the name is of, for the message.

    Raises:
        SettingError: it is empty, begins with a dot, or holds characters of paths or tables.
    """
    if not re.fullmatch(r"\w[\w .+-]*", name):
        expected = "letters, digits, spaces and any of _ . + -"
        raise SettingError(f"the name {name!r} of a {kind}", expected, "choose a plain name")


def read_method(text: str) -> Method:
    """Parse ``NAME`` or ``NAME:key=value,key=value``.

    Raises:
        SettingError: no plain name, an unknown key, a value of another type or none of the choices,
            or a key that whole squares from noise do not read.
    """
    name, _, assignments = text.partition(":")
    check_name("generation method", name)
    train: dict[str, Any] = {}
    generate: dict[str, Any] = {}
    for assignment in filter(None, assignments.split(",")):
        key, _, value = assignment.partition("=")
        if key in TRAINING_KEYS:
            option = TRAINING_KEYS[key]
            train[option.name] = _parse(option, key, value, name)
        elif key in GENERATION_KEYS:
            generate[key] = _parse(GENERATION_KEYS[key], key, value, name)
        else:
            keys = ", ".join([*TRAINING_KEYS, *GENERATION_KEYS])
            raise SettingError(
                f"the generation method {text!r} sets {key!r}",
                f"NAME:key=value with {keys}",
                "correct it",
            )
    method = Method(name, train, generate)
    if method.from_noise:
        _check_whole_square(method)
    return method


def _check_whole_square(method: Method) -> None:
    """Refuse a key that a method of whole squares does not read.

    Raises:
        SettingError: naming the key.
    """
    for key in method.generate:
        if key not in READ_BY_WHOLE_SQUARE:
            raise SettingError(
                f"the generation method {method.name!r} makes whole squares and sets {key!r}",
                f"{', '.join(READ_BY_WHOLE_SQUARE)} and options of training",
                "remove it: there is no background, no change and no verdict",
            )


def _parse(option: Option, key: str, text: str, method: str) -> Any:
    """The value of an option from its text.

    Raises:
        SettingError: the text is no value of the option's type, or none of its choices.
    """
    came = f"{key} is {text!r} in the generation method {method!r}"
    parts = text.split("/") if get_origin(option.kind) is tuple else [text]
    if option.choices and not all(part in option.choices for part in parts):
        raise SettingError(came, f"one of {', '.join(option.choices)}", "correct it")
    try:
        return _value(option.kind, text)
    except ValueError as reason:
        expected = "true or false" if option.kind is bool else "a number"
        raise SettingError(came, expected, "correct it") from reason


def _value(kind: Any, text: str) -> Any:
    """A value of this type; the elements of a tuple are separated by slashes.

    Raises:
        ValueError: the text is no such value.
    """
    if get_origin(kind) in (Union, types.UnionType):
        kind = get_args(kind)[0]
    if get_origin(kind) is tuple:
        element = get_args(kind)[0]
        return tuple(_value(element, part) for part in text.split("/"))
    if kind is bool:
        if text not in ("true", "false"):
            raise ValueError(text)
        return text == "true"
    if kind in (int, float):
        return kind(text)
    return text
