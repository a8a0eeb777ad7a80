from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor

from bgdefect_core.method.loss import (
    LossWeights,
    NoisyBatch,
    disentanglement_loss,
    level_weights,
    matching_loss,
    naive_loss,
)
from bgdefect_core.method.predictor import unet_predictor
from bgdefect_core.method.regions import RegionPrompts
from bgdefect_core.method.schedule import NoiseSchedule, schedule_from_config

from .conftest import (
    SD_SCHEDULE,
    StandIn,
    boxes,
    make_prompts,
    random_tensor,
    sd_schedule,
    tiny_unet,
)

REGIONS = torch.cat([boxes(1, 16, 16, (3, 9, 2, 12)), boxes(1, 16, 16, (15, 16, 0, 1))])


def halves_written_out(
    predict: object, z_0: Tensor, t: Tensor, eps: Tensor, prompts: RegionPrompts, mask_weight: float
) -> Tensor:
    """Eq. 5-7 with products by m, one forward for each half."""
    m = REGIONS[:, None].float()
    alpha_t = predict.schedule.alphas_cumprod.float()[t].view(-1, 1, 1, 1)  # type: ignore[attr-defined]
    z_t = alpha_t.sqrt() * z_0 + (1 - alpha_t).sqrt() * eps
    z_t_m = alpha_t.sqrt() * (1 - m) * z_0 + (1 - alpha_t).sqrt() * (1 - m) * eps
    matching = m * eps - m * predict(z_t, t, prompts.defect_context(), REGIONS)  # type: ignore[operator]
    regularizer = (1 - m) * eps - (1 - m) * predict(z_t_m, t, prompts.background_context(), REGIONS)  # type: ignore[operator]
    squares = mask_weight * matching.square() + regularizer.square()
    if predict.schedule.prediction_type == "v_prediction":  # type: ignore[attr-defined]
        squares = squares / alpha_t
    return squares.mean()


@pytest.mark.parametrize(
    ("prediction_type", "mask_weight"), [("epsilon", 1.0), ("epsilon", 7.0), ("v_prediction", 1.0)]
)
def test_value_and_gradient_are_those_of_the_two_halves(
    prediction_type: Literal["epsilon", "v_prediction"], mask_weight: float, prompts: RegionPrompts
) -> None:
    unet = tiny_unet().requires_grad_(True)
    z_0, eps, t = (
        random_tensor(2, 4, 16, 16, seed=1),
        random_tensor(2, 4, 16, 16, seed=2),
        torch.tensor([40, 800]),
    )
    results = []
    with unet_predictor(unet, sd_schedule(prediction_type), cache_prompts=False) as predict:
        for batched in (True, False):
            unet.zero_grad()
            if batched:
                loss = disentanglement_loss(
                    predict,
                    NoisyBatch(z_0, REGIONS, t, eps),
                    prompts.training_context(),
                    LossWeights(mask_weight),
                )
            else:
                loss = halves_written_out(predict, z_0, t, eps, prompts, mask_weight)
            torch.autograd.backward(loss)
            results.append(
                (loss.detach(), {name: p.grad.clone() for name, p in unet.named_parameters()})
            )
    (ours, our_gradients), (expected, gradients) = results
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-6)
    assert len(gradients) == len(list(unet.parameters()))
    for name, gradient in gradients.items():
        scale = float(gradient.abs().max())
        assert (our_gradients[name] - gradient).abs().max() <= 1e-4 * scale + 1e-7, name
    assert sum(float(gradient.abs().max()) > 1e-4 for gradient in gradients.values()) > 0.8 * len(
        gradients
    )


