"""Places the nodes of a graph left to right, so that no wire runs over a node.

Each node stands in a column behind those that it reads from. A wire that passes a column gets a
lane between its nodes (Sugiyama's layered drawing); the wires of one output share a lane. A lane is
held by two reroute points, one on each side of the column.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

TITLE, GAP, LANE, MARGIN = 30, 46, 26, 14
COLUMN_GAP = 110
SWEEPS = 24

Port = tuple[str, int]
"""A node and one of its outputs."""


@dataclass(frozen=True)
class Box:
    """Size of a node's body in pixels, and where its wires leave and arrive."""

    width: float
    height: float
    title: float = TITLE
    """Height of the bar above the body."""


@dataclass(frozen=True)
class Wire:
    """From an output to an input; the heights are measured from the top of each body."""

    origin: Port
    target: str
    leaves: float
    arrives: float


@dataclass
class Layout:
    """Where everything stands."""

    places: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Node -> left and top of its body."""
    points: dict[Port, list[tuple[int, float, float]]] = field(default_factory=dict)
    """Output -> its reroute points in order: the column in front of which or behind which a point
    stands, left, top."""
    columns: dict[str, int] = field(default_factory=dict)

    def points_to(self, wire: Wire) -> int:
        """How many points of its output's lane a wire runs through."""
        before = self.columns[wire.target]
        return sum(column < before for column, _, _ in self.points.get(wire.origin, []))


@dataclass(eq=False)
class _Item:
    """A node, or a lane's passage through a column."""

    name: str | Port
    height: float
    space: float
    """To what stands above."""
    weight: float = 1.0
    top: float = 0.0
    pulls: list[tuple[_Item, float, float]] = field(default_factory=list)
    """Neighbours with the height of the wire's end there and here."""

    def wanted(self, columns: set[int], column_of: dict[int, int]) -> float | None:
        """The top at which its wires to those columns would run level."""
        tops = [
            other.top + there - here
            for other, there, here in self.pulls
            if column_of[id(other)] in columns
        ]
        return sum(tops) / len(tops) if tops else None


def arrange(
    boxes: dict[str, Box], wires: list[Wire], first: Iterable[str] = (), last: Iterable[str] = ()
) -> Layout:
    """Places for all nodes.

    Args:
        boxes: by node, in the order in which nodes of one column stand at first.
        first: nodes that stand alone in the first column, such as the inputs of a subgraph.
        last: nodes that stand in the last column, such as its outputs.
    """
    layout = Layout(columns=_columns(boxes, wires, set(first), set(last)))
    columns = _items(layout.columns, boxes, wires)
    column_of = {id(item): number for number, column in enumerate(columns) for item in column}
    _order(columns, column_of)
    _settle(columns, column_of)
    _write(layout, columns, boxes)
    return layout


def _columns(
    boxes: dict[str, Box], wires: list[Wire], first: set[str], last: set[str]
) -> dict[str, int]:
    columns = dict.fromkeys(boxes, 1 if first else 0)
    columns |= dict.fromkeys(first, 0)
    for _ in boxes:
        for wire in wires:
            columns[wire.target] = max(columns[wire.target], columns[wire.origin[0]] + 1)
    for name in last:
        columns[name] = max(columns.values())
    read_from = {wire.target for wire in wires}
    for name in boxes:
        targets = [columns[wire.target] for wire in wires if wire.origin[0] == name]
        if name not in read_from and targets and name not in first:
            columns[name] = min(targets) - 1
    return columns


def _items(places: dict[str, int], boxes: dict[str, Box], wires: list[Wire]) -> list[list[_Item]]:
    columns: list[list[_Item]] = [[] for _ in range(max(places.values()) + 1)]
    nodes: dict[str, _Item] = {}
    for name, box in boxes.items():
        nodes[name] = _Item(name, box.height + box.title, GAP)
        columns[places[name]].append(nodes[name])
    lanes: dict[tuple[Port, int], _Item] = {}
    joined: set[tuple[int, int]] = set()
    for wire in wires:
        behind, leaves = nodes[wire.origin[0]], boxes[wire.origin[0]].title + wire.leaves
        for column in range(places[wire.origin[0]] + 1, places[wire.target]):
            lane = lanes.get((wire.origin, column))
            if lane is None:
                lane = lanes[wire.origin, column] = _Item(wire.origin, 0.0, LANE, weight=6.0)
                columns[column].append(lane)
            if (id(behind), id(lane)) not in joined:
                joined.add((id(behind), id(lane)))
                _pull(behind, leaves, lane, 0.0)
            behind, leaves = lane, 0.0
        _pull(behind, leaves, nodes[wire.target], boxes[wire.target].title + wire.arrives)
    return columns


