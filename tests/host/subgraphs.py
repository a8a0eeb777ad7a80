"""Workflows without their subgraphs: the nodes inside stand for the node that shows them, as the
editor does it before it sends a prompt."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

INPUT, OUTPUT = -10, -20
"""Ids of a subgraph's own inputs and outputs."""


@dataclass(frozen=True)
class Source:
    """Where a wire comes from."""

    node: str
    slot: int
    kind: str


def flat(workflow: dict[str, Any], widgets: Callable[[str], list[str]]) -> dict[str, Any]:
    """The workflow with the nodes of its subgraphs in their place, numbered OUTER:INNER.

    Args:
        widgets: the names of a node type's widgets, in the order of its ``widgets_values``.
    """
    inside = {graph["id"]: graph for graph in definitions(workflow)}
    nodes: list[dict[str, Any]] = []
    ends: list[tuple[dict[str, Any], Source]] = []
    links = {link[0]: Source(str(link[1]), link[2], link[5]) for link in workflow["links"]}
    instances = {str(node["id"]): node for node in workflow["nodes"] if node["type"] in inside}

    def resolved(source: Source) -> Source:
        """What is behind a wire that comes from a subgraph."""
        if source.node not in instances:
            return source
        graph = inside[instances[source.node]["type"]]
        for link in graph["links"]:
            if (link["target_id"], link["target_slot"]) == (OUTPUT, source.slot):
                node = f"{source.node}:{link['origin_id']}"
                return Source(node, link["origin_slot"], link["type"])
        raise AssertionError(f"nothing leads to output {source.slot} of {graph['name']}")

    for node in workflow["nodes"]:
        if str(node["id"]) not in instances:
            nodes.append(json.loads(json.dumps(node)) | {"id": str(node["id"])})
            for slot in nodes[-1]["inputs"]:
                if slot["link"] is not None:
                    ends.append((slot, resolved(links[slot["link"]])))
            continue
        for inner, wires in _inner(inside[node["type"]], node, widgets):
            nodes.append(inner)
            for slot, source in wires:
                outer = links[source.slot] if source.node == "outer" else source
                ends.append((slot, resolved(outer)))
    return _linked(workflow, nodes, ends)


def definitions(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    """The subgraphs that a workflow holds."""
    subgraphs: list[dict[str, Any]] = workflow.get("definitions", {}).get("subgraphs", [])
    return subgraphs


def _inner(
    graph: dict[str, Any], outer: dict[str, Any], widgets: Callable[[str], list[str]]
) -> list[tuple[dict[str, Any], list[tuple[dict[str, Any], Source]]]]:
    """Copies of a subgraph's nodes for one of its instances, with the values of the instance's
    widgets; a wire into the instance is (``outer``, number of the link)."""
    links = {link["id"]: link for link in graph["links"]}
    names = [slot["name"] for slot in outer["inputs"] if slot.get("widget")]
    values = dict(zip(names, outer["widgets_values"], strict=True))
    copies = []
    for node in json.loads(json.dumps(graph["nodes"])):
        node["id"] = f"{outer['id']}:{node['id']}"
        wires = []
        for slot in node["inputs"]:
            if slot["link"] is None:
                continue
            link = links[slot["link"]]
            slot["link"] = None
            if link["origin_id"] != INPUT:
                origin = f"{outer['id']}:{link['origin_id']}"
                wires.append((slot, Source(origin, link["origin_slot"], link["type"])))
                continue
            given = outer["inputs"][link["origin_slot"]]
            if given["link"] is not None:
                wires.append((slot, Source("outer", given["link"], link["type"])))
            elif given["name"] in values:
                place = widgets(node["type"]).index(slot["name"])
                node["widgets_values"][place] = values[given["name"]]
        copies.append((node, wires))
    return copies


def _linked(
    workflow: dict[str, Any],
    nodes: list[dict[str, Any]],
    ends: list[tuple[dict[str, Any], Source]],
) -> dict[str, Any]:
    """The flat workflow with its links numbered anew."""
    by_id = {node["id"]: node for node in nodes}
    targets = {id(slot): (node["id"], place) for node in nodes for place, slot in _slots(node)}
    for node in nodes:
        for output in node["outputs"]:
            output["links"] = []
    links = []
    for slot, source in ends:
        number = len(links) + 1
        slot["link"] = number
        by_id[source.node]["outputs"][source.slot]["links"].append(number)
        links.append([number, source.node, source.slot, *targets[id(slot)], source.kind])
    return workflow | {"nodes": nodes, "links": links, "definitions": {}}


def _slots(node: dict[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    return list(enumerate(node["inputs"]))
