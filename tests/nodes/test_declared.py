"""The nodes as they are declared: complete, explained, and made from the core's declarations."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from inspect import signature
from typing import Any, get_args

import pytest
from bgdefect_pack.bgdefect_core.declarations import options_of
from bgdefect_pack.bgdefect_core.method.backgrounds import BACKGROUNDS
from bgdefect_pack.bgdefect_core.method.refinement import LabelSettings
from bgdefect_pack.bgdefect_core.method.sampling import SamplingSettings
from bgdefect_pack.bgdefect_core.method.signals import SIGNALS
from bgdefect_pack.bgdefect_core.method.start import StartSettings
from bgdefect_pack.bgdefect_core.placement.part import PartKind
from bgdefect_pack.bgdefect_core.placement.settings import PlacementSettings
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
        ("BGDefectPlaceMask", PlacementSettings, ["rotate", "flip", "elastic"]),
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


@pytest.mark.parametrize(
    ("node_id", "settings", "name", "ends"),
    [
        ("BGDefectPlaceMask", PlacementSettings, "scale", ("scale_min", "scale_max")),
        ("BGDefectSampler", StartSettings, "start_level", ("start_min", "start_max")),
    ],
)
def test_both_ends_of_a_declared_range_have_a_widget(
    node_id: str, settings: type, name: str, ends: tuple[str, str]
) -> None:
    declared = {option.name: option for option in options_of(settings)}[name]
    for end, widget_name in enumerate(ends):
        entry = input_of(node_id, widget_name)
        assert entry.kind == "FLOAT"
        assert (entry.options["min"], entry.options["max"]) == (
            declared.range.low,
            declared.range.high,
        )
        assert entry.options["default"] == declared.default[end]


def test_placement_has_the_widgets_that_saved_workflows_know() -> None:
    """Ids, kinds, defaults and ranges; workflows hold the values in this order."""
    widgets = []
    for entry in BY_ID["BGDefectPlaceMask"].define_schema().inputs[2:9]:
        limits = (entry.options.get("min"), entry.options.get("max"))
        widgets.append((entry.name, entry.kind, entry.options.get("default"), limits))
    assert widgets == [
        ("number", "INT", 1, (1, 64)),
        ("part", "COMBO", None, (None, None)),
        ("rotate", "FLOAT", 180.0, (0.0, 180.0)),
        ("scale_min", "FLOAT", 0.8, (0.1, 10.0)),
        ("scale_max", "FLOAT", 1.25, (0.1, 10.0)),
        ("flip", "BOOLEAN", True, (None, None)),
        ("elastic", "FLOAT", 0.04, (0.0, 0.5)),
    ]
    assert input_of("BGDefectPlaceMask", "part").options["options"] == list(get_args(PartKind))


def test_a_default_of_the_graph_replaces_what_is_said_of_the_declared_one() -> None:
    declared = {option.name: option for option in options_of(PlacementSettings)}
    assert "Default: " in declared["rotate"].help
    tooltip = declare.option(PlacementSettings, "rotate", "0: not turned.", default=180.0)
    assert tooltip.options["tooltip"] == (
        "Largest turn of a new mask either way, in degrees. 0: not turned."
    )
    assert "Default: " in declare.option(PlacementSettings, "rotate").options["tooltip"]


def test_an_option_becomes_the_widget_of_its_type() -> None:
    kinds = {"steps": "INT", "solver": "COMBO", "guidance": "FLOAT"}
    for name, kind in kinds.items():
        assert declare.option(SamplingSettings, name).kind == kind
    threshold = declare.option(LabelSettings, "threshold", neutral="0: all.", default=0.5)
    assert threshold.kind == "FLOAT"
    assert threshold.options["default"] == 0.5
    assert threshold.options["tooltip"].endswith(" 0: all.")
