"""Writes `workflows/*.json` from `workflow_specs.py`, in the format of ComfyUI's editor.

    python .ci/tools/build_workflows.py http://127.0.0.1:8188

A running ComfyUI with the pack tells the order of inputs and widgets: take the oldest supported
    one, newer ones add outputs.
Groups stand left to right, their nodes below one another.
"""

from __future__ import annotations

import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

from workflow_specs import WORKFLOWS, Group, Link, Node

WIDGETS = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")
FOLDER = Path(__file__).resolve().parents[2] / "workflows"
GAP, TOP, WIDTH = 40, 80, 340
NOTE = "MarkdownNote"


def is_widget(spec: list[Any]) -> bool:
    """Whether an input of /object_info is a widget; old nodes give a combo as its list."""
    options = spec[1] if len(spec) > 1 else {}
    return (isinstance(spec[0], list) or spec[0] in WIDGETS) and not options.get("forceInput")


def inputs_of(info: dict[str, Any]) -> dict[str, list[Any]]:
    """Name -> specification of a node's inputs, in order."""
    return {
        name: spec
        for kind in ("required", "optional")
        for name, spec in info["input"].get(kind, {}).items()
    }


def has_control(name: str, spec: list[Any]) -> bool:
    """Whether the editor adds "control after generate" behind this widget."""
    options = spec[1] if len(spec) > 1 else {}
    return spec[0] == "INT" and (
        bool(options.get("control_after_generate")) or name in ("seed", "noise_seed")
    )


def widget_values(node: Node, info: dict[str, Any]) -> list[Any]:
    """The editor's ``widgets_values``."""
    values: list[Any] = []
    for name, spec in inputs_of(info).items():
        if not is_widget(spec):
            continue
        options = spec[1] if len(spec) > 1 else {}
        choices = spec[0] if isinstance(spec[0], list) else options.get("options", [""])
        default = options.get(
            "default",
            (choices[0] if choices else "")
            if spec[0] == "COMBO" or isinstance(spec[0], list)
            else "",
        )
        given = node.inputs.get(name, default)
        values.append(default if isinstance(given, Link) else given)
        if has_control(name, spec):
            values.append(node.after.get(name, "fixed"))
        if options.get("image_upload"):
            values.append("image")
    return values


def build(groups: list[Group], infos: dict[str, Any]) -> dict[str, Any]:
    """One workflow as the editor saves it."""
    numbers: dict[str, int] = {}
    types: dict[str, str] = {}
    for group in groups:
        for node in group.nodes:
            numbers.setdefault(node.key, len(numbers) + 1)
            types[node.key] = node.type
    nodes: list[dict[str, Any]] = []
    links: list[list[Any]] = []
    frames: list[dict[str, Any]] = []
    left = 0
    for group in groups:
        down = TOP
        for node in group.nodes:
            info = infos.get(node.type, {"input": {}, "output": [], "output_name": []})
            made = _node(node, numbers[node.key], info, (left + GAP / 2, down))
            for slot, item in enumerate(made["inputs"]):
                link = node.inputs.get(item["name"])
                if isinstance(link, Link):
                    kind = infos[types[link.node]]["output"][link.slot]
                    links.append(
                        [
                            len(links) + 1,
                            numbers[link.node],
                            link.slot,
                            numbers[node.key],
                            slot,
                            kind,
                        ]
                    )
                    made["inputs"][slot]["link"] = len(links)
            down += made["size"][1] + GAP + 30
            nodes.append(made)
        wide = max(node["size"][0] for node in nodes[-len(group.nodes) :]) + GAP
        frames.append(
            {
                "id": len(frames) + 1,
                "title": group.title,
                "bounding": [left, 0, wide, down],
                "color": group.color,
                "flags": {},
            }
        )
        left += wide + GAP
    for number, origin, slot, *_ in links:
        nodes[origin - 1]["outputs"][slot]["links"].append(number)
    state = {
        "last_node_id": len(nodes),
        "last_link_id": len(links),
        "nodes": nodes,
        "links": links,
        "groups": frames,
    }
    return state | {"config": {}, "extra": {}, "version": 0.4}


def _node(
    node: Node, number: int, info: dict[str, Any], place: tuple[float, float]
) -> dict[str, Any]:
    specs = inputs_of(info)
    unknown = set(node.inputs) - set(specs)
    if unknown and node.type != NOTE:
        raise SystemExit(f"{node.type} has no input {sorted(unknown)}")
    sockets = [
        {"name": name, "type": "COMBO" if isinstance(spec[0], list) else spec[0], "link": None}
        | ({"widget": {"name": name}} if is_widget(spec) else {})
        for name, spec in specs.items()
        if not is_widget(spec) or isinstance(node.inputs.get(name), Link)
    ]
    outputs = [
        {"name": name, "type": kind, "links": []}
        for name, kind in zip(info["output_name"], info["output"], strict=True)
    ]
    values = [node.text] if node.type == NOTE else widget_values(node, info)
    lines = sum(2 if isinstance(value, str) and "\n" in value else 1 for value in values)
    tall = sum(
        90
        for spec in specs.values()
        if is_widget(spec) and len(spec) > 1 and spec[1].get("multiline")
    )
    height = 24 * max(len(sockets), len(outputs)) + 26 * lines + tall + node.more + 20
    return {
        "id": number,
        "type": node.type,
        "pos": list(place),
        "size": [node.width or WIDTH, height],
        "flags": {},
        "order": number - 1,
        "mode": 0,
        "inputs": sockets,
        "outputs": outputs,
        "properties": {"Node name for S&R": node.type},
        "widgets_values": values,
    } | ({"title": node.title} if node.title else {})


def main(address: str) -> None:
    """Write every workflow."""
    with urllib.request.urlopen(f"{address}/object_info", timeout=60) as answer:
        infos = json.load(answer)
    for name, groups in WORKFLOWS.items():
        text = json.dumps(build(groups, infos), indent=1) + "\n"
        (FOLDER / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
