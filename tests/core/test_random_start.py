"""Sampling from pure noise (the paper's own L' arm): Eq. 9 without a background, under the naive
loss's own condition."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from diffusers import UNet2DConditionModel

from bgdefect_core.errors import SettingError
from bgdefect_core.method.backgrounds import BACKGROUNDS
from bgdefect_core.method.loss import NoisyBatch, naive_loss
from bgdefect_core.method.predictor import unet_predictor
from bgdefect_core.method.random_start import sample_from_noise
from bgdefect_core.method.randomness import seeded_noise
from bgdefect_core.method.regions import Context, RegionPrompts
from bgdefect_core.method.sample_batch import SampleBatch
from bgdefect_core.method.sampling import sample
from bgdefect_core.method.schedule import NoiseSchedule
from bgdefect_core.method.solvers import SOLVERS

from .conftest import StandIn, as_bits, boxes, make_prompts, random_tensor, sd_schedule

LEVELS = sd_schedule().levels(4)
BOX = boxes(2, 16, 16, (3, 9, 2, 8))
M = (BOX > 0)[:, None].expand(-1, 4, -1, -1)


def test_numbers_by_hand(prompts: RegionPrompts) -> None:
    """One step with eps = z / 2 under C_1, and eps = z / 4 where guidance starts: 3 makes it z
    inside the mask only."""
    schedule = NoiseSchedule(torch.tensor([0.64, 0.36]))
    c_1 = prompts.defect_context()
    predict = StandIn(lambda z, t, context, regions: z / 2 if context is c_1 else z / 4, schedule)
    noise = seeded_noise([4], (1, 1, 2)).flatten().tolist()
    batch, levels = SampleBatch(torch.tensor([[[1, 0]]]), [4]), schedule.levels(1)

    def stepped(z: float, eps: float) -> float:
        return 0.8 * (z - 0.8 * eps) / 0.6 + 0.6 * eps

    plain = [stepped(z, z / 2) for z in noise]
    z_0 = sample_from_noise(predict, batch, prompts, levels, 1)
    assert z_0.flatten().tolist() == pytest.approx(plain)
    z_0 = sample_from_noise(predict, replace(batch, guidance=3), prompts, levels, 1)
    assert z_0.flatten().tolist() == pytest.approx([stepped(noise[0], noise[0]), plain[1]])


def test_reads_what_the_naive_loss_trained(
    unet: UNet2DConditionModel, prompts: RegionPrompts
) -> None:
    """The same context object and the same region map reach the network; C_2 and the mask's
    placeholder never do."""
    seen: list[tuple[Context, bytes]] = []

    def network(z: torch.Tensor, t: int, context: Context, regions: torch.Tensor) -> torch.Tensor:
        seen.append((context, *as_bits([regions])))
        return 0.1 * z

    predict = StandIn(network)
    z_0, eps = random_tensor(2, 4, 16, 16), random_tensor(2, 4, 16, 16, seed=1)
    naive_loss(
        predict, NoisyBatch(z_0, BOX, torch.tensor([10, 500]), eps), prompts.defect_context()
    )
    batch = SampleBatch(BOX, [1, 2])
    sample_from_noise(predict, batch, prompts, LEVELS)
    assert len(seen) == 5 and len({(id(context), regions) for context, regions in seen}) == 1
    with unet_predictor(unet, sd_schedule()) as predicts:
        one = sample_from_noise(predicts, batch, prompts, LEVELS)
        other = replace(prompts, placeholder=random_tensor(1, 6, 32, seed=9))
        two = sample_from_noise(predicts, batch, other, LEVELS)
        rolled = replace(batch, regions=BOX.roll(5, 2))
        moved = sample_from_noise(predicts, rolled, prompts, LEVELS)
    assert torch.equal(one, two) and not torch.equal(one, moved)


def test_the_background_is_made_too(unet: UNet2DConditionModel, prompts: RegionPrompts) -> None:
    """Unlike composited sampling: outside the mask seed and defect prompt change the picture."""
    other = replace(prompts, defects=make_prompts(seed=900).defects)
    with unet_predictor(unet, sd_schedule()) as predict:
        batch, empty = SampleBatch(BOX, [1, 2]), torch.zeros(2, 4, 16, 16)
        first = sample_from_noise(predict, batch, prompts, LEVELS)
        again = sample_from_noise(predict, replace(batch, seeds=[2, 1]), prompts, LEVELS)
        prompted = sample_from_noise(predict, batch, other, LEVELS)
        background = BACKGROUNDS["noised"].prepare(predict, empty, BOX, prompts, LEVELS)
        noised = sample(predict, background, batch, prompts)
    assert torch.equal(first[0], again[1]) and torch.equal(first[1], again[0])
    outside = ~M[0]
    assert (first[0][outside] != first[1][outside]).all() and (
        first[0][outside] != prompted[0][outside]
    ).any()
    assert (noised[~M] == 0).all() and (first[~M] != 0).all()


def test_starts_at_the_seeds_own_noise_and_counts_its_steps(prompts: RegionPrompts) -> None:
    predict, seen = (
        StandIn(lambda z, t, context, regions: torch.zeros_like(z)),
        list[tuple[int, int]](),
    )
    batch = SampleBatch(BOX, [5, 6])
    result = sample_from_noise(
        predict,
        batch,
        prompts,
        LEVELS,
        callback=lambda done, total, z: seen.append((done, total)),
    )
    scale = (LEVELS.alphas[0] / LEVELS.alphas[-1]) ** 0.5
    torch.testing.assert_close(
        result, scale * seeded_noise([5, 6], (4, 16, 16)), rtol=1e-5, atol=1e-5
    )
    assert seen == [(done, 4) for done in range(1, 5)]
    assert predict.evaluated == 8 and predict.timesteps == list(LEVELS.timesteps[:0:-1])
    second = StandIn(lambda z, t, context, regions: torch.tanh(z))
    ddim, faster = (
        sample_from_noise(second, batch, prompts, LEVELS, solver=solver)
        for solver in SOLVERS.values()
    )
    assert not torch.equal(ddim, faster)


def test_wrong_settings_are_refused(prompts: RegionPrompts) -> None:
    predict = StandIn(lambda z, t, context, regions: z)
    batch = SampleBatch(BOX, [1, 2], guidance=2)
    with pytest.raises(SettingError, match="guidance without an empty prompt"):
        sample_from_noise(predict, batch, replace(prompts, empty=None), LEVELS)
    assert predict.evaluated == 0
