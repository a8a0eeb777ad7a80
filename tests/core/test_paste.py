"""A real defect laid over a good picture, and the guards against copies."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from bgdefect_core.copies import camera_noise, diversity, exemplar_difference, is_copy
from bgdefect_core.pictures.masks import Mask
from bgdefect_core.pictures.picture import Picture
from bgdefect_core.placement.exemplar import Exemplar
from bgdefect_core.placement.paste import core_of, edge_width, paste, with_core

SIZE = (40, 50)


def flat(*colour: int, white: int = 255) -> Picture:
    """One colour, but for one pixel in the corner: no picture of two tones."""
    kind = np.uint8 if white == 255 else np.uint16
    pixels = np.full((*SIZE, 3), colour, kind)
    pixels[0, 0] = 1
    pixels[0, 1] = 2
    return Picture(pixels, white)


def exemplar(
    ground: tuple[float, ...], defect: tuple[float, ...], top: int = 10, left: int = 20
) -> Exemplar:
    """A square defect of 4 x 6 pixels with a margin of 3."""
    mask = np.zeros((10, 12), np.bool_)
    mask[3:7, 3:9] = True
    colours = np.empty((10, 12, len(ground)), np.float32)
    colours[:] = ground
    colours[mask] = defect
    return Exemplar(colours, mask, top, left, 0.0, 1.0, False)


def placed(defect: Exemplar) -> Mask:
    mask = np.zeros(SIZE, np.bool_)
    rows, columns = np.nonzero(defect.mask)
    mask[rows + defect.top, columns + defect.left] = True
    return mask


def test_shift_and_soft_edge_by_hand() -> None:
    """The ring is 0.5 in life and 153/255 = 0.6 here: the defect of 0.2 becomes 0.3."""
    good, defect = flat(153, 153, 153), exemplar((0.5,), (0.2,))
    result = paste(good, [defect])
    mask = placed(defect)
    assert (result.pixels[mask] == round(0.3 * 255)).all()
    # Beside the mask half of the real picture shows: its ground, shifted to the good one's.
    assert (result.pixels[~mask] == good.pixels[~mask]).all()
    assert result.pixels is not good.pixels


def test_beside_the_mask_half_of_the_real_picture_shows() -> None:
    """A bright halo of a pixel: it counts not for the ring's mean, and half of it is laid."""
    defect = exemplar((0.6,), (0.2,))
    defect.colours[2, 3:9] = 0.82
    result = paste(flat(153, 153, 153), [defect])
    assert (result.pixels[12, 23:29] == round((0.6 + 0.5 * 0.22) * 255)).all()
    assert (result.pixels[11, 23:29] == 153).all()
    assert (result.pixels[placed(defect)] == 51).all()


def test_each_channel_is_shifted_by_itself() -> None:
    defect = exemplar((0.4, 0.4, 0.4), (0.8, 0.2, 0.4))
    result = paste(flat(51, 102, 204), [defect])
    inside = result.pixels[placed(defect)]
    assert (inside == [round(255 * value) for value in (0.6, 0.2, 0.8)]).all()


def test_a_gray_picture_stays_gray_and_a_gray_defect_lies_on_colour() -> None:
    gray = paste(flat(102, 102, 102), [exemplar((0.4, 0.4, 0.4), (0.9, 0.3, 0.3))])
    assert (gray.pixels == gray.pixels[..., :1]).all()
    colour = paste(flat(51, 102, 204), [exemplar((0.4,), (0.3,))])
    assert len(np.unique(colour.pixels[13:17, 23:29].reshape(-1, 3), axis=0)) == 1


def test_depth_and_white_level_are_kept() -> None:
    defect = exemplar((0.5,), (0.25,))
    result = paste(flat(2048, 2048, 2048, white=4095), [defect])
    assert result.white == 4095 and result.pixels.dtype == np.uint16
    expected = round((2048 / 4095 - 0.25) * 4095)
    assert (np.abs(result.pixels[placed(defect)].astype(int) - expected) <= 1).all()


def test_two_tones_stay_two_tones_without_a_shift() -> None:
    pixels = np.zeros((*SIZE, 3), np.uint8)
    pixels[:, 25:] = 255
    defect = exemplar((0.0,), (0.7,), left=5)
    result = paste(Picture(pixels), [defect])
    assert set(np.unique(result.pixels)) == {0, 255}
    changed = (result.pixels != pixels).any(axis=2)
    assert np.array_equal(changed, placed(defect))
    assert edge_width(Picture(pixels)) == 0 and edge_width(flat(9, 9, 9)) == 2
    dark = exemplar((1.0,), (0.3,), left=5)  # a shift would have made it light
    assert np.array_equal(paste(Picture(pixels), [dark]).pixels, pixels)


