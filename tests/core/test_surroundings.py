from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bgdefect_core.pictures.mask_files import pictures_beside, read_library
from bgdefect_core.pictures.masks import trimmed
from bgdefect_core.pictures.writing import write_mask, write_picture
from bgdefect_core.placement.library import RealMask
from bgdefect_core.placement.likeness import Likeness, template
from bgdefect_core.placement.placing import place_mask
from bgdefect_core.placement.search import Search
from bgdefect_core.placement.settings import PlacementSettings
from bgdefect_core.placement.surroundings import surroundings_of

EXACT = PlacementSettings(rotate=0, scale=(1, 1), flip=False, elastic=0)


def board(top: int, height: int = 12) -> np.ndarray:
    """Black, with one white trace from row ``top`` on."""
    picture = np.zeros((120, 160, 3), np.uint8)
    picture[top : top + height] = 255
    return picture


def box(
    top: int, left: int, height: int, width: int, shape: tuple[int, int] = (120, 160)
) -> np.ndarray:
    mask = np.zeros(shape, np.bool_)
    mask[top : top + height, left : left + width] = True
    return mask


def test_difference_by_hand() -> None:
    """The ring around one pixel: 4 at a distance of 1, beyond one of which the real picture had
    ended; under it 0.4 was seen, and 0.6 before the defect."""
    mask = box(1, 1, 1, 1, (3, 3))
    gray = np.array([[9, 0.5, 9], [np.nan, 0.4, 0.5], [9, 0.5, 9]], np.float32)
    before = np.where(mask, np.float32(0.6), gray)
    wanted = template(mask, gray[..., None], before[..., None], 1, 0.1, 0.2**2)
    np.testing.assert_allclose(wanted.near * 4, [[0, 1, 0], [1, 2, 1], [0, 1, 0]], atol=1e-6)
    contrast = 0.1**2
    assert wanted.under[1, 1] == wanted.under.sum() == 1 and wanted.known[1, 0] == 0
    picture = np.zeros((4, 5, 3), np.uint8)
    picture[1, 2], picture[2, 2] = 255, 102
    found = Likeness(picture).difference(wanted, np.array([[2, 2], [2, 0], [3, 4], [1, 2]]))
    # around (2, 2): white above, black below and at the right, under it the defect's own gray;
    # around (2, 0): the picture ends where it had; around (3, 4): it ends where it had not, at the
    # right and below, and does not where it had
    by_hand = [
        3 * 0.25 + contrast + 2 * 0.2**2 + 4 * 0.2**2,
        3 * 0.25 + 2 * 0.6**2,
        0.25 + 3 * contrast + 2 * 0.6**2,
        0.5**2 + 0.1**2 + 0.25 + contrast + 2 * 0.4**2,
    ]
    np.testing.assert_allclose(found, np.array(by_hand) / 4, atol=1e-5)


