from __future__ import annotations

import numpy as np
import pytest

from bgdefect_core.pictures.filling import filled
from bgdefect_core.pictures.masks import Mask
from bgdefect_core.pictures.picture import Pixels
from bgdefect_core.placement.library import numbered_library
from bgdefect_core.placement.surroundings import surroundings_of
from bgdefect_core.quality.effects import (
    Effects,
    change_of_areas,
    effect,
    effect_of_real,
    effects_of,
)


def traces() -> Pixels:
    """Two dark traces of 6 pixels along rows 10..15 and 24..29 on a light board."""
    picture = np.full((40, 60, 3), 255, np.uint8)
    picture[10:16] = picture[24:30] = 0
    return picture


def area(rows: slice, columns: slice) -> Mask:
    mask = np.zeros((40, 60), np.bool_)
    mask[rows, columns] = True
    return mask


CUT = area(slice(10, 16), slice(26, 32))
BRIDGE = area(slice(16, 24), slice(26, 32))
BITE = area(slice(10, 13), slice(26, 32))
HOLE = area(slice(12, 14), slice(26, 32))


@pytest.mark.parametrize(
    ("mask", "value", "expected"),
    [
        (CUT, 255, (1, -1)),  # one trace more; the board above and between join
        (BRIDGE, 0, (-1, 1)),  # one trace less; the board between falls apart
        (BITE, 255, (0, 0)),
        (HOLE, 255, (0, 1)),
    ],
)
def test_cuts_and_bridges_change_the_number_of_areas(
    mask: Mask, value: int, expected: tuple[int, int]
) -> None:
    good = traces()
    result = good.copy()
    result[mask] = value
    assert effect(good, result, mask) == expected
    assert effect_of_real(result, mask) == expected  # from the other tone within its mask


def test_a_wider_mask_does_not_say_what_was_before() -> None:
    result = traces()
    result[CUT] = 255
    wider = area(slice(8, 18), slice(24, 34))
    assert effect_of_real(result, wider) is None


def test_half_a_cut_is_none() -> None:
    good = traces()
    result = good.copy()
    result[10:14, 26:32] = 255
    assert effect(good, result, CUT) == (0, 0)


def test_crumbs_do_not_count() -> None:
    good = traces()
    result = good.copy()
    result[18, 28] = 0  # 1 of 48 pixels
    assert effect(good, result, BRIDGE) == (0, 0)
    result[17:23, 27:30] = 0  # 18 of 48: an island
    assert effect(good, result, BRIDGE) == (1, 0)


def test_a_ring_that_closes_adds_an_area_of_either_tone() -> None:
    before = np.ones((20, 20), np.bool_)
    after = before.copy()
    after[5:15, 5:15] = False
    after[7:13, 7:13] = True
    assert change_of_areas(before, after, np.ones_like(before), 64) == (1, 1)


def test_gray_pictures_have_no_effect() -> None:
    good = traces()
    good[0, 0] = 128
    assert effect(good, good, CUT) is None
    assert effect_of_real(good, area(slice(1, 4), slice(1, 4))) is None


def test_what_nine_of_ten_do_is_expected() -> None:
    effects = Effects(((1, 0),) * 6 + ((2, -1),) * 3 + ((0, 0),))
    assert effects.expected == (1, None)  # 9 of 10 add dark areas; 7 of 10 leave light ones
    assert effects.agrees((3, -5)) and not effects.agrees((0, 0)) and not effects.agrees((-1, 0))
    assert effects.share == 0.9 and effects.in_words() == "dark areas more"
    assert not Effects(((1, 0),) * 4).known  # too few
    assert not Effects(((1, 0), (-1, 1), (0, -1), (0, 1), (1, 1))).known  # no two alike


def test_effects_of_a_library() -> None:
    pictures = []
    for first in range(20, 30):
        mask = area(slice(10, 16), slice(first, first + 6))
        cut = traces()
        cut[mask] = 255
        pictures.append((cut, mask))
    surroundings = [surroundings_of(picture, mask) for picture, mask in pictures]
    library = numbered_library([mask for _, mask in pictures], surroundings)
    assert effects_of(library).expected == (1, -1)
    assert effects_of(numbered_library([CUT] * 9)).changes == ()  # no picture known
    assert effects_of(library).gate_in_words().endswith("dark areas more, light areas fewer")


def test_why_samples_are_not_held_to_an_effect() -> None:
    loose = area(slice(7, 19), slice(20, 32))
    cut = traces()
    cut[10:16, 24:28] = 255
    around = surroundings_of(cut, loose)
    wide = effects_of(numbered_library([loose] * 6, [around] * 6))
    assert wide.changes == () and wide.wide == 6
    assert "6 masks are wider" in wide.gate_in_words()
    assert "5 are needed" in Effects(((1, 0),) * 4).gate_in_words()
    assert "none in common" in Effects(((1, -1), (-1, 0), (0, 1)) * 2).gate_in_words()
    assert Effects(()).gate_in_words() == ""


def test_filled_runs_the_rings_colours_into_each_other() -> None:
    colours = np.zeros((9, 12, 1), np.float32)
    colours[:, :, 0] = np.arange(12) / 11
    mask = np.zeros((9, 12), np.bool_)
    mask[3:6, 4:8] = True
    damaged = np.where(mask[..., None], np.float32(5), colours)
    result = filled(damaged, mask)
    assert result is not None
    assert np.allclose(result, colours, atol=1e-5)  # a slope is its own neighbours' mean
    assert filled(damaged, np.ones_like(mask)) is None
    damaged[:, 9:] = np.nan  # the picture ends beside the mask
    ended = filled(damaged, mask)
    assert ended is not None
    assert np.isfinite(ended[:, :9]).all() and np.isnan(ended[:, 9:]).all()
    assert np.array_equal(ended[:, :3], colours[:, :3])
