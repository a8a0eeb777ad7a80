"""Settings as plain JSON and back, by the names and types of their options."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

from bgdefect_core.declarations import flat_values, options_of, replace_options, typed_value
from bgdefect_core.errors import SettingError

from ..evaluate.config import UNSET as EVALUATION
from ..generation.config import GenerateConfig
from ..training.config import TrainConfig

__all__ = ["EVALUATION", "GENERATION", "TRAINING", "as_values", "order_values", "with_values"]

UNSET = Path()
"""Stands where each class has its own file or folder."""
TRAINING = TrainConfig(UNSET, UNSET)
GENERATION = GenerateConfig(UNSET, UNSET, UNSET)

Settings = TypeVar("Settings")


def as_values(settings: Any) -> dict[str, Any]:
    """The options by name, as plain JSON."""
    values: dict[str, Any] = json.loads(json.dumps(flat_values(settings), default=str))
    return values


def order_values(settings: Any) -> Mapping[str, object]:
    """The options of a task's order: all but files and folders, which travel by content."""
    values = as_values(settings)
    for name, value in flat_values(settings).items():
        if isinstance(value, Path) or name == "base":
            del values[name]
    return values


def with_values(
    where: str, settings: Settings, values: Mapping[str, Any], refused: Collection[str] = ()
) -> Settings:
    """A copy of some settings with other values of the named options.

    Args:
        where: the values come from, for messages.
        values: by option name, as JSON or TOML has them.
        refused: options that may not be set there.

    Raises:
        SettingError: an unknown option, one that may not be set, or a value of another type.
    """
    options = {}
    for option in options_of(type(settings)):
        if option.name not in refused:
            options[option.name] = option
    typed: dict[str, Any] = {}
    for name, value in values.items():
        if name in refused:
            came = f"{where} sets {name}"
            raise SettingError(came, "an option that a campaign leaves to its plan's tables")
        if name not in options:
            came = f"{where} sets {name!r}"
            raise SettingError(came, f"one of {', '.join(options)}", "correct the name")
        typed[name] = typed_value(f"{where}: {name}", options[name].kind, value)
    return replace_options(settings, **typed)
