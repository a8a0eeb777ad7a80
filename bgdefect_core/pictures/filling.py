"""What a picture may have shown before its defect: the mask filled from the ring around it.

Not from the paper. Where no aligned good picture is known, a real defect is measured against this
(docs/method.md, choices 16, 20 and 21).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse import linalg

from .masks import Mask
from .tones import lighter_tone

AWAY = 1
"""Pixels beside the mask that are filled too: a defect's soft edge."""
_SIDES = ((-1, 0), (1, 0), (0, -1), (0, 1))


def filled(colours: NDArray[np.float32], mask: Mask) -> NDArray[np.float32] | None:
    """The picture with its mask filled smoothly: each filled pixel is the mean of its neighbours
    (Laplace's equation), so that the ring's colours run into each other.

    Args:
        colours: float ``[H, W, C]``; NaN where the picture has ended.
        mask: bool ``[H, W]``.

    Returns:
        float32 ``[H, W, C]``, changed within ``AWAY`` pixels of the mask only; None where the
        picture shows nothing else.
    """
    beyond = ~np.isfinite(colours[..., 0])
    unknown = ndimage.binary_dilation(mask, iterations=AWAY) & ~beyond
    if not (~unknown & ~beyond).any():
        return None
    result = np.array(colours, np.float32)
    pieces, count = ndimage.label(unknown)
    for piece in range(1, count + 1):
        _fill_piece(result, pieces == piece, beyond)
    return result


def before_defect(colours: NDArray[np.float32], mask: Mask) -> NDArray[np.float32] | None:
    """What the picture may have shown before its defect: of two tones, the one that the defect has
    not; else :func:`filled`.

    Args:
        colours: float ``[H, W, C]``; NaN where the picture has ended.
        mask: bool ``[H, W]``, not empty.

    Returns:
        float32 ``[H, W, C]``; None as of :func:`filled`.
    """
    light = lighter_tone(colours)
    if light is None:
        return filled(colours, mask)
    is_defect = light == bool(light[mask].mean() > 0.5)
    has_other_tone = np.isfinite(colours[..., 0]) & ~is_defect
    result = np.array(colours, np.float32)
    result[mask & is_defect] = colours[has_other_tone][0]
    return result


def _fill_piece(colours: NDArray[np.float32], piece: Mask, beyond: Mask) -> None:
    """Fill one connected piece in place."""
    rows, columns = np.nonzero(piece)
    number = np.full(piece.shape, -1)
    number[rows, columns] = np.arange(len(rows))
    neighbours = np.zeros(len(rows))
    known = np.zeros((len(rows), colours.shape[2]))
    links: list[NDArray[np.int64]] = []
    for down, right in _SIDES:
        row, column = rows + down, columns + right
        inside = (row >= 0) & (row < len(piece)) & (column >= 0) & (column < piece.shape[1])
        inside[inside] = ~beyond[row[inside], column[inside]]
        neighbours += inside
        target = np.full(len(rows), -1)
        target[inside] = number[row[inside], column[inside]]
        at_edge = inside & (target < 0)
        known[at_edge] += colours[row[at_edge], column[at_edge]]
        linked = np.flatnonzero(target >= 0)
        links.append(np.stack([linked, target[linked]]))
    if not known.any() and not (neighbours > 0).all():
        return
    pairs = np.concatenate(links, axis=1)
    size = (len(rows), len(rows))
    weights = sparse.coo_matrix((np.ones(pairs.shape[1]), pairs), size)
    equations = sparse.diags(neighbours) - weights
    colours[rows, columns] = linalg.splu(equations.tocsc()).solve(known).astype(np.float32)