@pytest.mark.parametrize(("size", "length", "step"), [((90, 70), 24, 1), ((300, 400), 64, 2)])
def test_the_place_of_the_template_itself_differs_least(
    size: tuple[int, int], length: int, step: int
) -> None:
    """On a large mask too, whose surroundings are shrunk."""
    rng = np.random.default_rng(0)
    picture = (
        np.kron(rng.integers(0, 256, (size[0] // 10, size[1] // 10)), np.ones((10, 10)))[..., None]
        .repeat(3, 2)
        .astype(np.uint8)
    )
    top, left = 30, 24
    mask = box(top, left, length, length, size)
    around = surroundings_of(picture, mask)
    side = slice(around.margin - around.reach, around.reach - around.margin)
    wanted = template(
        np.pad(np.ones((length, length), np.bool_), around.reach),
        around.colours[side, side],
        around.before[side, side],
        around.reach,
        around.contrast,
        around.change,
    )
    around_mask = np.where(wanted.under > 0, 0, wanted.near)
    ring = replace(wanted, near=around_mask, contrast=0.0, change=0.0)
    corners = np.stack(
        np.mgrid[: size[0] - length : step, : size[1] - length : step], axis=-1
    ).reshape(-1, 2)
    found = Likeness(picture).difference(ring, corners)
    assert (
        tuple(corners[np.argmin(found)]) == (top, left) and found.min() < 5e-3
    )  # a pixel beside the mask is filled
    gray = np.pad(picture[..., 0] / 255.0, around.reach, constant_values=np.nan)
    compared = 0
    for number in range(0, len(corners), len(corners) // 50):
        row, column = corners[number]
        window = gray[row : row + wanted.near.shape[0], column : column + wanted.near.shape[1]]
        if np.isfinite(window).all():
            compared += 1
            assert found[number] == pytest.approx(
                (ring.near * (window - ring.before[..., 0]) ** 2).sum(),
                abs=1e-4 if step == 1 else 0.05,
            )
    assert compared >= 10


def placed_share(
    good: np.ndarray,
    damaged: np.ndarray,
    defect: np.ndarray,
    settings: PlacementSettings,
    known: bool,
) -> float:
    """Share of white under twelve placed masks."""
    patch = defect[np.ix_(defect.any(axis=1), defect.any(axis=0))]
    around, likeness = (surroundings_of(damaged, defect), Likeness(good)) if known else (None, None)
    shares = []
    for seed in range(12):
        placed = place_mask(
            np.ones(good.shape[:2], np.bool_),
            RealMask(patch, "0", around),
            np.random.default_rng(seed),
            settings,
            likeness,
        )
        assert placed is not None and placed.mask.any()
        shares.append(good[placed.mask][:, 0].mean() / 255)
    return float(np.mean(shares))


def test_a_gap_is_placed_in_a_trace() -> None:
    gap, good = box(30, 70, 12, 8), board(80)
    damaged = board(30)
    damaged[gap] = 0
    assert placed_share(good, damaged, gap, EXACT, known=True) > 0.9
    assert placed_share(good, damaged, gap, EXACT, known=False) < 0.4


@pytest.mark.parametrize("seed", range(6))
def test_a_gap_turns_with_its_trace_and_cuts_it(seed: int) -> None:
    """By defaults: turns by quarters at the real size are among what is compared, and fit better
    than a skew one."""
    gap, good = box(30, 70, 12, 8), np.rot90(board(80)).copy()
    damaged = board(30)
    damaged[gap] = 0
    everywhere, around = np.ones(good.shape[:2], np.bool_), surroundings_of(damaged, gap)
    placed = place_mask(
        everywhere,
        RealMask(gap[30:42, 70:78], "0", around),
        np.random.default_rng(seed),
        None,
        Likeness(good),
    )
    assert placed is not None
    trace = good[..., 0] > 0
    assert placed.mask[trace].sum() > 0.95 * placed.mask.sum()
    assert (placed.mask & trace).any(axis=0).sum() == 12
    fixed = place_mask(
        everywhere,
        RealMask(gap[30:42, 70:78], "0", around),
        np.random.default_rng(seed),
        EXACT,
        Likeness(good),
    )
    assert fixed is not None and np.array_equal(
        trimmed(fixed.mask), gap[30:42, 70:78]
    )  # may not be turned


def test_a_bridge_is_not_placed_on_a_trace() -> None:
    """The ring around a bridge between two traces is the ring around a piece of one trace that is
    as wide."""
    good = np.maximum(board(30, 30), board(72, 30))
    good[30:102, :40] = 0
    good[:, 100:112] = 255
    bridge, damaged = box(60, 60, 12, 12), np.maximum(board(30, 30), board(72, 30))
    damaged[bridge] = 255
    assert (
        placed_share(good, damaged, bridge, PlacementSettings(scale=(1, 1), elastic=0), known=True)
        < 0.2
    )


def placed_tops(top: int) -> np.ndarray:
    """First rows of the masks made of a dark pit whose box begins at row ``top``, on ground metal
    as even as it comes."""
    noise = np.random.default_rng(0)
    damaged, good = (
        noise.normal(120, 6, (96, 96, 1)).clip(0, 255).astype(np.uint8).repeat(3, 2)
        for _ in range(2)
    )
    pit = box(top, 40, 8, 8, (96, 96))
    damaged[pit] = 40
    patch, around, everywhere = (
        [np.ones((8, 8), np.bool_)],
        [surroundings_of(damaged, pit)],
        np.ones((96, 96), np.bool_),
    )
    likeness = Likeness(good)
    placed = [
        place_mask(
            everywhere,
            RealMask(patch[0], "0", around[0]),
            np.random.default_rng(seed),
            EXACT,
            likeness,
        )
        for seed in range(80)
    ]
    return np.array([np.flatnonzero(place.mask.any(axis=1))[0] for place in placed if place])


def test_on_even_ground_every_place_inside_is_as_likely() -> None:
    tops = placed_tops(40)
    assert (
        len(tops) == 80 and tops.min() >= 3 and tops.max() <= 96 - 8 - 3
    )  # the ring stays in the picture
    shares = np.histogram(tops, bins=4, range=(4, 84))[0] / 80
    assert (shares > 0.1).all() and (shares < 0.4).all()


def test_a_defect_that_the_border_cuts_is_placed_at_the_border() -> None:
    assert (placed_tops(0) == 0).all()


def test_contrast_by_hand() -> None:
    damaged = np.full((20, 20, 3), 204, np.uint8)
    defect = box(8, 8, 4, 4, (20, 20))
    damaged[defect] = 102
    around = surroundings_of(damaged, defect)
    assert around.contrast == pytest.approx(0.4, abs=1e-6) and around.light == pytest.approx(
        0.8, abs=1e-6
    )
    assert around.colour.tolist() == pytest.approx(
        [0.4], abs=1e-6
    ) and around.fullness == pytest.approx(1, abs=1e-6)


def painted(good: np.ndarray, mask: np.ndarray, value: int) -> np.ndarray:
    result = good.copy()
    result[mask] = value
    return result


def test_the_share_that_was_made_by_hand() -> None:
    good, defect = np.full((20, 20, 3), 204, np.uint8), box(8, 8, 4, 4, (20, 20))
    around = surroundings_of(painted(good, defect, 102), defect)
    assert around.share_made(good, painted(good, defect, 102), defect) == pytest.approx(1, abs=1e-6)
    assert around.share_made(good, good, defect) == 0
    assert around.share_made(good, painted(good, defect, 153), defect) == pytest.approx(
        0.5, abs=1e-6
    )  # half as dark
    assert around.share_made(good, painted(good, defect, 0), defect) == pytest.approx(
        1, abs=1e-6
    )  # darker than in life
    assert around.share_made(
        good, painted(good, box(8, 8, 4, 1, (20, 20)), 102), defect
    ) == pytest.approx(0.25, abs=1e-6)  # a quarter
    dark = np.full_like(good, 51)  # a quarter as light: the defect too
    assert around.share_made(dark, painted(dark, defect, 26), defect) == pytest.approx(1, abs=0.02)


def test_a_faint_defect_beside_the_tray_is_held_against_the_part() -> None:
    good, scratch = np.full((20, 20, 3), 204, np.uint8), box(8, 8, 4, 4, (20, 20))
    good[:, 12:] = 0
    around = surroundings_of(painted(good, scratch, 190), scratch)
    assert around.contrast > 0.7 and around.fullness > 0
    assert around.share_made(good, painted(good, scratch, 190), scratch) == pytest.approx(
        1 / around.fullness
    )
    assert around.share_made(good, painted(good, scratch, 202), scratch) < 0.2 / around.fullness


def test_a_bite_that_is_white_as_the_board_beside_it_has_to_show() -> None:
    good, bite = board(60, 60), box(50, 40, 12, 10)  # two of its rows are white already
    around = surroundings_of(painted(good, bite, 255), bite)
    assert around.fullness == pytest.approx(1, abs=1e-6)
    assert around.share_made(good, painted(good, bite, 255), bite) == pytest.approx(1, abs=1e-6)
    gray = np.maximum(good, painted(np.zeros_like(good), bite, 90))
    assert around.share_made(good, gray, bite) == pytest.approx(90 / 255, abs=1e-6)
    low = board(51, 60)  # of the mask one row alone is black: nothing to ask for
    assert around.share_made(low, low, bite) == 1


def test_a_loose_mask_asks_for_as_little_as_the_real_defect_fills() -> None:
    good, loose = np.full((40, 40, 3), 200, np.uint8), box(10, 10, 20, 20, (40, 40))
    crack = box(10, 18, 20, 4, (40, 40))  # a fifth of its mask
    around = surroundings_of(painted(good, crack, 0), loose)
    assert around.fullness == pytest.approx(0.2, abs=1e-6)
    assert around.share_made(good, painted(good, crack, 0), loose) == pytest.approx(1, abs=1e-6)
    assert around.share_made(
        good, painted(good, box(10, 18, 10, 4, (40, 40)), 0), loose
    ) == pytest.approx(0.5, abs=1e-6)


def test_a_thin_crack_is_held_against_its_dark_core() -> None:
    """A veil over the whole mask makes the change of the mean colour, and no crack."""
    good, loose = np.full((40, 40, 3), 200, np.uint8), box(10, 10, 20, 20, (40, 40))
    crack = box(10, 18, 20, 4, (40, 40))
    around = surroundings_of(painted(good, crack, 0), loose)
    assert around.core.tolist() == pytest.approx([0], abs=1e-6)
    assert around.share_made(good, painted(good, loose, 160), loose) == pytest.approx(
        0.2, abs=1e-6
    )  # 40 of the core's 200
    assert around.share_made(good, painted(good, crack, 100), loose) == pytest.approx(0.5, abs=1e-6)
    dim = np.full_like(good, 100)  # half the light
    assert around.share_made(dim, painted(dim, crack, 50), loose) == pytest.approx(0.5, abs=0.01)


def test_where_nothing_else_is_seen_nothing_is_asked_for() -> None:
    picture, everywhere = np.full((12, 12, 3), 50, np.uint8), np.ones((12, 12), np.bool_)
    everywhere[0, 0] = False
    around = surroundings_of(picture, everywhere)
    assert (
        around.fullness == 0 and around.share_made(picture, picture, box(2, 2, 3, 3, (12, 12))) == 1
    )


def test_places_are_moved_to_where_the_surroundings_fit() -> None:
    """A bite at the edge of the copper, which lies beside the borders of the coarse cells."""
    bitten, good, bite = board(60, 60), board(33, 60), box(52, 40, 8, 10)
    bitten[bite] = 255
    patch, around = np.ones((8, 10), np.bool_), surroundings_of(bitten, bite)
    tops = []
    for seed in range(12):
        settings = replace(EXACT, variations=1)
        placed = place_mask(
            np.ones((120, 160), np.bool_),
            RealMask(patch, "0", around),
            np.random.default_rng(seed),
            settings,
            Likeness(good),
        )
        assert placed is not None and placed.mask.sum() == 80
        tops.append(int(np.flatnonzero(placed.mask.any(axis=1))[0]))
    assert sum(top == 33 - 8 for top in tops) >= 10


def test_colours_that_are_equally_light_differ() -> None:
    """A red stain in a green stripe on blue ground; all three have the same mean."""
    red, green, blue = np.eye(3, dtype=np.uint8) * 180
    damaged, good = np.full((120, 160, 3), blue), np.full((120, 160, 3), blue)
    damaged[30:54], good[80:104] = green, green
    stain = box(38, 70, 8, 8)
    damaged[stain] = red
    around = surroundings_of(damaged, stain)
    assert around.colour.tolist() == pytest.approx(
        [180 / 255, 0, 0], abs=1e-6
    ) and around.fullness == pytest.approx(1, abs=1e-6)
    likeness = Likeness(good)
    for seed in range(12):
        settings = EXACT
        placed = place_mask(
            np.ones((120, 160), np.bool_),
            RealMask(np.ones((8, 8), np.bool_), "0", around),
            np.random.default_rng(seed),
            settings,
            likeness,
        )
        assert placed is not None and (good[placed.mask] == green).all()


def test_a_gray_picture_is_compared_in_one_channel_with_a_coloured_one() -> None:
    gray, stain = board(80), box(30, 70, 12, 8)
    assert surroundings_of(gray, stain).colours.shape[2] == 1
    tinted = gray.copy()
    tinted[0, 0] = (255, 0, 0)
    around = surroundings_of(gray, stain)
    mask = np.pad(np.ones((12, 8), np.bool_), around.margin)
    wanted = template(mask, around.colours, around.before, 3, 0.1, 0.1**2)
    assert wanted.known.all()
    corners = np.array([[40, 40], [76, 20], [90, 100]])
    np.testing.assert_allclose(
        Likeness(tinted).difference(wanted, corners),
        Likeness(gray).difference(wanted, corners),
        atol=1e-6,
    )


def test_the_library_finds_the_pictures_of_its_masks(tmp_path: Path) -> None:
    mask = box(30, 70, 12, 8)
    for name in ("000", "001"):
        write_mask(tmp_path / "ground_truth" / "open" / f"{name}_mask.png", mask)
    write_picture(tmp_path / "test" / "open" / "000.png", board(30))
    masks = tmp_path / "ground_truth" / "open"
    assert (
        pictures_beside(masks) == tmp_path / "test" / "open"
        and pictures_beside(masks.parent / "short") is None
    )
    assert pictures_beside(tmp_path / "test" / "open") is None
    first, second = read_library(masks, pictures=pictures_beside(masks)).masks
    assert second.surroundings is None and first.surroundings is not None
    colours = first.surroundings.colours
    np.testing.assert_array_equal(colours, surroundings_of(board(30), mask).colours)


def test_each_defect_of_a_picture_has_its_own_surroundings(tmp_path: Path) -> None:
    folder = tmp_path / "ground_truth" / "open"
    small, large = box(30, 20, 6, 8), box(30, 90, 12, 8)
    write_mask(folder / "000.png", small | large)
    write_picture(tmp_path / "test" / "open" / "000.png", board(30))
    library = read_library(folder, pictures=pictures_beside(folder))
    for real, mask in zip(library.masks, (large, small), strict=True):
        around = real.surroundings
        assert around is not None
        np.testing.assert_array_equal(around.colours, surroundings_of(board(30), mask).colours)


def bricks(shift: int) -> np.ndarray:
    """Dark bricks of 30 x 20 pixels with light joints of 6, moved by ``shift``."""
    rows, columns = np.mgrid[:120, :160] + shift
    joint = (rows % 26 < 6) | (columns % 36 < 6)
    return np.where(joint, 200, 90).astype(np.uint8)[..., None].repeat(3, 2)


@pytest.mark.parametrize("seed", range(4))
def test_a_crack_in_a_brick_does_not_hide_a_joint(seed: int) -> None:
    """The ring around a mask that covers a whole joint is brick, as around a crack in a brick."""
    damaged, good = bricks(0), bricks(11)
    crack = box(39, 48, 5, 20)
    damaged[crack] = 40
    around = surroundings_of(damaged, crack)
    placed = place_mask(
        np.ones(good.shape[:2], np.bool_),
        RealMask(np.ones((5, 20), np.bool_), "0", around),
        np.random.default_rng(seed),
        PlacementSettings(scale=(1, 1), elastic=0),
        Likeness(good),
    )
    assert placed is not None
    assert (good[placed.mask] == 90).mean() > 0.95


def test_before_a_defect_by_hand() -> None:
    """An even ground goes on under the defect; of two tones it was the other one."""
    pit = box(4, 4, 3, 3, (12, 12))
    ground = np.full((12, 12, 3), 102, np.uint8)
    around = surroundings_of(painted(ground, pit, 0), pit)
    ramp = np.add.outer(np.arange(12), np.zeros(12))[..., None].repeat(3, 2).astype(np.uint8)
    np.testing.assert_allclose(around.before[np.pad(np.ones((3, 3), bool), around.margin)], 0.4)
    assert around.change == pytest.approx(0.4**2)
    slope = surroundings_of(painted(10 * ramp, pit, 0), pit)
    inside = slope.before[slope.margin : slope.margin + 3, slope.margin]
    np.testing.assert_allclose(inside[:, 0] * 255, [40, 50, 60], atol=0.01)
    bite = box(2, 4, 4, 4, (12, 12))  # over the edge of a trace that begins at row 4
    trace = np.where(ramp >= 4, 255, 0).astype(np.uint8)
    bitten = surroundings_of(painted(trace, bite, 0), bite)
    under = np.pad(np.ones((4, 4), bool), bitten.margin)
    assert (bitten.before[under] == 1).all() and bitten.change == 1


def test_a_mask_that_is_larger_than_the_picture_is_placed_nowhere() -> None:
    """Also where other variations of it are small enough to be compared."""
    wide, small = box(40, 20, 12, 120), board(10)[:60, :60]
    damaged = board(30)
    damaged[wide] = 255
    around, everywhere = surroundings_of(damaged, wide), np.ones(small.shape[:2], np.bool_)
    patch = np.ones((12, 120), np.bool_)
    for settings in (EXACT, PlacementSettings(scale=(0.3, 1.0), rotate=90.0)):
        search = Search(patch, around, np.random.default_rng(0), settings)
        likeness = Likeness(small)
        for variation in search.variations():
            corners = np.zeros((0, 2), np.int64)
            assert variation.wanted is not None
            assert not likeness.difference(variation.wanted, corners).size
    placed = place_mask(
        everywhere, RealMask(patch, "0", around), np.random.default_rng(0), EXACT, Likeness(small)
    )
    assert placed is None


def test_other_defects_are_as_unknown_as_what_lies_beyond_the_picture() -> None:
    picture, mask = np.full((40, 40, 3), 100, np.uint8), box(16, 16, 6, 6, (40, 40))
    plain = surroundings_of(picture, mask)
    other = box(16, 23, 6, 4, (40, 40))
    picture[other] = 255
    around = surroundings_of(picture, mask, other | mask)
    assert np.isnan(around.colours).all(axis=2).sum() == 24
    known = np.isfinite(around.colours)
    np.testing.assert_array_equal(around.colours[known], plain.colours[known])
    assert around.contrast == plain.contrast < surroundings_of(picture, mask).contrast
