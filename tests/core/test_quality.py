from __future__ import annotations

import math
from dataclasses import fields, replace

import numpy as np
import pytest

from bgdefect_core.errors import MaskError, PictureError, SettingError
from bgdefect_core.pictures.crop import Crop
from bgdefect_core.quality import (
    IDENTICAL_DB,
    Quality,
    QualityLimits,
    StitchedSample,
    Verdict,
    background_change,
    defect_contrast,
    defect_strength,
    judge,
    latent_background_psnr,
    mask_fill,
    measure,
)

GOOD = Quality(0.4, 5.0, 0.5, IDENTICAL_DB, 0.0, 35.0)


NUMBERS = [field.name for field in fields(QualityLimits) if field.name != "shared"]


@pytest.mark.parametrize("name", NUMBERS)
def test_limits_out_of_range_are_refused(name: str) -> None:
    for value in (-0.1, 1001.0, math.nan, math.inf):
        with pytest.raises(SettingError, match=f"{name} is {value:g}"):
            QualityLimits(**{name: value})
    assert getattr(QualityLimits(**{name: 0.0}), name) == 0


def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    mask = np.zeros((30, 30), np.bool_)
    mask[10:20, 10:20] = True
    normal = np.full((30, 30, 3), 0.5, np.float32)
    return normal.copy(), normal, mask


def test_strength_is_the_95th_percentile_of_the_strongest_channel() -> None:
    painted, normal, mask = scene()
    assert defect_strength(painted, normal, mask) == 0
    painted[10, 10:14, 2] = 0.9  # 4 of 100 pixels: not enough
    assert defect_strength(painted, normal, mask) == 0
    painted[10:12, 10:20, 2] = 0.1  # 20 of 100, one channel, darker
    assert math.isclose(defect_strength(painted, normal, mask), 0.4, rel_tol=1e-5)
    painted[~mask] = 1.0  # what happens outside is not the defect's
    assert math.isclose(defect_strength(painted, normal, mask), 0.4, rel_tol=1e-5)
    with pytest.raises(MaskError):
        defect_strength(painted, normal, mask & False)
    with pytest.raises(PictureError):
        defect_strength(painted[:20], normal, mask)


def test_contrast_is_over_the_rings_deviation() -> None:
    _, normal, mask = scene()
    assert math.isclose(
        defect_contrast(0.2, normal, mask), 0.2 * 255, rel_tol=1e-5
    )  # even ground: the floor of 1/255
    normal[::2, :, 1] = 0.7  # stripes of +-0.1 in one channel: deviation 0.1
    assert math.isclose(defect_contrast(0.2, normal, mask, ring_width=1), 2.0, rel_tol=0.02)
    far = normal.copy()
    far[:2] = 0.0
    assert defect_contrast(0.2, far, mask, 4) == defect_contrast(
        0.2, normal, mask, 4
    )  # beyond the ring
    inside = normal.copy()
    inside[mask] = 0.0
    assert defect_contrast(0.2, inside, mask, 4) == defect_contrast(0.2, normal, mask, 4)
    assert defect_contrast(0.2, normal, np.ones_like(mask)) > 0


def test_fill() -> None:
    requested = np.zeros((10, 10), np.bool_)
    requested[:4, :5] = True
    refined = np.zeros_like(requested)
    refined[3:, :] = True  # 5 of the 20, and much outside that does not count
    assert mask_fill(requested, refined) == 0.25
    assert mask_fill(requested, requested & False) == 0
    with pytest.raises(MaskError):
        mask_fill(requested & False, refined)
    with pytest.raises(MaskError):
        mask_fill(requested, refined[:5])


def test_background_by_hand() -> None:
    picture = np.full((10, 10, 3), 100, np.uint8)
    band = np.zeros((10, 10), np.bool_)
    band[:5] = True
    result = picture.copy()
    result[:5] = 250
    assert background_change(picture, result, band) == (IDENTICAL_DB, 0.0)
    result[7, 7, 0] = 70  # 30 darker in one of 150 values: mean square 900 / 150 = 6
    psnr, largest = background_change(picture, result, band)
    assert largest == 30 and math.isclose(psnr, 10 * math.log10(255**2 / 6))
    assert background_change(result, picture, band) == (psnr, largest)  # brighter counts as darker
    assert background_change(picture, result, np.ones_like(band)) == (IDENTICAL_DB, 0.0)
    with pytest.raises(PictureError):
        background_change(picture, result[:5], band)


