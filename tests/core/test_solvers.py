"""DPM-Solver++ (2M) on our own levels: hand-worked numbers, diffusers' scheduler, order of
convergence, backgrounds untouched."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from diffusers import DPMSolverMultistepScheduler, UNet2DConditionModel
from torch import Tensor

from bgdefect_core.errors import SettingError
from bgdefect_core.method.backgrounds import BACKGROUNDS
from bgdefect_core.method.inversion import invert
from bgdefect_core.method.predictor import unet_predictor
from bgdefect_core.method.randomness import seeded_noise
from bgdefect_core.method.regions import RegionPrompts
from bgdefect_core.method.sample_batch import SampleBatch
from bgdefect_core.method.sampling import SamplingSettings, sample
from bgdefect_core.method.schedule import Levels, ddim_step, schedule_from_config
from bgdefect_core.method.solvers import SOLVERS, dpmpp_2m_step, predicted_x_0

from .conftest import SD_SCHEDULE, StandIn, as_bits, boxes, random_tensor, sd_schedule

BOX = boxes(1, 16, 16, (3, 9, 2, 8))
M = (BOX > 0)[:, None]
Z_0 = random_tensor(1, 4, 16, 16, seed=5)
MEAN = 0.7
"""Of the analytic data: one Gaussian."""


def run(solver: str, levels: Levels, z: Tensor, network: Callable[[Tensor, int], Tensor]) -> Tensor:
    """All the way down; ``network`` predicts eps from (z, level)."""
    step = SOLVERS[solver].start(levels)
    for level in range(levels.steps, 0, -1):
        z = step(z, network(z, level), level)
    return z


def gaussian_error(solver: str, levels: Levels, spread: float = 0.3) -> float:
    """Largest distance to the exact solution where the data are ``N(MEAN, spread^2)``: eps and the
    flow are known there.

    ``z_t ~ N(sqrt(alpha) MEAN, v_t)``, ``v_t = alpha spread^2 + 1 - alpha``; the flow keeps ``(z_t
    - sqrt(alpha) MEAN) / sqrt(v_t)``.
    """
    variance = [alpha * spread**2 + 1 - alpha for alpha in levels.alphas]
    place = torch.linspace(-2, 2, 9, dtype=torch.float64)

    def at(level: int) -> Tensor:
        return levels.alphas[level] ** 0.5 * MEAN + variance[level] ** 0.5 * place

    def network(z: Tensor, level: int) -> Tensor:
        alpha = levels.alphas[level]
        return (1 - alpha) ** 0.5 * (z - alpha**0.5 * MEAN) / variance[level]

    return float((run(solver, levels, at(levels.steps), network) - at(0)).abs().max())


def even_levels(steps: int) -> Levels:
    """Levels at equal distances of lambda, -2 to 2."""
    lambdas = torch.linspace(2, -2, steps + 1, dtype=torch.float64)
    return Levels(tuple(range(steps + 1)), tuple(torch.sigmoid(2 * lambdas).tolist()))


def test_one_step_by_hand() -> None:
    """alpha = 0.2, 0.5, 0.8 are lambda = -log 2, 0, log 2: r = 1; from 1/17 it is -2 log 2: r =
    2."""
    z, x_0, x_before = (torch.tensor(value, dtype=torch.float64) for value in (1.0, 0.6, 0.2))
    scale = math.sqrt(0.2 / 0.5)
    d = 1.5 * 0.6 - 0.5 * 0.2
    assert dpmpp_2m_step(z, x_0, x_before, (0.2, 0.5, 0.8)).item() == pytest.approx(
        scale + math.sqrt(0.8) * 0.5 * d
    )
    d = 1.25 * 0.6 - 0.25 * 0.2
    assert dpmpp_2m_step(z, x_0, x_before, (1 / 17, 0.5, 0.8)).item() == pytest.approx(
        scale + math.sqrt(0.8) * 0.5 * d
    )
    assert predicted_x_0(torch.tensor(1.1), torch.tensor(0.5), 0.64).item() == pytest.approx(
        (1.1 - 0.6 * 0.5) / 0.8
    )


def test_without_a_change_of_prediction_it_is_ddim() -> None:
    z, eps = random_tensor(1, 4, 8, 8, seed=1).double(), random_tensor(1, 4, 8, 8, seed=2).double()
    x_0 = predicted_x_0(z, eps, 0.5)
    torch.testing.assert_close(
        dpmpp_2m_step(z, x_0, x_0, (0.2, 0.5, 0.8)), ddim_step(z, eps, 0.5, 0.8)
    )


def test_first_and_last_step_are_first_order() -> None:
    levels = sd_schedule().levels(3)
    z, passed = random_tensor(1, 4, 8, 8, seed=1), []
    step, eps = (
        SOLVERS["dpmpp_2m"].start(levels),
        {level: random_tensor(1, 4, 8, 8, seed=level) for level in (3, 2, 1)},
    )
    for level in (3, 2, 1):
        expected = ddim_step(z, eps[level], levels.alphas[level], levels.alphas[level - 1])
        z = step(z, eps[level], level)
        passed.append(torch.equal(z, expected))
    assert passed == [True, False, True]


@pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"
)  # diffusers, of its own tensors
@pytest.mark.parametrize("steps", [1, 2, 3, 10, 20, 50])
def test_is_diffusers_scheduler_on_our_levels(steps: int) -> None:
    levels = sd_schedule().levels(steps)
    theirs = DPMSolverMultistepScheduler(
        **SD_SCHEDULE,
        algorithm_type="dpmsolver++",
        solver_order=2,
        solver_type="midpoint",
        final_sigmas_type="sigma_min",
        euler_at_final=True,
        lower_order_final=False,
        timestep_spacing="trailing",
    )
    theirs.set_timesteps(steps)

    def network(z: Tensor, timestep: int) -> Tensor:
        return 0.8 * torch.tanh(z) + 0.1 * math.sin(timestep / 100)

    z = start = random_tensor(1, 4, 8, 8, seed=3)
    for timestep in theirs.timesteps:
        z = theirs.step(network(z, int(timestep)), timestep, z).prev_sample
    ours = run("dpmpp_2m", levels, start, lambda z, level: network(z, levels.timesteps[level]))
    torch.testing.assert_close(ours, z, rtol=2e-5, atol=2e-5)
    ddim = run("ddim", levels, start, lambda z, level: network(z, levels.timesteps[level]))
    assert steps <= 2 or (ddim - z).abs().max() > 1e-3


@pytest.mark.parametrize("spread", [0.05, 0.1, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("steps", [10, 20, 50])
@pytest.mark.parametrize(
    ("spacing", "share"), [("trailing", 1), ("leading", 0.98), ("logsnr", 0.6)]
)
def test_nearer_to_the_exact_solution_than_ddim(
    spacing: str, share: float, steps: int, spread: float
) -> None:
    """Trailing gains little where the data are narrow: its last step is long, and first order."""
    levels = sd_schedule().levels(steps, spacing)
    error, ddim_error = (gaussian_error(solver, levels, spread) for solver in ("dpmpp_2m", "ddim"))
    assert error < share * ddim_error
    assert spacing == "leading" or spread < 1 or error < 0.4 * ddim_error


def test_order_of_convergence() -> None:
    """Half the distance of the levels: half the error of DDIM, a quarter of that of 2M."""
    for solver, order in (("ddim", 1), ("dpmpp_2m", 2)):
        errors = [gaussian_error(solver, even_levels(steps)) for steps in (80, 160, 320)]  # type: ignore[arg-type]
        found = [math.log2(coarse / fine) for coarse, fine in zip(errors, errors[1:], strict=False)]
        assert found == pytest.approx([order, order], abs=0.15)


@pytest.mark.parametrize("mode", ["replay", "noised", "masked", "literal"])
def test_every_mode_puts_its_own_background_back(
    unet: UNet2DConditionModel, prompts: RegionPrompts, mode: str
) -> None:
    """The levels outside the mask are DDIM's bit for bit at every step; inside the two solvers
    differ. Literal holds nothing."""
    levels = sd_schedule().levels(5)
    passed: dict[str, list[Tensor]] = {"ddim": [], "dpmpp_2m": []}
    with unet_predictor(unet, sd_schedule()) as predict:
        background = BACKGROUNDS[mode].prepare(predict, Z_0, BOX, prompts, levels)
        for solver, kept in passed.items():
            sample(
                predict,
                background,
                SampleBatch(BOX, [3]),
                prompts,
                solver=SOLVERS[solver],
                callback=lambda done, total, z, kept=kept: kept.append(z),
            )
        trajectory = invert(predict, Z_0, BOX, prompts, levels)
    where = ~M.expand_as(Z_0)
    outside = {solver: as_bits([z[where] for z in kept]) for solver, kept in passed.items()}
    assert (outside["ddim"] == outside["dpmpp_2m"]) == (mode != "literal")
    if mode == "replay":
        assert outside["dpmpp_2m"] == as_bits(
            [trajectory[level][where] for level in range(4, -1, -1)]
        )
        assert torch.equal(passed["dpmpp_2m"][-1][where], Z_0[where])
    first, second = (passed[solver][1][~where] for solver in ("ddim", "dpmpp_2m"))
    assert (first != second).all()
    assert torch.equal(passed["ddim"][0], passed["dpmpp_2m"][0])  # the first step is first order


def test_sampling_is_second_order_unless_asked(prompts: RegionPrompts) -> None:
    """DDIM's result is Eq. 9's, bit for bit; a run's memory does not reach into the next."""
    levels = sd_schedule().levels(4)
    predict = StandIn(lambda z, t, context, regions: 0.8 * torch.tanh(z))
    background = BACKGROUNDS["noised"].prepare(predict, Z_0, BOX, prompts, levels)
    arguments = (predict, background, SampleBatch(BOX, [1]), prompts)
    z = torch.where(M, seeded_noise([1], (4, 16, 16)), torch.zeros(()))
    for level in range(4, 0, -1):
        z = ddim_step(z, 0.8 * torch.tanh(z), levels.alphas[level], levels.alphas[level - 1])
    inside = M.expand_as(z)
    assert torch.equal(sample(*arguments, solver=SOLVERS["ddim"])[inside], z[inside])
    once, again = sample(*arguments), sample(*arguments, solver=SOLVERS["dpmpp_2m"])
    assert torch.equal(once, again) and not torch.equal(once[inside], z[inside])


