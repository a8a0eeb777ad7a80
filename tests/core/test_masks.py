from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from bgdefect_core.errors import MaskError, SettingError
from bgdefect_core.pictures.mask_files import read_library
from bgdefect_core.pictures.masks import (
    bounding_box,
    check_mask,
    feather,
    mean_width,
    separate_defects,
)
from bgdefect_core.pictures.region_maps import coverage, region_map, resize_region_map
from bgdefect_core.pictures.writing import write_mask


def test_bounding_box_by_hand() -> None:
    mask = np.zeros((10, 12), np.bool_)
    mask[2, 5] = mask[6, 3] = True
    box = bounding_box(mask)
    assert box == (2, 3, 5, 3) and (box.bottom, box.right, box.longest) == (7, 6, 5)
    assert mask[box.slices].shape == (5, 3)
    assert mask[box.with_margin(1)].shape == (7, 5)
    assert box.with_margin(3)[0] == slice(0, 10)  # cut at the picture's border
    with pytest.raises(MaskError, match="empty"):
        bounding_box(np.zeros((4, 4), np.bool_))


@pytest.mark.parametrize(
    ("rows", "columns", "width"),
    [(1, 30, 2.0), (3, 30, 180 / 62), (10, 10, 200 / 36), (40, 200, 16000 / 476)],
)
def test_mean_width_by_hand(rows: int, columns: int, width: float) -> None:
    mask = np.zeros((60, 220), np.bool_)
    mask[5 : 5 + rows, 7 : 7 + columns] = True
    assert mean_width(mask) == pytest.approx(width)
    assert mean_width(mask[5 : 5 + rows, 7 : 7 + columns]) == pytest.approx(
        width
    )  # at the picture's border


def test_check_mask_refuses() -> None:
    good = np.eye(4, dtype=np.bool_)
    check_mask(good, (4, 4))
    for bad, words in [
        (good.astype(np.uint8), "uint8"),
        (good[None], "bool"),
        (good & False, "empty"),
        (~(good & False), "full"),
    ]:
        with pytest.raises(MaskError, match=words):
            check_mask(bad)
    with pytest.raises(MaskError, match="x.png is 4 x 4 pixels; expected 5 x 4"):
        check_mask(good, (4, 5), "x.png")


def test_feather_by_hand() -> None:
    mask = np.zeros((1, 12), np.bool_)
    mask[0, 2:4] = True
    # Distances to the right of the mask 1, 2, 3, 4 of width 4: s = 3/4, 1/2, 1/4, 0; s^2 (3 - 2 s).
    expected = [0.5, 0.84375, 1, 1, 0.84375, 0.5, 0.15625, 0, 0, 0, 0, 0]
    blend = feather(mask, 4)
    assert blend.dtype == np.float32 and np.allclose(blend[0], expected, atol=1e-7)
    assert (blend[0, 7:] == 0).all()
    assert (feather(mask, 0) == mask).all()
    for width in (-1.0, float("nan")):
        with pytest.raises(SettingError):
            feather(mask, width)
    with pytest.raises(MaskError):
        feather(mask & False, 3)


def test_feather_is_zero_exactly_from_the_width_on() -> None:
    mask = np.zeros((41, 41), np.bool_)
    mask[20, 20] = True
    row, column = np.mgrid[:41, :41] - 20
    inside = np.hypot(row, column) < 6.5
    assert ((feather(mask, 6.5) > 0) == inside).all()


