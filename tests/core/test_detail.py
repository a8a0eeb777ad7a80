"""What the VAE loses, given back where little changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bgdefect_core.pictures import stitching
from bgdefect_core.pictures.crop import Crop, crop_box, take
from bgdefect_core.pictures.detail import DETAIL_GONE, with_detail, with_either_detail
from bgdefect_core.pictures.picture import Picture, Pixels


def stitch(picture: Pixels, *arguments: Any, **options: Any) -> Pixels:
    """``stitching.stitch`` of a picture of 8 bits."""
    result = stitching.stitch(Picture(picture), *arguments, **options)
    assert result.white == 255 and result.pixels.dtype == np.uint8
    return result.eight_bit()


def flat(*values: float, size: int = 9) -> np.ndarray:
    return np.broadcast_to(np.float32(values), (size, size, 3)).copy()


@pytest.mark.parametrize(
    ("change", "kept"), [(0.0, 1.0), (0.125, 0.75), (0.25, 0.5), (0.5, 0.0), (0.6, 0.0)]
)
def test_by_hand(change: float, kept: float) -> None:
    normal, picture = flat(0.3, 0.3, 0.3), flat(0.4, 0.3, 0.25)
    painted = normal + np.float32([0, change, -change / 2])  # the second channel changed most
    result = with_detail(painted, normal, picture)
    assert DETAIL_GONE == 0.5
    assert np.allclose(result[4, 4], painted[4, 4] + kept * np.float32([0.1, 0, -0.05]), atol=1e-6)


@pytest.mark.parametrize("place", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_the_nearer_of_two_pictures_gives_its_detail(place: float) -> None:
    """A sample on the way from the good picture (0.3) to the paste (0.7), each decoded 0.1 too
    dark or too light."""
    painted = flat(*[0.3 + 0.4 * place] * 3)
    good, pasted = (
        (flat(0.3, 0.3, 0.3), flat(0.4, 0.4, 0.4)),
        (flat(0.7, 0.7, 0.7), flat(*[0.6] * 3)),
    )
    to_good, to_pasted = 0.4 * place, 0.4 * (1 - place)
    share = to_good**2 / (to_good**2 + to_pasted**2)
    detail = (1 - share) * 0.1 * (1 - to_good / 0.5) - share * 0.1 * (1 - to_pasted / 0.5)
    result = with_either_detail(painted, good, pasted)
    assert np.allclose(result, painted + np.float32(detail), atol=1e-5)


def test_one_changed_pixel_counts_for_a_ninth_on_its_neighbours() -> None:
    normal, picture = flat(0, 0, 0), flat(0.1, 0.1, 0.1)
    painted = normal.copy()
    painted[4, 4] = 0.9
    result = with_detail(painted, normal, picture)
    assert result[4, 4, 0] == pytest.approx(0.9 + 0.1 * (1 - 0.1 / 0.5))
    assert result[3, 5, 0] == pytest.approx(0.1 * (1 - 0.1 / 0.5)) and result[
        2, 5, 0
    ] == pytest.approx(0.1)
    assert np.allclose(with_detail(painted, normal, picture, np.inf), painted + picture)


@pytest.mark.parametrize("resolution", [32, 64, 200])
def test_where_nothing_was_painted_the_mask_shows_the_picture_itself(resolution: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (120, 90, 3), np.uint8)
    mask = np.zeros((120, 90), np.bool_)
    mask[40:70, 30:60] = True
    crop = crop_box(mask, resolution, "defect")
    normal = take(picture, crop, resolution).astype(np.float32) / 510 + 0.2  # a poor reconstruction
    assert np.abs(stitch(picture, normal, mask, crop).astype(int) - picture).max() > 40
    assert np.array_equal(stitch(picture, normal, mask, crop, normal=normal), picture)


def test_a_defect_shows_in_full_and_grain_around_it_comes_back() -> None:
    rng = np.random.default_rng(0)
    picture = np.repeat(rng.integers(90, 130, (64, 64, 1), np.uint8), 3, axis=2)
    mask = np.zeros((64, 64), np.bool_)
    mask[20:40, 20:40] = True
    normal, painted = (
        np.full((64, 64, 3), 110 / 255, np.float32),
        np.full((64, 64, 3), 110 / 255, np.float32),
    )
    painted[26:34, 26:34] = 1.0
    result = stitch(picture, painted, mask, Crop(0, 0, 64), 0, normal)
    assert (
        result[27:33, 27:33] == 255
    ).all()  # changed by more than half of the range: the decoder's alone
    untouched = mask.copy()
    untouched[25:35, 25:35] = False
    assert np.array_equal(result[untouched], picture[untouched]) and np.array_equal(
        result[~mask], picture[~mask]
    )
    assert (result == result[..., :1]).all()
