"""How the pack's nodes are declared: plain data, so that they, their help pages and translations
can be read and tested without the host. `_compat` makes the host's classes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from ..bgdefect_core.declarations import Option, options_of

BOX = "BOUNDING_BOX"
"""The host's wire with boxes (v0.30 and later)."""
CROP = "BGDEFECT_CROP"
"""A wire with `_squares.CropBatch`."""
INVERSION = "BGDEFECT_INVERSION"
"""A wire with `_wires.Inversion`."""
MAPS = "BGDEFECT_MAPS"
"""A wire with `_wires.AttentionMaps`."""
PROMPTS = "BGDEFECT_PROMPTS"
"""A wire with `_wires.GraphPrompts`."""
REAL = "BGDEFECT_REAL"
"""A wire with `_wires.RealDefects`."""
START = "BGDEFECT_START"
"""A wire with the start levels of the samples, one a sample or one for all."""
QUALITY = "BGDEFECT_QUALITY"
"""A wire with a list of `_judging.Judged`, one a sample."""


@dataclass(frozen=True)
class Input:
    """A wire or a widget of a node."""

    kind: str
    """The host's type, such as ``IMAGE``, ``INT`` or ``COMBO``, or one of the pack's own wires."""
    name: str
    """Its id in workflows: never changed."""
    options: dict[str, Any]
    """As the host's input of this kind takes them; a host leaves out what it does not know."""


@dataclass(frozen=True)
class Output:
    """A slot that a node gives out."""

    kind: str
    name: str
    tooltip: str
    is_list: bool = False
    """Whether what follows runs once for each element."""


@dataclass(frozen=True)
class Schema:
    """What a node is."""

    node_id: str
    """Begins with ``BGDefect``: never changed."""
    display_name: str
    category: str
    description: str
    inputs: Sequence[Input]
    outputs: Sequence[Output]
    search_aliases: Sequence[str] = ()
    is_output_node: bool = False
    hidden: Sequence[str] = field(default=())
    """Names of the host's ``io.Hidden`` that ``execute`` reads."""


class Node:
    """A node: a schema, and ``execute`` with the inputs' names as parameters, which returns the
    outputs as a tuple. ``fingerprint_inputs`` and ``validate_inputs`` are the host's."""

    hidden: Any
    """What the schema's ``hidden`` asked for, while the host runs the node."""

    @classmethod
    def define_schema(cls) -> Any:
        """The node's :class:`Schema`."""
        raise NotImplementedError


def wire(kind: str, name: str, tooltip: str, optional: bool = False) -> Input:
    """An input that takes a wire."""
    return Input(kind, name, {"tooltip": tooltip} | ({"optional": True} if optional else {}))


def widget(kind: str, name: str, **options: Any) -> Input:
    """An input with a widget: ``INT``, ``FLOAT``, ``BOOLEAN``, ``COMBO`` or ``STRING``."""
    return Input(kind, name, options)


def option(settings: type, name: str, neutral: str = "", **options: Any) -> Input:
    """The widget of an option that the core declares (`bgdefect_core.declarations`): its kind,
    default, range, choices and tooltip.

    Args:
        neutral: ends the tooltip: which value changes nothing.
        options: these replace the declaration's, such as a default of the graph's own. Where they
            hold one, the tooltip leaves out what the declaration says of its default.
    """
    declared = _declared(settings, name)
    values = _widget_options(declared) | options
    if "default" in options:
        values["tooltip"] = values["tooltip"].partition(_OF_THE_DEFAULT)[0]
    values["tooltip"] = f"{values['tooltip']} {neutral}".strip()
    return Input(_widget_kind(declared), name, values)


def end_of(settings: type, name: str, end: int, widget_name: str, **options: Any) -> Input:
    """The widget of one end of a declared range, such as the smallest and largest scale: its kind
    and limits, and that end's default.

    Args:
        name: of the option, a tuple of two numbers. end: 0 the lower one, 1 the upper one.
        widget_name: id of the input in workflows.
        options: these replace the declaration's; the tooltip, which is of both ends, among them.
    """
    declared = _declared(settings, name)
    values = _widget_options(declared) | {"default": declared.default[end]} | options
    return Input(_widget_kind(declared), widget_name, values)


_OF_THE_DEFAULT = " Default: "
"""Begins what a declaration says of its own default."""


def _declared(settings: type, name: str) -> Option:
    """The option of this name.

    Raises:
        KeyError: there is none.
    """
    for declared in options_of(settings):
        if declared.name == name:
            return declared
    raise KeyError(name)


def _widget_kind(declared: Option) -> str:
    if declared.choices:
        return "COMBO"
    members = (*get_args(declared.kind), declared.kind)  # of a union, or of a tuple
    for kind, name in ((bool, "BOOLEAN"), (int, "INT"), (float, "FLOAT")):
        if kind in members:
            return name
    return "STRING"


def _widget_options(declared: Option) -> dict[str, Any]:
    options: dict[str, Any] = {"tooltip": declared.help}
    if declared.default is not None and not isinstance(declared.default, tuple):
        options["default"] = declared.default
    if declared.range is not None:
        number = int if _widget_kind(declared) == "INT" else float
        options["min"], options["max"] = number(declared.range.low), number(declared.range.high)
    if declared.choices:
        options["options"] = list(declared.choices)
    return options
