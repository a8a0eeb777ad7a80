"""What thresholds and limits rest on: measured on drawn defects through the embedded base's VAE."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bgdefect_core.errors import SettingError
from bgdefect_core.method.refinement import PEAK
from bgdefect_core.method.signals import SIGNALS
from bgdefect_core.pictures.detail import DETAIL_GONE
from bgdefect_core.quality import QualityLimits
from trainer.lab.calibrate import (
    DETAILS,
    RULES,
    CalibrateConfig,
    calibrate,
    drawn_defects,
    grown,
    report,
)

IN_USE = (PEAK, SIGNALS["difference"].threshold)


def test_labels_of_a_few_drawn_defects() -> None:
    found = calibrate(CalibrateConfig(pictures=6, decoded=5, verdicts=0))
    assert (
        found.drawn.shape == (6, 2)
        and found.decoded.shape == (5, 2)
        and tuple(found.labels) == RULES
    )
    drawn = [one for one, _ in zip(drawn_defects(0, 128), range(6), strict=False)]
    shares = [one.mask.sum() / grown(one.mask).sum() for one in drawn[:5]]
    assert found.requested[0] == pytest.approx(
        np.mean(shares)
    )  # the truth lies within: its share is the IoU
    assert (
        min(found.labels[IN_USE]) > max(found.requested) + 0.1
    )  # labels are worth having, and the rule in use is a good one
    assert min(found.labels[IN_USE]) > max(found.labels[100.0, 0.5])
    first = np.abs(drawn[0].picture.astype(float) - drawn[0].good)[drawn[0].mask].max(axis=1) / 255
    assert found.drawn[0, 0] == pytest.approx(np.percentile(first, 95), abs=1e-6)
    assert (
        0.3 < np.median(found.decoded[:, 0] / found.drawn[:5, 0]) < 1.1
    )  # the VAE softens a defect, and keeps most of it
    again, other = (
        calibrate(CalibrateConfig(pictures=2, decoded=1, verdicts=0)),
        calibrate(CalibrateConfig(pictures=2, decoded=1, seed=1, verdicts=0)),
    )
    assert np.array_equal(again.drawn, found.drawn[:2]) and np.array_equal(
        again.decoded, found.decoded[:1]
    )
    assert not np.array_equal(again.drawn, other.drawn)
    lines = report(found).splitlines()
    shown = [
        strength >= QualityLimits().min_strength and contrast >= QualityLimits().min_contrast
        for strength, contrast in found.drawn
    ]
    assert lines[-2].startswith("| as drawn | 6 |") and lines[-2].endswith(
        f"| {np.mean(shown):.1%} |"
    )
    assert len(lines) == 3 + len(RULES) + 3 + len(DETAILS) + 1 + 4
    assert [line for line in lines if "(in use)" in line] == [
        f"| 0.3 of the change's 95th percentile (in use) | {found.labels[IN_USE][0]:.3f} | "
        f"{found.labels[IN_USE][1]:.3f} |",
        f"| 0.5 (in use) | {found.details[DETAIL_GONE][0]:.2f} | "
        f"{found.details[DETAIL_GONE][1]:.2f} |",
    ]


@pytest.mark.slow
def test_detail_of_the_good_picture_brings_a_decoded_defect_nearer_to_the_drawn_one() -> None:
    details = calibrate(CalibrateConfig(pictures=24, decoded=24, verdicts=0)).details
    on, around = details[DETAIL_GONE]
    assert on > details[0.0][0] + 0.5 and around > details[0.0][1] + 4
    assert on > max(details[0.1][0], details[math.inf][0])  # neither too little nor all of it


def test_the_limits_of_the_verdict_are_the_quantiles_of_drawn_defects() -> None:
    strength, contrast = calibrate(CalibrateConfig(decoded=1, verdicts=0)).drawn.T
    assert np.quantile(strength, 0.01) == pytest.approx(QualityLimits().min_strength, abs=0.005)
    assert np.quantile(contrast, 0.05) == pytest.approx(QualityLimits().min_contrast, abs=0.01)


def test_a_grown_mask_leaves_some_background() -> None:
    mask = np.zeros((20, 20), np.bool_)
    mask[10, 10] = True
    assert grown(mask).sum() == 25  # a diamond of radius 3
    nearly = ~mask
    assert np.array_equal(grown(nearly), nearly)


@pytest.mark.parametrize("wrong", [{"pictures": 0}, {"pictures": 3, "decoded": 4}, {"seed": -1}])
def test_numbers_out_of_range_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(SettingError, match="pictures|decoded|seed"):
        calibrate(CalibrateConfig(**wrong))
