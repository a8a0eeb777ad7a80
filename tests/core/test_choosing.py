from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from bgdefect_core.pictures.masks import Mask
from bgdefect_core.pictures.picture import Picture, Pixels
from bgdefect_core.placement.choice import PairChoice
from bgdefect_core.placement.choosing import Chooser
from bgdefect_core.placement.coarse import CoarsePicture, CoarseTemplates, Grid
from bgdefect_core.placement.exemplar import Exemplar
from bgdefect_core.placement.library import MaskLibrary, numbered_library
from bgdefect_core.placement.matching import Fits, Matcher
from bgdefect_core.placement.placing import Placed
from bgdefect_core.placement.rounds import weighted_round
from bgdefect_core.placement.settings import PlacementSettings
from bgdefect_core.placement.surroundings import surroundings_of
from bgdefect_core.placement.variation import Change
from bgdefect_core.quality.effects import effects_of
from bgdefect_core.quality.place_effect import place_with_effect, shows_effect

EXACT = PlacementSettings(rotate=0, scale=(1, 1), flip=False, elastic=0, variations=1)
SIZE = (96, 128)


def board(*traces: int) -> Pixels:
    """White traces, 12 pixels wide, from these rows on; black ground."""
    picture = np.zeros((*SIZE, 3), np.uint8)
    for row in traces:
        picture[row : row + 12] = 255
    return picture


def box(top: int, left: int, height: int, width: int) -> Mask:
    mask = np.zeros(SIZE, np.bool_)
    mask[top : top + height, left : left + width] = True
    return mask


def library(*defects: tuple[Pixels, Mask, int]) -> MaskLibrary:
    """Masks with their surroundings, each defect painted in a gray."""
    masks, surroundings = [], []
    for good, mask, gray in defects:
        damaged = good.copy()
        damaged[mask] = gray
        masks.append(mask)
        surroundings.append(surroundings_of(damaged, mask))
    return numbered_library(masks, surroundings)


def gap_library() -> MaskLibrary:
    """A gap in a trace."""
    return library((board(40), box(40, 60, 12, 8), 0))


class Pictures:
    """Good pictures in memory."""

    def __init__(self, pictures: Sequence[Pixels], unusable: Sequence[int] = ()) -> None:
        self._pictures = pictures
        self._unusable = unusable

    def __len__(self) -> int:
        return len(self._pictures)

    def unusable(self, number: int) -> str:
        return "out of focus" if number in self._unusable else ""

    def shape(self, number: int) -> tuple[int, int]:
        height, width, _ = self._pictures[number].shape
        return height, width

    def coarse(self, number: int, grid: Grid) -> CoarsePicture:
        return CoarsePicture(self._pictures[number], np.ones(self.shape(number), np.bool_), grid)


def anywhere(pair: int, mask: int, picture: int) -> bool:
    return True


def chooser(
    masks: MaskLibrary,
    pictures: Pictures,
    fits: Fits = anywhere,
    seed: int = 0,
) -> Chooser:
    return Chooser(Matcher(masks, pictures, EXACT, seed, fits))


def few_traces() -> Pictures:
    """Every fourth of 24 boards has a trace."""
    pictures = []
    for number in range(24):
        pictures.append(board(10 + 3 * number) if number % 4 == 0 else board())
    return Pictures(pictures)


def test_a_gap_takes_the_boards_that_have_a_trace() -> None:
    choices = chooser(gap_library(), few_traces())
    drawn = [choices[pair] for pair in range(6)]
    assert [choice.picture % 4 for choice in drawn] == [0] * 6
    assert all(1 <= choice.looked <= EXACT.candidates for choice in drawn)
    assert max(choice.looked for choice in drawn) > 1


def test_pictures_are_used_evenly_within_the_bound() -> None:
    choices = chooser(gap_library(), few_traces())
    for pair in range(60):
        assert choices[pair].mask == 0
        assert choices.uses.max() <= 2 * (pair + 1) / 24 + 1
    assert choices.uses.sum() == 60


