from __future__ import annotations

import numpy as np
import pytest

from bgdefect_core.pictures.masks import Mask
from bgdefect_core.placement.library import MaskLibrary, numbered_library
from bgdefect_core.placement.surroundings import surroundings_of
from bgdefect_core.quality import ClassProfile, Quality, QualityLimits, judge
from bgdefect_core.quality.effects import Effects
from bgdefect_core.quality.known import KnownSquare
from bgdefect_core.quality.profile import Reached
from bgdefect_core.quality.properties import one_piece, roughness, sharpness, solid
from bgdefect_core.quality.shown import Shown, Signature, directions_of, shown
from trainer.drawing.weaves import PITCHES, weave, woven_defect

DARKER = np.full((1, 3), -(3**-0.5), np.float32)
SIDE = 128


def flat() -> tuple[np.ndarray, Mask]:
    mask = np.zeros((40, 40), np.bool_)
    mask[15:25, 15:25] = True
    return np.full((40, 40, 3), 0.5, np.float32), mask


def test_strength_counts_towards_the_defect_alone() -> None:
    normal, mask = flat()
    signature = Signature(DARKER, 0.0)
    painted = normal.copy()
    painted[mask] -= 0.2
    view = shown(painted, normal, mask, signature)
    assert view.strength == pytest.approx(0.2, abs=1e-6)
    assert view.contrast == pytest.approx(0.2 * 255, rel=1e-4)  # the ring is even
    assert shown(2 * normal - painted, normal, mask, signature).strength == 0  # lighter
    both_ways = Signature(np.concatenate([DARKER, -DARKER]), 0.0)
    assert shown(2 * normal - painted, normal, mask, both_ways).strength > 0.19
    red = normal.copy()
    red[mask, 0] += 0.3  # a third of a gray change of 0.3, along white
    towards_white = shown(red, normal, mask, Signature(-DARKER, 0.0))
    assert towards_white.strength == pytest.approx(0.1, abs=1e-6)


def test_smoothing_removes_what_is_finer_than_the_mask() -> None:
    normal, mask = flat()
    painted = normal.copy()
    painted[:, ::2] -= 0.2  # stripes, as a weave's other phase
    painted[:, 1::2] += 0.2
    assert shown(painted, normal, mask, Signature(DARKER, 0.0)).strength > 0.19
    assert shown(painted, normal, mask, Signature(DARKER, 0.5)).strength < 0.01


def test_directions_are_one_or_two() -> None:
    dark = [np.array([-0.2, -0.2, -0.2])] * 4
    light = np.array([0.3, 0.3, 0.3])
    assert np.allclose(directions_of(dark), DARKER)
    assert np.allclose(directions_of([*dark, light]), np.concatenate([-DARKER, DARKER]))
    assert np.allclose(directions_of([*dark, *dark, light * 0.1]), DARKER)  # a ninth is a stray


def test_a_weave_painted_anew_is_no_defect() -> None:
    passed = anew = count = 0
    for kind in ("speck", "thread"):
        for pitch in PITCHES:
            rng = np.random.default_rng(1)
            drawn = [woven_defect(SIDE, pitch, kind, rng) for _ in range(20)]
            surroundings = [surroundings_of(defect.picture, defect.mask) for defect in drawn]
            masks = [defect.mask for defect in drawn]
            known = numbered_library(masks[:5], surroundings[:5])
            profile = ClassProfile.from_library(known, SIDE, "defect")
            least = QualityLimits().of_class(profile)
            for defect in drawn[5:]:
                good, picture = defect.good / np.float32(255), defect.picture / np.float32(255)
                other = weave(SIDE, pitch, rng, (rng.random(), rng.random()))
                repainted = np.where(defect.mask[..., None], other[..., None], good)
                passed += reaches(profile.view(picture, good, defect.mask), least)
                anew += reaches(profile.view(repainted, good, defect.mask), least)
                count += 1
    assert passed >= 0.9 * count
    assert anew <= 0.05 * count


def reaches(view: Shown | None, least: tuple[float, float, float]) -> bool:
    assert view is not None
    figures = (view.strength, view.contrast, view.mean)
    return all(figure >= limit for figure, limit in zip(figures, least, strict=True))


def faint(depth: float, count: int) -> MaskLibrary:
    """Dark squares of 8 pixels on noise of 0.01."""
    rng = np.random.default_rng(0)
    masks, surroundings = [], []
    for _ in range(count):
        mask = np.zeros((64, 64), np.bool_)
        mask[28:36, 28:36] = True
        gray = 0.6 + rng.normal(0, 0.01, (64, 64)) - depth * mask
        pixels = np.rint(255 * gray).astype(np.uint8)
        picture = np.repeat(pixels[..., None], 3, axis=2)
        masks.append(mask)
        surroundings.append(surroundings_of(picture, mask))
    return numbered_library(masks, surroundings)