@pytest.mark.parametrize("steps", [1, 2, 10, 50, 999])
@pytest.mark.parametrize("solver", SOLVERS)
def test_zero_terminal_snr_holds_in_single_precision(solver: str, steps: int) -> None:
    """alpha of the last level is 4.9e-8, and the picture is predicted there from a difference of
    nearly equal numbers, divided by 2.2e-4. With v, which is about -x_0 there, single precision
    still ends within 0.01 of double precision."""
    config = {**SD_SCHEDULE, "rescale_betas_zero_snr": True, "prediction_type": "v_prediction"}
    schedule = schedule_from_config(config)
    levels = schedule.levels(steps)

    def network(z: Tensor, level: int) -> Tensor:
        return schedule.to_eps(0.8 * torch.tanh(z) - 0.3, z, levels.alphas[level])

    start = random_tensor(4, 4, 16, 16, seed=1)
    single, double = (run(solver, levels, z, network) for z in (start, start.double()))
    assert levels.timesteps[-1] == 999 and double.abs().max() < 4
    torch.testing.assert_close(single.double(), double, rtol=0, atol=0.01)


def test_unknown_solver_is_refused() -> None:
    assert tuple(SOLVERS) == ("ddim", "dpmpp_2m")
    with pytest.raises(SettingError, match="solver is 'heun'; expected one of ddim, dpmpp_2m"):
        SamplingSettings(solver="heun")
