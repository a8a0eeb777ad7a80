"""Metrics against scikit-learn, against anomalib where it is installed, against rules written out
by hand; intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from bgdefect_core.errors import DataError
from trainer.evaluate.detectors.metrics import (
    METRICS,
    aupro,
    curve_metrics,
    detection_metrics,
    highest,
    image_score,
)
from trainer.evaluate.measures.distances import (
    cluster_diversity,
    frechet_distance,
    kernel_distance,
    mean_distance,
    pairwise,
)
from trainer.evaluate.measures.optional import ic_lpips
from trainer.evaluate.report.statistics import interval, paired
from trainer.evaluate.report.summary import summarise
from trainer.evaluate.rows import Row

sklearn_metrics = pytest.importorskip("sklearn.metrics")


def random_maps(
    seed: int, count: int = 6, side: int = 40, levels: int = 0
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Truths with a few regions (one picture good) and maps that know a little of them; ``levels``:
    so many values, with ties."""
    rng = np.random.default_rng(seed)
    truths, maps = [], []
    for number in range(count):
        truth = ndimage.gaussian_filter(rng.normal(size=(side, side)), 3) > (0.2 if number else 10)
        score = rng.random((side, side)) + 0.5 * truth
        maps.append((np.round(score * levels) / levels if levels else score).astype(np.float32))
        truths.append(truth)
    return truths, maps


def aupro_by_hand(truths: list[np.ndarray], maps: list[np.ndarray], limit: float = 0.3) -> float:
    """Every threshold in turn, every region on its own."""
    regions = []
    for number, truth in enumerate(truths):
        labels, count = ndimage.label(truth, np.ones((3, 3)))
        regions += [(number, labels == one) for one in range(1, count + 1)]
    good = np.concatenate([one[~truth] for one, truth in zip(maps, truths, strict=True)])
    rates, overlaps = [0.0], [0.0]
    for threshold in np.unique(np.concatenate([one.ravel() for one in maps]))[::-1]:
        rates.append(float((good >= threshold).mean()))
        overlaps.append(
            float(
                np.mean([(maps[number][region] >= threshold).mean() for number, region in regions])
            )
        )
    area = 0.0
    for x0, x1, y0, y1 in zip(rates, rates[1:], overlaps, overlaps[1:], strict=False):
        if x0 >= limit:
            break
        end = min(x1, limit)
        height = y0 + (y1 - y0) * (end - x0) / (x1 - x0) if x1 > x0 else y1
        area += (end - x0) * (y0 + height) / 2
    return area / limit


@pytest.mark.parametrize("levels", [0, 12])
def test_pixel_and_image_metrics_are_scikit_learns_to_a_millionth(levels: int) -> None:
    truths, maps = random_maps(1, levels=levels)
    figures = detection_metrics(truths, maps)
    truth, score = (np.concatenate([one.ravel() for one in some]) for some in (truths, maps))
    assert figures["pixel_auroc"] == pytest.approx(
        sklearn_metrics.roc_auc_score(truth, score), abs=1e-6
    )
    assert figures["pixel_ap"] == pytest.approx(
        sklearn_metrics.average_precision_score(truth, score), abs=1e-6
    )
    best = max(
        sklearn_metrics.f1_score(truth, score >= threshold)
        for threshold in np.unique(score)[:: 1 if levels else 97]
    )
    assert figures["pixel_f1max"] >= best - 1e-6
    if levels:
        assert figures["pixel_f1max"] == pytest.approx(best, abs=1e-6)
    defective, scores = [one.any() for one in truths], [image_score(one) for one in maps]
    assert figures["image_auroc"] == pytest.approx(
        sklearn_metrics.roc_auc_score(defective, scores), abs=1e-6
    )
    assert figures["image_ap"] == pytest.approx(
        sklearn_metrics.average_precision_score(defective, scores), abs=1e-6
    )


@pytest.mark.parametrize("levels", [9, 25])
def test_aupro_is_the_curve_written_out_threshold_by_threshold(levels: int) -> None:
    truths, maps = random_maps(2, levels=levels)
    assert aupro(truths, maps) == pytest.approx(aupro_by_hand(truths, maps), abs=1e-6)