def test_coverage_is_area_pooling() -> None:
    masks = torch.rand(2, 3, 12, 8, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(
        coverage(masks, (4, 2)), torch.nn.functional.avg_pool2d(masks, (3, 4)), atol=1e-6
    )
    # 3 pixels on 2 cells of 1.5 pixels: the middle pixel is half in each.
    line = torch.tensor([[[[0.0, 1.0, 0.0]]]])
    assert torch.allclose(coverage(line, (1, 2)), torch.full((1, 1, 1, 2), 1 / 3))
    # 2 pixels on 3 cells: the middle cell is half covered.
    assert torch.allclose(
        coverage(torch.tensor([[[[1.0, 0.0]]]]), (1, 3)), torch.tensor([[[[1.0, 0.5, 0.0]]]])
    )


@pytest.mark.parametrize("size", [(7, 5), (8, 8), (64, 64), (100, 130), (1, 1)])
def test_no_pixel_is_ever_lost_nor_invented(size: tuple[int, int]) -> None:
    for row in range(0, 65, 5):
        mask = torch.zeros(1, 1, 65, 47, dtype=torch.bool)
        mask[0, 0, row, (row * 7) % 47] = True
        covered = coverage(mask, size)
        assert torch.isclose(covered.mean(), torch.tensor(1 / (65 * 47)), rtol=1e-4)
        cells = [
            (i, j)
            for i in range(size[0])
            for j in range(size[1])
            if i * 65 < (row + 1) * size[0]
            and (i + 1) * 65 > row * size[0]
            and j * 47 < ((row * 7) % 47 + 1) * size[1]
            and (j + 1) * 47 > ((row * 7) % 47) * size[1]
        ]
        assert [tuple(cell) for cell in region_map(mask, size)[0].nonzero().tolist()] == cells


def test_shared_cell_goes_to_the_larger_coverage_and_ties_to_the_first() -> None:
    masks = torch.zeros(1, 2, 4, 8, dtype=torch.bool)
    masks[0, 0, 0, 0:2] = True  # 2 pixels of cell 0
    masks[0, 1, 1:3, 0:4] = True  # 8 pixels of cell 0: wins it
    masks[0, 0, 0, 4:6] = True  # 2 pixels of cell 1
    masks[0, 1, 3, 4:6] = True  # 2 pixels of cell 1: a tie
    assert region_map(masks, (1, 2)).tolist() == [[[2, 1]]]


def test_an_outvoted_defect_keeps_a_cell() -> None:
    masks = torch.zeros(1, 2, 4, 12, dtype=torch.bool)
    masks[0, 1, :, 0:12] = True
    masks[0, 0, 0, 3], masks[0, 1, 0, 3] = True, False  # 1 pixel of cell 0, against 15
    masks[0, 0, 0:2, 4], masks[0, 1, 0:2, 4] = (
        True,
        False,
    )  # 2 pixels of cell 1, against 14: the one that it covers most
    assert region_map(masks, (1, 3)).tolist() == [[[2, 1, 2]]]


def test_a_cell_that_it_covers_comes_before_a_nearer_free_one() -> None:
    masks = torch.zeros(1, 3, 4, 20, dtype=torch.bool)
    masks[0, 0, :2, 4:8] = True  # 8 pixels of cell 1, its only one
    masks[0, 1, 2, 4:8] = True  # 4 pixels of cell 1 ...
    masks[0, 1, 0, 12:14] = True  # ... and 2 of cell 3, two steps away
    masks[0, 2, 1:, 12:20] = True  # cells 3 and 4: it can spare one
    assert region_map(masks, (1, 5)).tolist() == [[[0, 1, 0, 2, 3]]]


def test_two_defects_in_one_cell_the_second_takes_the_nearest_free_one() -> None:
    masks = torch.zeros(1, 3, 8, 8, dtype=torch.bool)
    masks[0, 0, 4, 4] = masks[0, 1, 4, 5] = masks[0, 2, 5, 5] = True  # all in cell (2, 2) of 4 x 4
    regions = region_map(masks, (4, 4))[0]
    assert (
        regions[2, 2] == 1 and regions[1, 2] == 2 and regions[2, 1] == 3
    )  # nearest, then in reading order
    assert (regions > 0).sum() == 3


def test_every_defect_keeps_a_cell_at_random() -> None:
    generator = torch.Generator().manual_seed(1)
    for _ in range(30):
        masks = torch.rand(2, 5, 16, 16, generator=generator) > 0.97
        masks[0, 3] = False
        regions = region_map(masks, (3, 2))
        for picture in range(2):
            present = {index + 1 for index in range(5) if masks[picture, index].any()}
            assert set(regions[picture].flatten().tolist()) - {0} == present
        assert torch.equal(regions, region_map(masks.float(), (3, 2)))


def test_empty_masks_are_background() -> None:
    for count in (1, 2):
        assert (
            region_map(torch.zeros(2, count, 9, 9), (4, 4)).tolist()
            == torch.zeros(2, 4, 4, dtype=torch.long).tolist()
        )
    assert resize_region_map(torch.zeros(1, 8, 8, dtype=torch.long), (2, 2)).sum() == 0


def test_attention_grid_follows_the_latent_map() -> None:
    regions = torch.zeros(1, 8, 8, dtype=torch.long)
    regions[0, 0, 0] = 1
    regions[0, 5:8, 5:8] = 2
    small = resize_region_map(regions, (2, 2))
    assert small.dtype == torch.long and small.tolist() == [[[1, 0], [0, 2]]]
    assert resize_region_map(regions, (8, 8)) is regions
    assert set(resize_region_map(regions, (1, 2)).flatten().tolist()) == {1, 2}
    assert resize_region_map(small, (4, 4)).tolist()[0] == [
        [1, 1, 0, 0],
        [1, 1, 0, 0],
        [0, 0, 2, 2],
        [0, 0, 2, 2],
    ]


# --- several defects in a mask


def boxes_of(*boxes: tuple[int, int, int, int], size: tuple[int, int] = (160, 160)) -> np.ndarray:
    """A mask of boxes given as top, left, height, width."""
    mask = np.zeros(size, np.bool_)
    for top, left, height, width in boxes:
        mask[top : top + height, left : left + width] = True
    return mask


@pytest.mark.parametrize(
    ("boxes", "defects"),
    [
        ([(10, 10, 4, 5)], [[0]]),
        ([(10, 10, 4, 5), (100, 100, 6, 6)], [[1], [0]]),  # the largest first
        ([(10, 10, 4, 5), (10, 25, 4, 5)], [[0, 1]]),  # a gap of 10, a sixteenth of the picture
        ([(10, 10, 4, 5), (10, 26, 4, 5)], [[0], [1]]),  # one pixel more
        (
            [(10, 10, 2, 40), (10, 90, 2, 5)],
            [[0, 1]],
        ),  # no farther than it is long: a broken scratch
        ([(10, 10, 2, 40), (10, 91, 2, 5)], [[0], [1]]),
        ([(10, 10, 4, 5), (10, 25, 4, 5), (10, 40, 4, 5)], [[0, 1, 2]]),  # a row
        ([(10, 10, 10, 10), (100, 100, 3, 3)], [[0]]),  # a speck
        ([(0, 0, 4, 4), (4, 4, 4, 4)], [[0, 1]]),  # corner to corner
    ],
)
def test_defects_far_from_each_other_are_apart(boxes: list, defects: list) -> None:
    found = separate_defects(boxes_of(*boxes))
    assert len(found) == len(defects)
    for one, numbers in zip(found, defects, strict=True):
        assert np.array_equal(one, boxes_of(*[boxes[number] for number in numbers]))


def test_noise_is_taken_whole() -> None:
    noise = np.zeros((160, 160), np.bool_)
    noise[::4, ::4] = True
    (found,) = separate_defects(noise)
    assert found is noise


# --- folders of masks


def stripe(rows: slice, size: int = 40) -> np.ndarray:
    mask = np.zeros((size, size), np.bool_)
    mask[rows, 3:7] = True
    return mask


def test_hidden_folders_and_files_are_no_defects(tmp_path: Path) -> None:
    write_mask(tmp_path / "000" / "000.png", stripe(slice(2, 9)))
    write_mask(tmp_path / ".ipynb_checkpoints" / "000-checkpoint.png", stripe(slice(2, 9)))
    write_mask(tmp_path / ".000.png", stripe(slice(2, 9)))
    assert read_library(tmp_path).names == ["000"]


def test_a_library_keeps_what_is_needed_of_each_mask(tmp_path: Path) -> None:
    for number in range(30):
        write_mask(tmp_path / f"{number:03d}.png", stripe(slice(2, 9), 700))
    tracemalloc.start()
    library = read_library(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [patch.shape for patch in library.patches] == [(7, 4)] * 30
    assert peak < 10 * 700 * 700  # a third of all


def test_a_file_of_several_defects_gives_a_mask_for_each(tmp_path: Path) -> None:
    write_mask(tmp_path / "000.png", boxes_of((10, 10, 4, 5), (100, 100, 6, 6)))
    write_mask(tmp_path / "001.png", boxes_of((10, 10, 4, 5)))
    library = read_library(tmp_path)
    assert library.names == ["000.png#1", "000.png#2", "001.png"]
    assert [patch.shape for patch in library.patches] == [(6, 6), (4, 5), (4, 5)]
    whole = read_library(tmp_path, apart=False)
    assert whole.names == ["000.png", "001.png"] and whole.patches[0].shape == (96, 96)
    write_mask(tmp_path / "parts" / "000.png", boxes_of((10, 10, 4, 5)))
    write_mask(tmp_path / "parts" / "001.png", boxes_of((100, 100, 6, 6)))
    assert read_library(tmp_path).patches[0].shape == (96, 96)


def test_the_parts_of_a_defect_make_a_mask_together(tmp_path: Path) -> None:
    whole = stripe(slice(0, 40))
    write_mask(tmp_path / "000" / "000.png", whole)
    write_mask(tmp_path / "000" / "001.png", stripe(slice(2, 9), 30))
    with pytest.raises(MaskError, match="001.png is 30 x 30 pixels; expected 40 x 40"):
        read_library(tmp_path)
    left = np.arange(40) < 20
    for name, columns in (("000", left), ("001", ~left)):
        write_mask(tmp_path / "000" / f"{name}.png", np.tile(columns, (40, 1)))
    with pytest.raises(MaskError, match="the union of the masks in .*000 is full"):
        read_library(tmp_path)
