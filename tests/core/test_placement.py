from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from bgdefect_core.errors import DataError, MaskError, SettingError
from bgdefect_core.placement.library import MaskLibrary, RealMask, numbered_library
from bgdefect_core.placement.part import part_kind, part_mask
from bgdefect_core.placement.placing import place_mask
from bgdefect_core.placement.settings import PlacementSettings
from bgdefect_core.placement.variation import vary_mask

STILL = PlacementSettings(rotate=0, scale=(1, 1), flip=False, elastic=0)
ELL = np.array([[1, 0], [1, 0], [1, 1]], np.bool_)
SHAPE = RealMask(ELL, "ell")


def disc(
    tray: int, part: int, ring: bool = False, size: tuple[int, int] = (120, 160)
) -> tuple[np.ndarray, np.ndarray]:
    row, column = np.mgrid[: size[0], : size[1]]
    radius = np.hypot(row - size[0] / 2, column - size[1] / 2)
    truth = (radius < 0.35 * size[0]) & ((radius > 0.15 * size[0]) | (not ring))
    light = 1 + 0.1 * (column / size[1] - 0.5)  # uneven
    noise = np.random.default_rng(0).normal(0, 4, (*size, 3))
    picture = np.where(truth, part, tray)[..., None] * light[..., None] + noise
    return np.clip(picture, 0, 255).astype(np.uint8), truth


def agreement(found: np.ndarray, truth: np.ndarray) -> float:
    return float((found & truth).sum() / (found | truth).sum())


@pytest.mark.parametrize(("tray", "part"), [(20, 180), (220, 80), (100, 160)])
@pytest.mark.parametrize("kind", ["auto", "object"])
def test_part_on_dark_and_light_trays(tray: int, part: int, kind: str) -> None:
    picture, truth = disc(tray, part)
    assert agreement(part_mask(picture, kind), truth) > 0.95  # type: ignore[arg-type]


def test_part_by_hue_alone() -> None:
    picture, truth = disc(100, 100)
    picture[truth] = np.array([160, 60, 80], np.uint8)
    assert agreement(part_mask(picture, "object"), truth) > 0.95


def test_large_pictures_and_the_bore_of_a_ring() -> None:
    picture, truth = disc(20, 180, ring=True, size=(1000, 1500))
    assert agreement(part_mask(picture, "object"), truth) > 0.97
    picture, truth = disc(20, 180)
    picture[55:65, 75:85] = (60, 120, 200)  # a dark spot on the part is no hole in it
    assert part_mask(picture, "object")[60, 80]


def test_specks_are_no_part() -> None:
    picture, truth = disc(20, 180)
    picture[5:8, 5:8] = 200
    assert not part_mask(picture, "object")[:10, :10].any()


def test_texture_is_everywhere() -> None:
    noise = np.random.default_rng(0).integers(60, 200, (100, 130, 3)).astype(np.uint8)
    smooth = np.repeat(
        ndimage.gaussian_filter(noise[..., 0].astype(float), 6)[..., None], 3, axis=2
    )
    smooth = ((smooth - smooth.min()) / np.ptp(smooth) * 255).astype(np.uint8)
    lines = np.zeros((100, 130, 3), np.uint8)
    lines[:, ::10] = lines[:, 1::10] = lines[:, 2::10] = 255
    slope = np.broadcast_to(
        np.linspace(0, 255, 130).astype(np.uint8)[None, :, None], (100, 130, 3)
    ).copy()
    for picture in (noise, smooth, lines, slope, np.full((100, 130, 3), 90, np.uint8)):
        assert part_mask(picture, "auto").all()
        assert part_mask(picture, "texture").all()
    assert part_mask(np.full((20, 20, 3), 90, np.uint8), "object").all()
    assert part_kind([noise, disc(20, 180)[0], disc(20, 180)[0]]) == "object"
    assert part_kind([noise, smooth, disc(20, 180)[0]]) == "texture"
    with pytest.raises(DataError):
        part_kind([])
    with pytest.raises(SettingError, match="kind"):
        part_mask(noise, "screw")  # type: ignore[arg-type]


def test_library() -> None:
    first, second = np.zeros((9, 9), np.bool_), np.zeros((5, 5), np.bool_)
    first[2:5, 3:5], second[1, 1] = ELL, True
    library = numbered_library([first, second])
    assert (library.patches[0] == ELL).all() and library.patches[1].shape == (1, 1)
    assert library.names == ["0", "1"]
    with pytest.raises(DataError, match="empty"):
        MaskLibrary([])
    with pytest.raises(MaskError):
        numbered_library([first & False])