def test_limits_follow_from_the_class() -> None:
    strong = ClassProfile.from_library(faint(0.4, 6), 64, "defect")
    weak = ClassProfile.from_library(faint(0.05, 6), 64, "defect")
    limits = QualityLimits()
    assert limits.of_class(weak)[0] < 0.05 < 0.2 < limits.of_class(strong)[0] < 0.4
    assert QualityLimits(class_share=0).of_class(strong) == (0.08, 0.95, -1)
    few = ClassProfile.from_library(faint(0.4, 2), 64, "defect")
    assert few.known == 2 and limits.of_class(few) == (0.08, 0.95, -1)
    assert few.signature is not None  # the direction is known all the same
    none = ClassProfile.from_library(numbered_library([np.ones((3, 3), np.bool_)]), 64, "defect")
    assert none.known == 0 and none.view(*flat_pair()) is None


def flat_pair() -> tuple[np.ndarray, np.ndarray, Mask]:
    normal, mask = flat()
    return normal, normal, mask


def test_properties_of_the_visible_defect() -> None:
    normal, mask = flat()
    painted = normal.copy()
    painted[mask] -= 0.4
    signature = Signature(DARKER, 0.0)
    whole = shown(painted, normal, mask, signature)
    assert one_piece(whole) == 1 and solid(whole) == 1
    painted[19:21] = 0.5  # 20 of 100 pixels: two equal halves
    assert one_piece(shown(painted, normal, mask, signature)) == 0.5
    painted = normal.copy()
    painted[mask] -= 0.4
    painted[18:20, 18:20] = 0.5
    holed = shown(painted, normal, mask, signature)
    assert solid(holed) == pytest.approx(0.96) and one_piece(holed) == 1
    assert sharpness(holed) > sharpness(whole) and roughness(holed) > roughness(whole)
    texture = np.random.default_rng(0).normal(0, 0.1, (*mask.shape, 1)).astype(np.float32)
    covered = shown(
        np.where(mask[..., None], painted, normal + texture), normal + texture, mask, signature
    )
    assert roughness(covered) < sharpness(covered)  # an even defect on a rough ground is not rough


def test_a_property_counts_where_nearly_all_real_defects_share_it() -> None:
    even = ClassProfile.from_library(faint(0.4, 6), 64, "defect")
    assert set(even.properties) == {"one_piece", "solid", "sharpness", "roughness"}
    assert ClassProfile.from_library(faint(0.4, 4), 64, "defect").properties == {}  # too few
    varied = ClassProfile.of([known_square(number % 2 == 0) for number in range(6)])
    assert "one_piece" not in varied.properties  # half of them are in two pieces
    assert "solid" in varied.properties


def known_square(in_pieces: bool) -> KnownSquare:
    normal, mask = flat()
    painted = normal.copy()
    painted[mask] -= 0.4
    if in_pieces:
        painted[18:22] = 0.5
    return KnownSquare(painted, normal, mask)


GOOD = Quality(0.4, 5.0, 0.5, 100.0, 0.0, 35.0)


def test_the_verdict_asks_for_what_real_defects_share() -> None:
    effects = Effects(((1, -1),) * 5)
    profile = ClassProfile(5, effects=effects)
    cut = Quality(0.4, 5.0, 0.5, 100.0, 0.0, 35.0, dark_areas=1, light_areas=-2)
    bite = Quality(0.4, 5.0, 0.5, 100.0, 0.0, 35.0, dark_areas=0, light_areas=0)
    assert judge(cut, profile=profile).good
    verdict = judge(bite, profile=profile)
    assert not verdict.good and verdict.reason.endswith("dark areas more, light areas fewer")
    assert judge(bite, QualityLimits(shared=False), profile=profile).good
    assert judge(GOOD, profile=profile).good  # not two-toned: no effect is known

    in_pieces = Quality(0.4, 5.0, 0.5, 100.0, 0.0, 35.0, one_piece=0.4)
    shares = ClassProfile(5, properties={"one_piece": Reached(0.95, 1.0)})
    assert judge(in_pieces, profile=shares).reason == "defect in pieces"
    too_sharp = Quality(0.4, 5.0, 0.5, 100.0, 0.0, 35.0, sharpness=0.9, roughness=0.9)
    shares = ClassProfile(
        5, properties={"sharpness": Reached(0.2, 0.3), "roughness": Reached(0.2, 0.3)}
    )
    assert not judge(too_sharp, profile=shares).good
