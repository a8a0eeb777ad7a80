"""New masks on good pictures: where they lie, and the real defects that belong to them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from bgdefect_pack.bgdefect_core.errors import MaskError, SettingError
from bgdefect_pack.bgdefect_core.placement.library import MaskLibrary, numbered_library
from bgdefect_pack.bgdefect_core.placement.settings import PlacementSettings
from bgdefect_pack.bgdefect_core.placement.surroundings import surroundings_of
from bgdefect_pack.nodes._placing import (
    NewMask,
    PlacingArea,
    in_directions,
    new_masks,
    pasted_image,
)

ANYWHERE = PlacingArea("texture")
SETTINGS = PlacementSettings()
SETTINGS_AS_SET = PlacementSettings(90.0, (1.0, 1.0), True, 0.0)


def pictures(count: int, height: int, width: int) -> torch.Tensor:
    values = np.random.default_rng(0).random((count, height, width, 3), np.float32)
    return torch.from_numpy(values)


def small_library() -> MaskLibrary:
    return numbered_library([np.ones((6, 3), np.bool_)])


def gray_dents() -> MaskLibrary:
    """A dent of 128 in a white picture."""
    patch = np.ones((4, 4), np.bool_)
    real, mask = np.full((20, 20, 3), 255, np.uint8), np.pad(patch, 8)
    real[mask] = 128
    return numbered_library([patch], [surroundings_of(real, mask)])


def bits(masks: list[NewMask]) -> list[bytes]:
    return [mask.mask.tobytes() for mask in masks]


def left_half(height: int, width: int) -> torch.Tensor:
    mask = torch.zeros(1, height, width)
    mask[:, :, : width // 2] = 1
    return mask


@pytest.mark.parametrize("name", ["avoid", "allowed"])
def test_masks_keep_to_where_they_may_lie(name: str) -> None:
    image, half = pictures(3, 50, 60), left_half(50, 60)
    ground = replace(ANYWHERE, **{name: half if name == "avoid" else 1 - half})
    masks = new_masks(image, small_library(), ground, SETTINGS, 4, 7)
    assert [mask.owner for mask in masks] == [0] * 4 + [1] * 4 + [2] * 4
    assert all(mask.mask.any() and not mask.mask[:, :30].any() for mask in masks)
    again = new_masks(image, small_library(), ground, SETTINGS, 4, 7)
    assert bits(again) == bits(masks)
    assert len(set(bits(masks))) > 8
    other = new_masks(image, small_library(), ground, SETTINGS, 4, 8)
    assert bits(other) != bits(masks)


def test_what_is_allowed_and_not_avoided_counts() -> None:
    ground = PlacingArea("texture", left_half(50, 60), left_half(50, 60))
    with pytest.raises(MaskError, match="no mask of the library fits"):
        new_masks(pictures(1, 50, 60), small_library(), ground, SETTINGS, 1, 0)


def test_each_picture_has_its_own_allowed_mask() -> None:
    allowed = torch.cat([left_half(50, 60), 1 - left_half(50, 60)])
    masks = new_masks(
        pictures(2, 50, 60), small_library(), PlacingArea("texture", allowed), SETTINGS, 3, 0
    )
    for mask in masks:
        assert not (mask.mask & (allowed[mask.owner].numpy() == 0)).any()


def test_placing_tells_of_each_mask_and_can_be_stopped() -> None:
    told = list[int]()

    def stop_at_five() -> None:
        told.append(len(told))
        if len(told) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        new_masks(pictures(3, 50, 60), small_library(), ANYWHERE, SETTINGS, 4, 7, stop_at_five)
    assert len(told) == 5


def half_white() -> torch.Tensor:
    image = torch.zeros(1, 50, 60, 3)
    image[:, :, 30:] = 1
    return image


def test_masks_with_known_surroundings_go_where_it_looks_alike() -> None:
    """A defect that was seen on white goes to the white half of the picture, and without its
    picture anywhere."""
    unknown = numbered_library(gray_dents().patches)
    for library, expected in ((gray_dents(), True), (unknown, False)):
        masks = new_masks(half_white(), library, ANYWHERE, SETTINGS, 8, 1)
        assert all(not mask.mask[:, :30].any() for mask in masks) == expected
        for mask in masks:
            assert mask.real.name == "0"
            assert mask.real.surroundings is library.masks[0].surroundings
            assert (mask.real.exemplar is not None) == expected


def test_the_real_defect_is_pasted_at_its_mask_and_nothing_else_changes() -> None:
    shade = torch.linspace(0, 0.099, 50)[:, None, None]  # more than two tones
    image = half_white() * 0.9 + shade
    masks = new_masks(image, gray_dents(), ANYWHERE, SETTINGS, 2, 1)
    pasted = pasted_image(image, masks)
    assert pasted.shape == (2, 50, 60, 3)
    for mask, picture in zip(masks, pasted, strict=True):
        changed = (picture != image[0]).any(-1).numpy()
        assert changed[mask.mask].mean() > 0.8  # a scaled dent's rim fades into white
        assert not changed[:, :25].any()
        # The dent keeps its distance to the ring: half of the white.
        inside = torch.from_numpy(mask.mask)
        fall = float((image[0][inside] - picture[inside]).median())
        assert fall == pytest.approx(127 / 255, abs=0.1)
    unknown = new_masks(image, small_library(), ANYWHERE, SETTINGS, 2, 1)
    assert torch.equal(pasted_image(image, unknown), image.repeat(2, 1, 1, 1))


def test_masks_stay_the_way_that_the_class_lies() -> None:
    """Long masks along the stripes of the ground; on noise they may be turned to any angle."""
    rows = torch.arange(96)[None, :, None, None]
    stripes = (0.5 + 0.4 * torch.sin(rows * 1.2)).expand(1, 96, 96, 3)
    library = numbered_library([np.ones((2, 16 + number), np.bool_) for number in range(4)])
    settings = in_directions(SETTINGS_AS_SET, "auto", stripes, library)
    assert settings.rotate is not None and settings.rotate < 10
    assert in_directions(SETTINGS_AS_SET, "as_set", stripes, library) == SETTINGS_AS_SET
    free = in_directions(SETTINGS_AS_SET, "auto", pictures(1, 96, 96), library)
    assert (free.rotate, free.flip) == (90.0, True)  # what the user allows
    still = replace(SETTINGS_AS_SET, flip=False)
    assert in_directions(still, "auto", pictures(1, 96, 96), library).flip is False
    with pytest.raises(SettingError, match="directions is 'odd'"):
        in_directions(SETTINGS_AS_SET, "odd", stripes, library)


def test_a_mask_that_fits_nowhere_is_said_so() -> None:
    library, few = numbered_library([np.ones((300, 300), np.bool_)]), PlacementSettings(tries=2)
    with pytest.raises(MaskError, match="no mask of the library fits"):
        new_masks(pictures(1, 50, 60), library, ANYWHERE, few, 1, 0)
    for name in ("avoid", "allowed"):
        ground = replace(ANYWHERE, **{name: torch.ones(1, 40, 60)})
        with pytest.raises(MaskError, match=f"{name} is 60 x 40"):
            new_masks(pictures(1, 50, 60), library, ground, few, 1, 0)
    with pytest.raises(SettingError, match="part is 'odd'"):
        new_masks(pictures(1, 50, 60), library, PlacingArea("odd"), few, 1, 0)  # type: ignore[arg-type]
