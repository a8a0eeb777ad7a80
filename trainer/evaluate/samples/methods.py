"""Ways to generate, as the settings name them: ``NAME`` or ``NAME:key=value,key=value``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, get_args

from bgdefect_core.errors import SettingError
from bgdefect_core.method.backgrounds import BACKGROUNDS
from bgdefect_core.method.signals import SIGNALS
from bgdefect_core.method.solvers import SOLVERS
from bgdefect_core.pictures.crop import Zoom
from bgdefect_core.quality import QualityLimits

from ...training.config import LOSSES


def _ladder(text: str) -> tuple[float, ...]:
    """``1/2/3``, or one number: guidance of the first attempt, the second, ..."""
    return tuple(float(value) for value in text.split("/"))


def _flag(text: str) -> bool:
    """``true`` or ``false``."""
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"


GENERATOR_KEYS: dict[str, Callable[[str], Any]] = {
    "loss": str,
    "train_steps": int,
    "lr": float,
    "mask_weight": float,
    "train_zoom": str,
    "train_resolution": int,
    "flips": _flag,
    "quarter_turns": _flag,
    "background": str,
    "guidance": _ladder,
    "steps": int,
    "solver": str,
    "start": str,
    "signal": str,
    "threshold": float,
    "attention_words": str,
    "peak": float,
    "detail": _flag,
    "stitch": _flag,
    "feather": float,
    "retries": int,
    **{field.name: float for field in fields(QualityLimits)},
}
"""What a generator's specification may set: those of ``_TRAINING`` belong to its training, the
limits of quality stand last."""
STARTS = ("background", "noise")
"""Composited into a good picture, the default; or from pure noise over the whole square
(docs/method.md, choice 11 (a))."""
_CHOICES: dict[str, tuple[str, ...]] = {
    "loss": tuple(LOSSES),
    "train_zoom": get_args(Zoom),
    "background": tuple(BACKGROUNDS),
    "solver": tuple(SOLVERS),
    "start": STARTS,
    "signal": tuple(SIGNALS),
}
_TRAINING = (
    "loss",
    "train_steps",
    "lr",
    "mask_weight",
    "train_zoom",
    "train_resolution",
    "flips",
    "quarter_turns",
)
_FROM_NOISE = ("guidance", "steps", "solver", "start")


@dataclass(frozen=True)
class Method:
    """A way to generate: what differs from the defaults."""

    name: str
    train: Mapping[str, Any]
    """Settings of the training; generators that agree here share their weights."""
    generate: Mapping[str, Any]

    @property
    def from_noise(self) -> bool:
        """Whether nothing of a good picture enters: neither a background nor a refined mask."""
        return self.generate.get("start") == "noise"

    @property
    def train_settings(self) -> dict[str, Any]:
        """As ``TrainConfig`` names them."""
        named = {"train_steps": "steps", "train_zoom": "zoom", "train_resolution": "resolution"}
        return {named.get(name, name): value for name, value in self.train.items()}

    @property
    def generate_settings(self) -> dict[str, Any]:
        """As the options of ``GenerateConfig`` are named."""
        return {name: value for name, value in self.generate.items() if name != "start"}


def check_name(what: str, name: str) -> None:
    """Refuse a name that could not be a folder's.

    Raises:
        SettingError: it is empty, begins with a dot, or holds what paths or tables are made of.
    """
    if not re.fullmatch(r"\w[\w .+-]*", name):
        raise SettingError(
            f"the name {name!r} of a {what}",
            "letters, digits, spaces and any of _ . + -",
            "choose a plain name",
        )


def read_method(text: str) -> Method:
    """``NAME`` or ``NAME:key=value,key=value``.

    Raises:
        SettingError: no plain name, an unknown key, a value that is no such number or none of the
            choices, or a key that a start from noise does not read.
    """
    name, _, rest = text.partition(":")
    check_name("generator", name)
    train: dict[str, Any] = {}
    generate: dict[str, Any] = {}
    for item in filter(None, rest.split(",")):
        key, _, value = item.partition("=")
        if key not in GENERATOR_KEYS:
            raise SettingError(
                f"the generator {text!r} sets {key!r}",
                f"NAME:key=value with {', '.join(GENERATOR_KEYS)}",
                "correct it",
            )
        try:
            parsed = GENERATOR_KEYS[key](value)
        except ValueError as reason:
            expected = "true or false" if GENERATOR_KEYS[key] is _flag else "a number"
            raise SettingError(
                f"{key} is {value!r} in the generator {name!r}", expected, "correct it"
            ) from reason
        if key in _CHOICES and parsed not in _CHOICES[key]:
            raise SettingError(
                f"{key} is {value!r} in the generator {name!r}",
                f"one of {', '.join(_CHOICES[key])}",
                "correct it",
            )
        (train if key in _TRAINING else generate)[key] = parsed
    spec = Method(name, train, generate)
    unread = [key for key in generate if key not in _FROM_NOISE]
    if spec.from_noise and unread:
        came = f"the generator {name!r} starts from noise and sets {unread[0]!r}"
        raise SettingError(
            came,
            f"{', '.join(_FROM_NOISE)} and its training",
            "there is no background, no change and no verdict",
        )
    return spec
