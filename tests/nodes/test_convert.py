"""Between the host's values and the core's."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
import torch

from .conftest import NAME

convert = import_module(f"{NAME}.nodes._convert")
errors = import_module(f"{NAME}.bgdefect_core.errors")


def test_pictures_come_back_byte_for_byte() -> None:
    pictures = list(np.arange(2 * 16 * 16 * 3).astype(np.uint8).reshape(2, 16, 16, 3))
    image = convert.image_of(pictures)
    assert image.dtype == torch.float32 and image.shape == (2, 16, 16, 3)
    assert np.array_equal(np.stack(convert.pictures_of(image)), np.stack(pictures))


def test_gray_is_repeated_alpha_dropped_and_values_kept_in_range() -> None:
    gray = torch.tensor([[[[0.5]], [[2.0]]]])
    assert convert.pictures_of(gray)[0].tolist() == [[[128] * 3], [[255] * 3]]
    alpha = torch.tensor([[[[0.0, 0.2, float("nan"), 0.7]]]])
    assert convert.pictures_of(alpha)[0].tolist() == [[[0, 51, 0]]]


@pytest.mark.parametrize("shape", [(16, 16, 3), (1, 16, 16, 2), (0, 16, 16, 3), (1, 0, 16, 3)])
def test_no_image_is_refused_by_name(shape: tuple[int, ...]) -> None:
    with pytest.raises(errors.PictureError, match="good part"):
        convert.pictures_of(torch.zeros(shape), "good part")


def test_masks_are_cut_at_one_half_and_take_odd_shapes() -> None:
    mask = torch.tensor([[0.5, 0.51], [float("nan"), 1.0]])
    wanted = [[False, True], [False, True]]
    for form in (mask, mask[None], mask[None, None], mask[None, ..., None]):
        assert convert.mask_batch(form).tolist() == [wanted]
    assert convert.mask_of(convert.masks_of(mask)).tolist() == [[[0.0, 1.0], [0.0, 1.0]]]
    with pytest.raises(errors.MaskError, match="drawn mask"):
        convert.mask_batch(torch.zeros(2, 3, 4, 4), "drawn mask")


def test_batches_repeat_as_the_host_repeats_them() -> None:
    batch = torch.tensor([10, 20])
    assert convert.cycled(batch, 5).tolist() == [10, 20, 10, 20, 10]
    assert convert.matched(batch[:1], 3, "mask").tolist() == [10, 10, 10]
    with pytest.raises(errors.MaskError, match="2 masks for 3 pictures"):
        convert.matched(batch, 3, "mask")


def test_a_single_pixel_keeps_its_latent_cell() -> None:
    mask = torch.zeros(1, 64, 64, dtype=torch.bool)
    mask[0, 17, 42] = True
    regions = convert.latent_regions([mask], (8, 8))
    assert regions.nonzero().tolist() == [[0, 2, 5]]


def test_masks_are_cut_as_the_hosts_vae_cuts_the_picture() -> None:
    """70 x 77 pixels: the host encodes rows 3 to 66 and columns 2 to 73 in cells of 8."""
    mask = torch.zeros(1, 70, 77, dtype=torch.bool)
    mask[0, 2, 1] = True  # cut off
    mask[0, 3, 2] = True  # the first pixel of the first cell
    mask[0, 11, 73] = True  # the second row of cells, the last column's last pixel
    assert convert.latent_regions([mask], (8, 9)).nonzero().tolist() == [[0, 0, 0], [0, 1, 8]]


def test_masks_of_other_sizes_are_scaled_and_stay_apart() -> None:
    left, right = torch.zeros(1, 64, 64, dtype=torch.bool), torch.zeros(1, 30, 30, dtype=torch.bool)
    left[0, :, :8], right[0, :, 26:] = True, True
    regions = convert.latent_regions([left, right], (8, 8))
    assert regions[0, 0].tolist() == [1, 0, 0, 0, 0, 0, 2, 2]
