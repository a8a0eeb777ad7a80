from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from diffusers import (
    DDIMInverseScheduler,
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    SchedulerMixin,
)

from bgdefect_core.errors import SettingError, WeightsError
from bgdefect_core.method.schedule import (
    TERMINAL_ALPHA,
    NoiseSchedule,
    ddim_step,
    schedule_from_config,
)
from bgdefect_core.method.spacings import SPACINGS

from .conftest import SD_SCHEDULE, random_tensor, sd_schedule

CONFIGS: dict[str, dict[str, Any]] = {
    "sd": SD_SCHEDULE,
    "linear": {
        "beta_schedule": "linear",
        "beta_start": 0.0001,
        "beta_end": 0.02,
        "num_train_timesteps": 1000,
    },
    "zero terminal": {**SD_SCHEDULE, "rescale_betas_zero_snr": True},
    "short": {**SD_SCHEDULE, "num_train_timesteps": 100},
}


COUNTS = [1, 2, 7, 10, 20, 30, 48, 50, 64, 200, 333, 501, 768, 999]
"""Numbers of steps; 48 and 768 end in halves that must be rounded as diffusers rounds them."""


def ddim(config: dict[str, Any], spacing: str = "leading", **options: Any) -> DDIMScheduler:
    return DDIMScheduler(
        **config,
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        timestep_spacing=spacing,
        **options,
    )


def inverse(spacing: str) -> DDIMInverseScheduler:
    return DDIMInverseScheduler(
        **SD_SCHEDULE,
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        timestep_spacing=spacing,
    )


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_alphas_agree_with_diffusers(config: dict[str, Any]) -> None:
    ours = schedule_from_config(config).alphas_cumprod
    theirs = ddim(config).alphas_cumprod.double()
    torch.testing.assert_close(ours[:-1], theirs[:-1], rtol=1e-4, atol=1e-7)
    assert ours[-1] == pytest.approx(max(float(theirs[-1]), TERMINAL_ALPHA), abs=1e-7)


def test_defaults_are_those_of_diffusers() -> None:
    torch.testing.assert_close(
        schedule_from_config({}).alphas_cumprod.float(), DDIMScheduler().alphas_cumprod
    )


def test_alphas_by_hand() -> None:
    three = {"num_train_timesteps": 3}
    schedule = schedule_from_config(
        {"beta_schedule": "linear", "beta_start": 0.1, "beta_end": 0.3, **three}
    )
    assert schedule.alphas_cumprod.tolist() == pytest.approx([0.9, 0.9 * 0.8, 0.9 * 0.8 * 0.7])
    schedule = schedule_from_config(
        {"beta_schedule": "scaled_linear", "beta_start": 0.01, "beta_end": 0.09, **three}
    )
    betas = (0.1**2, 0.2**2, 0.3**2)
    expected = [
        1 - betas[0],
        (1 - betas[0]) * (1 - betas[1]),
        (1 - betas[0]) * (1 - betas[1]) * (1 - betas[2]),
    ]
    assert schedule.alphas_cumprod.tolist() == pytest.approx(expected)


def test_levels_of_ten_steps() -> None:
    levels = sd_schedule().levels(10)
    assert levels.timesteps == (0, *range(99, 1000, 100))
    assert levels.steps == 10
    assert levels.alphas[0] == float(sd_schedule().alphas_cumprod[0])
    assert levels.alphas[10] == float(sd_schedule().alphas_cumprod[999])


def test_levels_of_fifty_leading_steps() -> None:
    levels = sd_schedule().levels(50, "leading")
    assert levels.timesteps == (0, *range(1, 982, 20))
    assert levels.steps == 50
    assert levels.alphas[0] == float(sd_schedule().alphas_cumprod[0])
    assert levels.alphas[50] == float(sd_schedule().alphas_cumprod[981])


@pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"
)  # diffusers, of its own tensors
@pytest.mark.parametrize("steps", COUNTS)
def test_levels_agree_with_diffusers(steps: int) -> None:
    trailing = sd_schedule().levels(steps).timesteps
    solver = DPMSolverMultistepScheduler(**SD_SCHEDULE, timestep_spacing="trailing")
    for scheduler in (ddim(SD_SCHEDULE, "trailing"), solver):
        assert list(trailing[:0:-1]) == timesteps_of(scheduler, steps)
    assert list(trailing[1:]) == timesteps_of(inverse("trailing"), steps)
    leading = sd_schedule().levels(steps, "leading").timesteps
    assert list(leading[:0:-1]) == timesteps_of(ddim(SD_SCHEDULE), steps)