def _pull(left: _Item, leaves: float, right: _Item, arrives: float) -> None:
    left.pulls.append((right, arrives, leaves))
    right.pulls.append((left, leaves, arrives))


def _order(columns: list[list[_Item]], column_of: dict[int, int]) -> None:
    """Sort each column by where its wires come from, and keep the order with the fewest
    crossings."""
    for column in columns:
        _stack(column)
    best, orders = _crossings(columns, column_of), [list(column) for column in columns]
    for sweep in range(SWEEPS):
        forth = sweep % 2 == 0
        numbers = range(1, len(columns)) if forth else range(len(columns) - 2, -1, -1)
        for number in numbers:
            side = {number - 1 if forth else number + 1}
            ranks = {}
            for item in columns[number]:
                wanted = item.wanted(side, column_of)
                ranks[id(item)] = item.top if wanted is None else wanted
            columns[number].sort(key=lambda item: ranks[id(item)])
            _stack(columns[number])
        count = _crossings(columns, column_of)
        if count < best:
            best, orders = count, [list(column) for column in columns]
    for column, order in zip(columns, orders, strict=True):
        column[:] = order
        _stack(column)


def _stack(column: list[_Item]) -> None:
    top = 0.0
    for item in column:
        item.top = top + item.space
        top = item.top + item.height


def _crossings(columns: list[list[_Item]], column_of: dict[int, int]) -> int:
    crossings = 0
    for number, column in enumerate(columns[:-1]):
        ends = []
        for item in column:
            for other, there, here in item.pulls:
                if column_of[id(other)] == number + 1:
                    ends.append((item.top + here, other.top + there))
        for place, (left, right) in enumerate(ends):
            for left2, right2 in ends[place + 1 :]:
                crossings += (left - left2) * (right - right2) < 0
    return crossings


def _settle(columns: list[list[_Item]], column_of: dict[int, int]) -> None:
    """Move the items of each column, in their order, to where their wires run most level."""
    for sweep in range(SWEEPS):
        forth = sweep % 2 == 0
        for number in range(len(columns))[:: 1 if forth else -1]:
            side = {number - 1, number + 1} if sweep > 4 else {number - 1 if forth else number + 1}
            wanted = []
            for item in columns[number]:
                top = item.wanted(side, column_of)
                wanted.append(item.top if top is None else top)
            for item, top in zip(columns[number], _apart(columns[number], wanted), strict=True):
                item.top = top


def _apart(column: list[_Item], wanted: list[float]) -> list[float]:
    """The tops nearest to the wanted ones (weighted squares) that keep the spaces: pool adjacent
    violators."""
    offsets, offset = [], 0.0
    for number, item in enumerate(column):
        offset += (column[number - 1].height + item.space) if number else 0.0
        offsets.append(offset)
    pools: list[tuple[float, float, int]] = []
    for item, top, offset in zip(column, wanted, offsets, strict=True):
        value, weight, count = top - offset, item.weight, 1
        while pools and pools[-1][0] > value:
            before, heavy, many = pools.pop()
            value = (before * heavy + value * weight) / (heavy + weight)
            weight, count = heavy + weight, count + many
        pools.append((value, weight, count))
    values = [value for value, _, count in pools for _ in range(count)]
    return [value + offset for value, offset in zip(values, offsets, strict=True)]


def _write(layout: Layout, columns: list[list[_Item]], boxes: dict[str, Box]) -> None:
    highest = min(item.top for column in columns for item in column)
    left = 0.0
    for number, column in enumerate(columns):
        names = [item.name for item in column if isinstance(item.name, str)]
        width = max([boxes[name].width for name in names], default=0.0)
        lanes = sum(not isinstance(item.name, str) for item in column)
        for item in column:
            top = round(item.top - highest)
            if isinstance(item.name, str):
                title = boxes[item.name].title
                layout.places[item.name] = (round(left), top + round(title))
            else:
                points = layout.points.setdefault(item.name, [])
                points.append((number, round(left - MARGIN), top))
                points.append((number, round(left + width + MARGIN), top))
        left += width + COLUMN_GAP + 6 * lanes