def test_numbers_by_hand(prompts: RegionPrompts) -> None:
    """alpha = 0.64, two cells, the left one is the defect; the stand-in returns half of what it is
    fed."""
    predict = StandIn(lambda z, t, context, regions: 0.5 * z, NoiseSchedule(torch.tensor([0.64])))
    z_0 = torch.tensor([[[[1.0, 2.0]]]])
    eps = torch.tensor([[[[0.5, -1.0]]]])
    regions = torch.tensor([[[1, 0]]])
    t, context = torch.tensor([0]), prompts.training_context()
    # z_t = .8 z_0 + .6 eps = [1.1, 1.0]; left: .5 - .55 = -.05, right: -1 - .5 = -1.5
    assert disentanglement_loss(
        predict, NoisyBatch(z_0, regions, t, eps), context
    ).item() == pytest.approx((0.0025 + 2.25) / 2)
    weighted = disentanglement_loss(
        predict, NoisyBatch(z_0, regions, t, eps), context, LossWeights(100)
    )
    assert weighted.item() == pytest.approx((0.25 + 2.25) / 2)
    assert naive_loss(
        predict, NoisyBatch(z_0, regions, t, eps), prompts.defect_context()
    ).item() == pytest.approx((0.0025 + 2.25) / 2)
    matching = matching_loss(predict, NoisyBatch(z_0, regions, t, eps), prompts.defect_context())
    assert matching.item() == pytest.approx(0.0025 / 2)
    # v: eps = .8 v + .6 z_t with v = z_t / 2, so 1.0 z_t: left .5 - 1.1, right -1 - 1; the error of
    # v is that divided by .8
    predict.schedule = NoiseSchedule(torch.tensor([0.64]), "v_prediction")
    with_v = StandIn(lambda z, t, c, r: predict.schedule.to_eps(0.5 * z, z, 0.64), predict.schedule)
    loss = disentanglement_loss(with_v, NoisyBatch(z_0, regions, t, eps), context)
    assert loss.item() == pytest.approx((0.36 + 4.0) / 2 / 0.64)


def test_level_weights_by_hand() -> None:
    """alpha 0.9, 0.5, 0.1: SNR 9, 1, 1/9. The error of v is that of eps over sqrt(alpha); Min-SNR
    leaves levels up to gamma as they are for eps."""
    alphas, t = torch.tensor([0.9, 0.5, 0.1]), torch.tensor([2, 0, 1])
    eps, v = NoiseSchedule(alphas), NoiseSchedule(alphas, "v_prediction")
    assert level_weights(eps, t).tolist() == [1, 1, 1]
    assert level_weights(v, t).tolist() == pytest.approx([10, 1 / 0.9, 2])
    for schedule in (eps, v):
        assert level_weights(schedule, t, 3).tolist() == pytest.approx([1, 1 / 3, 1])
        assert level_weights(schedule, t, 0.5).tolist() == pytest.approx([1, 1 / 18, 0.5])


def test_min_snr_is_the_papers_weight_on_each_prediction() -> None:
    """Hang et al. 2023: min(SNR, gamma) on the error of x_0, min(SNR, gamma) / SNR on that of eps,
    min(SNR, gamma) / (SNR + 1) on that of v."""
    schedule, t = sd_schedule("v_prediction"), torch.tensor([5, 300, 700, 990])
    alpha = schedule.alphas_of(t)
    snr, gamma = alpha / (1 - alpha), 5.0
    weights = level_weights(schedule, t, gamma)
    torch.testing.assert_close(weights, snr.clamp_max(gamma) / snr)
    # eps_error^2 = alpha v_error^2 = SNR x_0_error^2
    torch.testing.assert_close(weights * alpha, snr.clamp_max(gamma) / (snr + 1))
    torch.testing.assert_close(weights * snr, snr.clamp_max(gamma))


def test_a_v_base_learns_all_levels_alike(prompts: RegionPrompts) -> None:
    """A network that is off by 0.1 in v has the loss 0.01 at every level, with zero terminal SNR,
    too; the naive and the matching loss follow it."""
    zero_terminal = {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True}
    schedule = schedule_from_config({**SD_SCHEDULE, **zero_terminal})
    z_0, eps = random_tensor(1, 4, 16, 16, seed=1), random_tensor(1, 4, 16, 16, seed=2)
    regions = boxes(1, 16, 16, (0, 16, 0, 16))  # all mask: z_t^m is not read
    for timestep in (0, 500, 900, 999):
        t = torch.tensor([timestep])
        alpha = schedule.alphas_of(t)

        def predict(z: Tensor, *_: object, alpha: Tensor = alpha) -> Tensor:
            v = alpha.sqrt() * eps - (1 - alpha).sqrt() * z_0 + 0.1
            return schedule.to_eps(v.repeat(len(z), 1, 1, 1), z, alpha)

        network = StandIn(predict, schedule)
        contexts = (prompts.training_context(), prompts.defect_context())
        for compute in (disentanglement_loss, naive_loss, matching_loss):
            context = contexts[compute is not disentanglement_loss]
            loss = compute(network, NoisyBatch(z_0, regions, t, eps), context)
            assert loss.item() == pytest.approx(0.01, rel=0.02)


