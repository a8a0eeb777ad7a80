"""Workflows and subgraphs as the editor's JSON (format 0.4, which every supported host reads)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from graph_layout import Box, Layout, Wire, arrange
from graph_spec import Given, Link, Node, Subgraph, Workflow, subgraphs_of

WIDGETS = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")
NOTE = "MarkdownNote"
WIDTH, NOTE_WIDTH, ENDS_WIDTH = 320, 400, 150
SLOT, ROW, TEXT_ROW = 20, 24, 80
INPUT, OUTPUT = "(inputs)", "(outputs)"
INPUT_ID, OUTPUT_ID = -10, -20
INSTANCE_ID = 1

Infos = dict[str, Any]
"""``/object_info``, with an entry for each subgraph by its id."""


def options_of(spec: Sequence[Any]) -> dict[str, Any]:
    """The options of an input of /object_info."""
    options: dict[str, Any] = spec[1] if len(spec) > 1 else {}
    return options


def is_widget(spec: Sequence[Any]) -> bool:
    """Whether an input of /object_info is a widget; old nodes give a combo as its list."""
    is_kind = isinstance(spec[0], list) or spec[0] in WIDGETS
    return is_kind and not options_of(spec).get("forceInput")


def kind_of(spec: Sequence[Any]) -> str:
    """The type of an input."""
    return "COMBO" if isinstance(spec[0], list) else str(spec[0])


def inputs_of(info: dict[str, Any]) -> dict[str, list[Any]]:
    """Name -> specification of a node's inputs, in order."""
    specs: dict[str, list[Any]] = {}
    for kind in ("required", "optional"):
        specs |= info["input"].get(kind, {})
    return specs


def has_control(name: str, spec: Sequence[Any]) -> bool:
    """Whether the editor adds "control after generate" behind this widget."""
    asked = bool(options_of(spec).get("control_after_generate"))
    return spec[0] == "INT" and (asked or name in ("seed", "noise_seed"))


def with_subgraphs(infos: Infos, nodes: Iterable[Node]) -> Infos:
    """``infos`` with what each subgraph among the nodes looks like from outside."""
    return infos | {subgraph.id: _outside(subgraph, infos) for subgraph in subgraphs_of(nodes)}


def _outside(subgraph: Subgraph, infos: Infos) -> dict[str, Any]:
    specs: dict[str, Any] = {}
    for name in subgraph.inputs:
        node, entry = _takers(subgraph, name)[0]
        spec = inputs_of(infos[node.type_name])[entry]
        options = {key: value for key, value in options_of(spec).items() if key not in _CONTROLS}
        if node.inputs[entry].value is not None:
            options["default"] = node.inputs[entry].value
        specs[name] = [spec[0], options | {"subgraph": True}]
    kinds = {}
    for name, link in subgraph.outputs.items():
        kinds[name] = infos[_of_key(subgraph.nodes, link.node).type_name]["output"][link.slot]
    return {
        "input": {"required": specs},
        "output": list(kinds.values()),
        "output_name": list(kinds),
    }


_CONTROLS = ("control_after_generate", "image_upload")


def _takers(subgraph: Subgraph, name: str) -> list[tuple[Node, str]]:
    """The nodes that take an input of the subgraph, with the names of their inputs."""
    takers = []
    for node in subgraph.nodes:
        for entry, value in node.inputs.items():
            if isinstance(value, Given) and value.name == name:
                takers.append((node, entry))
    if not takers:
        raise SystemExit(f"{subgraph.name}: nothing takes {name}")
    return takers


def _of_key(nodes: Iterable[Node], key: str) -> Node:
    return next(node for node in nodes if node.key == key)


def default_of(spec: Sequence[Any]) -> Any:
    """What the editor puts into a new node's widget."""
    options = options_of(spec)
    choices = spec[0] if isinstance(spec[0], list) else options.get("options", [""])
    first = (choices[0] if choices else "") if kind_of(spec) == "COMBO" else ""
    return options.get("default", first)


