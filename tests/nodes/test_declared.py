"""The nodes as they are declared: complete, explained, and made from the core's declarations."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from inspect import signature
from typing import Any

import pytest
from bgdefect_pack.bgdefect_core.declarations import options_of
from bgdefect_pack.bgdefect_core.method.backgrounds import BACKGROUNDS
from bgdefect_pack.bgdefect_core.method.refinement import LabelSettings
from bgdefect_pack.bgdefect_core.method.sampling import SamplingSettings
from bgdefect_pack.bgdefect_core.method.signals import SIGNALS
from bgdefect_pack.bgdefect_core.quality import QualityLimits

from .conftest import NAME, ROOT

sys.path.insert(
    0, str(ROOT / ".ci" / "tools")
)  # build_pages.py is a script, not a package's module
pages = import_module("build_pages")
declare = import_module(f"{NAME}.nodes._declare")
NODES = import_module(f"{NAME}.nodes").declared_nodes()
BY_ID = {node.define_schema().node_id: node for node in NODES}
LANGUAGES = ("en", "zh", "ko")


def input_of(node_id: str, name: str) -> Any:
    entries = {entry.name: entry for entry in BY_ID[node_id].define_schema().inputs}
    return entries[name]


@pytest.mark.parametrize("node_id", sorted(BY_ID))
def test_a_node_is_explained_and_takes_its_inputs(node_id: str) -> None:
    node, schema = BY_ID[node_id], BY_ID[node_id].define_schema()
    assert node_id.startswith("BGDefect")
    assert schema.category.startswith("BGDefect/")
    assert len(schema.description) > 40
    assert not schema.display_name.startswith("BGDefect")
    for entry in schema.inputs:
        assert len(entry.options["tooltip"]) > 10, entry.name
    names = [entry.name for entry in schema.inputs]
    parameters = signature(node.execute).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        assert set(parameters) == set(names)
    assert len(set(names)) == len(names)
    for entry in schema.inputs:
        if entry.options.get("optional"):
            assert parameters[entry.name].default is not parameters[entry.name].empty


@pytest.mark.parametrize("node_id", sorted(BY_ID))
def test_help_page_and_english_texts_are_those_of_the_node(node_id: str) -> None:
    """What `.ci/tools/build_pages.py` would write today."""
    schema = BY_ID[node_id].define_schema()
    page = (ROOT / "web" / "docs" / f"{node_id}.md").read_text(encoding="utf-8")
    assert page == pages.page(schema)
    english = json.loads((ROOT / "locales" / "en" / "nodeDefs.json").read_text(encoding="utf-8"))
    assert english[node_id] == pages.texts(schema)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_background_and_signal_is_explained_in_every_language(language: str) -> None:
    path = ROOT / "locales" / language / "nodeDefs.json"
    texts = json.loads(path.read_text(encoding="utf-8"))
    for node_id in ("BGDefectSampler", "BGDefectGuider"):
        assert input_of(node_id, "background").options["options"] == list(BACKGROUNDS)
        tooltip = texts[node_id]["inputs"]["background"]["tooltip"]
        assert [name for name in BACKGROUNDS if name not in tooltip] == []
    drawn = {name for name, signal in SIGNALS.items() if not signal.evaluations}
    assert set(input_of("BGDefectRefineMask", "signal").options["options"]) == drawn
    tooltip = texts["BGDefectRefineMask"]["inputs"]["signal"]["tooltip"]
    assert [name for name in drawn if name not in tooltip] == []


@pytest.mark.parametrize(
    ("node_id", "settings", "names"),
    [
        ("BGDefectSampler", SamplingSettings, ["background", "guidance", "solver"]),
        ("BGDefectInversion", SamplingSettings, ["steps", "spacing"]),
        ("BGDefectRefineMask", LabelSettings, ["threshold"]),
        ("BGDefectQuality", QualityLimits, ["min_strength", "min_fill", "max_background_max"]),
    ],
)
def test_widgets_have_the_declared_ranges_and_defaults(
    node_id: str, settings: type, names: list[str]
) -> None:
    declared = {option.name: option for option in options_of(settings)}
    for name in names:
        options = input_of(node_id, name).options
        limits = declared[name].range
        if limits is not None:
            assert (options["min"], options["max"]) == (limits.low, limits.high)
        if not isinstance(declared[name].default, tuple) and declared[name].default is not None:
            assert options["default"] == declared[name].default


def test_an_option_becomes_the_widget_of_its_type() -> None:
    kinds = {"steps": "INT", "solver": "COMBO", "guidance": "FLOAT"}
    for name, kind in kinds.items():
        assert declare.option(SamplingSettings, name).kind == kind
    threshold = declare.option(LabelSettings, "threshold", neutral="0: all.", default=0.5)
    assert threshold.kind == "FLOAT"
    assert threshold.options["default"] == 0.5
    assert threshold.options["tooltip"].endswith(" 0: all.")
