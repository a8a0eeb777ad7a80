"""Writes the help pages `web/docs/*.md` and the English `locales/en/nodeDefs.json` from the nodes
themselves and `page_notes.py`. Needs no ComfyUI.

python .ci/tools/build_pages.py
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from page_notes import NOTES

ROOT = Path(__file__).resolve().parents[2]
UNBOUNDED = 1e9
"""A range that ends above it is none to a reader."""


def load_pack(name: str = "bgdefect_pack") -> ModuleType:
    """The pack as the host imports it: a package of any name."""
    path = ROOT / "__init__.py"
    spec = importlib.util.spec_from_file_location(
        name, path, submodule_search_locations=[str(ROOT)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return importlib.import_module(f"{name}.nodes")


def kind_of(entry: Any) -> str:
    """The type of an input in words."""
    options = entry.options
    kind = "choice" if entry.kind == "COMBO" else entry.kind
    if "min" in options and "max" in options and options["max"] < UNBOUNDED:
        kind += f", {options['min']:g} to {options['max']:g}"
    if options.get("default", "") != "":
        kind += f", default {options['default']}"
    return kind + (", optional" if options.get("optional") else "")


def page(schema: Any) -> str:
    """The help page of a node."""
    lines = [f"# {schema.display_name}", "", schema.description, "", "## Inputs", ""]
    lines += ["| input | type | meaning |", "|---|---|---|"]
    for entry in schema.inputs:
        meaning = entry.options["tooltip"].replace("\n", "<br>")
        lines.append(f"| `{entry.name}` | {kind_of(entry)} | {meaning} |")
    lines += ["", "## Outputs", "", "| output | type | meaning |", "|---|---|---|"]
    for slot in schema.outputs:
        lines.append(f"| `{slot.name}` | {slot.kind} | {slot.tooltip} |")
    return "\n".join([*lines, "", "## Good to know", "", NOTES[schema.node_id].strip("\n"), ""])


def texts(schema: Any) -> dict[str, Any]:
    """A node's entry in nodeDefs.json."""
    inputs = {}
    for entry in schema.inputs:
        inputs[entry.name] = {"name": entry.name, "tooltip": entry.options["tooltip"]}
    outputs = {}
    for number, slot in enumerate(schema.outputs):
        outputs[str(number)] = {"name": slot.name, "tooltip": slot.tooltip}
    entry = {"display_name": schema.display_name, "description": schema.description}
    return entry | {"inputs": inputs, "outputs": outputs}


def main() -> None:
    """Write all."""
    entries = {}
    for node in load_pack().declared_nodes():
        schema = node.define_schema()
        path = ROOT / "web" / "docs" / f"{schema.node_id}.md"
        path.write_text(page(schema), encoding="utf-8")
        entries[schema.node_id] = texts(schema)
    target = ROOT / "locales" / "en" / "nodeDefs.json"
    text = json.dumps(dict(sorted(entries.items())), indent=2, ensure_ascii=False)
    target.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
