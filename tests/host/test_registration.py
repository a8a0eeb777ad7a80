"""Every node is registered with all that a user reads, on every version."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from .conftest import Figure
from .server import PACK, Server

sys.path.insert(0, str(PACK / ".ci" / "tools"))  # build_pages.py is a script
from build_pages import load_pack  # noqa: E402

NODES = {
    "BGDefectLoadBase",
    "BGDefectApplyWeights",
    "BGDefectRegionPromptEncode",
    "BGDefectRegionPrompts",
    "BGDefectAddDefect",
    "BGDefectAddDefectConditioning",
    "BGDefectInversion",
    "BGDefectSampler",
    "BGDefectNoise",
    "BGDefectGuider",
    "BGDefectRefineMask",
    "BGDefectLoadPictures",
    "BGDefectPlaceMask",
    "BGDefectCropToMask",
    "BGDefectCropMask",
    "BGDefectCropPicture",
    "BGDefectStitch",
    "BGDefectQuality",
    "BGDefectPreview",
    "BGDefectSaveDataSet",
}


def ours(object_info: dict[str, Any]) -> dict[str, Any]:
    return {name: node for name, node in object_info.items() if name.startswith("BGDefect")}


def test_all_nodes_are_there(object_info: dict[str, Any]) -> None:
    assert set(ours(object_info)) == NODES


def test_every_node_and_widget_and_output_is_explained(object_info: dict[str, Any]) -> None:
    for name, node in ours(object_info).items():
        assert node["display_name"] and not node["display_name"].startswith("BGDefect"), name
        assert node["category"].startswith("BGDefect/"), name
        assert len(node["description"]) > 40, name
        for group in node["input"].values():
            for widget, spec in group.items():
                if isinstance(group, dict) and widget not in (
                    "prompt",
                    "unique_id",
                    "extra_pnginfo",
                ):
                    assert len(spec[1].get("tooltip", "")) > 10, (name, widget)
        assert len(node["output_tooltips"]) == len(node["output"])
        assert all(node["output_tooltips"]), name


def test_the_host_shows_the_nodes_as_they_are_declared(object_info: dict[str, Any]) -> None:
    """Names, types, defaults, ranges and tooltips of all inputs; names and tooltips of outputs."""
    for node in load_pack("declared_pack").declared_nodes():
        info, schema = object_info[node.define_schema().node_id], node.define_schema()
        shown = {**info["input"].get("required", {}), **info["input"].get("optional", {})}
        assert [entry.name for entry in schema.inputs] == list(shown)
        for entry in schema.inputs:
            kind, options = shown[entry.name][0], shown[entry.name][1]
            assert entry.kind == ("COMBO" if isinstance(kind, list) else kind), entry.name
            for name in ("tooltip", "default", "min", "max", "step"):
                if name in entry.options and entry.options.get(name) != "":
                    assert options[name] == entry.options[name], (schema.node_id, entry.name, name)
        assert [slot.name for slot in schema.outputs] == info["output_name"]
        assert [slot.tooltip for slot in schema.outputs] == info["output_tooltips"]


def test_the_host_serves_help_pages_and_translations(server: Server) -> None:
    address = f"http://127.0.0.1:{server.port}/extensions/bgdefect/docs/BGDefectStitch.md"
    with urllib.request.urlopen(address, timeout=30) as page:
        assert b"Stitch" in page.read()
    translations = server.get("/i18n")
    for language in ("en", "zh", "ko"):
        assert set(translations[language]["nodeDefs"]) >= NODES


def test_the_start_costs_little(server: Server, figure: Figure) -> None:
    """Processor time, not the seconds on the wall that the host prints: those are the machine's
    other work as well."""
    command = [
        str(server.python),
        str(Path(__file__).with_name("start_child.py")),
        str(server.folder),
        str(PACK),
    ]
    done = subprocess.run(command, cwd=server.folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    start = json.loads(done.stdout.splitlines()[-1])
    figure("processor seconds", start["seconds"])
    assert start["seconds"] <= 0.2
    assert start["nodes"] == len(NODES)
    assert not {"diffusers", "transformers", "peft", "accelerate"} & set(start["imported"])
