"""Plan a board on a square routing grid: pads, routed traces, buses, vias."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

__all__ = ["BoardWindow", "CircuitBoard", "Point", "plan_board"]

STEPS = ((1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1))
"""x and y of a step to each of the eight headings."""
MARGIN = 2
"""Grid cells planned outside the window, so that traces run off it."""

Point = tuple[float, float]


@dataclass(frozen=True)
class PadDesign:
    """What pads of a kind look like; lengths in grid cells."""

    reach: int
    """Cells that a pad takes on each side of its own."""
    half_width: float
    half_height: float
    is_round: bool
    hole: float
    """Radius; 0: none."""


@dataclass(frozen=True)
class Pad:
    """A pad and its centre."""

    x: float
    y: float
    design: PadDesign


@dataclass(frozen=True)
class Trace:
    """A conductor along a path."""

    path: list[Point]
    width: float


@dataclass
class CircuitBoard:
    """The plan, in grid cells; widths in grid cells too."""

    cells: int
    width: float
    taken: np.ndarray
    """bool ``[cells, cells]``."""
    traces: list[Trace] = field(default_factory=list)
    pads: list[Pad] = field(default_factory=list)

    def contains(self, x: int, y: int) -> bool:
        return 0 <= x < self.cells and 0 <= y < self.cells

    def free(self, x: int, y: int) -> bool:
        return self.contains(x, y) and not self.taken[y, x]

    def claim(self, x: int, y: int, half: int) -> bool:
        """Take the square of cells round (x, y) if all of it is free."""
        low_x, low_y = max(0, x - half), max(0, y - half)
        square = self.taken[low_y : y + half + 1, low_x : x + half + 1]
        if not self.free(x, y) or square.any():
            return False
        square[...] = True
        return True


@dataclass(frozen=True)
class BoardWindow:
    """The part of a board that a picture shows, in the picture's pixels."""

    pitch: float
    """Side of a grid cell."""
    corner: np.ndarray
    """x and y of the picture's corner, from the centre of cell 0."""

    def scaled(self, factor: float) -> BoardWindow:
        """The window in a picture that is larger by a factor."""
        return BoardWindow(self.pitch * factor, self.corner * factor)

    def pixels(self, points: list[Point]) -> list[Point]:
        """Points of the grid, in pixels."""
        left, top = self.corner
        return [(x * self.pitch - left, y * self.pitch - top) for x, y in points]


def plan_board(rng: np.random.Generator, size: int) -> tuple[CircuitBoard, BoardWindow]:
    """Plan one random board, and what a picture of `size` px shows of it."""
    width_px = float(np.exp(rng.uniform(np.log(2.0), np.log(24.0))))
    width_px = min(width_px, size / 6)
    share = rng.uniform(0.36, 0.56)
    pitch = max(width_px / share, 4.0)
    cells = int(np.ceil(size / pitch)) + 2 * MARGIN + 1
    board = CircuitBoard(cells, share, np.zeros((cells, cells), bool))
    if rng.random() < 0.5:
        _add_footprint(rng, board)
    if rng.random() < 0.55:
        _add_bus(rng, board)
    _add_pads(rng, board)
    _add_traces(rng, board)
    offset = rng.uniform(0, pitch, 2) + (MARGIN + 0.5) * pitch
    return board, BoardWindow(pitch, offset)


def _add_pads(rng: np.random.Generator, board: CircuitBoard) -> None:
    """Scattered pads of one to three designs."""
    density = rng.choice([0.004, 0.015, 0.03, 0.05])
    designs = [_pad_design(rng) for _ in range(int(rng.integers(1, 4)))]
    for _ in range(min(70, int(density * board.cells**2) + 1)):
        design = designs[int(rng.integers(len(designs)))]
        x, y = rng.integers(0, board.cells, 2).tolist()
        if board.claim(x, y, design.reach):
            board.pads.append(Pad(x, y, design))


def _pad_design(rng: np.random.Generator) -> PadDesign:
    reach = int(rng.choice([0, 1, 1, 2], p=[0.2, 0.35, 0.3, 0.15]))
    half_width = (0.42, rng.uniform(0.6, 1.0), rng.uniform(1.2, 1.9))[reach]
    half_height = half_width * (1.0 if rng.random() < 0.6 else rng.uniform(0.5, 0.8))
    is_round = bool(rng.random() < 0.65)
    hole = half_height * rng.uniform(0.3, 0.62) if rng.random() < 0.5 else 0.0
    return PadDesign(reach, half_width, half_height, is_round, hole)


def _add_footprint(rng: np.random.Generator, board: CircuitBoard) -> None:
    """One or two straight rows, or an array, of equal pads (a chip or a connector); the first is
    square."""
    design = _pad_design(rng)
    step = max(1, 2 * design.reach + int(rng.integers(0, 2)))
    if design.reach == 0:
        design = replace(design, half_width=0.3, half_height=rng.uniform(0.3, 0.46))
    first_design = replace(design, is_round=False)
    columns = int(rng.integers(3, 12))
    rows = int(rng.choice([1, 2, 2, 5]))
    row_step = step if rows == 5 else step * int(rng.integers(2, 5))
    left, top = rng.integers(1, max(2, board.cells - 4), 2).tolist()
    for row in range(rows):
        for column in range(columns):
            x, y = left + column * step, top + row * row_step
            if board.claim(x, y, design.reach):
                is_first = row == column == 0
                board.pads.append(Pad(x, y, first_design if is_first else design))