def test_a_mask_that_fits_anywhere_takes_the_first_picture() -> None:
    rng = np.random.default_rng(0)
    pictures = []
    for _ in range(20):
        pictures.append(rng.normal(120, 6, (*SIZE, 1)).clip(0, 255).astype(np.uint8).repeat(3, 2))
    pits = library((pictures[0], box(40, 40, 8, 8), 30))
    choices = chooser(pits, Pictures(pictures[1:]))
    assert [choices[pair].looked for pair in range(15)] == [1] * 15
    assert (choices.uses > 0).sum() >= 9 and choices.uses.max() <= 2


def test_choices_follow_from_the_seed_and_go_on_where_they_were_left() -> None:
    masks = library(
        (board(40), box(40, 60, 12, 8), 0),
        (board(40), box(47, 30, 8, 8), 255),
        (board(40), box(20, 30, 6, 6), 255),
    )
    whole = chooser(masks, few_traces())
    expected = [whole[pair] for pair in range(14)]
    assert len({choice.mask for choice in expected[:3]}) == 3  # each mask once a round
    resumed = chooser(masks, few_traces())
    lines = [json.dumps(choice.as_json()) for choice in expected[:5]]
    resumed.restore([PairChoice.from_json(json.loads(line)) for line in lines])
    assert [resumed[pair] for pair in range(14)] == expected
    other = chooser(masks, few_traces(), seed=1)
    assert [other[pair] for pair in range(14)] != expected


def test_a_mask_without_contrast_is_left_out() -> None:
    """The ring of a bridge across a hair's breadth of ground shows copper alone."""
    flat = np.full((*SIZE, 3), 255, np.uint8)
    masks = library((board(40), box(40, 60, 12, 8), 0), (flat, box(20, 20, 10, 10), 255))
    choices = chooser(masks, few_traces())
    assert choices.without_contrast == ["1"]
    assert {choices[pair].mask for pair in range(6)} == {0}
    alone = chooser(library((flat, box(20, 20, 10, 10), 255)), few_traces())
    assert alone.without_contrast == [] and alone[0].mask == 0


def test_a_picture_that_cannot_be_used_is_named_and_never_chosen() -> None:
    pictures = Pictures([board(20), board(40), board(60)], unusable=[1])
    choices = chooser(gap_library(), pictures)
    assert 1 not in {choices[pair].picture for pair in range(12)}
    assert choices.unusable == {1: "out of focus"}
    resumed = chooser(gap_library(), pictures)
    resumed.restore(choices.choices[:6])
    assert [resumed[pair] for pair in range(12)] == choices.choices


def test_a_picture_that_no_mask_fits_is_tried_no_more() -> None:
    pictures = Pictures([board(20), board(41), board(62)])
    choices = chooser(gap_library(), pictures, lambda pair, mask, picture: picture != 2)
    drawn = [choices[pair] for pair in range(20)]
    assert {choice.picture for choice in drawn} == {0, 1}
    assert all(miss == (2, 0) for choice in drawn for miss in choice.missed)
    assert choices.unusable in ({}, {2: "none of 3 masks fits on it"})


def test_where_nothing_fits_the_pair_has_no_mask() -> None:
    choices = chooser(gap_library(), few_traces(), lambda pair, mask, picture: False)
    assert choices[0].mask is None and len(choices[0].missed) == EXACT.candidates
    assert choices.uses.sum() == 0
    nothing = chooser(gap_library(), Pictures([board(), board()], unusable=[0, 1]))
    assert nothing[0].mask is None and nothing[3].mask is None


def test_masks_of_unknown_surroundings_take_any_picture() -> None:
    masks = numbered_library([box(40, 60, 12, 8)])
    choices = chooser(masks, few_traces())
    drawn = [choices[pair] for pair in range(24)]
    assert all(choice.difference is None and choice.mask == 0 for choice in drawn)
    assert len({choice.picture for choice in drawn}) >= 12


