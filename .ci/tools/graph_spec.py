"""What a workflow and a subgraph are made of, before they are laid out and written as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Link:
    """From an output of another node."""

    node: str
    slot: int = 0


@dataclass(frozen=True)
class Given:
    """From an input of the subgraph itself; several nodes may take the same."""

    name: str
    value: Any = None
    """What the widget holds; None: the host's default."""


@dataclass(frozen=True)
class Node:
    """A node; ``inputs`` that are not named keep the host's defaults."""

    key: str
    type: str | Subgraph
    inputs: dict[str, Any] = field(default_factory=dict)
    title: str = ""
    after: dict[str, str] = field(default_factory=dict)
    """What happens to a number after a run: fixed, increment, randomize."""
    text: str = ""
    """Of a note."""
    width: int = 0
    more: int = 0
    """Height for a picture below the widgets."""
    models: tuple[dict[str, str], ...] = ()
    """Files that the host offers to fetch where they are missing: name, url, directory."""

    @property
    def type_name(self) -> str:
        """As the editor stores it."""
        return self.type if isinstance(self.type, str) else self.type.id


@dataclass(frozen=True)
class Subgraph:
    """Several nodes that the editor shows as one."""

    id: str
    """A UUID, the same in every workflow that holds it."""
    name: str
    category: str
    description: str
    aliases: tuple[str, ...]
    """Words under which the editor finds it."""
    inputs: dict[str, str]
    """Name -> label; those that end in a widget are shown as widgets on the node, in this order."""
    outputs: dict[str, Link]
    """Label -> which output of which node it is."""
    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class Workflow:
    """A file of ``workflows/``."""

    summary: str
    """What it shows, for README's table."""
    note: str
    nodes: tuple[Node, ...]
    app_inputs: tuple[tuple[str, str], ...] = ()
    """Key of a node, name of its widget: what app mode shows."""
    app_outputs: tuple[str, ...] = ()
    """Keys of nodes whose pictures app mode shows."""


def subgraphs_of(nodes: Iterable[Node]) -> list[Subgraph]:
    """The subgraphs among nodes, each once."""
    found = {node.type.id: node.type for node in nodes if isinstance(node.type, Subgraph)}
    return list(found.values())
