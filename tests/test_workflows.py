"""The shipped workflows and subgraphs as files: whole, and laid out so that no wire runs over a
node."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((ROOT / "workflows").glob("*.json"))
SUBGRAPHS = sorted((ROOT / "subgraphs").glob("*.json"))
TITLE, EDGE, SAMPLES = 30, 4, 60
SLOT = 20
INPUT, OUTPUT = -10, -20
Point = tuple[float, float]


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def graphs() -> dict[str, dict[str, Any]]:
    """Every graph of every file: the workflows' own, and the subgraphs in them."""
    found: dict[str, dict[str, Any]] = {}
    for path in WORKFLOWS + SUBGRAPHS:
        workflow = read(path)
        links = []
        parents = {}
        for extension in workflow["extra"].get("linkExtensions", []):
            parents[extension["id"]] = extension["parentId"]
        names = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
        for values in workflow["links"]:
            link = dict(zip(names, values, strict=True))
            links.append(link | {"parentId": parents.get(link["id"])})
        reroutes = workflow["extra"].get("reroutes", [])
        found[path.stem] = {"nodes": workflow["nodes"], "links": links, "reroutes": reroutes}
        for subgraph in workflow["definitions"]["subgraphs"]:
            found[f"{path.stem}: {subgraph['name']}"] = subgraph
    return found


GRAPHS = graphs()
each_graph = pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)


def rectangle(node: dict[str, Any]) -> tuple[float, float, float, float]:
    """Left, top, right, bottom, with the title."""
    (left, top), (width, height) = node["pos"], node["size"]
    return left, top - TITLE, left + width, top + height


@each_graph
def test_nodes_stand_apart(graph: dict[str, Any]) -> None:
    rectangles = [rectangle(node) for node in graph["nodes"]]
    for number, first in enumerate(rectangles):
        for second in rectangles[number + 1 :]:
            beside = first[2] <= second[0] or second[2] <= first[0]
            assert beside or first[3] <= second[1] or second[3] <= first[1]


def ends(graph: dict[str, Any], link: dict[str, Any]) -> tuple[Point, Point]:
    """Where a wire leaves and arrives; of widgets the middle of the node's edge, since any height
    of it will do."""
    nodes = {node["id"]: node for node in graph["nodes"]}
    if link["origin_id"] == INPUT:
        left, top, width, _ = graph["inputNode"]["bounding"]
        start = (left + width, top + 20 + SLOT * link["origin_slot"])
    else:
        left, top, right, _ = rectangle(nodes[link["origin_id"]])
        start = (right, top + TITLE + SLOT * (link["origin_slot"] + 0.7))
    if link["target_id"] == OUTPUT:
        left, top, _, _ = graph["outputNode"]["bounding"]
        return start, (left, top + 20 + SLOT * link["target_slot"])
    left, top, _, bottom = rectangle(nodes[link["target_id"]])
    return start, (left, (top + bottom) / 2)


