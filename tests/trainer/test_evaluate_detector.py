"""The detector's parts: loss, crops, masks by area, synthetic defects, PatchCore, loss landscape;
planted generators."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from trainer.evaluate.detectors.arms.arm import Maker
from trainer.evaluate.detectors.arms.cut_paste import cut_paste, jittered
from trainer.evaluate.detectors.arms.perlin import perlin, perlin_blend, perlin_defect, texture
from trainer.evaluate.detectors.fit import draw_batch, fit, rate, score_detector
from trainer.evaluate.detectors.landscape import landscape, random_direction, top_eigenvalue
from trainer.evaluate.detectors.losses import LOSSES, dice_loss, focal_loss
from trainer.evaluate.detectors.networks import NETWORKS
from trainer.evaluate.detectors.networks.draem import SegmentationNet
from trainer.evaluate.detectors.networks.network import probability_maps, seeded
from trainer.evaluate.detectors.pictures import Pair, squared, window
from trainer.evaluate.detectors.settings import DetectorSettings
from trainer.evaluate.detectors.training_data import ArmData, augmented, visible
from trainer.evaluate.measures import features
from trainer.evaluate.measures.realism import noise_samples

CPU = torch.device("cpu")
SETTINGS = DetectorSettings(
    network="draem", crop=32, width=4, detector_steps=48, detector_batch=8, detector_lr=1e-2
)


def small_net() -> torch.nn.Module:
    return seeded(NETWORKS["draem"], 2, 0).eval()


def ground(rng: np.random.Generator, side: int = 64) -> np.ndarray:
    return (120 + rng.normal(0, 8, (side, side, 3))).clip(0, 255).astype(np.uint8)


def dark_spot(rng: np.random.Generator, side: int = 64) -> Pair:
    """The "real" defect of these tests: a dark disc of radius 5."""
    picture, (y, x) = ground(rng, side), rng.integers(8, side - 8, 2)
    rows, columns = np.ogrid[:side, :side]
    mask = (rows - y) ** 2 + (columns - x) ** 2 <= 25
    picture[mask] = picture[mask] // 3
    return picture, mask


def test_the_focal_loss_by_hand() -> None:
    logits = torch.tensor([[[[0.0, 2.0]], [[0.0, 0.0]]]])
    truth = torch.tensor([[[True, False]]])
    p = 1 / (1 + math.exp(-2))
    expected = (0.25 * -math.log(0.5) + (1 - p) ** 2 * -math.log(p)) / 2
    assert float(focal_loss(logits, truth)) == pytest.approx(expected, rel=1e-6)
    perfect = torch.tensor([[[[-50.0, 50.0]], [[50.0, -50.0]]]])
    assert float(focal_loss(perfect, truth)) == pytest.approx(0, abs=1e-12)


def test_a_defect_crop_holds_the_defect_and_reaches_every_place() -> None:
    rng = np.random.default_rng(0)
    mask = np.zeros((48, 64), bool)
    mask[0, 0] = mask[47, 63] = True
    picture = np.zeros((48, 64, 3), np.uint8)
    assert all(window(picture, mask, 32, rng, True)[1].any() for _ in range(50))
    assert {window(picture, mask, 32, rng, False)[0].shape for _ in range(9)} == {(32, 32, 3)}


def test_masks_are_resized_by_area_and_small_defects_do_not_vanish() -> None:
    mask = np.zeros((64, 64), bool)
    mask[0:2, 0:2] = True  # one whole cell
    mask[10, 10] = mask[10, 11] = mask[11, 10] = True  # three quarters of one
    mask[20, 20] = True  # a quarter of one
    found = squared(np.zeros((64, 64, 3), np.uint8), mask, 32)[1]
    assert sorted(map(tuple, np.argwhere(found).tolist())) == [(0, 0), (5, 5)]
    alone = np.zeros((64, 64), bool)
    alone[20, 20] = True
    assert np.argwhere(squared(np.zeros((64, 64, 3), np.uint8), alone, 32)[1]).tolist() == [
        [10, 10]
    ]
    wide, narrow = np.zeros((40, 64, 3), np.uint8), np.zeros((40, 64), bool)
    wide[:, :32], narrow[10:20, 48:] = 200, True
    small, label = squared(wide, narrow, 32)
    assert (
        small[:, :12].min() > 190
        and small[:, 20:].max() < 10
        and label.sum() == 8 * 8
        and label[8:16, 24:].all()
    )  # nothing twice
    assert not squared(wide, None, 32)[1].any()


def test_synthetic_defects_change_only_their_mask_and_follow_from_their_generator() -> None:
    good, other = ground(np.random.default_rng(1)), ground(np.random.default_rng(2))
    for make in (
        lambda rng: cut_paste(good, other, rng),
        lambda rng: perlin_blend(good, other, rng),
    ):
        shares = []
        for seed in range(12):
            (picture, mask), (again, _) = (
                make(np.random.default_rng(seed)),
                make(np.random.default_rng(seed)),
            )
            assert np.array_equal(picture, again) and np.array_equal(picture[~mask], good[~mask])
            assert (picture[mask] != good[mask]).any()
            shares.append(mask.mean())
        assert 0 < min(shares) and max(shares) < 0.9
    noise = perlin(64, 64, (4, 4), np.random.default_rng(0))
    assert (
        np.abs(noise[::16, ::16]).max() < 1e-12 and 0.2 < np.abs(noise).max() <= 1.1
    )  # 0 at the lattice's own points


def test_augmentation_moves_the_mask_with_the_picture() -> None:
    picture, mask = np.full((32, 32, 3), 200, np.uint8), np.zeros((32, 32), bool)
    mask[3:9, 20:24] = True
    picture[mask] = 20
    for seed in range(16):
        turned, where = augmented((picture, mask), np.random.default_rng(seed))
        assert where.sum() == 24 and turned[where].mean() < turned[~where].mean() - 60


def test_arms_draw_what_they_are_made_of() -> None:
    black, white, gray = (np.full((32, 32, 3), value, np.uint8) for value in (0, 255, 128))
    mask = np.zeros((32, 32), bool)
    mask[5:9, 5:9] = True

    def values(arm: ArmData, share: float) -> dict[int, int]:
        draws = [arm.draw(32, share, 5, number) for number in range(200)]
        assert all(mask.any() == (picture[0, 0, 0] != 128) for picture, mask in draws)
        found = [int(picture[0, 0, 0]) for picture, _ in draws]
        return {value: found.count(value) for value in set(found)}

    both = ArmData([gray], [(black, mask)], [(white, mask)])
    assert set(values(both, 0.5)) == {0, 128, 255}
    assert set(values(both, 0.0)) == {0, 128} and set(
        values(ArmData([gray], [], [(white, mask)]), 0.0)
    ) == {128, 255}
    assert values(both, 0.25) == {128: 100, 0: 75, 255: 25}
    assert values(ArmData([gray], [(black, mask)]), 0.25) == {128: 100, 0: 100}


@pytest.mark.parametrize("maker", [cut_paste, perlin_defect])
def test_makers_paint_into_good_crops(maker: Maker) -> None:
    rng = np.random.default_rng(3)
    arm = ArmData([ground(rng) for _ in range(3)], [], maker=maker)
    shares = [arm.draw(32, 0.5, 0, number)[1].mean() for number in range(40)]
    assert 15 < sum(share > 0 for share in shares) <= 20  # every second draw


def test_arms_share_every_draw_that_they_have_in_common() -> None:
    rng = np.random.default_rng(6)
    good, spots = [ground(rng) for _ in range(5)], [dark_spot(rng) for _ in range(4)]
    makers = ArmData(good, spots, maker=cut_paste), ArmData(good, spots, maker=perlin_defect)
    real, samples, *_ = arms = (
        ArmData(good, spots),
        ArmData(good, spots, [dark_spot(rng) for _ in range(3)]),
        *makers,
    )
    draws = [[arm.draw(32, 0.5, 1, step) for step in range(80)] for arm in arms]
    for step in range(80):
        plain = draws[0][step]
        same = [
            np.array_equal(plain[0], some[step][0]) and np.array_equal(plain[1], some[step][1])
            for some in draws
        ]
        assert all(same) or (
            plain[1].any() and same == [True, False, False, False]
        )  # a good or a real one in all, else each its own
    again = real.draw(32, 0.5, 1, 2), samples.draw(32, 0.0, 1, 2)
    assert np.array_equal(again[0][0], again[1][0])


def test_cut_paste_takes_its_patch_from_another_picture_and_moves_its_colours() -> None:
    red, blue = (
        np.full((32, 32, 3), colour, np.uint8) for colour in ((200, 40, 40), (40, 40, 200))
    )
    arm = ArmData([red, blue], [], maker=cut_paste)
    for number in range(40):
        picture, mask = arm.draw(32, 0.5, 0, number)
        if mask.any():
            ground_is_red = picture[~mask][0, 0] == 200
            pasted = picture[mask].mean(axis=0)
            assert (pasted[2] > pasted[0]) == ground_is_red
    colours = [
        jittered(red[:4, :4], np.random.default_rng(seed))[0, 0].astype(int) for seed in range(20)
    ]
    assert (
        max(green - blue for _, green, blue in colours) > 40
        and min(green - blue for _, green, blue in colours) < -40
    )  # hue
    gray = np.full((4, 4, 3), 100, np.uint8)
    assert all(
        np.ptp(jittered(gray, np.random.default_rng(seed))[0, 0]) == 0 for seed in range(5)
    )  # gray has no hue


def test_perlin_blends_take_textures_that_no_good_picture_shows() -> None:
    black = [np.zeros((64, 64, 3), np.uint8)] * 3
    arm = ArmData(black, [], maker=perlin_defect)
    made = [pair for number in range(60) if (pair := arm.draw(64, 0.5, 0, number))[1].any()]
    large = [len(np.unique(picture[mask], axis=0)) for picture, mask in made if mask.sum() > 99]
    assert (
        len(large) > 10 and np.mean([colours > 1 for colours in large]) > 0.9
    )  # few drawn grounds are flat
    assert all(picture[mask].max() >= 10 and not picture[~mask].any() for picture, mask in made)
    crops = [texture(32, np.random.default_rng(seed)) for seed in range(8)]
    assert crops[0].shape == (32, 32, 3) and len({crop.tobytes() for crop in crops}) == 8
    assert np.array_equal(crops[0], texture(32, np.random.default_rng(0)))


def test_a_synthetic_defect_that_cannot_be_seen_is_drawn_again_or_not_labelled() -> None:
    good, mask = np.full((32, 32, 3), 100, np.uint8), np.zeros((32, 32), bool)
    mask[4:8, 4:8] = True
    for change, expected in ((9, False), (10, True)):
        picture = good.copy()
        picture[5, 5, 1] -= change
        assert visible(good, (picture, mask)) is expected
    assert not visible(good, (good, np.zeros_like(mask)))
    calls = []

    def third(good: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> Pair:
        calls.append(1)
        return np.where(mask[..., None], good + 50 * (len(calls) % 3 == 0), good).astype(
            np.uint8
        ), mask

    assert all(
        not found.any() or picture[found].min() == 150
        for picture, found in _draws(ArmData([good], [], maker=third))
    )
    unseen = _draws(ArmData([good], [], maker=lambda good, other, rng: (good, mask)))
    assert not any(found.any() for _, found in unseen)


def _draws(arm: ArmData) -> list[Pair]:
    return [arm.draw(32, 0.5, 0, number) for number in range(30)]


def test_a_perfect_generator_and_a_useless_one_come_out_at_the_two_ends() -> None:
    """Trained on real defects alone a detector finds others; trained on noise in real masks it does
    not."""
    rng = np.random.default_rng(7)
    good = [ground(rng) for _ in range(12)]
    test = [dark_spot(rng) for _ in range(8)] + [
        (ground(rng), np.zeros((64, 64), bool)) for _ in range(8)
    ]
    perfect = [dark_spot(rng) for _ in range(8)]
    noise = noise_samples(good, [mask for _, mask in perfect], 8, 0)
    useless = [(one.picture, one.label) for one in noise.samples]
    found = {}
    for name, samples in (("perfect", perfect), ("useless", useless)):
        net = fit(ArmData(good, [], samples), SETTINGS, 0, CPU)
        found[name], _ = score_detector(net, test)
    assert (
        found["perfect"]["pixel_ap"] > 0.9
        and found["perfect"]["aupro"] > 0.9
        and found["perfect"]["image_auroc"] > 0.95
    )
    assert (
        found["useless"]["pixel_ap"] < 0.8 * found["perfect"]["pixel_ap"]
    )  # noise is a poor likeness of a dark spot, not none
    for metric, value in found["perfect"].items():
        assert value >= found["useless"][metric], metric


@pytest.mark.parametrize("network", list(NETWORKS))
def test_the_same_seed_gives_the_same_detector(network: str) -> None:
    rng = np.random.default_rng(9)
    arm = ArmData([ground(rng)], [dark_spot(rng) for _ in range(3)])
    settings = DetectorSettings(
        network=network, crop=32, width=2, detector_steps=2, detector_batch=4
    )
    first, again, other = (fit(arm, settings, seed, CPU).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_the_pretrained_network_learns_a_spot_in_a_few_steps_and_its_encoder_moves() -> None:
    pytest.importorskip("efficientnet_lite_pytorch")
    rng = np.random.default_rng(5)
    arm = ArmData([ground(rng) for _ in range(4)], [dark_spot(rng) for _ in range(4)])
    settings = DetectorSettings(crop=64, detector_steps=12, detector_batch=8)
    net = fit(arm, settings, 0, CPU)
    fresh = seeded(NETWORKS["unet-lite0"], 0, 0)
    test = [dark_spot(rng) for _ in range(4)] + [(ground(rng), np.zeros((64, 64), bool))]
    assert score_detector(net, test)[0]["pixel_ap"] > 0.8
    assert score_detector(fresh, test)[0]["pixel_ap"] < 0.4
    trained, pretrained = net.state_dict(), fresh.state_dict()
    moved = {name for name in trained if not torch.equal(trained[name], pretrained[name])}
    weights = {name for name, _ in net.named_parameters()}
    statistics = {name for name in trained if name.startswith(("stem", "blocks"))} - weights
    assert weights <= moved and not statistics & moved  # fine-tuned whole, with fixed statistics
    maps = probability_maps(net, [picture for picture, _ in test])
    assert maps[0].shape == (64, 64) and 0 <= maps[0].min() and maps[0].max() <= 1


def test_pretrained_weights_learn_at_a_fifth_of_the_rate() -> None:
    pytest.importorskip("efficientnet_lite_pytorch")
    network = NETWORKS["unet-lite0"]
    net = seeded(network, 0, 0)
    fresh, pretrained = network.groups(net, 0.1)
    encoder = {id(weight) for part in (net.stem, net.blocks) for weight in part.parameters()}
    assert {id(weight) for weight in pretrained["params"]} == encoder
    assert len(fresh["params"]) + len(encoder) == len(list(net.parameters()))
    assert fresh["lr"] == 0.1 and pretrained["lr"] == pytest.approx(0.02)
    [whole] = NETWORKS["draem"].groups(seeded(NETWORKS["draem"], 2, 0), 0.1)
    assert whole["lr"] == 0.1


def test_the_shared_features_stay_as_they_are_when_a_detector_is_trained() -> None:
    pytest.importorskip("efficientnet_lite_pytorch")
    before = {name: tensor.clone() for name, tensor in features.network().state_dict().items()}
    rng = np.random.default_rng(5)
    arm = ArmData([ground(rng)], [dark_spot(rng)])
    fit(arm, DetectorSettings(crop=32, detector_steps=1, detector_batch=2), 0, CPU)
    for name, tensor in features.network().state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert not any(weight.requires_grad for weight in features.network().parameters())


def test_the_dice_loss_by_hand() -> None:
    logits = torch.tensor([[[[0.0, 0.0, 50.0]], [[0.0, 50.0, 0.0]]]])  # p = 1/2, 1, 0
    truth = torch.tensor([[[False, True, True]]])
    assert float(dice_loss(logits, truth)) == pytest.approx(1 - 3 / 4.5, rel=1e-6)
    both = LOSSES["focal+dice"].compute(logits, truth)
    assert float(both) == pytest.approx(float(focal_loss(logits, truth)) + 1 - 3 / 4.5, rel=1e-6)


def test_draws_are_balanced() -> None:
    """Of any number of draws in a row half are good, the share is synthetic, and each defect comes
    once before any comes again."""
    pictures = [np.full((32, 32, 3), value, np.uint8) for value in (0, 1, 2, 3, 200, 255)]
    mask = np.ones((32, 32), bool)
    arm = ArmData(
        pictures[5:], [(picture, mask) for picture in pictures[:4]], [(pictures[4], mask)]
    )

    def numbers(share: float) -> list[int]:
        drawn = []
        for number in range(80):
            drawn.append(int(arm.draw(32, share, 3, number)[0][0, 0, 0]))
        assert drawn[1::2] == [255] * 40
        return drawn[::2]

    real = numbers(0.0)
    laps = [sorted(real[lap : lap + 4]) for lap in range(0, 40, 4)]
    assert laps == [[0, 1, 2, 3]] * 10 and real[:4] != real[4:8]
    for share, synthetic in ((0.1, 4), (0.25, 10), (0.5, 20), (1.0, 40)):
        mixed = numbers(share)
        assert mixed.count(200) == synthetic
        for drawn, plain in zip(mixed, real, strict=True):
            assert drawn in (plain, 200)


def test_two_stages_learn_synthetic_defects_first_and_end_with_real_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shares = []

    def watched(*given: Any) -> tuple[torch.Tensor, torch.Tensor]:
        shares.append(given[3])
        return draw_batch(*given)

    monkeypatch.setattr("trainer.evaluate.detectors.fit.draw_batch", watched)
    rng = np.random.default_rng(2)
    arm = ArmData([ground(rng)], [dark_spot(rng)], [dark_spot(rng)])
    for schedule, expected in (("mixed", [0.3] * 4), ("two-stage", [1, 1, 0, 0])):
        shares.clear()
        settings = DetectorSettings(
            network="draem",
            crop=32,
            width=2,
            detector_steps=4,
            detector_batch=2,
            schedule=schedule,
            synthetic_share=0.3,
        )
        fit(arm, settings, 0, CPU)
        assert shares == expected


def test_the_learning_rate_rises_and_falls_to_nothing() -> None:
    factors = [rate(step / 100) for step in range(101)]
    assert factors[0] == 0 and factors[10] == 1 and factors[55] == pytest.approx(0.5)
    assert factors[100] == pytest.approx(0) and factors[5] == pytest.approx(0.5)


def test_the_landscapes_middle_is_the_net_itself_and_the_net_stays() -> None:
    net = small_net()
    before = [one.clone() for one in net.state_dict().values()]
    batches = [
        (
            torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1)),
            torch.zeros(2, 32, 32),
        )
    ]
    grid = landscape(net, batches, 3, seed=4)
    assert grid[1, 1] == pytest.approx(
        focal_loss(net(batches[0][0]), batches[0][1]).item(), rel=1e-6
    )
    assert all(
        torch.equal(one, two) for one, two in zip(before, net.state_dict().values(), strict=True)
    )
    moved = small_net()
    with torch.no_grad():
        for parameter, direction in zip(moved.parameters(), random_direction(net, 4), strict=True):
            parameter.add_(direction)
    assert grid[2, 1] == pytest.approx(
        focal_loss(moved(batches[0][0]), batches[0][1]).item(), rel=1e-5
    )


def test_the_top_eigenvalue_is_that_of_the_whole_hessian() -> None:
    class Small(SegmentationNet):
        """One convolution: its Hessian can be written out."""

        def __init__(self) -> None:
            torch.nn.Module.__init__(self)
            self.layer = torch.nn.Conv2d(3, 2, 1)

        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.layer(pictures)
            return found

    generator = torch.Generator().manual_seed(2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = Small()
    pictures = torch.rand(2, 3, 8, 8, generator=generator)
    truth = torch.rand(2, 8, 8, generator=generator) > 0.7

    def loss(flat: torch.Tensor) -> torch.Tensor:
        weight, bias = flat[:6].view(2, 3, 1, 1), flat[6:]
        return focal_loss(torch.nn.functional.conv2d(pictures, weight, bias), truth)

    flat = torch.cat([net.layer.weight.detach().flatten(), net.layer.bias.detach()])  # type: ignore[union-attr]
    values = torch.linalg.eigvalsh(torch.autograd.functional.hessian(loss, flat))
    for seed in (0, 1):
        assert top_eigenvalue(net, [(pictures, truth)], seed) == pytest.approx(
            float(values.max()), rel=1e-3
        )


def test_an_eigenvalue_that_is_not_found_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """A spectrum without a gap at its top, which one Lanczos run cannot resolve."""

    def dense(
        net: object, batches: object, parameters: list[torch.Tensor], vector: list[torch.Tensor]
    ) -> list[torch.Tensor]:
        return [one * torch.linspace(0, 1, one.numel()).view(one.shape) for one in vector]

    monkeypatch.setattr("trainer.evaluate.detectors.landscape._hessian_vector", dense)
    net = small_net()
    assert top_eigenvalue(net, [], 0, tolerance=1e-2) == pytest.approx(1, abs=0.02)
    monkeypatch.setattr("trainer.evaluate.detectors.landscape.RESTARTS", 1)
    assert top_eigenvalue(net, [], 0, tolerance=1e-12) is None