def _add_bus(rng: np.random.Generator, board: CircuitBoard) -> None:
    """Parallel lanes which turn together by 45 degrees; a taken lane is cut short."""
    lanes = int(rng.integers(3, 11))
    kinks = rng.integers(2, max(3, board.cells - 2), 2).tolist()
    start = int(rng.integers(-lanes // 2, board.cells))
    drift = int(rng.choice([-1, 1]))
    run = int(rng.integers(2, max(3, board.cells // 2)))
    for lane in range(lanes):
        # The kink of each lane shifts by one cell, which keeps the lanes apart.
        kink = min(kinks) - drift * lane // 2
        y = start + lane
        path: list[tuple[int, int]] = []
        for x in range(board.cells):
            if kink <= x < kink + run:
                y += drift
            if board.free(x, y):
                path.append((x, y))
                continue
            _keep_trace(board, path)
            path = []
        _keep_trace(board, path)


def _keep_trace(board: CircuitBoard, path: list[tuple[int, int]]) -> None:
    if len(path) < 3:
        return
    trace: list[Point] = []
    for x, y in path:
        trace.append((float(x), float(y)))
        board.taken[y, x] = True
    board.traces.append(Trace(trace, board.width))


@dataclass(frozen=True)
class _Start:
    """Where a trace begins."""

    x: int
    y: int
    is_pad: bool
    steps_on_pad: int = 0
    """Steps before it has left the pad."""


def _add_traces(rng: np.random.Generator, board: CircuitBoard) -> None:
    """Random walks with 45-degree turns, from pads and from free cells, to vias."""
    wanted = int(min(60, board.cells**2 * rng.uniform(0.02, 0.12) + 3))
    pads: list[_Start] = []
    for pad in board.pads:
        is_large = max(pad.design.half_width, pad.design.half_height) > 0.5
        pads.append(_Start(int(pad.x), int(pad.y), True, int(is_large)))
    turn_chance = rng.uniform(0.05, 0.3)
    right_angles = rng.random() < 0.25
    radius = rng.uniform(0.36, 0.46)
    hole = rng.uniform(0.12, 0.25) * (rng.random() < 0.7)
    via = PadDesign(0, radius, radius, True, hole)
    wide_chance = rng.choice([0.0, 0.15])
    axis = int(rng.integers(2)) * 2
    for index in range(wanted):
        heading = (axis + int(rng.choice([0, 4, 2, 6, 1, 3]))) % 8
        if pads and index < 0.7 * wanted:
            start = pads[int(rng.integers(len(pads)))]
        else:
            x, y = rng.integers(0, board.cells, 2).tolist()
            if not board.free(x, y):
                continue
            start = _Start(x, y, False)
        if right_angles:
            heading -= heading % 2
        path = _walk(rng, board, start, heading, turn_chance, right_angles)
        if len(path) < 3:
            continue
        width = board.width * (1.3 if rng.random() < wide_chance else 1.0)
        board.traces.append(Trace(path, width))
        for end in path[-1:] if start.is_pad else (path[0], path[-1]):
            if rng.random() < 0.75:
                board.pads.append(Pad(*end, via))


def _walk(
    rng: np.random.Generator,
    board: CircuitBoard,
    start: _Start,
    heading: int,
    turn_chance: float,
    right_angles: bool,
) -> list[Point]:
    """Walk over free cells and take them."""
    x, y = start.x, start.y
    path: list[Point] = [(x, y)]
    if not start.is_pad:
        board.taken[y, x] = True
    first_heading = heading
    for _ in range(int(rng.integers(4, board.cells + 6))):
        if rng.random() < turn_chance:
            heading = _bent(rng, heading, first_heading, right_angles)
        if len(path) > start.steps_on_pad:
            open_heading = _open_heading(board, x, y, heading, right_angles)
            if open_heading is None:
                break
            heading = open_heading
        dx, dy = STEPS[heading]
        x, y = x + dx, y + dy
        path.append((x, y))
        if not board.contains(x, y):
            break
        board.taken[y, x] = True
    return path


def _bent(rng: np.random.Generator, heading: int, first_heading: int, right_angles: bool) -> int:
    """Another heading, mostly along the first one: at most a quarter turn away from it."""
    bend = int(rng.choice([-2, 2] if right_angles else [-1, 1]))
    if heading == first_heading or right_angles or rng.random() < 0.2:
        return (heading + bend) % 8
    return first_heading


def _open_heading(
    board: CircuitBoard, x: int, y: int, heading: int, right_angles: bool
) -> int | None:
    """The heading nearest to ``heading``, up to a quarter turn, whose next cell is free; None where
    all are blocked. A diagonal step needs the two cells beside it as well."""
    for turn in (0, 2, -2) if right_angles else (0, 1, -1, 2, -2):
        turned = (heading + turn) % 8
        dx, dy = STEPS[turned]
        is_free = board.free(x + dx, y + dy)
        if dx and dy:
            is_free = is_free and board.free(x + dx, y) and board.free(x, y + dy)
        if is_free:
            return turned
    return None
