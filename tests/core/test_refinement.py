from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bgdefect_core.errors import MaskError, SettingError
from bgdefect_core.method.attention_maps import MapRecorder
from bgdefect_core.method.refinement import LabelSettings, refine
from bgdefect_core.method.signals import SIGNALS, Evidence
from bgdefect_core.method.signals.attention import attention_heat
from bgdefect_core.method.signals.difference import difference_heat, with_covered

HEAT = np.array([[9, 9, 9, 9], [9, 4, 2, 9], [9, 1.9, 0, 9]], np.float32)
REQUESTED = np.zeros((3, 4), np.bool_)
REQUESTED[1:, 1:3] = True


def test_refine_by_hand() -> None:
    """The largest value inside the mask is 4 (what lies outside does not count): 4 and 2 reach half
    of it."""
    refined, heat = refine(HEAT, REQUESTED, 0.5, peak=100)
    assert refined.tolist() == [[False] * 4, [False, True, True, False], [False] * 4]
    assert heat.tolist() == [[0] * 4, [0, 1, 0.5, 0], [0, np.float32(1.9) / np.float32(4), 0, 0]]
    assert heat.dtype == np.float32 and refined.dtype == np.bool_
    assert HEAT.max() == 9  # the caller's map is left alone


@pytest.mark.parametrize(
    ("threshold", "pixels"), [(0, 4), (0.01, 3), (0.45, 3), (0.5, 2), (0.51, 1), (1, 1)]
)
def test_threshold_is_a_share_of_the_largest_value(threshold: float, pixels: int) -> None:
    refined, _ = refine(HEAT, REQUESTED, threshold, peak=100)
    assert refined.sum() == pixels and not (refined & ~REQUESTED).any()


def test_one_bright_spot_does_not_hide_the_rest() -> None:
    """A crack of 20 pixels at 1, a spot of one pixel at 10: the 95th percentile of the 21 values is
    1."""
    requested = np.zeros((3, 30), np.bool_)
    requested[1, 4:25] = True
    heat = requested.astype(np.float32)
    heat[1, 24] = 10
    refined, shown = refine(heat, requested, 0.3)
    assert np.array_equal(refined, requested) and shown.max() == 1
    assert refine(heat, requested, 0.3, peak=100)[0].sum() == 1


def test_a_speck_in_a_large_mask_is_kept() -> None:
    requested = np.zeros((20, 20), np.bool_)
    requested[2:18, 2:18] = True
    heat = np.zeros((20, 20), np.float32)
    heat[5, 5] = 0.2  # the 95th percentile is 0: the maximum counts
    assert refine(heat, requested, 0.3)[0].sum() == 1


def test_refined_mask_lies_within_the_requested_one_whatever_the_map() -> None:
    random = np.random.default_rng(0)
    for threshold in np.linspace(0, 1, 11):
        requested = random.random((20, 30)) < 0.3
        refined, heat = refine(
            random.random((20, 30)).astype(np.float32), requested, float(threshold)
        )
        assert refined.any() and not (refined & ~requested).any()
        assert heat.max() == 1 and heat.min() == 0 and (heat[~requested] == 0).all()


def test_map_without_signal() -> None:
    nothing = np.zeros_like(HEAT)
    refined, heat = refine(nothing, REQUESTED, 0.5)
    assert not refined.any() and not heat.any()
    assert np.array_equal(refine(nothing, REQUESTED, 0)[0], REQUESTED)


def test_refusals() -> None:
    for threshold in (-0.1, 1.1, float("nan")):
        with pytest.raises(SettingError, match="threshold is .*; expected 0 to 1"):
            refine(HEAT, REQUESTED, threshold)
    for mask in (REQUESTED & False, REQUESTED[1:], REQUESTED | True):
        with pytest.raises(MaskError):
            refine(HEAT, mask, 0.5)


def test_attention_heat_is_the_mean_of_the_resized_grids() -> None:
    recorder = MapRecorder([torch.tensor([1])])
    with pytest.raises(SettingError, match="at least 16 cells a side"):
        attention_heat(recorder, (4, 4))
    recorder.means = {(1, 2): torch.tensor([[[0.0, 1.0]]]), (1, 1): torch.tensor([[[0.5]]])}
    # bilinear from two cells to four: 0, 1/4, 3/4, 1; then the mean with 1/2
    expected = torch.tensor([0.25, 0.375, 0.625, 0.75]).expand(1, 3, 4)
    torch.testing.assert_close(attention_heat(recorder, (3, 4)), expected)