def curve(start: Point, end: Point) -> list[Point]:
    """The editor's spline: it leaves and arrives level, by a quarter of the distance."""
    pull = ((end[0] - start[0]) ** 2 + (end[1] - start[1]) ** 2) ** 0.5 / 4
    points = []
    for number in range(1, SAMPLES):
        t = number / SAMPLES
        weights = ((1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t**2, t**3)
        lefts = (start[0], start[0] + pull, end[0] - pull, end[0])
        tops = (start[1], start[1], end[1], end[1])
        across = sum(weight * left for weight, left in zip(weights, lefts, strict=True))
        down = sum(weight * top for weight, top in zip(weights, tops, strict=True))
        points.append((across, down))
    return points


def path(graph: dict[str, Any], link: dict[str, Any]) -> list[Point]:
    """All points of a wire, through its reroutes."""
    reroutes = {reroute["id"]: reroute for reroute in graph["reroutes"]}
    start, end = ends(graph, link)
    middle: list[Point] = []
    parent = link.get("parentId")
    while parent is not None:
        middle.insert(0, tuple(reroutes[parent]["pos"]))
        assert link["id"] in reroutes[parent]["linkIds"]
        parent = reroutes[parent].get("parentId")
    corners = [start, *middle, end]
    points = []
    for first, second in zip(corners, corners[1:], strict=False):
        points += curve(first, second)
    return points


@each_graph
def test_wires_run_left_to_right_and_over_no_node(graph: dict[str, Any]) -> None:
    rectangles = {node["id"]: rectangle(node) for node in graph["nodes"]}
    for link in graph["links"]:
        start, end = ends(graph, link)
        assert start[0] < end[0], link
        for across, down in path(graph, link):
            for number, (left, top, right, bottom) in rectangles.items():
                inside = left + EDGE < across < right - EDGE and top + EDGE < down < bottom - EDGE
                assert not inside, (link, number)


@each_graph
def test_wires_are_known_at_both_ends(graph: dict[str, Any]) -> None:
    nodes = {node["id"]: node for node in graph["nodes"]}
    for link in graph["links"]:
        if link["origin_id"] == INPUT:
            assert link["id"] in graph["inputs"][link["origin_slot"]]["linkIds"]
        else:
            assert link["id"] in nodes[link["origin_id"]]["outputs"][link["origin_slot"]]["links"]
        if link["target_id"] == OUTPUT:
            assert link["id"] in graph["outputs"][link["target_slot"]]["linkIds"]
        else:
            assert nodes[link["target_id"]]["inputs"][link["target_slot"]]["link"] == link["id"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_shows_few_nodes_and_says_what_to_do(path: Path) -> None:
    workflow = read(path)
    types = [node["type"] for node in workflow["nodes"]]
    assert types.count("MarkdownNote") == 1 and len(types) <= 10
    subgraphs = {graph["id"]: graph for graph in workflow["definitions"]["subgraphs"]}
    assert set(subgraphs) & set(types) == set(subgraphs) != set()
    for node in workflow["nodes"]:
        if node["type"] in subgraphs:
            graph = subgraphs[node["type"]]
            assert [slot["name"] for slot in node["inputs"]] == [
                entry["name"] for entry in graph["inputs"]
            ]
    app = workflow["extra"].get("linearData")
    for number, name in app["inputs"] if app else ():
        [node] = [node for node in workflow["nodes"] if node["id"] == number]
        assert name in [slot["name"] for slot in node["inputs"]]


def test_app_mode_is_prepared_for_the_quick_start_and_the_data_set() -> None:
    prepared = [path.stem for path in WORKFLOWS if "linearData" in read(path)["extra"]]
    assert prepared == ["1_quick_start", "3_data_set_over_night"]


def test_blueprints_are_the_subgraphs_of_the_workflows() -> None:
    """The same definition, apart from the values that a workflow gives to its widgets."""
    shown: dict[str, Any] = {}
    for path in WORKFLOWS:
        shown |= {graph["id"]: graph for graph in read(path)["definitions"]["subgraphs"]}
    for path in SUBGRAPHS:
        blueprint = read(path)
        [instance], [graph] = blueprint["nodes"], blueprint["definitions"]["subgraphs"]
        assert instance["type"] == graph["id"] and graph["name"] == path.stem
        assert graph == shown[graph["id"]]
        widgets = [slot["name"] for slot in instance["inputs"] if slot.get("widget")]
        assert len(widgets) == 5 == len(instance["widgets_values"])


def test_a_checkpoint_that_is_missing_can_be_fetched_by_the_host() -> None:
    for path in WORKFLOWS + SUBGRAPHS:
        for graph in read(path)["definitions"]["subgraphs"]:
            for node in graph["nodes"]:
                if node["type"] == "CheckpointLoaderSimple":
                    [model] = node["properties"]["models"]
                    assert model["name"] in node["widgets_values"]
                    assert model["directory"] == "checkpoints"
                    assert model["url"].endswith(model["name"])
