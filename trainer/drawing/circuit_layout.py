"""Plan a board on a square routing grid: pads, routed traces, buses, vias."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

__all__ = ["Board", "Point", "plan_board"]

STEPS = ((1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1))
MARGIN = 2  # grid cells planned outside the window, so that traces run off it

Point = tuple[float, float]


@dataclass
class Board:
    """The plan, in grid cells; widths in grid cells too."""

    cells: int
    width: float
    taken: np.ndarray  # bool [cells, cells]
    traces: list[tuple[list[Point], float]] = field(default_factory=list)
    # centre x, y, half width, half height, is round, hole radius (0: none)
    pads: list[tuple[float, float, float, float, bool, float]] = field(default_factory=list)

    def free(self, x: int, y: int) -> bool:
        return 0 <= x < self.cells and 0 <= y < self.cells and not self.taken[y, x]

    def claim(self, x: int, y: int, half: int) -> bool:
        """Take the square of cells round (x, y) if all of it is free."""
        low_x, low_y = max(0, x - half), max(0, y - half)
        square = self.taken[low_y : y + half + 1, low_x : x + half + 1]
        if not self.free(x, y) or square.any():
            return False
        square[...] = True
        return True


def plan_board(rng: np.random.Generator, size: int) -> tuple[Board, float, np.ndarray]:
    """Plan one random board for a window of `size` px.

    Returns the board, its pitch in px, and the window's corner [2] in px from cell 0.
    """
    width_px = float(np.exp(rng.uniform(np.log(2.0), np.log(24.0))))
    width_px = min(width_px, size / 6)
    share = rng.uniform(0.36, 0.56)
    pitch = max(width_px / share, 4.0)
    cells = int(np.ceil(size / pitch)) + 2 * MARGIN + 1
    board = Board(cells, share, np.zeros((cells, cells), bool))
    if rng.random() < 0.5:
        _add_footprint(rng, board)
    if rng.random() < 0.55:
        _add_bus(rng, board)
    _add_pads(rng, board)
    _add_traces(rng, board)
    offset = rng.uniform(0, pitch, 2) + (MARGIN + 0.5) * pitch
    return board, pitch, offset


def _add_pads(rng: np.random.Generator, board: Board) -> None:
    """Scattered pads of one to three designs."""
    density = rng.choice([0.004, 0.015, 0.03, 0.05])
    designs = [_pad_design(rng) for _ in range(int(rng.integers(1, 4)))]
    for _ in range(min(70, int(density * board.cells**2) + 1)):
        half, half_w, half_h, is_round, hole = designs[int(rng.integers(len(designs)))]
        x, y = rng.integers(0, board.cells, 2).tolist()
        if board.claim(x, y, half):
            board.pads.append((x, y, half_w, half_h, is_round, hole))


def _pad_design(
    rng: np.random.Generator,
) -> tuple[int, float, float, bool, float]:
    """Half span in cells, half width, half height (cells), round?, hole radius."""
    half = int(rng.choice([0, 1, 1, 2], p=[0.2, 0.35, 0.3, 0.15]))
    reach = (0.42, rng.uniform(0.6, 1.0), rng.uniform(1.2, 1.9))[half]
    narrow = reach * (1.0 if rng.random() < 0.6 else rng.uniform(0.5, 0.8))
    is_round = bool(rng.random() < 0.65)
    hole = narrow * rng.uniform(0.3, 0.62) if rng.random() < 0.5 else 0.0
    return (half, reach, narrow, is_round, hole)


def _add_footprint(rng: np.random.Generator, board: Board) -> None:
    """One or two straight rows, or an array, of equal pads (a chip or a connector)."""
    half, half_w, half_h, is_round, hole = _pad_design(rng)
    step = max(1, 2 * half + int(rng.integers(0, 2)))
    if half == 0:
        half_w, half_h = 0.3, rng.uniform(0.3, 0.46)
    columns = int(rng.integers(3, 12))
    rows = int(rng.choice([1, 2, 2, 5]))
    row_step = step if rows == 5 else step * int(rng.integers(2, 5))
    left, top = rng.integers(1, max(2, board.cells - 4), 2).tolist()
    for row in range(rows):
        for column in range(columns):
            x, y = left + column * step, top + row * row_step
            if board.claim(x, y, half):
                pad_round = is_round and (row + column > 0)
                board.pads.append((x, y, half_w, half_h, pad_round, hole))


def _add_bus(rng: np.random.Generator, board: Board) -> None:
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


def _keep_trace(board: Board, path: list[tuple[int, int]]) -> None:
    if len(path) < 3:
        return
    trace: list[Point] = []
    for x, y in path:
        trace.append((float(x), float(y)))
        board.taken[y, x] = True
    board.traces.append((trace, board.width))


def _add_traces(rng: np.random.Generator, board: Board) -> None:
    """Random walks with 45-degree turns, from pads and from free cells, to vias."""
    wanted = int(min(60, board.cells**2 * rng.uniform(0.02, 0.12) + 3))
    starts: list[tuple[int, int, int]] = []
    for x, y, half_w, half_h, _, _ in board.pads:
        starts.append((int(x), int(y), int(max(half_w, half_h) > 0.5)))
    turn_chance = rng.uniform(0.05, 0.3)
    right_angles = rng.random() < 0.25
    via = (rng.uniform(0.36, 0.46), rng.uniform(0.12, 0.25) * (rng.random() < 0.7))
    wide_chance = rng.choice([0.0, 0.15])
    axis = int(rng.integers(2)) * 2
    for index in range(wanted):
        heading = (axis + int(rng.choice([0, 4, 2, 6, 1, 3]))) % 8
        if starts and index < 0.7 * wanted:
            x, y, skip = starts[int(rng.integers(len(starts)))]
        else:
            x, y = rng.integers(0, board.cells, 2).tolist()
            skip = -1
            if not board.free(x, y):
                continue
        if right_angles:
            heading -= heading % 2
        path = _walk(rng, board, (x, y, skip), heading, turn_chance, right_angles)
        if len(path) < 3:
            continue
        width = board.width * (1.3 if rng.random() < wide_chance else 1.0)
        board.traces.append((path, width))
        for end in (path[0], path[-1])[1 if skip >= 0 else 0 :]:
            if rng.random() < 0.75:
                board.pads.append((*end, via[0], via[0], True, via[1]))


def _walk(
    rng: np.random.Generator,
    board: Board,
    start: tuple[int, int, int],
    heading: int,
    turn_chance: float,
    right_angles: bool,
) -> list[Point]:
    """Walk over free cells and take them; `start` is x, y and the pad cells to leave."""
    x, y, skip = start
    path: list[Point] = [(x, y)]
    if skip < 0:
        board.taken[y, x] = True
    base = heading
    for _ in range(int(rng.integers(4, board.cells + 6))):
        if rng.random() < turn_chance:
            # Mostly along the first heading: at most a quarter turn away from it.
            bend = int(rng.choice([-2, 2] if right_angles else [-1, 1]))
            if heading == base or right_angles or rng.random() < 0.2:
                heading = (heading + bend) % 8
            else:
                heading = base
        for turn in (0, 1, -1, 2, -2):
            if right_angles and turn % 2:
                continue
            dx, dy = STEPS[(heading + turn) % 8]
            leaving = skip > 0 and len(path) <= skip
            blocked = not board.free(x + dx, y + dy) and not leaving
            if dx and dy and not leaving:
                blocked |= not (board.free(x + dx, y) and board.free(x, y + dy))
            if not blocked:
                heading = (heading + turn) % 8
                break
        else:
            break
        x, y = x + dx, y + dy
        path.append((x, y))
        if 0 <= x < board.cells and 0 <= y < board.cells:
            board.taken[y, x] = True
        else:
            break
    return path
