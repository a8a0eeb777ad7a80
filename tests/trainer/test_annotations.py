"""Drawn labels: polygons and run lengths as COCO's tools have them, outlines that give the mask
back, and the other shapes by hand."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from bgdefect_core.errors import DataError
from bgdefect_core.pictures.masks import Mask
from trainer.data.annotations.outlines import bridged, fill_polygon, outlines_of
from trainer.data.annotations.run_lengths import mask_of_runs, packed, runs_of_mask, unpacked
from trainer.data.annotations.shapes import Box, Disc, MaskLayer, Polygons, RunLengths, Stroke


def random_mask(rng: np.random.Generator) -> Mask:
    height, width = rng.integers(3, 48, 2)
    noise = ndimage.gaussian_filter(rng.normal(size=(height, width)), rng.uniform(0.3, 3))
    mask: Mask = noise > rng.uniform(-0.05, 0.05)
    return mask


def test_a_square_between_pixels_holds_exactly_its_pixels() -> None:
    mask = fill_polygon(np.array([[3.0, 2], [9, 2], [9, 6], [3, 6]]), (20, 24))
    expected = np.zeros((20, 24), bool)
    expected[2:6, 3:9] = True
    assert (mask == expected).all()


def test_an_outline_that_crosses_itself_is_filled_by_the_even_odd_rule() -> None:
    twice = np.array([[0.0, 0], [8, 0], [8, 8], [0, 8]] * 2)
    assert not fill_polygon(twice, (10, 10)).any()


# pycocotools 2.0.11 wraps its arrays in the way of numpy 1
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_polygons_are_filled_as_pycocotools_fills_them() -> None:
    coco = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(0)
    for number in range(400):
        height, width = map(int, rng.integers(3, 60, 2))
        points = rng.uniform(-10, 70, (int(rng.integers(3, 12)), 2))
        if number % 3:
            points = np.round(points * (number % 3)) / (number % 3)
        points = np.clip(points, -20, [width + 20, height + 20])
        runs = coco.frPyObjects([points.ravel().tolist()], height, width)
        expected = coco.decode(coco.merge(runs)) > 0
        assert (fill_polygon(points, (height, width)) == expected).all(), points


def test_run_lengths_are_packed_as_pycocotools_packs_them() -> None:
    coco = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(1)
    for _ in range(100):
        mask = random_mask(rng)
        expected = coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
        assert packed(runs_of_mask(mask)) == expected


def test_run_lengths_by_hand() -> None:
    mask = np.array([[False, True], [True, True]])
    assert runs_of_mask(mask) == [1, 3]  # down the first column, then the second
    assert (mask_of_runs([1, 3], (2, 2)) == mask).all()
    assert runs_of_mask(~mask) == [0, 1, 3]
    assert packed([1, 3]) == "13" and unpacked("13") == [1, 3]


def test_run_lengths_go_round_with_long_and_falling_runs() -> None:
    runs = [0, 5000, 3, 1, 4000000, 2, 70]
    assert unpacked(packed(runs)) == runs


@pytest.mark.parametrize("seed", range(3))
def test_outlines_filled_again_give_the_mask(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(40):
        mask = random_mask(rng)
        union, joined = np.zeros_like(mask), np.zeros_like(mask)
        for area in outlines_of(mask):
            for face in area:
                filled = np.zeros_like(mask)
                for loop in face:
                    filled ^= fill_polygon(loop.astype(float), mask.shape)
                union |= filled
                joined |= fill_polygon(bridged(face).astype(float), mask.shape)
        assert (union == mask).all() and (joined == mask).all()


def test_an_area_with_a_hole_and_one_with_a_corner() -> None:
    mask = np.zeros((9, 9), bool)
    mask[1:6, 1:6] = True
    mask[3, 3] = False
    mask[7, 7] = mask[8, 8] = True
    ring, corner = outlines_of(mask)
    assert [len(loop) for loop in ring[0]] == [4, 4] and len(ring) == 1
    assert len(corner) == 2  # two faces that touch in a corner are one area


def test_boxes_relative_and_not() -> None:
    expected = np.zeros((20, 24), bool)
    expected[2:6, 3:9] = True
    assert (Box(3, 2, 9, 6).fill((20, 24)) == expected).all()
    assert (Box(9, 6, 3, 2).fill((20, 24)) == expected).all()
    relative = Box(3 / 24, 2 / 20, 9 / 24, 6 / 20, relative=True)
    assert (relative.fill((20, 24)) == expected).all()


def test_a_stroke_is_as_wide_as_it_says() -> None:
    mask = Stroke((2, 5, 8, 5), 4).fill((12, 12))
    assert mask[3:7, 2:8].all() and not mask[:3].any() and not mask[7:].any()
    assert Stroke((2, 5, 8, 5, 8, 9), 2).fill((12, 12))[8, 8]


def test_a_disc_has_the_area_of_its_circle() -> None:
    mask = Disc(20, 20, 10).fill((40, 40))
    assert abs(int(mask.sum()) - np.pi * 100) < 12
    assert (mask == mask[::-1]).all() and (mask == mask.T).all()


def layer_of(values: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def test_a_mask_layer_lies_at_its_place() -> None:
    layer = np.array([[0, 255], [1, 255], [0, 0]], np.uint8)
    mask = MaskLayer(layer_of(layer), left=4, top=2).fill((8, 8))
    assert np.argwhere(mask).tolist() == [[2, 5], [3, 4], [3, 5]]


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        (Polygons(((0, 0, 1e9, 0, 1e9, 1e9),)), "point 1e"),
        (Polygons(((0, 0, float("nan"), 0, 5, 5),)), "point nan"),
        (Polygons(((0, 0, float("inf"), 0, 5, 5),)), "point inf"),
        (Polygons(((0, 0, 5, 5),)), "2 corners"),
        (Polygons(((0, 0, 5, 5, 3),)), "5 coordinates"),
        (Polygons(((0.0, 0.0, 80.0, 80.0) * 400_000,)), "pixels long"),
        (RunLengths((64, 1), (8, 8)), "65 pixels"),
        (RunLengths((-64, 128), (8, 8)), "out of range"),
        (RunLengths((1 << 70,), (8, 8)), "beyond all pictures"),
        (RunLengths((1 << 62, 1 << 62, 1 << 62, 1 << 62), (8, 8)), "out of range"),
        (RunLengths("o" * 1000, (8, 8)), "packed run lengths"),
        (RunLengths("1o", (8, 8)), "break off"),
        (RunLengths("\u2764", (8, 8)), "packed run lengths"),
        (RunLengths((10**12,), (10**6, 10**6)), "1000000 x 1000000"),
        (Stroke((1, 1, 5, 5), float("nan")), "nan pixels wide"),
        (Stroke((1, 1, 5, 5), -2), "wide"),
        (Disc(1, 1, 1e300), "wide"),
        (Disc(float("nan"), 1, 1), "nan"),
        (MaskLayer("no base64!", 0, 0), "mask layer"),
        (MaskLayer(base64.b64encode(b"GIF89a" * 9).decode(), 0, 0), "mask layer"),
        (MaskLayer(layer_of(np.ones((9, 2), np.uint8)), 0, 0), "2 x 9"),
        (MaskLayer(layer_of(np.ones((4, 4), np.uint8)), 6, 0), "at 6, 0"),
        (MaskLayer(layer_of(np.ones((4, 4), np.uint8)), -1, 0), "at -1, 0"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_drawn_is_refused_in_words(shape: Polygons, text: str) -> None:
    with pytest.raises(DataError, match=text):
        shape.fill((8, 8))