def test_over_the_pictures_edge_and_unknown_pixels() -> None:
    """The box reaches out of the picture; where the real picture had ended the good one stays."""
    defect = exemplar((0.6,), (0.2,), top=-3, left=-3)
    defect.colours[:, :5] = np.nan
    result = paste(flat(153, 153, 153), [defect])
    good = flat(153, 153, 153).pixels
    assert (result.pixels[:4, :2] == good[:4, :2]).all()
    assert (result.pixels[:4, 2:6] == 51).all()


def test_several_defects_lie_in_one_picture() -> None:
    first, second = exemplar((0.6,), (0.2,)), exemplar((0.6,), (0.9,), top=25, left=2)
    result = paste(flat(153, 153, 153), [first, second])
    assert (result.pixels[placed(first)] == 51).all()
    assert (result.pixels[placed(second)] == round(0.9 * 255)).all()


def test_a_core_is_the_innermost_part() -> None:
    mask = np.zeros((20, 20), np.bool_)
    mask[4:13, 4:13] = True
    assert not core_of(mask, 0).any() and np.array_equal(core_of(mask, 1), mask)
    core = core_of(mask, 0.35)  # 28 of 81: 25 are 3 deep or more, 49 are 2 deep
    expected = np.zeros_like(mask)
    expected[6:11, 6:11] = True
    assert np.array_equal(core, expected)


def test_the_core_is_put_back_softly() -> None:
    good = flat(100, 100, 100)
    pasted = Picture(np.full_like(good.pixels, 200))
    core = np.zeros(SIZE, np.bool_)
    core[10:14, 10:14] = True
    result = with_core(good, pasted, core).pixels
    assert (result[core] == 200).all() and result[9, 11, 0] == 150
    assert (result[8, 11] == 100).all()
    assert with_core(good, pasted, core & False) is good


def test_difference_from_the_exemplar_by_hand() -> None:
    good, pasted, mask = (np.full((*SIZE, 3), value, np.uint8) for value in (100, 160, 0))
    inside = np.zeros(SIZE, np.bool_)
    inside[5:9, 5:9] = True
    result = np.full((*SIZE, 3), 130, np.uint8)
    assert exemplar_difference(result, pasted, good, inside) == pytest.approx(0.5)
    assert exemplar_difference(pasted, pasted, good, inside) == 0
    assert exemplar_difference(good, pasted, good, inside) == 1
    assert mask.any() == np.False_


def noisy(seed: int, deviation: float) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    ground = 128 + 40 * np.sin(np.arange(200) / 20)[:, None] + np.zeros((200, 200))
    values = ground + deviation * rng.standard_normal((200, 200))
    return np.repeat(np.rint(values).clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize("deviation", [2.0, 4.0])
def test_the_cameras_noise_is_measured_and_bounded(deviation: float) -> None:
    assert camera_noise(noisy(1, deviation)) * 255 == pytest.approx(deviation, rel=0.1)
    assert camera_noise(noisy(1, 0.0)) == 1 / 255
    assert camera_noise(noisy(1, 30.0)) == 6 / 255


def test_a_copy_is_two_pictures_of_one_thing() -> None:
    good, mask = noisy(1, 3.0), np.zeros((200, 200), np.bool_)
    mask[50:80, 50:80] = True
    pasted = good.copy()
    pasted[mask] -= 60
    rng = np.random.default_rng(2)

    def taken(deviation: float) -> NDArray[np.uint8]:
        noise = deviation * rng.standard_normal((200, 200))
        moved = pasted + np.rint(noise)[..., None]
        return moved.clip(0, 255).astype(np.uint8)

    assert is_copy(pasted, pasted, good, mask) and is_copy(taken(3), pasted, good, mask)
    assert not is_copy(taken(8), pasted, good, mask)
    assert not is_copy(pasted, pasted, good, mask & False)


def test_a_copy_on_two_tones_has_the_same_outline() -> None:
    good = np.zeros((*SIZE, 3), np.uint8)
    good[20:] = 255
    mask = np.zeros(SIZE, np.bool_)
    mask[5:15, 5:15] = True
    pasted = good.copy()
    pasted[mask] = 255
    result = pasted.copy()
    result[5, 5:7] = 0
    assert is_copy(result, pasted, good, mask)
    result[5, 7] = 0
    assert not is_copy(result, pasted, good, mask)


def test_diversity_by_hand() -> None:
    mask = np.zeros(SIZE, np.bool_)
    mask[0, :2] = True
    pictures = [np.zeros((*SIZE, 3), np.uint8) for _ in range(3)]
    pictures[1][0, 0] = 255
    pictures[2][0, :2] = 255
    assert diversity(pictures, mask) == pytest.approx((0.5 + 1 + 0.5) / 3)
    assert diversity(pictures[:1], mask) is None