def test_recorder_keeps_a_running_mean() -> None:
    recorder = MapRecorder([torch.tensor([1])])
    for value in (1.0, 2.0, 6.0):
        recorder.add(torch.full((2, 6), value), (2, 3))
    recorder.add(torch.arange(4.0).expand(2, 4), (2, 2))
    assert torch.equal(recorder.means[2, 3], torch.full((2, 2, 3), 3.0))
    assert recorder.means[2, 2][0].tolist() == [[0, 1], [2, 3]]


def test_difference_heat_by_hand() -> None:
    normal = torch.zeros(1, 3, 5, 5)
    painted = normal.clone()
    painted[0, :, 2, 2] = torch.tensor([0.2, -0.9, 0.5])
    expected = torch.zeros(1, 5, 5)
    expected[0, 1:4, 1:4] = 0.9 / 2 / 9  # the largest channel, from -1..1 to 0..1, mean of 3 x 3
    torch.testing.assert_close(difference_heat(painted, normal), expected)
    torch.testing.assert_close(
        difference_heat(normal - 1, normal + 1), torch.ones(1, 5, 5)
    )  # the edges too
    assert difference_heat(normal.half() - 3, normal.half() + 3).max() == 1
    assert (
        difference_heat(normal + 1, normal + 1.5).max() == 0
    )  # white either way: overshoot is no change that a picture shows


def recorded(attention: torch.Tensor) -> MapRecorder:
    recorder = MapRecorder([torch.tensor([0])])
    recorder.means[2, 2] = attention
    return recorder


def test_a_crack_is_labelled_on_the_brick_as_on_the_joint() -> None:
    """Joints of 200, bricks of 100, a crack of 70 across both, other texture of 88 beside it: 30 of
    130 gray levels are below 0.3, but the whole way to the crack's tone; 12 of the 30 are not."""
    good = np.full((20, 60, 3), 100, np.uint8)
    good[:, 25:35] = 200
    result = good.copy()
    result[8:12, 10:50] = 70
    result[14:18, 10:20] = 88
    requested = np.zeros((20, 60), np.bool_)
    requested[6:19, 8:52] = True
    heat = np.abs(result.astype(np.float32) - good).max(axis=2) / 255
    plain, _ = refine(heat, requested, 0.3)
    assert np.array_equal(plain, (heat > 0.2))  # the joint alone
    raised = with_covered(heat, good, result, requested)
    assert (raised >= heat).all() and np.array_equal(raised[~requested], heat[~requested])
    label, _ = refine(raised, requested, 0.3)
    crack = (result == 70).all(axis=2)
    assert np.array_equal(label, crack)
    nothing = np.zeros_like(heat)
    assert with_covered(nothing, good, good, requested) is nothing


def test_signals_and_what_they_need() -> None:
    """By hand: flat attention 0.5, a change of 0.4 everywhere; the product is 0.2."""
    recorder = recorded(torch.full((1, 2, 2), 0.5))
    painted, normal = torch.full((1, 3, 2, 2), 0.4), torch.full((1, 3, 2, 2), -0.4)
    evidence = Evidence((2, 2), recorder, painted, normal)
    for name, value in (("attention", 0.5), ("difference", 0.4), ("product", 0.2)):
        heat = SIGNALS[name].heat(evidence)
        torch.testing.assert_close(heat, torch.full((1, 2, 2), value))
    lacking = {
        "attention": replace(evidence, recorder=None),
        "difference": replace(evidence, normal=None),
        "product": replace(evidence, painted=None),
        "likelihood": evidence,
    }
    for name, part in lacking.items():
        with pytest.raises(SettingError, match="supply it or choose another signal"):
            SIGNALS[name].heat(part)
    with pytest.raises(SettingError, match="no mask signal 'sum'"):
        SIGNALS.named("sum")


def test_thresholds_in_use() -> None:
    defaults = {name: signal.threshold_in_use(None) for name, signal in SIGNALS.items()}
    measured = {"attention": 0.5, "difference": 0.3, "product": 0.3, "likelihood": 0.1}
    assert measured.items() <= defaults.items()
    assert SIGNALS["difference"].threshold_in_use(0.0) == 0
    assert LabelSettings("attention").threshold_in_use == 0.5
    assert LabelSettings("attention", threshold=0.2).threshold_in_use == 0.2


def test_attention_needs_a_grid() -> None:
    assert [name for name, signal in SIGNALS.items() if signal.needs_attention] != []
    for signal in SIGNALS.values():
        signal.check_resolution(32, 2)
        if not signal.needs_attention:
            signal.check_resolution(24, 2)
            continue
        with pytest.raises(SettingError, match="resolution of 32"):
            signal.check_resolution(24, 2)
