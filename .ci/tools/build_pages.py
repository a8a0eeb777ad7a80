"""Writes the help pages `web/docs/*.md` and the English `locales/en/nodeDefs.json` from the nodes
themselves and `page_notes.py`.

python .ci/tools/build_pages.py http://127.0.0.1:8188
"""

from __future__ import annotations

import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

from page_notes import NOTES

ROOT = Path(__file__).resolve().parents[2]


def kind_of(spec: list[Any]) -> str:
    """The type in words."""
    options = spec[1] if len(spec) > 1 else {}
    kind = "choice" if isinstance(spec[0], list) or spec[0] == "COMBO" else spec[0]
    if "min" in options and "max" in options and options["max"] < 1e9:
        kind += f", {options['min']:g} to {options['max']:g}"
    if (
        "default" in options
        and options["default"] != ""
        and not isinstance(options["default"], list)
    ):
        kind += f", default {options['default']}"
    return kind


def page(name: str, info: dict[str, Any]) -> str:
    """The help page of a node."""
    lines = [
        f"# {info['display_name']}",
        "",
        info["description"],
        "",
        "## Inputs",
        "",
        "| input | type | meaning |",
        "|---|---|---|",
    ]
    for group in ("required", "optional"):
        for widget, spec in info["input"].get(group, {}).items():
            kind = kind_of(spec) + (", optional" if group == "optional" else "")
            lines.append(f"| `{widget}` | {kind} | {spec[1]['tooltip']} |")
    lines += ["", "## Outputs", "", "| output | type | meaning |", "|---|---|---|"]
    rows = zip(info["output_name"], info["output"], info["output_tooltips"], strict=True)
    lines += [f"| `{output}` | {kind} | {meaning} |" for output, kind, meaning in rows]
    return "\n".join([*lines, "", "## Good to know", "", NOTES[name].strip("\n"), ""])


def texts(info: dict[str, Any]) -> dict[str, Any]:
    """A node's entry in nodeDefs.json."""
    specs = {
        widget: spec
        for group in ("required", "optional")
        for widget, spec in info["input"].get(group, {}).items()
    }
    inputs = {
        widget: {"name": widget, "tooltip": spec[1]["tooltip"]} for widget, spec in specs.items()
    }
    outputs = {
        str(slot): {"name": name, "tooltip": meaning}
        for slot, (name, meaning) in enumerate(
            zip(info["output_name"], info["output_tooltips"], strict=True)
        )
    }
    entry = {"display_name": info["display_name"], "description": info["description"]}
    return entry | {
        kind: names for kind, names in (("inputs", inputs), ("outputs", outputs)) if names
    }


def main(address: str) -> None:
    """Write all."""
    with urllib.request.urlopen(f"{address}/object_info", timeout=60) as answer:
        infos = {
            name: info for name, info in json.load(answer).items() if name.startswith("BGDefect")
        }
    for name, info in infos.items():
        (ROOT / "web" / "docs" / f"{name}.md").write_text(page(name, info), encoding="utf-8")
    entries = {name: texts(info) for name, info in sorted(infos.items())}
    target = ROOT / "locales" / "en" / "nodeDefs.json"
    target.write_text(json.dumps(entries, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