def test_one_forward_of_twice_the_batch_with_the_defect_taken_out_of_the_second_half(
    prompts: RegionPrompts,
) -> None:
    seen: list[tuple[Tensor, Tensor]] = []

    def remember(z: Tensor, t: int, context: object, regions: Tensor) -> Tensor:
        seen.append((z, regions))
        return z * 0

    z_0, eps = random_tensor(2, 4, 16, 16, seed=1), random_tensor(2, 4, 16, 16, seed=2)
    disentanglement_loss(
        StandIn(remember),
        NoisyBatch(z_0, REGIONS, torch.tensor([1, 2]), eps),
        prompts.training_context(),
    )
    (z, regions), m = seen[0], REGIONS[:, None].expand(-1, 4, -1, -1) > 0
    assert len(seen) == 1 and z.shape[0] == 4
    assert torch.equal(regions, torch.cat([REGIONS, REGIONS]))
    assert (z[:2][m] != 0).all() and (z[2:][m] == 0).all()
    assert torch.equal(z[:2][~m], z[2:][~m])


def test_background_term_never_sees_the_defect() -> None:
    """What lies in the defect must not move the regularizer; with the naive loss it does."""
    unet, prompts = tiny_unet(), make_prompts()
    z_0, eps, t = (
        random_tensor(2, 4, 16, 16, seed=1),
        random_tensor(2, 4, 16, 16, seed=2),
        torch.tensor([40, 800]),
    )
    other = torch.where(REGIONS[:, None] > 0, z_0 + 3, z_0)
    with torch.no_grad(), unet_predictor(unet, sd_schedule()) as predict:
        regularizer = [
            disentanglement_loss(
                predict, NoisyBatch(z, REGIONS, t, eps), prompts.training_context(), LossWeights(0)
            )
            for z in (z_0, other)
        ]
        context = prompts.defect_context()
        naive = [naive_loss(predict, NoisyBatch(z, REGIONS, t, eps), context) for z in (z_0, other)]
    assert torch.equal(*regularizer)
    assert (naive[0] - naive[1]).abs() > 1e-3


def test_naive_loss_is_plain_noise_matching_under_c_1(prompts: RegionPrompts) -> None:
    z_0, eps, t = (
        random_tensor(2, 4, 16, 16, seed=1),
        random_tensor(2, 4, 16, 16, seed=2),
        torch.tensor([40, 800]),
    )
    with torch.no_grad(), unet_predictor(tiny_unet(), sd_schedule()) as predict:
        alpha_t = predict.schedule.alphas_cumprod.float()[t].view(-1, 1, 1, 1)
        z_t = alpha_t.sqrt() * z_0 + (1 - alpha_t).sqrt() * eps
        expected = (eps - predict(z_t, t, prompts.defect_context(), REGIONS)).square().mean()
        loss = naive_loss(predict, NoisyBatch(z_0, REGIONS, t, eps), prompts.defect_context())
        torch.testing.assert_close(loss, expected)


class _Recorder:
    """Predicts 0 and remembers what it was given."""

    schedule = sd_schedule("epsilon")

    def __call__(self, z: Tensor, t: Tensor, context: object, regions: Tensor) -> Tensor:
        self.z, self.regions = z, regions
        return torch.zeros_like(z)


def test_what_is_neither_defect_nor_background_is_not_learned(prompts: RegionPrompts) -> None:
    regions = REGIONS.clone()
    regions[:, 10:13, 4:9] = -1
    out = (regions < 0)[:, None].expand(-1, 4, -1, -1)
    z_0, eps = random_tensor(2, 4, 16, 16, seed=1), random_tensor(2, 4, 16, 16, seed=2)
    t, predict = torch.tensor([40, 800]), _Recorder()
    arguments = (predict, NoisyBatch(z_0, regions, t, eps))
    loss = disentanglement_loss(*arguments, prompts.training_context())  # type: ignore[arg-type]
    assert loss == pytest.approx(float(eps.masked_fill(out, 0).square().mean()))
    with_others, background = predict.z.chunk(2)
    assert (background[out] == 0).all() and (with_others[out] != 0).all()
    assert predict.regions.min() == 0 and predict.regions.max() == 1
    plain = naive_loss(*arguments, prompts.defect_context())  # type: ignore[arg-type]
    assert plain == pytest.approx(float(loss))
    inside = (regions > 0)[:, None].expand_as(eps)
    matching = matching_loss(*arguments, prompts.defect_context())  # type: ignore[arg-type]
    assert matching == pytest.approx(float(eps.masked_fill(~inside, 0).square().mean()))
