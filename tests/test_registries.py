"""One declaration per idea: what is registered or declared is shown everywhere a user looks.

The nodes' side of it stands in ``tests/nodes/test_declared.py``.
"""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from bgdefect_core.declarations import options_of
from trainer.cli.app import main
from trainer.evaluate.samples import methods

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / ".ci" / "tools"))  # build_reference.py is a script
build = import_module("build_reference")
OPTIONS = {
    "Background modes (`--background`)": ("generate", "background"),
    "Mask signals (`--signal`)": ("generate", "signal"),
    "Solvers (`--solver`)": ("generate", "solver"),
    "Losses (`--loss`)": ("train", "loss"),
    "Arms of the evaluation (`--arms`)": ("evaluate", "arms"),
    "Networks of the detectors (`--network`)": ("evaluate", "network"),
    "Losses of the detectors (`--detector-loss`)": ("evaluate", "detector_loss"),
    "Schedules of the detectors (`--schedule`)": ("evaluate", "schedule"),
}
"""The registries whose names are the choices of an option, with its command."""


def help_of(command: str) -> str:
    """The help text of a command, without line breaks and frames."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output), pytest.raises(SystemExit):
        main([command, "--help"])
    text = output.getvalue()
    for character in "│╭╮╰╯─\n":
        text = text.replace(character, " ")
    return " ".join(text.split())


@pytest.fixture(scope="module")
def help_texts() -> dict[str, str]:
    return {command: help_of(command) for command in build.COMMANDS}


def test_the_reference_is_what_the_declarations_say() -> None:
    assert build.PAGE.read_text(encoding="utf-8") == build.reference()


@pytest.mark.parametrize("title", build.REGISTRIES)
def test_every_entry_says_what_it_is(title: str) -> None:
    registry: Mapping[str, Any] = build.REGISTRIES[title]
    for name, entry in registry.items():
        assert name == entry.name
        assert len(entry.summary) > 15, name


@pytest.mark.parametrize("title", OPTIONS)
def test_every_entry_is_a_choice_that_the_help_explains(
    title: str, help_texts: dict[str, str]
) -> None:
    command, name = OPTIONS[title]
    options = {option.name: option for option in options_of(build.COMMANDS[command])}
    registry = build.REGISTRIES[title]
    assert list(options[name].choices) == list(registry)
    for entry in registry.values():
        assert f"{entry.name}: {entry.summary.split()[0]}" in help_texts[command], entry.name


@pytest.mark.parametrize(
    ("command", "title"),
    [
        ("train", "Data layouts (`--data`)"),
        ("evaluate", "Data layouts (`--data`)"),
        ("generate", "Data layouts (`--data`)"),
        ("train", "Base families (`--base`)"),
        ("generate", "Base families (`--base`)"),
    ],
)
def test_every_layout_and_family_is_explained(
    command: str, title: str, help_texts: dict[str, str]
) -> None:
    for entry in build.REGISTRIES[title].values():
        assert f"{entry.name}: {entry.summary.split()[0]}" in help_texts[command], entry.name


@pytest.mark.parametrize("command", build.COMMANDS)
def test_every_option_is_explained(command: str, help_texts: dict[str, str]) -> None:
    for option in options_of(build.COMMANDS[command]):
        assert len(option.help) > 10, option.name
        assert f"--{option.name.replace('_', '-')}" in help_texts[command], option.name


def test_the_evaluation_takes_every_option_of_painting_as_a_key() -> None:
    painting = import_module("bgdefect_core.jobs").PaintSettings
    names = {option.name for option in options_of(painting)}
    assert names <= set(methods.GENERATION_KEYS)
