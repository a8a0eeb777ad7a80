"""One declaration per idea: what is registered or declared is shown everywhere a user looks.

The nodes' side of it stands in ``tests/nodes/test_declared.py``.
"""

from __future__ import annotations

import contextlib
import io
import pkgutil
import re
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import bgdefect_core
import trainer
from bgdefect_core.declarations import Registry, options_of
from trainer.cli.app import main
from trainer.evaluate.samples import methods

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / ".ci" / "tools"))  # build_reference.py is a script
build = import_module("build_reference")
OPTIONS = {
    "Background modes (`--background`)": ("generate", "background"),
    "Mask signals (`--signal`)": ("generate", "signal"),
    "Solvers (`--solver`)": ("generate", "solver"),
    "Spacings (`--spacing`)": ("generate", "spacing"),
    "Losses (`--loss`)": ("train", "loss"),
    "Distributions of training timesteps (`--timesteps`)": ("train", "timesteps"),
    "Trained parts (`--trained-part`)": ("train", "trained_part"),
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
        main([*command.split(), "--help"])
    text = output.getvalue()
    for character in "│╭╮╰╯─\n":
        text = text.replace(character, " ")
    return " ".join(text.split())


@pytest.fixture(scope="module")
def help_texts() -> dict[str, str]:
    return {command: help_of(command) for command in build.SETTINGS}


def test_the_reference_is_what_the_declarations_say() -> None:
    assert build.PAGE.read_text(encoding="utf-8") == build.reference()


def modules() -> list[str]:
    """Names of all modules of the core and the trainer."""
    names: list[str] = []
    for package in (bgdefect_core, trainer):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                names.append(module.name)
    return names


def test_every_registry_stands_in_the_reference() -> None:
    """A registry that any module holds has a table, and each of its names a row."""
    described = {id(registry) for registry in build.REGISTRIES.values()}
    text = build.PAGE.read_text(encoding="utf-8")
    kinds: set[str] = set()
    for name in modules():
        try:
            module = import_module(name)
        except ModuleNotFoundError as absent:
            if absent.name != "ray":  # an extra; its executor registers nothing
                raise
            continue
        for value in vars(module).values():
            if isinstance(value, Registry):
                assert id(value) in described, f"{value.kind} of {name}"
                kinds.add(value.kind)
                for entry in value:
                    assert f"| `{entry}` | " in text, f"{value.kind} {entry}"
    assert len(kinds) == len(build.REGISTRIES)


@pytest.mark.parametrize("page", build.PAGES, ids=lambda page: page.name)
def test_the_tables_of_other_pages_are_what_the_declarations_say(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text == build.filled(text)


def test_every_table_stands_in_a_page() -> None:
    names: list[str] = []
    for page in build.PAGES:
        text = page.read_text(encoding="utf-8")
        names += [match["name"] for match in build.MARKED.finditer(text)]
        assert text.count("<!-- table: ") == len(build.MARKED.findall(text))
    assert sorted(names) == sorted(build.tables())


def test_a_table_that_lacks_an_entry_is_filled_anew() -> None:
    begin, end = "<!-- table: signals -->", "<!-- end of table -->"
    old = f"before\n{begin}\n| signal |\n{end}\nafter"
    new = build.filled(old)
    assert new.startswith(f"before\n{begin}\n") and new.endswith(f"\n{end}\nafter")
    for name in build.SIGNALS:
        assert f"| `{name}` | " in new


def test_what_the_backgrounds_cost_is_counted() -> None:
    """By hand: replay inverts once (10) and samples N times; literal evaluates twice a sample."""
    costs = {}
    for line in build.costs(10)[2:]:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        costs[cells[0]] = cells[-1]
    assert costs["`noised`"] == "10 N"
    assert costs["`replay`"] == "10 + 10 N"
    assert costs["`masked`"] == "20 + 10 N"
    assert costs["`literal`"] == "10 + 20 N"


def test_backgrounds_that_are_exact_say_so() -> None:
    for background in build.BACKGROUNDS.values():
        assert background.exact == bool(re.search(r"\bexact\b", background.summary))


def test_every_shipped_workflow_is_explained() -> None:
    specs = import_module("workflow_specs")
    files = {path.stem for path in (ROOT / "workflows").glob("*.json")}
    assert list(specs.SUMMARIES) == list(specs.WORKFLOWS)
    assert set(specs.SUMMARIES) == files


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
    options = {option.name: option for option in options_of(build.SETTINGS[command])}
    registry = build.REGISTRIES[title]
    assert list(options[name].choices) == list(registry)
    for entry in registry.values():
        assert f"{entry.name}: {entry.summary.split()[0]}" in help_texts[command], entry.name


@pytest.mark.parametrize(
    ("command", "title"),
    [
        ("train", "Base families (`--base`)"),
        ("generate", "Base families (`--base`)"),
    ],
)
def test_every_family_is_explained(command: str, title: str, help_texts: dict[str, str]) -> None:
    for entry in build.REGISTRIES[title].values():
        assert f"{entry.name}: {entry.summary.split()[0]}" in help_texts[command], entry.name


def test_every_layout_is_explained_once() -> None:
    text = help_of("data check")
    for layout in build.REGISTRIES["Data layouts (`--data`)"].values():
        assert f"{layout.name}: {layout.summary.split()[0]}" in text, layout.name


@pytest.mark.parametrize("command", ["train", "evaluate", "generate"])
def test_every_layout_is_named(command: str, help_texts: dict[str, str]) -> None:
    names = ", ".join(build.REGISTRIES["Data layouts (`--data`)"])
    assert names in help_texts[command]
    assert "bgdefect data check --help" in help_texts[command]


@pytest.mark.parametrize("command", build.SETTINGS)
def test_every_option_is_explained(command: str, help_texts: dict[str, str]) -> None:
    for option in options_of(build.SETTINGS[command]):
        assert len(option.help) > 10, option.name
        assert f"--{option.name.replace('_', '-')}" in help_texts[command], option.name


def test_the_evaluation_takes_every_option_of_painting_as_a_key() -> None:
    painting = import_module("bgdefect_core.jobs").PaintSettings
    names = {option.name for option in options_of(painting)}
    assert names <= set(methods.GENERATION_KEYS)
