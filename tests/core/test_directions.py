from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from bgdefect_core.pictures.masks import Mask
from bgdefect_core.pictures.picture import Pixels
from bgdefect_core.placement.directions import ground_of, mask_direction, settled
from bgdefect_core.placement.settings import PlacementSettings


def as_picture(gray: np.ndarray) -> Pixels:
    return gray.clip(0, 255).astype(np.uint8)[..., None].repeat(3, axis=2)


def brushed(angle: int, seed: int = 0) -> Pixels:
    """Streaks along an angle, counter-clockwise from the rows."""
    noise = np.random.default_rng(seed).standard_normal((260, 260))
    streaks = ndimage.gaussian_filter(noise, (1, 12))
    turned = ndimage.rotate(streaks, angle, reshape=False, order=1)
    return as_picture(128 + 300 * turned[66:194, 66:194])


def weave(pitch: int, seed: int = 0) -> Pixels:
    rows, columns = np.mgrid[:128, :128]
    over = np.sin(np.pi * columns / pitch) * np.sin(np.pi * rows / pitch) > 0
    thread = np.where(over, np.sin(np.pi * columns / pitch), np.sin(np.pi * rows / pitch))
    noise = np.random.default_rng(seed).standard_normal((128, 128))
    return as_picture(120 + 60 * np.abs(thread) + 6 * noise)


def grain(seed: int = 0) -> Pixels:
    noise = np.random.default_rng(seed).standard_normal((128, 128))
    return as_picture(128 + 60 * ndimage.gaussian_filter(noise, 1.5))


def bar(angle: float) -> Mask:
    """40 pixels long, 5 wide, along an angle."""
    row, column = np.mgrid[-30:31, -30:31]
    along = column * np.cos(np.radians(angle)) - row * np.sin(np.radians(angle))
    across = column * np.sin(np.radians(angle)) + row * np.cos(np.radians(angle))
    return (np.abs(along) <= 20) & (np.abs(across) <= 2.5)


@pytest.mark.parametrize("angle", [0, 30, 60, 90, 135])
def test_directions_of_ground_and_mask(angle: int) -> None:
    ground = ground_of([brushed(angle, seed) for seed in range(3)])
    assert ground.fold == 2 and ground.coherence > 0.5
    assert abs((ground.angle - angle + 90) % 180 - 90) < 5
    direction, elongation = mask_direction(bar(angle))
    assert abs((direction - angle + 90) % 180 - 90) < 2 and elongation > 4


@pytest.mark.parametrize("pitch", [5, 8, 14])
def test_a_weave_has_two_ways(pitch: int) -> None:
    ground = ground_of([weave(pitch, seed) for seed in range(3)])
    assert ground.coherence > 0.25
    assert min(ground.angle % 90, 90 - ground.angle % 90) < 2


def test_grain_has_no_direction_and_neither_have_parts_that_lie_any_way() -> None:
    assert ground_of([grain(seed) for seed in range(3)]).coherence < 0.1
    assert ground_of([brushed(angle, angle) for angle in (0, 45, 90, 135)]).coherence < 0.25


def test_defects_that_lie_along_the_weft_stay_there() -> None:
    pictures = [weave(8, seed) for seed in range(3)]
    weft = [bar(angle) for angle in (0, 3, -3, 1, 179)]
    settings, reason = settled(PlacementSettings(), weft, pictures)
    assert settings.rotate is not None and 1 <= settings.rotate <= 4 and settings.flip
    assert "5 of 5 real masks lie along" in reason
    varied, _ = settled(PlacementSettings(), [bar(angle) for angle in (0, 40, 80, 130)], pictures)
    assert varied.rotate == 180 and varied.flip


def test_masks_turn_as_far_as_the_real_ones_vary() -> None:
    pictures = [brushed(90, seed) for seed in range(3)]
    steep = [bar(angle) for angle in (66, 84, 90, 97, 113)]
    settings, _ = settled(PlacementSettings(), steep, pictures)
    assert settings.rotate is not None and 20 < settings.rotate < 26 and settings.flip
    wide, reason = settled(PlacementSettings(), [bar(angle) for angle in (45, 90, 135)], pictures)
    assert wide.rotate == 180 and "several ways" in reason


def test_a_mirror_that_would_turn_them_is_left_out() -> None:
    slanted = [bar(angle) for angle in (28, 30, 33)]
    settings, _ = settled(PlacementSettings(), slanted, [brushed(30, seed) for seed in range(3)])
    assert settings.rotate is not None and settings.rotate < 6 and settings.flip is False


def test_without_a_direction_or_with_round_defects_anything_goes() -> None:
    weft = [bar(0), bar(1), bar(2)]
    assert settled(PlacementSettings(), weft, [grain()])[0].rotate == 180
    disc = np.hypot(*np.mgrid[-9:10, -9:10]) < 8
    assert settled(PlacementSettings(), [disc] * 4, [brushed(0)])[0].rotate == 180


def test_ranges_that_the_user_gives_stay() -> None:
    weft = [bar(0), bar(1), bar(2)]
    pictures = [brushed(0, seed) for seed in range(3)]
    given, reason = settled(PlacementSettings(rotate=90, flip=False), weft, pictures)
    assert (given.rotate, given.flip, reason) == (90, False, "as set")
    half, _ = settled(PlacementSettings(rotate=45), weft, pictures)
    assert (half.rotate, half.flip) == (45, True)
