"""``bgdefect inspect``: what a class weights file says about itself, in words."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tyro

from bgdefect_core.weights.files import UNKNOWN, read_info

__all__ = ["InspectConfig", "describe", "licence_note"]


@dataclass(frozen=True)
class InspectConfig:
    """Print what a class weights file says about itself: class, prompts, base and its licence,
    training."""

    file: tyro.conf.Positional[Path]
    """Class weights file (.safetensors)."""


def describe(path: Path) -> str:
    """All metadata of the file, one line a field, and what the base's licence means for whoever
    holds the file.

    Raises:
        WeightsError: no class weights file.
    """
    info = read_info(path)
    values = {"file": str(path), "size": f"{path.stat().st_size / 1e6:.1f} MB", **asdict(info)}
    lines = [
        f"{name.replace('_', ' '):20} {_plain(_shown(value))}" for name, value in values.items()
    ]
    return "\n".join([*lines, "", licence_note(_plain(info.base_licence), info.kind)])


def licence_note(licence: str, kind: str) -> str:
    """What the licence of the base means for class weights.

    Args:
        licence: as the base's files name it. kind: "full" or "lora".
    """
    rail = not licence.startswith(UNKNOWN) and "RAIL" in licence
    if licence in ("Apache-2.0", "MIT"):
        return (
            f"The base is under {licence}: pass this file on freely, with the text of that licence."
        )
    if rail and kind == "full":
        return (
            f"The base is under {licence}. This file is a full U-Net, a derivative of the base: that licence, its\n"
            "limits on use included, passes on to it. Give the text of the licence to whoever you give the file."
        )
    if rail:
        return (
            f"The base is under {licence}. This file is a LoRA: it holds none of the base's weights, but works only\n"
            "with them, and that licence's limits on use hold for whatever the two make together."
        )
    return (
        f"The base's licence is {licence!r}: its files name none that is known here. Find out what it allows before\n"
        f"you pass this file on{'; a full U-Net is a derivative of its base' if kind == 'full' else ''}."
    )


def _plain(text: str) -> str:
    """What a terminal would obey (escapes, line ends, turns of direction) spelled out: a file may
    come from anywhere."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={item}" for key, item in value.items()) or "-"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return "-" if value is None else str(value)
