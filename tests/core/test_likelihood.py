from __future__ import annotations

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from bgdefect_core.errors import SettingError
from bgdefect_core.method.predictor import unet_predictor
from bgdefect_core.method.randomness import seeded_noise
from bgdefect_core.method.regions import Context, RegionPrompts
from bgdefect_core.method.signals.likelihood import LEVELS, likelihood_heat

from .conftest import StandIn, boxes, make_prompts, random_tensor, sd_schedule

CELLS = (4, 4)
REGIONS = boxes(1, *CELLS, (1, 3, 1, 3))


def noise_in(z_t: Tensor, z_0: Tensor, timestep: int) -> Tensor:
    """The very noise that ``z_t`` was made with."""
    alpha = float(sd_schedule().alphas_cumprod[timestep])
    return (z_t - alpha**0.5 * z_0) / (1 - alpha) ** 0.5


def test_the_gain_by_hand() -> None:
    """The defect's prediction is off by 1 where there is a region, the background's by 3, in one of
    four channels by 5: a gain of (3 * 9 + 25) / 4 - 1 = 12 in the region. Outside the defect's is
    off by 2, the background's not at all: -4, shown as 0."""
    prompts, z_0 = make_prompts(), random_tensor(1, 4, *CELLS, seed=3)
    c_2 = prompts.background_context()
    seen = []

    def predict(z_t: Tensor, timestep: int, context: Context, regions: Tensor) -> Tensor:
        inside = (REGIONS > 0)[:, None]
        seen.append((context is c_2, bool(regions.any())))
        if context is not c_2:
            error = torch.where((regions > 0)[:, None], 1.0, 2.0).expand_as(z_t)
        else:
            channel = torch.tensor([3.0, 3.0, 5.0, 3.0])[None, :, None, None]
            error = inside * channel
        return noise_in(z_t, z_0, timestep) + error

    network = StandIn(predict)
    heat = likelihood_heat(network, z_0, REGIONS, prompts, [5], CELLS)
    torch.testing.assert_close(heat, 12.0 * (REGIONS > 0), rtol=1e-4, atol=1e-4)
    assert heat.dtype == torch.float32
    assert set(seen) == {(True, False), (False, True)}  # C_2 sees no region, C_1 sees them
    assert network.evaluated == 2 * LEVELS and sorted(set(network.timesteps)) == [
        1 + 100 * level for level in range(1, LEVELS + 1)
    ]

    # to twice as many pixels, a row through the region: -4, 0, 8, 12, 12, 8, 0, -4; what is below 0
    # goes after resizing, not before
    row = likelihood_heat(network, z_0, REGIONS, prompts, [5], (8, 8))[0, 3]
    torch.testing.assert_close(
        row, torch.tensor([0.0, 0, 8, 12, 12, 8, 0, 0]), rtol=1e-4, atol=1e-4
    )


def test_a_network_that_ignores_the_prompt_has_no_signal() -> None:
    network = StandIn(lambda z_t, timestep, context, regions: 0.3 * z_t.roll(1, -1))
    heat = likelihood_heat(
        network,
        random_tensor(2, 4, *CELLS),
        REGIONS.expand(2, -1, -1),
        make_prompts(),
        [1, 2],
        (9, 7),
    )
    assert heat.shape == (2, 9, 7) and not heat.any()


def test_a_samples_map_follows_from_its_own_seed(
    unet: UNet2DConditionModel, prompts: RegionPrompts
) -> None:
    z_0, regions = (
        random_tensor(1, 4, 16, 16, seed=1).expand(2, -1, -1, -1),
        boxes(2, 16, 16, (4, 12, 4, 12)),
    )
    with unet_predictor(unet, sd_schedule()) as predict:
        first = likelihood_heat(predict, z_0, regions, prompts, [7, 8], (32, 32))
        again = likelihood_heat(predict, z_0, regions, prompts, [7, 8], (32, 32))
        swapped = likelihood_heat(predict, z_0, regions, prompts, [8, 7], (32, 32))
    assert torch.equal(first, again) and not first.requires_grad
    torch.testing.assert_close(swapped, first[[1, 0]], rtol=1e-3, atol=1e-5)
    assert not torch.allclose(first[0], first[1], rtol=1e-3, atol=1e-5)
    assert first.amax() > 0 and first.amin() >= 0


def test_the_noise_is_not_the_one_that_the_sample_was_painted_from() -> None:
    z_0, drawn = torch.zeros(1, 4, *CELLS), list[Tensor]()

    def predict(z_t: Tensor, timestep: int, context: Context, regions: Tensor) -> Tensor:
        drawn.append(noise_in(z_t, z_0, timestep))
        return z_t

    likelihood_heat(StandIn(predict), z_0, REGIONS, make_prompts(), [7], CELLS)
    levels = drawn[::2]  # both predictions of a level see the same noise
    assert all(torch.equal(one, other) for one, other in zip(levels, drawn[1::2], strict=True))
    used = [seeded_noise([7], z_0.shape[1:], stream) for stream in (0, 1)]
    everything = levels + used
    assert not any(
        torch.allclose(one, other, atol=0.1)
        for i, one in enumerate(everything)
        for other in everything[:i]
    )


def test_refusals() -> None:
    network = StandIn(lambda z_t, timestep, context, regions: z_t)
    with pytest.raises(
        SettingError, match="1 seeds for 2 latents and 1 region maps; expected as many of each"
    ):
        likelihood_heat(network, torch.zeros(2, 4, *CELLS), REGIONS, make_prompts(), [1], CELLS)
