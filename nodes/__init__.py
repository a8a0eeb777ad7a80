"""The ComfyUI nodes. They convert, call `bgdefect_core`, and wrap: the method itself stands there.

Importing this package needs no host; `make_extension` does.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ._declare import Node

MODULES: tuple[str, ...] = (
    "loaders",
    "prompts",
    "inversion",
    "sampling",
    "guider",
    "pictures",
    "cropping",
    "refinement",
    "quality",
    "preview",
    "dataset",
)
"""Modules with a list ``NODES`` of node classes, in the order of a workflow; one a line."""


def declared_nodes() -> list[type[Node]]:
    """All nodes, in the order of a workflow; needs no host."""
    nodes: list[type[Node]] = []
    for name in MODULES:
        nodes += import_module(f".{name}", __name__).NODES
    return nodes


def make_extension() -> Any:
    """The host's view of this pack: `comfy_api.latest.ComfyExtension` with the nodes of all
    `MODULES`."""
    from comfy_api.latest import ComfyExtension

    from . import _loading  # noqa: F401  (tells the host where class weights lie)
    from ._compat import host_class

    nodes = [host_class(node) for node in declared_nodes()]

    class BGDefectExtension(ComfyExtension):  # type: ignore[misc, unused-ignore]
        async def get_node_list(self) -> list[Any]:
            return nodes

    return BGDefectExtension()
