"""Writes `workflows/*.json` from `workflow_specs.py` and `subgraphs/*.json` from
`subgraph_specs.py`, in the format of ComfyUI's editor.

    python .ci/tools/build_workflows.py http://127.0.0.1:8188

A running ComfyUI with the pack tells the order of inputs and widgets: take the oldest supported
one, newer ones add outputs.
"""

from __future__ import annotations

import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

from graph_json import blueprint_json, workflow_json
from subgraph_specs import SUBGRAPHS
from workflow_specs import WORKFLOWS

ROOT = Path(__file__).resolve().parents[2]


def write(path: Path, content: dict[str, Any]) -> None:
    """One file of JSON."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def main(address: str) -> None:
    """Write every workflow and subgraph."""
    with urllib.request.urlopen(f"{address}/object_info", timeout=60) as answer:
        infos = json.load(answer)
    for name, workflow in WORKFLOWS.items():
        write(ROOT / "workflows" / f"{name}.json", workflow_json(workflow, infos))
    for subgraph in SUBGRAPHS:
        write(ROOT / "subgraphs" / f"{subgraph.name}.json", blueprint_json(subgraph, infos))


if __name__ == "__main__":
    main(sys.argv[1])
