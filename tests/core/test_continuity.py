"""A sample holds together as the real defect does that it started from."""

from __future__ import annotations

import numpy as np
import pytest

from bgdefect_core.pictures.masks import Mask
from bgdefect_core.pictures.picture import Pixels
from bgdefect_core.quality.continuity import LEAST, continuity

GOOD = np.full((40, 60, 3), 150, np.uint8)
LINE = np.zeros((40, 60), np.bool_)
LINE[18:22, 10:50] = True
EMPTY = np.zeros_like(LINE)


def dark(*parts: tuple[int, int], tone: int = 60) -> Pixels:
    """The good picture with parts of the line made dark, by their columns."""
    picture = GOOD.copy()
    for first, last in parts:
        picture[18:22, first:last] = tone
    return picture


def without(columns: slice) -> Mask:
    mask = LINE.copy()
    mask[:, columns] = False
    return mask


def test_a_crack_in_dashes_is_in_pieces_and_a_whole_one_is_not() -> None:
    real = dark((10, 50))
    assert continuity(real, real, GOOD, LINE, EMPTY) == 1
    assert continuity(dark((10, 50), tone=90), real, GOOD, LINE, EMPTY) == 1
    two = continuity(dark((10, 28), (32, 50)), real, GOOD, LINE, EMPTY)
    assert two == pytest.approx(0.5) and two < LEAST
    # The change is smoothed: a gap of a pixel still shows a third of it.
    assert continuity(dark((10, 30), (31, 50)), real, GOOD, LINE, EMPTY) == 1


def test_a_real_defect_in_two_pieces_asks_for_no_more() -> None:
    real = dark((10, 28), (32, 50))
    assert continuity(real, real, GOOD, LINE, EMPTY) == 1
    assert continuity(dark((10, 50)), real, GOOD, LINE, EMPTY) == pytest.approx(2)
    assert continuity(dark((10, 14), (18, 28), (32, 40), (44, 50)), real, GOOD, LINE, EMPTY) < LEAST


def test_what_does_not_show_is_no_piece() -> None:
    real = dark((10, 50))
    assert continuity(GOOD, real, GOOD, LINE, EMPTY) == 0
    assert continuity(real, GOOD, GOOD, LINE, EMPTY) == 1
    assert continuity(dark((10, 28)), real, GOOD, without(slice(28, 60)), EMPTY) == 1


def test_a_label_in_one_piece_is_enough() -> None:
    """A dark crack that crosses from a light joint into a dark brick."""
    real, dashes = dark((10, 50)), dark((10, 28), (32, 50))
    assert continuity(dashes, real, GOOD, LINE, LINE) == 1
    assert continuity(dashes, real, GOOD, LINE, without(slice(28, 32))) == pytest.approx(0.5)