def widget_values(node: Node, info: dict[str, Any]) -> list[Any]:
    """The editor's ``widgets_values``."""
    values: list[Any] = []
    for name, spec in inputs_of(info).items():
        if not is_widget(spec):
            continue
        value = node.inputs.get(name)
        if isinstance(value, (Link, Given)):  # the widget below the wire has a value, too
            value = value.value if isinstance(value, Given) else None
        values.append(default_of(spec) if value is None else value)
        if has_control(name, spec) and not options_of(spec).get("subgraph"):
            values.append(node.after.get(name, "fixed"))
        if options_of(spec).get("image_upload"):
            values.append("image")
    return values


@dataclass(frozen=True, eq=False)
class Drawn:
    """Nodes with their wires, laid out."""

    nodes: list[dict[str, Any]]
    links: list[dict[str, Any]]
    reroutes: list[dict[str, Any]]
    ends: dict[str, tuple[float, float, float, float]]
    """Left, top, width, height of a subgraph's own inputs and outputs."""


def workflow_json(workflow: Workflow, infos: Infos) -> dict[str, Any]:
    """A workflow as the editor saves it."""
    infos = with_subgraphs(infos, workflow.nodes)
    drawn = _drawn(workflow.nodes, infos)
    note = _note(workflow.note)
    nodes = [note, *drawn.nodes]
    for number, node in enumerate(nodes):
        node["order"] = number
    extra: dict[str, Any] = {"reroutes": drawn.reroutes} if drawn.reroutes else {}
    extensions = []
    for link in drawn.links:
        if "parentId" in link:
            extensions.append({"id": link["id"], "parentId": link["parentId"]})
    if extensions:
        extra["linkExtensions"] = extensions
    if workflow.app_inputs:
        extra["linearData"] = _app(workflow, drawn.nodes)
    subgraphs = [subgraph_json(subgraph, infos) for subgraph in subgraphs_of(workflow.nodes)]
    return {
        "last_node_id": len(nodes),
        "last_link_id": len(drawn.links),
        "nodes": nodes,
        "links": [_flat(link) for link in drawn.links],
        "groups": [],
        "definitions": {"subgraphs": subgraphs},
        "config": {},
        "extra": extra,
        "version": 0.4,
    }


def blueprint_json(subgraph: Subgraph, infos: Infos) -> dict[str, Any]:
    """A subgraph as a file of ``subgraphs/``: a workflow with one node."""
    node = Node("instance", subgraph, title=subgraph.name)
    infos = with_subgraphs(infos, [node])
    drawn = _drawn((node,), infos, first=INSTANCE_ID)
    return {
        "revision": 0,
        "last_node_id": INSTANCE_ID,
        "last_link_id": 0,
        "nodes": drawn.nodes,
        "links": [],
        "version": 0.4,
        "definitions": {"subgraphs": [subgraph_json(subgraph, infos)]},
        "extra": {
            "BlueprintDescription": subgraph.description,
            "BlueprintSearchAliases": list(subgraph.aliases),
        },
    }


def subgraph_json(subgraph: Subgraph, infos: Infos) -> dict[str, Any]:
    """The definition of a subgraph."""
    drawn = _drawn(subgraph.nodes, infos, subgraph)
    inputs, outputs = [], []
    specs = infos[subgraph.id]["input"]["required"]
    for slot, (name, label) in enumerate(subgraph.inputs.items()):
        taken = [x["id"] for x in drawn.links if (x["origin_id"], x["origin_slot"]) == (-10, slot)]
        entry = {"id": _uuid(subgraph, "input", name), "name": name, "type": kind_of(specs[name])}
        inputs.append(entry | {"linkIds": taken, "label": label})
    for slot, (name, kind) in enumerate(
        zip(subgraph.outputs, infos[subgraph.id]["output"], strict=True)
    ):
        given = [x["id"] for x in drawn.links if (x["target_id"], x["target_slot"]) == (-20, slot)]
        entry = {"id": _uuid(subgraph, "output", name), "name": name, "type": kind}
        outputs.append(entry | {"linkIds": given})
    return {
        "id": subgraph.id,
        "version": 1,
        "state": {
            "lastGroupId": 0,
            "lastNodeId": len(drawn.nodes),
            "lastLinkId": len(drawn.links),
            "lastRerouteId": len(drawn.reroutes),
        },
        "revision": 0,
        "config": {},
        "name": subgraph.name,
        "inputNode": {"id": INPUT_ID, "bounding": list(drawn.ends[INPUT])},
        "outputNode": {"id": OUTPUT_ID, "bounding": list(drawn.ends[OUTPUT])},
        "inputs": inputs,
        "outputs": outputs,
        "widgets": [],
        "nodes": drawn.nodes,
        "groups": [],
        "links": drawn.links,
        "reroutes": drawn.reroutes,
        "extra": {},
        "category": subgraph.category,
        "description": subgraph.description,
    }