def timesteps_of(scheduler: SchedulerMixin, steps: int) -> list[int]:
    scheduler.set_timesteps(steps)
    timesteps: list[int] = scheduler.timesteps.tolist()
    return timesteps


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("spacing", SPACINGS)
def test_levels_fall_and_all_but_leading_reach_the_noise(
    config: dict[str, Any], spacing: str
) -> None:
    """Only where a step is a single timestep do the first two levels share one (0), as diffusers
    has it."""
    schedule = schedule_from_config(config)
    total = len(schedule.alphas_cumprod)
    for steps in {count for count in COUNTS if count < total} | {total - 1}:
        levels = schedule.levels(steps, spacing)
        assert levels.steps == steps and levels.timesteps[0] == 0
        assert (levels.timesteps[-1] == total - 1) or spacing == "leading"
        pairs = list(zip(levels.alphas, levels.alphas[1:], strict=False))
        assert all(a > b for a, b in pairs[1:])
        assert pairs[0][0] > pairs[0][1] or (spacing == "trailing" and steps > total / 2)


def test_even_log_snr_by_hand() -> None:
    """log-SNR 3, 2, 1, 0, -1, -2, -9: two steps from 3 to -9 pass at -3, nearest to -2; of five,
    at 0.6, -1.8, -4.2, -6.6, -9, the timesteps are 2, 5, 5, 6, 6, which is 2 to 6 without
    repetition."""
    alphas = torch.sigmoid(torch.tensor([3.0, 2, 1, 0, -1, -2, -9]))
    schedule = NoiseSchedule(alphas)
    assert schedule.levels(2, "logsnr").timesteps == (0, 5, 6)
    assert schedule.levels(5, "logsnr").timesteps == (0, 2, 3, 4, 5, 6)
    assert schedule.levels(6, "logsnr").timesteps == tuple(range(7))


def test_unknown_spacing_is_refused() -> None:
    with pytest.raises(SettingError, match="no spacing 'linspace'; expected one of trailing, lead"):
        sd_schedule().levels(10, "linspace")


@pytest.mark.parametrize("steps", [0, -1, 1000, 5000])
def test_steps_out_of_range_are_refused(steps: int) -> None:
    with pytest.raises(
        SettingError, match=f"steps is {steps}; expected a whole number from 1 to 999"
    ):
        sd_schedule().levels(steps)


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("config", [CONFIGS["sd"], CONFIGS["linear"]], ids=["sd", "linear"])
@pytest.mark.parametrize("spacing", ["trailing", "leading"])
def test_step_down_is_diffusers_step(
    config: dict[str, Any], prediction_type: str, spacing: str
) -> None:
    scheduler = ddim(config, spacing, prediction_type=prediction_type)
    scheduler.set_timesteps(50)
    schedule = schedule_from_config({**config, "prediction_type": prediction_type})
    levels = schedule.levels(50, spacing)
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()
    scheduler.final_alpha_cumprod = scheduler.final_alpha_cumprod.double()
    z = random_tensor(1, 4, 8, 8, seed=1).double()
    for level in (50, 49, 25, 2, 1):  # the last one goes to the final level, alphas_cumprod[0]
        output = random_tensor(1, 4, 8, 8, seed=level).double()
        theirs = scheduler.step(output, levels.timesteps[level], z).prev_sample
        eps = schedule.to_eps(output, z, levels.alphas[level])
        ours = ddim_step(z, eps, levels.alphas[level], levels.alphas[level - 1])
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("spacing", ["trailing", "leading"])
def test_step_up_is_diffusers_inverse_step(spacing: str) -> None:
    scheduler = inverse(spacing)
    scheduler.set_timesteps(50)
    levels = sd_schedule().levels(50, spacing)
    z = random_tensor(1, 4, 8, 8, seed=1)
    for level in (2, 25, 49, 50):  # diffusers names a step by the timestep arrived at
        eps = random_tensor(1, 4, 8, 8, seed=level)
        theirs = scheduler.step(eps, levels.timesteps[level], z).prev_sample
        ours = ddim_step(z, eps, levels.alphas[level - 1], levels.alphas[level])
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)


def test_up_and_down_with_constant_eps_comes_back() -> None:
    levels = sd_schedule().levels(20)
    z_0, eps = (
        random_tensor(1, 4, 8, 8, seed=1).double(),
        random_tensor(1, 4, 8, 8, seed=2).double(),
    )
    z = z_0
    for level in range(20):
        z = ddim_step(z, eps, levels.alphas[level], levels.alphas[level + 1])
    start = (z_0 - (1 - levels.alphas[0]) ** 0.5 * eps) / levels.alphas[0] ** 0.5
    torch.testing.assert_close(
        z, sd_schedule().noised(start, eps, levels.alphas[20])
    )  # one straight line in eps
    for level in range(20, 0, -1):
        z = ddim_step(z, eps, levels.alphas[level], levels.alphas[level - 1])
    torch.testing.assert_close(z, z_0)