# --- the coarse look
# ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize(("top", "left"), [(40, 52), (43, 50), (38, 57)])
def test_the_coarse_look_finds_the_place_that_was_cut_out(
    top: int, left: int, colours: int
) -> None:
    """Without contrast: the picture is its own "before"."""
    noise = np.random.default_rng(2).standard_normal((*SIZE, colours))
    smooth = 128 + 800 * ndimage.gaussian_filter(noise, (6, 6, 0))
    picture = smooth.clip(0, 255).astype(np.uint8).repeat(3 // colours, 2)
    around = surroundings_of(picture, box(top, left, 12, 16))
    around = replace(around, before=around.colours, contrast=0, change=0)
    templates = CoarseTemplates(np.ones((12, 16), np.bool_), around, [Change(0, 1, False, 0, 0)])
    places = templates.places(CoarsePicture(picture, np.ones(SIZE, np.bool_), Grid(SIZE, 3, 6)))
    best = int(places.differences[0].argmin())
    cells = np.array(divmod(best, places.differences.shape[2]))
    middle = places.centres[0] + cells * places.cell
    assert np.abs(middle - (top + 5.5, left + 7.5)).max() <= places.cell / 2
    assert places.least < 1e-3


def test_the_coarse_difference_by_hand() -> None:
    """White ring around a black defect, on gray 0.4: over the ring 0.6 squared, and half of that
    under the mask, which was white; its difference from the defect, 0.4 squared, falls short of
    half the real one's by 0.34, which counts twice."""
    white, gray = np.full((*SIZE, 3), 255, np.uint8), np.full((*SIZE, 3), 102, np.uint8)
    mask = box(40, 40, 16, 16)
    white[mask] = 0
    around = surroundings_of(white, mask)
    templates = CoarseTemplates(np.ones((16, 16), np.bool_), around, [Change(0, 1, False, 0, 0)])
    grid = Grid(SIZE, 1, around.reach + 1)
    places = templates.places(CoarsePicture(gray, np.ones(SIZE, np.bool_), grid))
    inner = places.differences[0, 30:60, 30:60]
    np.testing.assert_allclose(inner, 1.5 * 0.36 + 2 * (0.5 - 0.16), atol=2e-3)


def test_no_coarse_place_lies_off_the_part() -> None:
    picture, part = board(40), box(0, 0, 96, 64)
    around = gap_library().masks[0].surroundings
    assert around is not None
    templates = CoarseTemplates(np.ones((12, 8), np.bool_), around, [Change(0, 1, False, 0, 0)])
    places = templates.places(CoarsePicture(picture, part, templates.grid(SIZE)))
    columns = np.isfinite(places.differences[0]).any(axis=0)
    middles = places.centres[0, 1] + np.flatnonzero(columns) * places.cell
    assert middles.min() < 8 and 50 < middles.max() <= 64 - 8 / 2 + places.cell


def test_a_weighted_round_by_hand() -> None:
    """Of three draws at 1 : 1 : 4 the last mask takes two, the others one of the third each in
    half of the rounds."""
    first = 0
    for seed in range(400):
        drawn = weighted_round((1, 1, 4), np.random.default_rng(seed))
        assert len(drawn) == 3 and drawn.count(2) == 2
        first += drawn.count(0)
    assert 160 < first < 240
    even = weighted_round((2.5,) * 7, np.random.default_rng(0))
    assert sorted(even) == list(range(7)) and even != sorted(even)


def four_pits() -> tuple[MaskLibrary, Pictures]:
    """Four masks of unknown surroundings, which take any of eight pictures."""
    masks = [box(10, 10, 4 + number, 6) for number in range(4)]
    return numbered_library(masks), Pictures([board(10) for _ in range(8)])


def test_masks_are_drawn_as_often_as_their_frequencies_say() -> None:
    """At 1 : 1 : 4 : 2 and four draws a round: 0.5, 0.5, 2 and 1 a round."""
    masks, pictures = four_pits()

    def drawn(seed: int) -> list[int | None]:
        matcher = Matcher(masks, pictures, EXACT, seed, anywhere)
        choices = Chooser(matcher, (1, 1, 4, 2))
        return [choices[pair].mask for pair in range(80)]

    counts = np.bincount(np.array(drawn(0), int), minlength=4)
    assert counts[2] == 40 and counts[3] == 20 and counts[0] + counts[1] == 20
    assert min(counts[:2]) >= 3  # variety remains
    assert drawn(0) == drawn(0) != drawn(1)


def test_a_frequent_mask_that_fits_nowhere_gives_way_to_others() -> None:
    masks, pictures = four_pits()
    matcher = Matcher(masks, pictures, EXACT, 0, lambda pair, mask, picture: mask != 2)
    choices = Chooser(matcher, (1, 1, 9, 1))
    drawn = {choices[pair].mask for pair in range(12)}
    assert drawn == {0, 1, 3}


def test_without_frequencies_the_order_is_that_of_plain_permutations() -> None:
    """What a run drew before there were frequencies: one permutation a round."""
    masks, pictures = four_pits()
    choices = chooser(masks, pictures, seed=5)
    for turn in range(3):
        order = np.random.default_rng((5, turn, 1)).permutation(4).tolist()
        assert [choices[4 * turn + place].mask for place in range(4)] == order


def test_a_picture_where_the_defect_does_what_real_ones_do_comes_first() -> None:
    """Of like boards alone the one that suits is taken; where none suits, one that fits is."""
    boards = Pictures([board(40)] * 6)
    suited = Chooser(
        Matcher(gap_library(), boards, EXACT, 0, anywhere, lambda *place: place[2] == 4)
    )
    assert suited[0].picture == 4
    unsuited = Chooser(Matcher(gap_library(), boards, EXACT, 0, anywhere, lambda *place: False))
    choice = unsuited[0]
    assert choice.mask == 0 and not choice.missed and choice.looked == 6


def test_a_mask_that_suits_comes_before_one_that_only_fits() -> None:
    masks = library(*[(board(40), box(40, 40 + 9 * number, 12, 8), 0) for number in range(4)])
    boards = Pictures([board(40)] * 3)
    matcher = Matcher(masks, boards, EXACT, 0, anywhere, lambda *place: place[1] in (1, 3))
    choices = Chooser(matcher)
    assert {choices[pair].mask for pair in range(8)} <= {1, 3}


def test_a_place_shows_the_effect_where_the_gap_cuts_the_trace() -> None:
    masks = library(*[(board(40), box(40, 50 + 4 * number, 12, 6), 0) for number in range(5)])
    effects = effects_of(masks)
    assert effects.known and effects.in_words() == "dark areas fewer, light areas more"
    good = Picture(board(40), 255)

    def at(top: int) -> Placed:
        colours = np.zeros((12, 6, 3), np.float32)
        exemplar = Exemplar(colours, np.ones((12, 6), np.bool_), top, 60, 0.0, 1.0, False)
        return Placed(box(top, 60, 12, 6), 0.0, exemplar)

    assert shows_effect(good, at(40), effects)
    assert not shows_effect(good, at(46), effects)  # a bite out of the trace's edge
    assert shows_effect(good, Placed(box(46, 60, 12, 6), 0.0, None), effects)  # cannot be told
    rough = Picture(np.random.default_rng(0).integers(0, 255, (*SIZE, 3)).astype(np.uint8), 255)
    assert shows_effect(rough, at(46), effects)

    tried: list[int] = []

    def placed_at(*tops: int | None) -> tuple[int | None, bool, int]:
        """Top of the place that is taken, whether it suits, and how many were drawn."""
        tried.clear()

        def draw(attempt: int) -> Placed | None:
            tried.append(attempt)
            top = tops[attempt]
            return None if top is None else at(top)

        place, suits = place_with_effect(draw, good, effects)
        return (None if place is None else int(np.argwhere(place.mask)[0, 0])), suits, len(tried)

    assert placed_at(46, 40) == (40, True, 2)
    assert placed_at(46, 47, 46, 40) == (46, False, 3)  # three places, then the first
    assert placed_at(46, None) == (46, False, 2) and placed_at(None) == (None, False, 1)
