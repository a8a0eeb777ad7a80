"""The host's classes of the pack's nodes, one code base for ComfyUI v0.3.64 to v0.33.

Newer keywords are left out where the host does not know them: an unknown one would make the older
host drop that node and all after it. Newer ones in use: `search_aliases` (schema), `advanced`
(inputs).
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

from comfy_api.latest import io

from ._declare import BOX, Input, Node, Output, Schema

_KINDS = {
    "BOOLEAN": io.Boolean,
    "CLIP": io.Clip,
    "COMBO": io.Combo,
    "CONDITIONING": io.Conditioning,
    "FLOAT": io.Float,
    "GUIDER": io.Guider,
    "IMAGE": io.Image,
    "INT": io.Int,
    "LATENT": io.Latent,
    "MASK": io.Mask,
    "MODEL": io.Model,
    "NOISE": io.Noise,
    "SIGMAS": io.Sigmas,
    "STRING": io.String,
    "VAE": io.Vae,
}


def host_class(node: type[Node]) -> type:
    """The node as a class of the host's V3 API."""

    def define_schema(cls: type) -> Any:
        return _schema(node.define_schema())

    attributes: dict[str, Any] = {
        "define_schema": classmethod(define_schema),
        "__doc__": node.__doc__,
    }
    return type(node.__name__, (node, io.ComfyNode), attributes)


def _schema(declared: Schema) -> Any:
    options = {
        "node_id": declared.node_id,
        "display_name": declared.display_name,
        "category": declared.category,
        "description": declared.description,
        "search_aliases": list(declared.search_aliases),
        "is_output_node": declared.is_output_node,
        "hidden": [getattr(io.Hidden, name) for name in declared.hidden],
        "inputs": list(map(_input, declared.inputs)),
        "outputs": list(map(_output, declared.outputs)),
    }
    return io.Schema(**_known(io.Schema, options))


def _kind(name: str) -> Any:
    if name == BOX and hasattr(io, "BoundingBox"):  # v0.30 and later
        return io.BoundingBox
    return _KINDS[name] if name in _KINDS else io.Custom(name)


def _input(declared: Input) -> Any:
    kind = _kind(declared.kind).Input
    options = dict(declared.options)
    if callable(options.get("options")):  # a list that the host knows
        options["options"] = options["options"]()
    return kind(declared.name, **_known(kind, options))


def _output(declared: Output) -> Any:
    return _kind(declared.kind).Output(
        display_name=declared.name, tooltip=declared.tooltip, is_output_list=declared.is_list
    )


def _known(target: Callable[..., Any], options: dict[str, Any]) -> dict[str, Any]:
    names = signature(target).parameters
    return {name: value for name, value in options.items() if name in names}
