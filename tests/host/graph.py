"""A shipped workflow (the editor's format) as the editor sends it: checked against the host, then
in API format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from .server import PACK
from .subgraphs import flat

WIDGETS = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")
NOTES = ("Note", "MarkdownNote")
CONTROLS = ("fixed", "increment", "decrement", "randomize")
OF_THE_USER = ("v1-5-pruned-emaonly-fp16.safetensors", "my-class.safetensors", "my_good_part.png")
"""What workflows 2 and 7 name and nobody ships."""
_UNKNOWN: dict[str, Any] = {"input": {}, "output": [], "output_name": []}
WORKFLOWS = sorted((PACK / "workflows").glob("*.json"))


def load(path: Path) -> dict[str, Any]:
    workflow: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return workflow


def named(start: str) -> Path:
    """The workflow whose file name starts so."""
    [path] = [path for path in WORKFLOWS if path.name.startswith(start)]
    return path


def _specs(info: dict[str, Any]) -> dict[str, list[Any]]:
    return {
        name: spec
        for kind in ("required", "optional")
        for name, spec in info["input"].get(kind, {}).items()
    }


def _options(spec: list[Any]) -> dict[str, Any]:
    options: dict[str, Any] = spec[1] if len(spec) > 1 else {}
    return options


def _is_widget(spec: list[Any]) -> bool:
    return (isinstance(spec[0], list) or spec[0] in WIDGETS) and not _options(spec).get(
        "forceInput"
    )


def widgets(info: dict[str, Any]) -> list[str]:
    """Names of the widgets in the editor's order; those that it adds itself start with "+"."""
    names = []
    for name, spec in _specs(info).items():
        if _is_widget(spec):
            names.append(name)
            if spec[0] == "INT" and (
                _options(spec).get("control_after_generate") or name in ("seed", "noise_seed")
            ):
                names.append(f"+control of {name}")
            if _options(spec).get("image_upload"):
                names.append("+upload")
    return names


def _is_possible(value: Any, spec: list[Any]) -> bool:
    """Whether a stored value lies in the choices or the range of its widget."""
    kind, options = spec[0], _options(spec)
    if isinstance(kind, list) or kind == "COMBO":
        return (
            value in (kind if isinstance(kind, list) else options["options"])
            or value in OF_THE_USER
        )
    if kind in ("INT", "FLOAT"):
        whole = kind == "FLOAT" or isinstance(value, int)
        return (
            whole
            and not isinstance(value, bool)
            and options.get("min", value) <= value <= options.get("max", value)
        )
    return isinstance(value, bool if kind == "BOOLEAN" else str)


def problems(workflow: dict[str, Any], object_info: dict[str, Any]) -> list[str]:
    """What the editor would complain about: unknown nodes, other counts of widgets, values out of
    range, links between other types."""
    found = []
    workflow = flat(workflow, lambda kind: widgets(object_info.get(kind, _UNKNOWN)))
    nodes = {node["id"]: node for node in workflow["nodes"]}
    for node in nodes.values():
        if node["type"] in NOTES:
            continue
        info = object_info.get(node["type"])
        if info is None:
            found.append(f"no node {node['type']}")
            continue
        if len(node.get("widgets_values", [])) != len(widgets(info)):
            found.append(
                f"{node['type']} has {len(node['widgets_values'])} widget values, "
                f"the host {widgets(info)}"
            )
        specs = _specs(info)
        for name, value in zip(widgets(info), node.get("widgets_values", []), strict=False):
            if not (
                value in CONTROLS
                if name.startswith("+control")
                else name == "+upload" or _is_possible(value, specs[name])
            ):
                found.append(f"{node['type']}.{name} is {value!r}")
        for slot in node["inputs"]:
            spec = specs.get(slot["name"])
            if spec is None:
                found.append(f"{node['type']} has no input {slot['name']}")
            elif slot["type"] != ("COMBO" if isinstance(spec[0], list) else spec[0]):
                found.append(f"{node['type']}.{slot['name']} is {spec[0]}, not {slot['type']}")
        linked = {slot["name"] for slot in node["inputs"] if slot["link"] is not None}
        found += [
            f"{node['type']}.{name} is not connected"
            for name, spec in info["input"].get("required", {}).items()
            if not _is_widget(spec) and name not in linked
        ]
        outputs = list(
            zip(info["output_name"], info["output"], strict=True)
        )  # a newer host may have more
        if [(slot["name"], slot["type"]) for slot in node["outputs"]] != outputs[
            : len(node["outputs"])
        ]:
            found.append(f"{node['type']} has other outputs: {info['output_name']}")
    for number, origin, out_slot, target, in_slot, kind in workflow["links"]:
        start, end = nodes[origin]["outputs"][out_slot], nodes[target]["inputs"][in_slot]
        if end["link"] != number or number not in start["links"] or start["type"] != kind:
            found.append(f"link {number} is torn")
        if "*" not in (start["type"], end["type"]) and end["type"] not in (
            "COMBO",
            *start["type"].split(","),
        ):
            found.append(f"link {number}: {start['type']} to {end['type']}")
    return found


