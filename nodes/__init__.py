"""The ComfyUI nodes. They convert, call `bgdefect_core`, and wrap: the method itself stands there.

Importing this package needs no host; `make_extension` does.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

MODULES: tuple[str, ...] = (
    "loaders",
    "prompts",
    "inversion",
    "sampling",
    "guider",
    "pictures",
    "cropping",
    "refinement",
    "dataset",
)
"""Modules with a list ``NODES`` of node classes, in the order of a workflow; one a line."""


def make_extension() -> Any:
    """The host's view of this pack: `comfy_api.latest.ComfyExtension` with the nodes of all
    `MODULES`."""
    from comfy_api.latest import ComfyExtension

    nodes = [node for name in MODULES for node in import_module(f".{name}", __name__).NODES]

    class BGDefectExtension(ComfyExtension):  # type: ignore[misc, unused-ignore]
        async def get_node_list(self) -> list[Any]:
            return nodes

    return BGDefectExtension()
