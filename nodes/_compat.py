"""One code base for ComfyUI v0.3.64 to v0.33: newer keywords are left out where the host does not
know them.

An unknown keyword would make the older host drop that node and all after it. Newer ones in use:
    `search_aliases`,
`essentials_category` (schema), `advanced` (inputs).
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any, get_args

from comfy_api.latest import io

from ..bgdefect_core.declarations import Option, options_of


def schema(**options: Any) -> Any:
    """`io.Schema`, less what this host does not know."""
    return io.Schema(**_known(io.Schema, options))


def field(kind: Any, name: str, **options: Any) -> Any:
    """One input, ``kind.Input(name, ...)`` as in ``field(io.Int, "steps", default=50)``, less what
    this host does not know."""
    return kind.Input(name, **_known(kind.Input, options))


def option(settings: type, name: str, neutral: str = "", **options: Any) -> Any:
    """The widget of an option that the core declares (`bgdefect_core.declarations`).

    Kind, default, range, choices and tooltip are the declaration's.

    Args:
        neutral: ends the tooltip: which value changes nothing.
        options: these replace the declaration's, such as a default of the graph's own.
    """
    declared = {entry.name: entry for entry in options_of(settings)}[name]
    widget = _widget(declared) | options
    widget["tooltip"] = f"{widget['tooltip']} {neutral}".strip()
    return field(_kind(declared), name, **widget)


def _kind(declared: Option) -> Any:
    """The host's input class for the option's type."""
    if declared.choices:
        return io.Combo
    members = (*get_args(declared.kind), declared.kind)  # of a union, or of a tuple
    for kind, widget in ((bool, io.Boolean), (int, io.Int), (float, io.Float)):
        if kind in members:
            return widget
    return io.String


def _widget(declared: Option) -> dict[str, Any]:
    widget: dict[str, Any] = {"tooltip": declared.help}
    if declared.default is not None and not isinstance(declared.default, tuple):
        widget["default"] = declared.default
    if declared.range is not None:
        number = int if _kind(declared) is io.Int else float
        widget |= {"min": number(declared.range.low), "max": number(declared.range.high)}
    if declared.choices:
        widget["options"] = list(declared.choices)
    return widget


def _known(target: Callable[..., Any], options: dict[str, Any]) -> dict[str, Any]:
    names = signature(target).parameters
    return {name: value for name, value in options.items() if name in names}
