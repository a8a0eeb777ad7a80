from __future__ import annotations

from pathlib import Path

import numpy as np

from bgdefect_core.mask_files import read_library
from bgdefect_core.pictures import write_mask, write_picture
from bgdefect_core.placement import PlacementSettings, place_mask
from bgdefect_core.surroundings import Preference, look_at, real_look, ring_of


def board(top: int) -> np.ndarray:
    """Black, with one white trace of 12 pixels from ``top`` on."""
    picture = np.zeros((120, 160, 3), np.uint8)
    picture[top : top + 12] = 255
    return picture


def test_ring_and_look_by_hand() -> None:
    ring, reach = ring_of(np.ones((2, 2), np.bool_))
    assert reach == 3 and ring.shape == (8, 8) and not ring[3:5, 3:5].any()
    assert ring.sum() == 4 * (2 * 3) + 4 * 4  # four sides of 2 x 3, and at each corner the four pixels within a distance of 3
    picture = np.zeros((10, 10, 3), np.uint8)
    picture[:, 5:] = 255
    look = look_at(picture, np.ones((2, 4), np.bool_), 0, 4) * 16  # one of four columns is black
    assert look[0] == 0.25 and look[14] == 0.25 and look[15] == 1
    assert look_at(picture, np.ones((2, 4), np.bool_), -1, 8)[14] == 0  # two white columns are left of it


def test_turns_and_mirrors_do_not_change_a_look() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    picture[:20] //= 4
    mask = np.zeros((40, 40), np.bool_)
    mask[15:24, 12:24] = True
    look = real_look(picture, mask)
    for turned, seen in ((np.rot90(picture), np.rot90(mask)), (picture[:, ::-1], mask[:, ::-1])):
        np.testing.assert_allclose(real_look(turned, seen), look, atol=0.02)  # a pixel on a sector's edge may fall to the other
    edge, trace = np.zeros((40, 40, 3), np.uint8), np.zeros((40, 40, 3), np.uint8)
    edge[:, 24:], trace[:, :10], trace[:, 27:] = 255, 255, 255  # five white columns in either ring
    assert np.abs(real_look(edge, mask) - real_look(trace, mask)).sum() > 0.1


def test_a_gap_is_placed_in_a_trace() -> None:
    gap = np.zeros((120, 160), np.bool_)
    gap[30:42, 70:78] = True
    damaged = board(30)
    damaged[gap] = 0
    look = real_look(damaged, gap)
    patch, part, good = gap[30:42, 70:78], np.ones((120, 160), np.bool_), board(80)
    exact = PlacementSettings(rotate=0, scale=(1, 1), flip=False, elastic=0, places=200)

    def on_trace(seed: int, preference: Preference | None) -> float:
        placed = place_mask(part, [patch], np.random.default_rng(seed), exact, preference)
        assert placed is not None and placed.sum() == patch.sum()
        return float(good[placed][:, 0].mean() / 255)

    assert np.mean([on_trace(seed, Preference(good, look)) for seed in range(10)]) > 0.75
    assert np.mean([on_trace(seed, None) for seed in range(10)]) < 0.4


def test_the_library_finds_the_pictures_of_its_masks(tmp_path: Path) -> None:
    mask = np.zeros((120, 160), np.bool_)
    mask[30:42, 70:78] = True
    for name in ("000", "001"):
        write_mask(tmp_path / "ground_truth" / "open" / f"{name}_mask.png", mask)
    write_picture(tmp_path / "test" / "open" / "000.png", board(30))
    first, second = read_library(tmp_path / "ground_truth" / "open", pictures=tmp_path / "test" / "open").looks
    assert second is None and first is not None and np.array_equal(first, real_look(board(30), mask))