@pytest.mark.parametrize(
    ("seed", "levels", "regions", "f1"),
    [
        (3, 0, 0.6658563613891602, 0.6510066986083984),
        (5, 0, 0.6818297505378723, 0.6847090721130371),
        (6, 12, 0.6578174233436584, 0.6350364685058594),
    ],
)
def test_aupro_and_f1_are_what_anomalib_2_7_gave(
    seed: int, levels: int, regions: float, f1: float
) -> None:
    truths, maps = random_maps(seed, levels=levels)
    assert aupro(truths, maps) == pytest.approx(regions, abs=1e-6)
    assert detection_metrics(truths, maps)["pixel_f1max"] == pytest.approx(f1, abs=1e-6)


def test_aupro_is_anomalibs_to_a_millionth_where_it_is_installed() -> None:
    anomalib = pytest.importorskip("anomalib.metrics.aupro", exc_type=(ImportError, RuntimeError))
    truths, maps = random_maps(3)
    metric = anomalib._AUPRO()
    metric.update(torch.from_numpy(np.stack(maps)), torch.from_numpy(np.stack(truths)).int())
    assert aupro(truths, maps) == pytest.approx(float(metric.compute()), abs=1e-6)


def test_the_truth_itself_scores_one_and_its_opposite_nothing() -> None:
    truths, _ = random_maps(4)
    perfect = detection_metrics(truths, [one.astype(np.float32) for one in truths])
    assert {name: round(perfect[name], 9) for name in METRICS} == dict.fromkeys(METRICS, 1.0)
    opposite = detection_metrics(truths, [1 - one.astype(np.float32) for one in truths])
    assert opposite["pixel_auroc"] == 0 and opposite["aupro"] == pytest.approx(0, abs=1e-9)


def test_metrics_are_not_defined_without_both_kinds() -> None:
    assert all(math.isnan(value) for value in curve_metrics(np.ones(4, bool), np.arange(4.0)))
    assert math.isnan(aupro([np.zeros((8, 8), bool)], [np.ones((8, 8), np.float32)]))


def test_a_pictures_score_is_its_best_window_of_21_pixels() -> None:
    found = np.zeros((64, 64), np.float32)
    found[30:37, 30:33] = 1
    assert image_score(found) == pytest.approx(21 / 21**2)
    assert image_score(np.ones((64, 64), np.float32)) == pytest.approx(1)
    spread, peak = np.full((64, 64), 0.1, np.float32), np.zeros((64, 64), np.float32)
    peak[9, 9] = 1  # the stronger maximum, the weaker mean
    truths = [np.zeros((64, 64), bool), np.eye(64, dtype=bool)]
    assert detection_metrics(truths, [spread, peak])["image_auroc"] == 0
    assert detection_metrics(truths, [spread, peak], highest)["image_auroc"] == 1


def test_the_interval_is_students_and_the_pairs_cancel_what_folds_differ_in() -> None:
    found = interval([1.0, 2.0, 3.0, math.nan])
    assert (found.mean, found.n) == (2.0, 3)
    assert found.high - found.mean == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    assert interval([5.0]).low is None and interval([]).n == 0
    real = {(0, 0, 0): 0.2, (0, 0, 1): 0.8, (1, 0, 0): 0.5}
    better = {run: value + 0.1 for run, value in real.items()} | {(1, 0, 7): 0.0}
    difference = paired(better, real)
    assert (
        difference.n == 3
        and difference.low == pytest.approx(0.1)
        and difference.high == pytest.approx(0.1)
    )


def test_the_summary_compares_with_real_only_and_with_the_ceiling() -> None:
    values = {"real": (0.2, 0.4), "all real": (0.6, 0.8), "ours only": (0.4, 0.6)}
    rows = [
        Row("detection", "o", "d", 0, 5, 0, seed, arm, "pixel_ap", value, 9, "", "")
        for arm, some in values.items()
        for seed, value in enumerate(some)
    ]
    found = {row.subject: row for row in summarise(rows)}
    assert found["real"].difference is None and found["real"].closed is None
    assert found["ours only"].difference == pytest.approx(0.2) and found[
        "ours only"
    ].closed == pytest.approx(0.5)
    assert found["all real"].closed is None and found["all real"].runs == 2