def test_numbers_by_hand() -> None:
    schedule = NoiseSchedule(torch.tensor([0.64, 0.36]))
    z_0, eps = torch.tensor([[[[2.0]]]]), torch.tensor([[[[-1.0]]]])
    assert schedule.noised(z_0, eps, 0.64).item() == pytest.approx(0.8 * 2 - 0.6)
    # x_0 = (1 - 0.6 * 0.5) / 0.8 = 0.875; 0.6 * 0.875 + 0.8 * 0.5
    assert ddim_step(torch.tensor(1.0), torch.tensor(0.5), 0.64, 0.36).item() == pytest.approx(
        0.925
    )
    v_schedule = NoiseSchedule(torch.tensor([0.64, 0.36]), "v_prediction")
    v = 0.8 * eps - 0.6 * z_0  # Salimans and Ho: v = sqrt(alpha) eps - sqrt(1 - alpha) x_0
    assert v_schedule.to_eps(v, schedule.noised(z_0, eps, 0.64), 0.64).item() == pytest.approx(-1.0)
    assert schedule.to_eps(v, z_0, 0.64) is v


def test_one_alpha_a_sample() -> None:
    schedule = sd_schedule("v_prediction")
    z_0, eps = random_tensor(2, 4, 3, 3, seed=1), random_tensor(2, 4, 3, 3, seed=2)
    alphas = schedule.alphas_of(torch.tensor([10, 900]))
    assert alphas.dtype == torch.float32
    for row, t in enumerate((10, 900)):
        alpha = float(schedule.alphas_cumprod[t])
        torch.testing.assert_close(
            schedule.noised(z_0, eps, alphas)[row], schedule.noised(z_0[row], eps[row], alpha)
        )
        torch.testing.assert_close(
            schedule.to_eps(eps, z_0, alphas)[row], schedule.to_eps(eps[row], z_0[row], alpha)
        )
    assert schedule.noised(z_0.half(), eps.half(), alphas).dtype == torch.float16


def test_zero_terminal_snr_never_divides_by_zero() -> None:
    schedule = schedule_from_config({**CONFIGS["zero terminal"], "prediction_type": "v_prediction"})
    assert float(schedule.alphas_cumprod[-1]) == TERMINAL_ALPHA
    levels = schedule.levels(500)
    assert levels.timesteps[-1] == 999
    z_0, eps = random_tensor(1, 4, 4, 4, seed=1), random_tensor(1, 4, 4, 4, seed=2)
    z = schedule.noised(z_0, eps, levels.alphas[-2])
    up = ddim_step(z, eps, levels.alphas[-2], levels.alphas[-1])
    assert up.isfinite().all()
    torch.testing.assert_close(up, eps, atol=2e-3, rtol=0)  # nothing of the picture is left
    down = ddim_step(
        up, schedule.to_eps(-z_0, up, levels.alphas[-1]), levels.alphas[-1], levels.alphas[-2]
    )
    torch.testing.assert_close(down, z, atol=2e-3, rtol=0)  # v = -x_0 at the very end


def test_every_alpha_is_above_zero_and_falls() -> None:
    for config in CONFIGS.values():
        alphas = schedule_from_config(config).alphas_cumprod.tolist()
        assert all(1 > a > b > 0 for a, b in zip(alphas, alphas[1:], strict=False))
        assert all(math.isfinite(1 / a) for a in alphas)


def test_unknown_schedules_are_refused() -> None:
    with pytest.raises(WeightsError, match="squaredcos_cap_v2"):
        schedule_from_config({"beta_schedule": "squaredcos_cap_v2"})
    with pytest.raises(WeightsError, match="'sample'; expected 'epsilon' or 'v_prediction'"):
        schedule_from_config({"prediction_type": "sample"})


@pytest.mark.parametrize(
    "damage",
    [
        {"num_train_timesteps": "a"},
        {"num_train_timesteps": 0},
        {"num_train_timesteps": 10**12},
        {"beta_end": None},
        {"beta_start": 2.0},
    ],
)
def test_numbers_of_a_damaged_schedule_are_refused(damage: dict[str, object]) -> None:
    with pytest.raises(WeightsError, match=f"{next(iter(damage))} {next(iter(damage.values()))!r}"):
        schedule_from_config(damage)
