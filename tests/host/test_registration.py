"""Every node is registered with all that a user reads, on every version."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from importlib import import_module
from pathlib import Path
from typing import Any

from .conftest import Figure
from .server import PACK, Server

sys.path.insert(0, str(PACK / ".ci" / "tools"))  # build_pages.py is a script, not part of a package

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


def test_help_pages_and_english_texts_are_those_of_the_nodes(object_info: dict[str, Any]) -> None:
    """Names, defaults, ranges, tooltips: what `build_pages.py` would write today."""
    pages = import_module("build_pages")
    for name, node in ours(object_info).items():
        assert (PACK / "web" / "docs" / f"{name}.md").read_text(encoding="utf-8") == pages.page(
            name, node
        ), name
    english = json.loads((PACK / "locales" / "en" / "nodeDefs.json").read_text(encoding="utf-8"))
    assert english == {name: pages.texts(node) for name, node in ours(object_info).items()}


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