def _uuid(subgraph: Subgraph, kind: str, name: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"{subgraph.id}/{kind}/{name}"))


def _flat(link: dict[str, Any]) -> list[Any]:
    names = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
    return [link[name] for name in names]


def _app(workflow: Workflow, nodes: list[dict[str, Any]]) -> dict[str, Any]:
    """What app mode shows."""
    numbers = {}
    for node, made in zip(workflow.nodes, nodes, strict=True):
        numbers[node.key] = made["id"]
    inputs = [[numbers[key], name] for key, name in workflow.app_inputs]
    return {"inputs": inputs, "outputs": [numbers[key] for key in workflow.app_outputs]}


def _note(text: str) -> dict[str, Any]:
    lines = sum(1 + len(line) // 52 for line in text.splitlines())
    height = 50 + 19 * lines
    return {
        "id": 1,
        "type": NOTE,
        "pos": [-NOTE_WIDTH - 60, 30],
        "size": [NOTE_WIDTH, height],
        "flags": {},
        "order": 0,
        "mode": 0,
        "inputs": [],
        "outputs": [],
        "properties": {},
        "widgets_values": [text],
        "title": "Read me",
        "color": "#432",
        "bgcolor": "#653",
    }


def _drawn(
    nodes: Sequence[Node], infos: Infos, subgraph: Subgraph | None = None, first: int = 2
) -> Drawn:
    """Nodes of a graph, numbered from ``first`` (in a subgraph from 1), with their wires."""
    start = first if subgraph is None else 1
    numbers = {node.key: number for number, node in enumerate(nodes, start)}
    made = {node.key: _node(node, numbers[node.key], infos[node.type_name]) for node in nodes}
    boxes: dict[str, Box] = {}
    if subgraph is not None:
        boxes[INPUT] = Box(ENDS_WIDTH, SLOT * len(subgraph.inputs) + 40, title=0)
    for node in nodes:
        width, height = made[node.key]["size"]
        boxes[node.key] = Box(width, height)
    if subgraph is not None:
        boxes[OUTPUT] = Box(ENDS_WIDTH, SLOT * len(subgraph.outputs) + 40, title=0)
    ends = _ends(nodes, made, subgraph)
    wires = [wire for _, _, wire in ends]
    layout = arrange(boxes, wires, (INPUT,), (OUTPUT,)) if subgraph else arrange(boxes, wires)
    links, reroutes = _links(ends, numbers, made, infos, layout, nodes, subgraph)
    for key, place in layout.places.items():
        if key in made:
            made[key]["pos"] = list(place)
    bounds = {}
    for key in (INPUT, OUTPUT):
        if key in boxes:
            bounds[key] = (*layout.places[key], boxes[key].width, boxes[key].height)
    return Drawn(list(made.values()), links, reroutes, bounds)


End = tuple[str, int, Wire]
"""Name or label of the target's input, its slot, and the wire."""


def _ends(
    nodes: Sequence[Node], made: dict[str, dict[str, Any]], subgraph: Subgraph | None
) -> list[End]:
    """All wires, with the slots where they end."""
    ends: list[End] = []
    for node in nodes:
        for slot, item in enumerate(made[node.key]["inputs"]):
            source = node.inputs.get(item["name"])
            if isinstance(source, Link):
                leaves = _slot_height(source.slot)
                origin = (source.node, source.slot)
            elif isinstance(source, Given) and subgraph is not None:
                number = list(subgraph.inputs).index(source.name)
                leaves, origin = SLOT * number + 20, (INPUT, number)
            else:
                continue
            arrives = item["_height"]
            ends.append((item["name"], slot, Wire(origin, node.key, leaves, arrives)))
    for slot, (name, source) in enumerate(subgraph.outputs.items() if subgraph else ()):
        wire = Wire((source.node, source.slot), OUTPUT, _slot_height(source.slot), SLOT * slot + 20)
        ends.append((name, slot, wire))
    return ends


def _slot_height(slot: int) -> float:
    return (slot + 0.7) * SLOT


def _links(
    ends: list[End],
    numbers: dict[str, int],
    made: dict[str, dict[str, Any]],
    infos: Infos,
    layout: Layout,
    nodes: Sequence[Node],
    subgraph: Subgraph | None,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    reroutes: list[dict[str, Any]] = []
    lanes: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for origin, points in layout.points.items():
        lane: list[dict[str, Any]] = []
        for _, left, top in points:
            point = {"id": len(reroutes) + 1, "pos": [left, top], "linkIds": []}
            if lane:
                point["parentId"] = lane[-1]["id"]
            lane.append(point)
            reroutes.append(point)
        lanes[origin] = lane
    links = []
    for _, slot, wire in ends:
        key, out_slot = wire.origin
        number = len(links) + 1
        link = {"id": number, "origin_id": INPUT_ID, "origin_slot": out_slot}
        if key == INPUT and subgraph is not None:
            spec = infos[subgraph.id]["input"]["required"][list(subgraph.inputs)[out_slot]]
            kind = kind_of(spec)
        else:
            kind = infos[_of_key(nodes, key).type_name]["output"][out_slot]
            link["origin_id"] = numbers[key]
            made[key]["outputs"][out_slot]["links"].append(number)
        link |= {"target_id": numbers.get(wire.target, OUTPUT_ID), "target_slot": slot}
        links.append(link | {"type": kind})
        if wire.target in made:
            made[wire.target]["inputs"][slot]["link"] = number
        through = lanes.get(wire.origin, [])[: layout.points_to(wire)]
        for point in through:
            point["linkIds"].append(number)
        if through:
            links[-1]["parentId"] = through[-1]["id"]
    for node in made.values():
        for item in node["inputs"]:
            del item["_height"]
    return links, reroutes


def _node(node: Node, number: int, info: dict[str, Any]) -> dict[str, Any]:
    """A node as the editor saves it, without place and links; ``_height``: where a wire arrives."""
    specs = inputs_of(info)
    if set(node.inputs) - set(specs):
        raise SystemExit(f"{node.key} has no input {sorted(set(node.inputs) - set(specs))}")
    sockets, height = _sockets(node, specs, len(info["output"]))
    outputs = []
    for name, kind in zip(info["output_name"], info["output"], strict=True):
        outputs.append({"name": name, "type": kind, "links": []})
    properties: dict[str, Any] = {}
    if isinstance(node.type, str):
        properties["Node name for S&R"] = node.type
    if node.models:
        properties["models"] = list(node.models)
    entry = {
        "id": number,
        "type": node.type_name,
        "pos": [0, 0],
        "size": [node.width or WIDTH, round(height + 14 + node.more)],
        "flags": {},
        "order": number - 1,
        "mode": 0,
        "inputs": sockets,
        "outputs": outputs,
        "properties": properties,
        "widgets_values": widget_values(node, info),
    }
    title = node.title or (node.type.name if isinstance(node.type, Subgraph) else "")
    return entry | ({"title": title} if title else {})


def _sockets(
    node: Node, specs: dict[str, list[Any]], outputs: int
) -> tuple[list[dict[str, Any]], float]:
    """The inputs of a node in the editor's order, wires before widgets, and the body's height.

    All of them: an older editor finds the end of a wire in a subgraph by the input's number.
    """
    wires, widgets = [], []
    for name, spec in specs.items():
        item: dict[str, Any] = {"name": name, "type": kind_of(spec), "link": None}
        if isinstance(node.type, Subgraph):
            item["label"] = node.type.inputs[name]
        if is_widget(spec):
            widgets.append(item | {"widget": {"name": name}})
        else:
            wires.append(item | {"_height": _slot_height(len(wires))})
    height = SLOT * max(len(wires), outputs) + 10.0
    for item in widgets:
        name, spec = item["name"], specs[item["name"]]
        row = TEXT_ROW if options_of(spec).get("multiline") else ROW
        item["_height"] = height + row / 2
        height += row
        is_inner = isinstance(node.type, str)
        if is_inner and (has_control(name, spec) or options_of(spec).get("image_upload")):
            height += ROW
    return wires + widgets, height