def test_the_frechet_distance_is_torchmetrics_and_zero_for_equal_sets() -> None:
    fid = pytest.importorskip("torchmetrics.image.fid")
    rng = np.random.default_rng(0)
    real, fake = (
        rng.normal(size=(200, 8)).astype(np.float32),
        (rng.normal(size=(150, 8)) * 1.5 + 0.3).astype(np.float32),
    )
    given = torch.nn.Identity()
    given.num_features = 8  # type: ignore[assignment]
    metric = fid.FrechetInceptionDistance(feature=given)
    metric.update(torch.from_numpy(real), real=True)
    metric.update(torch.from_numpy(fake), real=False)
    assert frechet_distance(real, fake) == pytest.approx(float(metric.compute()), rel=1e-4)
    assert frechet_distance(real, real) == pytest.approx(0, abs=1e-8)
    shifted = real + np.array([3, 0, 0, 0, 0, 0, 0, 4], np.float32)
    assert frechet_distance(real, shifted) == pytest.approx(25, rel=1e-4)
    with pytest.raises(DataError):
        frechet_distance(real[:1], fake)


def test_the_kernel_distance_follows_from_its_seed_and_is_small_for_equal_distributions() -> None:
    pytest.importorskip("torchmetrics")
    rng = np.random.default_rng(1)
    real, same, other = (rng.normal(shift, 1, (60, 6)).astype(np.float32) for shift in (0, 0, 1))
    state = torch.random.get_rng_state()
    assert kernel_distance(real, same, 3) == kernel_distance(real, same, 3)
    assert torch.equal(state, torch.random.get_rng_state())
    assert abs(kernel_distance(real, same, 3)[0]) < 0.1 * kernel_distance(real, other, 3)[0]


def test_the_kernel_distance_is_the_unbiased_one_written_out() -> None:
    pytest.importorskip("torchmetrics")
    rng = np.random.default_rng(5)
    real, fake = (
        rng.normal(0, 1, (12, 6)),
        rng.normal(0.3, 1, (12, 6)),
    )  # each subset holds them all

    def kernel(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return np.asarray((one @ other.T / 6 + 1) ** 3)

    def among(rows: np.ndarray) -> float:
        return float((kernel(rows, rows).sum() - np.trace(kernel(rows, rows))) / (12 * 11))

    expected = among(real) + among(fake) - 2 * float(kernel(real, fake).mean())
    assert kernel_distance(real, fake, 0)[0] == pytest.approx(expected, abs=1e-9)


def test_diversity_by_hand_and_copies_have_none() -> None:
    rows = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    distances = pairwise(rows, rows)
    assert mean_distance(distances) == pytest.approx((1 + 2 + 1) / 3)
    fakes = np.array([[1.0, 0.1], [1.0, -0.1], [0.1, 1.0]])
    found = cluster_diversity(pairwise(fakes, rows[:2]), pairwise(fakes, fakes))
    assert found == pytest.approx(
        1 - 0.99 / 1.01
    )  # the first two share a cluster, the third is alone
    corners = np.eye(4)
    assert (
        mean_distance(pairwise(corners, corners)) == 1
        and cluster_diversity(pairwise(corners, np.ones((1, 4))), 1 - corners) == 1
    )
    copies = np.repeat(rows, 4, axis=0)
    assert cluster_diversity(pairwise(copies, rows), pairwise(copies, copies)) == pytest.approx(
        0, abs=1e-12
    )


def test_ic_lpips_compares_within_clusters_alone_and_in_batches() -> None:
    calls = []

    def network(one: torch.Tensor, two: torch.Tensor) -> torch.Tensor:
        calls.append(len(one))
        return (one - two).abs().mean(dim=(1, 2, 3), keepdim=True)

    generator = torch.Generator().manual_seed(0)
    fakes, reals = (torch.rand(n, 3, 4, 4, generator=generator) for n in (20, 4))
    every, to_real = (
        (fakes[:, None] - others[None]).abs().mean(dim=(2, 3, 4)).numpy()
        for others in (fakes, reals)
    )
    assert ic_lpips(network, fakes, reals) == pytest.approx(
        cluster_diversity(to_real, every), rel=1e-5
    )
    nearest = to_real.argmin(1)
    within = sum(
        int((nearest == real).sum()) * (int((nearest == real).sum()) - 1) // 2 for real in range(4)
    )
    assert sum(calls) == 20 * 4 + within and len(calls) == -(-80 // 32) + -(-within // 32)
