from __future__ import annotations

import numpy as np
import pytest

from bgdefect_core.pictures.masks import Mask
from bgdefect_core.placement.exemplar import exemplar_at
from bgdefect_core.placement.library import RealMask
from bgdefect_core.placement.likeness import Likeness
from bgdefect_core.placement.placing import Placed, place_mask
from bgdefect_core.placement.settings import PlacementSettings
from bgdefect_core.placement.surroundings import surroundings_of
from bgdefect_core.placement.variation import vary_mask

STILL = PlacementSettings(rotate=0, scale=(1, 1), flip=False, elastic=0)


def damaged() -> tuple[np.ndarray, Mask]:
    """Colours that differ at each pixel, and an L whose box begins at row 20, column 30."""
    picture = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    mask = np.zeros((60, 80), np.bool_)
    mask[20:26, 30:32] = mask[24:26, 30:38] = True
    return picture, mask


def placed(settings: PlacementSettings, seed: int = 0) -> Placed:
    picture, mask = damaged()
    place = place_mask(
        np.ones((60, 80), np.bool_),
        RealMask(mask[20:26, 30:38], "0", surroundings_of(picture, mask)),
        np.random.default_rng(seed),
        settings,
        Likeness(picture),
    )
    assert place is not None and place.exemplar is not None
    return place


def test_an_exemplar_that_is_not_varied_is_the_real_picture() -> None:
    picture, mask = damaged()
    place = placed(STILL)
    exemplar = place.exemplar
    assert exemplar is not None and place.difference is not None and place.difference >= 0
    assert (exemplar.angle, exemplar.scale, exemplar.flipped) == (0, 1, False)
    height, width = exemplar.mask.shape
    reach = (height - 6) // 2
    window = np.s_[20 - reach : 20 - reach + height, 30 - reach : 30 - reach + width]
    np.testing.assert_allclose(exemplar.colours, picture[window] / 255, atol=1e-6)
    np.testing.assert_array_equal(exemplar.mask, mask[window])


@pytest.mark.parametrize("seed", range(4))
def test_the_exemplar_lies_where_its_mask_lies(seed: int) -> None:
    place = placed(PlacementSettings(), seed)
    exemplar = place.exemplar
    assert exemplar is not None
    rows, columns = np.nonzero(exemplar.mask)
    assert place.mask[rows + exemplar.top, columns + exemplar.left].all()
    assert exemplar.mask.sum() == place.mask.sum()


def test_angle_and_mirror_say_how_the_pixels_moved() -> None:
    """Quarter turns alone: each exemplar is the mirrored real picture, turned by numpy."""
    picture, mask = damaged()
    settings = PlacementSettings(rotate=180, scale=(1, 1), flip=True, elastic=0)
    rng, around = np.random.default_rng(0), surroundings_of(picture, mask)
    compared = set()
    for _ in range(40):
        exemplar = exemplar_at(vary_mask(mask, rng, settings, around, square=True), 0, 0)
        assert exemplar is not None
        shape, colours = mask, picture
        if exemplar.flipped:
            shape, colours = shape[:, ::-1], colours[:, ::-1]
        turns = round(exemplar.angle / 90)
        shape, colours = np.rot90(shape, turns), np.rot90(colours, turns)
        rows, columns = np.nonzero(shape)
        inside = colours[rows, columns] / 255
        at = np.argwhere(exemplar.mask)
        np.testing.assert_allclose(exemplar.colours[at[:, 0], at[:, 1]], inside, atol=1e-6)
        compared.add((turns % 4, exemplar.flipped))
    assert len(compared) == 8


def test_pixels_beyond_the_real_picture_are_not_known() -> None:
    picture, mask = damaged()
    top = np.roll(mask, -20, axis=0)
    place = place_mask(
        np.ones((60, 80), np.bool_),
        RealMask(mask[20:26, 30:38], "0", surroundings_of(picture, top)),
        np.random.default_rng(0),
        STILL,
        Likeness(picture),
    )
    assert place is not None and place.exemplar is not None
    unknown = np.isnan(place.exemplar.colours).all(axis=2)
    reach = (len(unknown) - 6) // 2
    assert unknown[:reach].all() and not unknown[reach:].any()


def test_without_surroundings_there_is_no_exemplar() -> None:
    _, mask = damaged()
    place = place_mask(
        np.ones((60, 80), np.bool_), RealMask(mask, "0"), np.random.default_rng(0), STILL
    )
    assert place is not None and place.exemplar is None and place.difference is None
