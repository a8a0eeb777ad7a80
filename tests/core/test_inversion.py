from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bgdefect_core.method.backgrounds import BACKGROUNDS
from bgdefect_core.method.inversion import invert
from bgdefect_core.method.predictor import unet_predictor
from bgdefect_core.method.regions import RegionPrompts, union
from bgdefect_core.method.schedule import NoiseSchedule

from .conftest import StandIn, as_bits, boxes, make_prompts, random_tensor, sd_schedule, tiny_unet

REGIONS = boxes(1, 16, 16, (3, 9, 2, 7), (10, 14, 9, 15))
Z_0 = random_tensor(1, 4, 16, 16, seed=5)


def test_numbers_by_hand(prompts: RegionPrompts) -> None:
    """From alpha = 0.64 to 0.36 with eps = 1/2: x_0 = (1 - .6 * .5) / .8 = .875; .6 * .875 + .8 *
    .5 = .925."""
    predict = StandIn(
        lambda z, t, context, regions: torch.full_like(z, 0.5),
        NoiseSchedule(torch.tensor([0.64, 0.36])),
    )
    z_0 = torch.tensor([[[[1.0, 1.0]]]])
    trajectory = invert(predict, z_0, torch.tensor([[[0, 1]]]), prompts, predict.schedule.levels(1))
    assert len(trajectory) == 2
    assert trajectory[0].flatten().tolist() == [1, 0]
    assert trajectory[1].flatten().tolist() == pytest.approx([0.925, 0])


def test_is_equation_8_written_out(prompts: RegionPrompts) -> None:
    prompts = make_prompts(2)
    levels = sd_schedule().levels(5)
    m = (REGIONS > 0)[:, None].float()
    with torch.no_grad(), unet_predictor(tiny_unet(), sd_schedule()) as predict:
        trajectory = invert(predict, Z_0, REGIONS, prompts, levels)
        z = (1 - m) * Z_0
        for level in range(5):
            before, after = levels.alphas[level], levels.alphas[level + 1]
            e = predict(z, levels.timesteps[level], prompts.background_context(), union(REGIONS))
            z = after**0.5 * (
                z / before**0.5 + (1 - m) * ((1 / after - 1) ** 0.5 - (1 / before - 1) ** 0.5) * e
            )
            torch.testing.assert_close(trajectory[level + 1], z, rtol=0, atol=1e-5)
    assert all((level[(m > 0).expand_as(level)] == 0).all() for level in trajectory)


def test_network_is_asked_at_the_level_that_is_left(prompts: RegionPrompts) -> None:
    predict = StandIn(lambda z, t, context, regions: 0 * z)
    seen: list[tuple[int, int, Tensor]] = []
    trajectory = invert(
        predict, Z_0, REGIONS, prompts, sd_schedule().levels(50), lambda *step: seen.append(step)
    )
    assert predict.timesteps == [0, *range(19, 980, 20)]
    assert [step[:2] for step in seen] == [(done, 50) for done in range(1, 51)]
    assert all(step[2] is level for step, level in zip(seen, trajectory[1:], strict=True))


def test_defect_of_the_picture_and_its_prompts_do_not_count() -> None:
    """The trajectory knows nothing of what lies in the mask, nor of C_def: bit for bit."""
    prompts, others = make_prompts(2), make_prompts(2, seed=100)
    others = RegionPrompts(
        others.background, make_prompts(2, seed=9).defects, others.placeholder, [[1], [1]]
    )
    inside = (REGIONS > 0)[:, None]
    levels = sd_schedule().levels(4)
    with unet_predictor(tiny_unet(), sd_schedule()) as predict:
        one = invert(predict, Z_0, REGIONS, prompts, levels)
        two = invert(predict, torch.where(inside, -7.0, Z_0), REGIONS, others, levels)
        three = invert(predict, torch.where(inside, Z_0, Z_0 + 1), REGIONS, prompts, levels)
    assert as_bits(one) == as_bits(two)
    assert as_bits(one) != as_bits(three)


@pytest.mark.parametrize(
    ("regions", "steps"),
    [(boxes(1, 8, 8), (10, 50, 200)), (boxes(1, 8, 8, (2, 4, 2, 5)), (10, 50))],
    ids=["empty mask", "box"],
)
def test_way_up_and_down_again_reproduces_the_latent_better_with_more_steps(
    regions: Tensor, steps: tuple[int, ...], prompts: RegionPrompts
) -> None:
    unet = tiny_unet()
    unet.conv_out.weight.mul_(0.03)  # a random network's field is far rougher than a trained one's
    errors = []
    with unet_predictor(unet, sd_schedule()) as predict:
        for levels in map(sd_schedule().levels, steps):
            trajectory = invert(predict, Z_0[..., :8, :8], regions, prompts, levels)
            masked = BACKGROUNDS["masked"]
            back = masked.from_trajectory(predict, trajectory, regions, prompts, levels)[0]
            errors.append(float((back - trajectory[0]).square().mean().sqrt()))
    assert all(fewer > 2 * more > 0 for fewer, more in zip(errors, errors[1:], strict=False)), (
        errors
    )
    assert errors[-1] < 0.01, errors