def test_latent_background_by_hand() -> None:
    painted, normal, mask = scene()
    painted[mask] = 0
    assert latent_background_psnr(painted, normal, mask) == IDENTICAL_DB
    painted[~mask] += 0.01
    assert math.isclose(latent_background_psnr(painted, normal, mask), 40, abs_tol=1e-3)
    assert latent_background_psnr(painted, normal, np.ones_like(mask)) == IDENTICAL_DB


def test_all_figures_of_one_sample_by_hand() -> None:
    """A square of 20 pixels at (30, 20), looked at with 40: every pixel of the picture is 2 x 2 in
    the square."""
    picture = np.full((60, 50, 3), 128, np.uint8)
    requested, refined = np.zeros((60, 50), np.bool_), np.zeros((60, 50), np.bool_)
    requested[38:42, 26:34] = True
    refined[38:41, 26:34] = True
    result = picture.copy()
    result[36:44, 24:36] = 200  # within 3 pixels of the mask: the seam's own
    result[0, 0] = 131
    normal = np.full((40, 40, 3), 0.5, np.float32)
    normal[:, ::2] += 0.02  # deviation 0.01
    painted = normal.copy()
    painted[16:24, 12:28] += 0.3  # the mask in the square
    painted[12:28, 8:32] += 0.1  # and 4 pixels around it: the seam is 3 x 2 wide there
    painted[0] += 0.05
    crop = Crop(30, 20, 20)
    sample = StitchedSample(picture, result, requested, refined, painted, normal, crop, 3.0)
    found = measure(sample)
    assert found.strength == pytest.approx(0.4, abs=1e-6)
    assert found.contrast == pytest.approx(0.4 / 0.01, rel=1e-4)
    assert found.fill == 0.75
    outside = (
        60 * 50 - 8 * 12
    )  # nearer than 3: the box grown by 2, its corners too (their distance is 2.83)
    assert found.background_max == 3 and found.background_psnr == pytest.approx(
        -10 * math.log10((3 / 255) ** 2 / outside)
    )
    outside = 40 * 40 - (
        18 * 26 - 4 * 3
    )  # nearer than 6: the box grown by 5, without (4, 5), (5, 4), (5, 5) at each corner
    assert found.latent_background_psnr == pytest.approx(
        -10 * math.log10(0.05**2 * 40 / outside), abs=1e-4
    )
    hard = measure(replace(sample, feather=0.0))
    assert (
        hard.background_max == 72
        and hard.latent_background_psnr < found.latent_background_psnr
        and hard.strength == found.strength
    )


def test_a_good_sample_passes() -> None:
    assert judge(GOOD) == Verdict(True, "")


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("strength", 0.01, "no visible defect"),
        ("contrast", 0.1, "defect lost in its surroundings"),
        ("fill", 0.0, "label empty"),
        ("fill", 0.01, "label nearly empty"),
        ("background_psnr", 15.0, "background moved"),
        ("background_max", 256.0, "background moved in places"),
        ("latent_background_psnr", 10.0, "background not kept by the sampler"),
    ],
)
def test_each_reason(field: str, value: float, reason: str) -> None:
    assert judge(replace(GOOD, **{field: value})) == Verdict(False, reason)
    assert not judge(replace(GOOD, **{field: float("nan")})).good


def test_what_the_vae_loses_of_an_unstitched_square_is_no_moved_background() -> None:
    unstitched = replace(GOOD, background_psnr=27.0, background_max=90.0)
    assert judge(unstitched).good
    assert judge(unstitched, QualityLimits(min_background_psnr=40)).reason == "background moved"
    assert (
        judge(unstitched, QualityLimits(max_background_max=32)).reason
        == "background moved in places"
    )


def test_limits_move_the_verdict() -> None:
    assert judge(GOOD, QualityLimits(min_strength=0.5)).reason == "no visible defect"
    assert judge(GOOD, real_share=0.49).reason == "far less of it than in life"
    assert judge(GOOD, real_share=0.51).good
    assert judge(GOOD, QualityLimits(min_real_share=0), real_share=0.1).good
    assert judge(replace(GOOD, strength=0.01), QualityLimits(min_strength=0)).good
    assert judge(replace(GOOD, fill=0.0), QualityLimits(min_fill=0)).reason == "label empty"
