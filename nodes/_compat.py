"""One code base for ComfyUI v0.3.64 to v0.33: newer keywords are left out where the host does not
know them.

An unknown keyword would make the older host drop that node and all after it. Newer ones in use:
    `search_aliases`,
`essentials_category` (schema), `advanced` (inputs).
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

from comfy_api.latest import io


def schema(**options: Any) -> Any:
    """`io.Schema`, less what this host does not know."""
    return io.Schema(**_known(io.Schema, options))


def field(kind: Any, name: str, **options: Any) -> Any:
    """One input, ``kind.Input(name, ...)`` as in ``field(io.Int, "steps", default=50)``, less what
    this host does not know."""
    return kind.Input(name, **_known(kind.Input, options))


def _known(target: Callable[..., Any], options: dict[str, Any]) -> dict[str, Any]:
    names = signature(target).parameters
    return {name: value for name, value in options.items() if name in names}