def to_api(workflow: dict[str, Any], object_info: dict[str, Any]) -> dict[str, Any]:
    """The prompt that the editor would send; node ids are the workflow's, OUTER:INNER in a
    subgraph."""
    workflow = flat(workflow, lambda kind: widgets(object_info[kind]))
    links = {link[0]: link for link in workflow["links"]}
    prompt: dict[str, Any] = {}
    for node in workflow["nodes"]:
        if node["type"] in NOTES:
            continue
        values = dict(zip(widgets(object_info[node["type"]]), node["widgets_values"], strict=True))
        inputs = {name: value for name, value in values.items() if not name.startswith("+")}
        for slot in node["inputs"]:
            if slot["link"] is not None:
                _, origin, out_slot, *_ = links[slot["link"]]
                inputs[slot["name"]] = [str(origin), out_slot]
        prompt[str(node["id"])] = {"class_type": node["type"], "inputs": inputs}
    return prompt


def after_run(
    workflow: dict[str, Any], object_info: dict[str, Any], rng: np.random.Generator
) -> dict[str, Any]:
    """The workflow with its numbers as the editor sets them after a run: by the control behind
    each."""
    changed = flat(workflow, lambda kind: widgets(object_info[kind]))
    for node in changed["nodes"]:
        names = [] if node["type"] in NOTES else widgets(object_info[node["type"]])
        for place, name in enumerate(names):
            control = node["widgets_values"][place] if name.startswith("+control") else "fixed"
            if control == "increment":
                node["widgets_values"][place - 1] += 1
            elif control == "randomize":
                node["widgets_values"][place - 1] = int(rng.integers(0, 2**50))  # its largest
    return changed


def ids(prompt: dict[str, Any], kind: str) -> list[str]:
    """Ids of all nodes of a type."""
    return [number for number, node in prompt.items() if node["class_type"] == kind]


def change(prompt: dict[str, Any], kind: str, **inputs: Any) -> dict[str, Any]:
    """The same prompt with other inputs at all nodes of a type."""
    assert ids(prompt, kind), kind
    changed: dict[str, Any] = json.loads(json.dumps(prompt))
    for number in ids(prompt, kind):
        changed[number]["inputs"] |= inputs
    return changed


def saving(prompt: dict[str, Any]) -> dict[str, Any]:
    """The prompt with a Save Image for what Defect Quality passes on, where it has none."""
    if ids(prompt, "SaveImage"):
        return prompt
    inputs = {"images": [ids(prompt, "BGDefectQuality")[0], 0], "filename_prefix": "bgdefect"}
    return prompt | {"saved": {"class_type": "SaveImage", "inputs": inputs}}
