"""``bgdefect inspect``: what a class weights file says about itself, in words."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from bgdefect_core.declarations import Doc
from bgdefect_core.weights.files import UNKNOWN, read_info

from .output import plain


@dataclass(frozen=True)
class InspectConfig:
    """Print what a class weights file says about itself: class, prompts, base and its licence,
    training."""

    file: Annotated[Path, tyro.conf.Positional, Doc("Class weights file (.safetensors).")]


def inspect(config: InspectConfig) -> str:
    """All metadata of the file, one line a field, and what the base's licence means for its
    holder.

    Raises:
        WeightsError: no class weights file.
    """
    path = config.file
    info = read_info(path)
    values = {"file": str(path), "size": f"{path.stat().st_size / 1e6:.1f} MB", **asdict(info)}
    lines: list[str] = []
    for name, value in values.items():
        lines.append(f"{name.replace('_', ' '):20} {_in_one_line(_shown(value))}")
    return "\n".join([*lines, "", licence_note(_in_one_line(info.base_licence), info.kind)])


def licence_note(licence: str, kind: str) -> str:
    """What the licence of the base means for class weights.

    Args:
        licence: as the base's files name it. kind: "full" or "lora".
    """
    rail = not licence.startswith(UNKNOWN) and "RAIL" in licence
    derivative = kind == "full"
    if licence in ("Apache-2.0", "MIT"):
        lines = [
            f"The base is under {licence}: pass this file on freely, with the text of that licence."
        ]
    elif rail and derivative:
        lines = [
            f"The base is under {licence}. This file is a full U-Net, a derivative of the base:",
            "that licence, its limits on use included, passes on to it. Give the text of the",
            "licence to whoever you give the file.",
        ]
    elif rail:
        lines = [
            f"The base is under {licence}. This file is a LoRA: it holds none of the base's",
            "weights, but works only with them, and that licence's limits on use hold for whatever",
            "the two make together.",
        ]
    else:
        note = "; a full U-Net is a derivative of its base" if derivative else ""
        lines = [
            f"The base's licence is {licence!r}: its files name none that is known here.",
            f"Find out what it allows before you pass this file on{note}.",
        ]
    return "\n".join(lines)


def _in_one_line(text: str) -> str:
    """The text without line ends: a file cannot add fields of its own."""
    return plain(text).replace("\n", "\\n")


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={item}" for key, item in value.items()) or "-"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return "-" if value is None else str(value)
