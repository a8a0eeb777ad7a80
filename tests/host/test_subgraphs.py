"""The subgraph blueprints on hosts that know them."""

from __future__ import annotations

import json
import urllib.error
from typing import Any

import pytest

from .graph import change, ids, load, named, problems, to_api
from .server import PACK, Server

NAMES = {"Paint a Defect", "Defect Data Set", "Learned Class on a Checkpoint"}


@pytest.fixture
def offered(server: Server) -> dict[str, dict[str, Any]]:
    """Name -> what the host says of each of the pack's blueprints."""
    try:
        entries = server.get("/global_subgraphs")
    except urllib.error.HTTPError as error:
        error.close()
        assert error.code == 404
        pytest.skip("this host has no subgraph blueprints")
    found = {}
    for number, entry in entries.items():
        if entry["info"]["node_pack"] == "custom_nodes.bgdefect":
            found[entry["name"]] = server.get(f"/global_subgraphs/{number}")
    return found


def test_the_host_offers_them_as_they_are(offered: dict[str, dict[str, Any]]) -> None:
    assert set(offered) == NAMES
    for name, entry in offered.items():
        text = (PACK / "subgraphs" / f"{name}.json").read_text(encoding="utf-8")
        assert json.loads(entry["data"]) == json.loads(text)


def test_they_fit_the_nodes(
    offered: dict[str, dict[str, Any]], object_info: dict[str, Any]
) -> None:
    for name, entry in offered.items():
        found = problems(json.loads(entry["data"]), object_info)
        open_ends = [line for line in found if not line.endswith("is not connected")]
        assert open_ends == [], name


def test_a_blueprint_paints(
    server: Server, offered: dict[str, dict[str, Any]], object_info: dict[str, Any]
) -> None:
    """Load Good Pictures connected to it by hand."""
    workflow = json.loads(offered["Paint a Defect"]["data"])
    quick = load(named("1_"))
    [pictures] = [node for node in quick["nodes"] if node["type"] == "BGDefectLoadPictures"]
    pictures["id"], pictures["outputs"][0]["links"] = 2, [1]
    [paint] = workflow["nodes"]
    assert paint["inputs"][0]["name"] == "picture"
    paint["inputs"][0]["link"] = 1
    workflow["nodes"].append(pictures)
    workflow["links"] = [[1, 2, 0, paint["id"], 0, "IMAGE"]]
    prompt = change(to_api(workflow, object_info), "BGDefectInversion", steps=4)
    quality = ids(prompt, "BGDefectQuality")[0]
    prompt["report"] = {"class_type": "PreviewAny", "inputs": {"source": [quality, 6]}}
    run = server.run(prompt)
    assert run.status == "success", run.error
    [report] = run.outputs["report"]["text"]
    assert report.count("background psnr 100,") == 2