@pytest.mark.parametrize(
    "values",
    [
        {"rotate": 181},
        {"scale": (0.0, 1.0)},
        {"scale": (1.2, 1.0)},
        {"elastic": float("nan")},
        {"tries": 0},
    ],
)
def test_settings_out_of_range(values: dict[str, object]) -> None:
    with pytest.raises(SettingError):
        PlacementSettings(**values)  # type: ignore[arg-type]


def test_neutral_variation_is_the_mask_itself() -> None:
    mask = np.random.default_rng(3).random((17, 24)) > 0.6
    mask[0, 0] = mask[-1, -1] = True
    assert np.array_equal(vary_mask(mask, np.random.default_rng(0), STILL).mask, mask)
    assert np.array_equal(vary_mask(np.pad(ELL, 5), np.random.default_rng(0), STILL).mask, ELL)


def test_flip_alone_gives_only_the_two_mirror_images() -> None:
    rng, settings = np.random.default_rng(0), PlacementSettings(rotate=0, scale=(1, 1), elastic=0)
    seen = {vary_mask(ELL, rng, settings).mask.tobytes() for _ in range(30)}
    assert seen == {ELL.tobytes(), ELL[:, ::-1].tobytes()}


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_scale_sets_area_and_size(scale: float) -> None:
    mask = np.zeros((50, 50), np.bool_)
    mask[5:25, 10:40] = True
    varied = vary_mask(
        mask, np.random.default_rng(0), PlacementSettings(0, (scale, scale), False, 0)
    ).mask
    assert abs(varied.sum() / (600 * scale**2) - 1) < 0.15
    assert abs(varied.shape[0] - 20 * scale) <= 2 and abs(varied.shape[1] - 30 * scale) <= 2


def test_a_thin_scratch_survives_turning_and_bending() -> None:
    scratch = np.ones((1, 60), np.bool_)
    rng, shapes = np.random.default_rng(0), set()
    for _ in range(60):
        varied = vary_mask(scratch, rng, PlacementSettings(scale=(0.7, 1.2))).mask
        shapes.add(varied.tobytes())
        assert 60 * 0.4 <= varied.sum() <= 60 * 2.2
        assert 60 * 0.6 <= np.hypot(*varied.shape) <= 60 * 1.4
        assert (
            varied.any(axis=0)[[0, -1]].all() and varied.any(axis=1)[[0, -1]].all()
        )  # cut to its box
    assert len(shapes) == 60
    assert vary_mask(np.ones((1, 1), np.bool_), rng, PlacementSettings(scale=(0.1, 0.1))).mask.any()


def test_exactly_the_valid_offsets_are_drawn_and_evenly() -> None:
    part = np.random.default_rng(1).random((14, 11)) > 0.2
    valid = [(i, j) for i in range(12) for j in range(10) if part[i : i + 3, j : j + 2][ELL].all()]
    assert 5 < len(valid) < 60
    rng, counts = np.random.default_rng(0), dict.fromkeys(valid, 0)
    for _ in range(100 * len(valid)):
        placed = place_mask(part, SHAPE, rng, STILL)
        assert placed is not None and placed.mask.shape == part.shape and placed.mask.sum() == 4
        rows, columns = np.nonzero(placed.mask)
        counts[int(rows.min()), int(columns.min())] += (
            1  # a KeyError is an offset that is not valid
        )
    assert min(counts.values()) > 50 and max(counts.values()) < 160


def test_the_only_place_is_found_and_none_is_none() -> None:
    part = np.zeros((301, 403), np.bool_)
    part[200:203, 77:79] = ELL
    placed = place_mask(part, SHAPE, np.random.default_rng(0), STILL)
    assert placed is not None and (placed.mask == part).all()
    part[202, 78] = False
    assert place_mask(part, SHAPE, np.random.default_rng(0), STILL) is None
    assert place_mask(np.ones((2, 9), np.bool_), SHAPE, np.random.default_rng(0), STILL) is None
    full = np.ones((3, 3), np.bool_)
    assert (
        place_mask(full, RealMask(full, "full"), np.random.default_rng(0), STILL) is None
    )  # a full mask is of no use
    assert place_mask(full & False, SHAPE, np.random.default_rng(0), STILL) is None


def test_placed_masks_stay_on_the_part_and_repeat_with_the_seed() -> None:
    _, part = disc(0, 255)
    disc_mask = np.hypot(*(np.mgrid[:15, :25] - np.array([7, 12])[:, None, None])) < 9
    blob = RealMask(disc_mask, "blob")
    for seed in range(10):
        placed = place_mask(part, blob, np.random.default_rng(seed))
        again = place_mask(part, blob, np.random.default_rng(seed))
        assert placed is not None and again is not None and (placed.mask == again.mask).all()
        assert placed.mask.any() and not (placed.mask & ~part).any()
