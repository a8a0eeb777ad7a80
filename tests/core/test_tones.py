"""Pictures of two tones keep to them, and their labels are what changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bgdefect_core.method.refinement import refine
from bgdefect_core.method.signals import SIGNALS
from bgdefect_core.pictures import stitching
from bgdefect_core.pictures.crop import Crop
from bgdefect_core.pictures.masks import Mask
from bgdefect_core.pictures.picture import Picture, Pixels
from bgdefect_core.pictures.tones import change, nearest_tone, two_tones

COPPER, BOARD = (20, 60, 10), (230, 220, 210)


def stitch(picture: Pixels, *arguments: Any, **options: Any) -> Pixels:
    """``stitching.stitch`` of a picture of 8 bits."""
    result = stitching.stitch(Picture(picture), *arguments, **options)
    assert result.white == 255 and result.pixels.dtype == np.uint8
    return result.eight_bit()


def board(size: tuple[int, int] = (40, 60)) -> Pixels:
    """A trace of 20 rows across the picture."""
    picture = np.full((*size, 3), BOARD, np.uint8)
    picture[10:30] = COPPER
    return picture


def box(top: int, left: int, height: int, width: int) -> Mask:
    mask = np.zeros((40, 60), np.bool_)
    mask[top : top + height, left : left + width] = True
    return mask


def test_two_tones_and_no_others() -> None:
    picture = board()
    tones = two_tones(picture)
    assert tones is not None and sorted(map(tuple, tones.tolist())) == sorted([COPPER, BOARD])
    assert two_tones(picture[:5]) is None  # one tone: nothing to keep to
    alike = np.full((40, 60, 3), 90, np.uint8)
    alike[0, 0, 2] += 63
    assert two_tones(alike) is None
    alike[0, 0, 2] += 1
    assert two_tones(alike) is not None
    for size in ((40, 60), (300, 500)):  # in the larger one few pixels are looked at first
        third = board(size)
        third[11, 7, 1] += 1
        assert two_tones(third) is None


def test_nearest_tone_by_hand() -> None:
    tones = np.array([[0, 0, 0], [255, 255, 255]], np.uint8)
    pixels = np.float32([[[0.49, 0.49, 0.49], [0.51, 0.51, 0.51], [-0.3, 0, 0.2], [0.1, 0.9, 0.9]]])
    assert nearest_tone(pixels, tones)[..., 0].tolist() == [[0, 255, 0, 255]]


@pytest.mark.parametrize("with_normal", [False, True])
def test_a_blurred_gap_comes_out_as_a_sharp_one(with_normal: bool) -> None:
    """A decoded gap that fades at its sides, in a trace: no third tone, no change outside the mask,
    and the label is the change."""
    picture, mask = board(), box(8, 20, 24, 16)
    normal = picture.astype(np.float32) / 255
    shown = np.interp(np.arange(60), [22, 26, 30, 34], [0, 1, 1, 0])[None, :, None]
    painted = (normal + shown * (np.float32(BOARD) / 255 - normal)).astype(np.float32)
    square = np.pad(painted, ((10, 10), (0, 0), (0, 0)), mode="edge")
    plain = np.pad(normal, ((10, 10), (0, 0), (0, 0)), mode="edge") if with_normal else None
    result = stitch(picture, square, mask, Crop(-10, 0, 60), 6, plain)
    assert two_tones(result) is not None and np.array_equal(result[~mask], picture[~mask])
    changed = (result != picture).any(axis=2)
    assert changed[10:30, 25:32].all() and changed.sum() in range(20 * 7, 20 * 10)
    heat = np.full(picture.shape[:2], 0.5, np.float32)
    for signal in SIGNALS.values():
        label, _ = refine(signal.stitched(heat, picture, result, mask), mask, 0.3)
        assert np.array_equal(label, changed)


def test_other_pictures_keep_their_signal() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    result = picture.copy()
    result[3, 4] = 255 - result[3, 4]
    heat = np.random.default_rng(1).random((20, 30), dtype=np.float32)
    mask = np.ones((20, 30), np.bool_)
    for name, signal in SIGNALS.items():
        if name != "difference":
            assert signal.stitched(heat, picture, result, mask) is heat
    found = change(picture, result)
    assert (
        found[3, 4]
        == np.float32(np.abs(picture[3, 4].astype(int) - result[3, 4]).max()) / np.float32(255)
        and (found > 0).sum() == 1
    )
