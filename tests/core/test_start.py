"""A start from real defects: levels by hand, bits of a start from noise, every mode and solver."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from bgdefect_core.errors import SettingError
from bgdefect_core.method.attention_maps import MapRecorder
from bgdefect_core.method.backgrounds import BACKGROUNDS, BackgroundLatents
from bgdefect_core.method.backgrounds.background import between
from bgdefect_core.method.predictor import Predictor, unet_predictor
from bgdefect_core.method.randomness import seeded_noise
from bgdefect_core.method.regions import RegionPrompts
from bgdefect_core.method.sample_batch import SampleBatch
from bgdefect_core.method.sampling import sample
from bgdefect_core.method.schedule import Levels, NoiseSchedule, ddim_step
from bgdefect_core.method.solvers import SOLVERS
from bgdefect_core.method.start import (
    NOISE,
    Start,
    StartSettings,
    core_cells,
    levels_from,
)

from .conftest import StandIn, as_bits, boxes, random_tensor, sd_schedule

SCHEDULE = sd_schedule()
LEVELS = Levels(
    (0, 249, 499, 749, 999),
    tuple(SCHEDULE.alphas_cumprod[[0, 249, 499, 749, 999]].tolist()),
)
BOX = boxes(1, 16, 16, (3, 9, 2, 8))
M = (BOX > 0)[:, None]
Z_0 = random_tensor(1, 4, 16, 16, seed=5)
PASTED = random_tensor(1, 4, 16, 16, seed=6)
MODES = tuple(BACKGROUNDS)
BOTH = ("ddim", "dpmpp_2m")


def run(
    predict: Predictor,
    mode: str,
    prompts: RegionPrompts,
    starts: Sequence[float] | None,
    seeds: Sequence[int] = (1,),
    core: Tensor | None = None,
    regions: Tensor = BOX,
    **options: Any,
) -> Tensor:
    """Samples of one picture, each at a region of its own where there are several; ``starts`` None:
    without a start."""
    many = len(seeds)
    z_0 = Z_0.expand(len(regions), -1, -1, -1)
    background = BACKGROUNDS[mode].prepare(predict, z_0, regions, prompts, LEVELS)
    rows = list(range(many)) if len(regions) > 1 else [0] * many
    start = None
    if starts is not None:
        start = Start(starts, PASTED.expand(many, -1, -1, -1), core)
    return sample(
        predict,
        background.rows(rows),
        SampleBatch(regions[rows], seeds, start=start),
        prompts,
        **options,
    )


@pytest.mark.parametrize(
    ("start_level", "timesteps"),
    [
        (0.0, (0,)),
        (0.001, (0,)),
        (0.1, (0, 99)),
        (0.25, (0, 249)),
        (0.26, (0, 259)),  # 249 is nearer than a quarter of its step
        (0.5, (0, 249, 499)),
        (0.56, (0, 249, 559)),
        (0.6, (0, 249, 499, 599)),
        (0.999, (0, 249, 499, 749, 998)),
        (1.0, (0, 249, 499, 749, 999)),
    ],
)
def test_levels_by_hand(start_level: float, timesteps: tuple[int, ...]) -> None:
    """round(1000 s) - 1, then the schedule's lower levels."""
    levels = levels_from(SCHEDULE, LEVELS, start_level)
    assert levels.timesteps == timesteps
    assert levels.alphas == tuple(SCHEDULE.alphas_cumprod[list(timesteps)].tolist())
    assert levels_from(SCHEDULE, LEVELS, 1.0) is LEVELS
    with pytest.raises(SettingError, match="start level is 1.5"):
        levels_from(SCHEDULE, LEVELS, 1.5)


@pytest.mark.parametrize("solver", BOTH)
@pytest.mark.parametrize("mode", MODES)
def test_a_start_at_1_is_a_start_from_noise_bit_for_bit(
    unet: UNet2DConditionModel, prompts: RegionPrompts, mode: str, solver: str
) -> None:
    with unet_predictor(unet, SCHEDULE) as predict:
        plain = run(predict, mode, prompts, None, [1, 2], solver=SOLVERS[solver])
        started = run(predict, mode, prompts, [1.0, 1.0], [1, 2], solver=SOLVERS[solver])
    assert as_bits([plain]) == as_bits([started])


@pytest.mark.parametrize("mode", MODES)
def test_nothing_is_evaluated_at_0(prompts: RegionPrompts, mode: str) -> None:
    """The result is the paste inside the mask and the background outside."""

    def refuse(z: Tensor, t: int, context: Any, regions: Tensor) -> Tensor:
        raise AssertionError("the network was called")

    background = BackgroundLatents(BACKGROUNDS[mode], LEVELS, [Z_0] * (LEVELS.steps + 1))
    batch = SampleBatch(BOX, [1], start=Start([0.0], PASTED))
    result = sample(StandIn(refuse), background, batch, prompts)
    assert torch.equal(result, torch.where(M, PASTED, Z_0))


@pytest.mark.parametrize("solver", BOTH)
@pytest.mark.parametrize("mode", MODES)
def test_samples_of_a_batch_start_each_at_its_own_level(
    unet: UNet2DConditionModel, prompts: RegionPrompts, mode: str, solver: str
) -> None:
    """As each alone, but for the batch's last digits."""
    starts, seeds = [0.6, 1.0, 0.0, 0.26, 0.6], [1, 2, 3, 4, 5]
    with unet_predictor(unet, SCHEDULE) as predict:
        together = run(predict, mode, prompts, starts, seeds, solver=SOLVERS[solver])
        for number, (start, seed) in enumerate(zip(starts, seeds, strict=True)):
            alone = run(predict, mode, prompts, [start], [seed], solver=SOLVERS[solver])
            torch.testing.assert_close(together[number], alone[0], rtol=0, atol=2e-4)
    assert len(set(as_bits(list(together)))) == 5


@pytest.mark.parametrize("mode", MODES)
def test_samples_keep_their_region_where_starts_are_mixed(
    unet: UNet2DConditionModel, prompts: RegionPrompts, mode: str
) -> None:
    """Samples that start together stand together in the network's calls, in another order than in
    the batch: each as alone, its attention too."""
    starts, seeds = [0.6, 1.0, 0.6, 1.0], [1, 2, 3, 4]
    corners = [(3, 9, 2, 8), (8, 14, 8, 15), (1, 4, 9, 13), (10, 15, 1, 6)]
    regions = torch.cat([boxes(1, 16, 16, corner) for corner in corners])
    with unet_predictor(unet, SCHEDULE) as predict:
        together = MapRecorder(prompts.word_positions())
        samples = run(predict, mode, prompts, starts, seeds, regions=regions, recorder=together)
        for number, (start, seed) in enumerate(zip(starts, seeds, strict=True)):
            alone = MapRecorder(prompts.word_positions())
            region = regions[number : number + 1]
            sample_alone = run(
                predict, mode, prompts, [start], [seed], regions=region, recorder=alone
            )
            torch.testing.assert_close(samples[number], sample_alone[0], rtol=0, atol=2e-4)
            torch.testing.assert_close(
                together.means[(8, 8)][number], alone.means[(8, 8)][0], rtol=0, atol=1e-4
            )


def test_only_samples_that_have_begun_are_evaluated(prompts: RegionPrompts) -> None:
    predict = StandIn(lambda z, t, context, regions: 0.1 * z, SCHEDULE)
    run(predict, "noised", prompts, [0.6, 1.0, 0.0, 0.26], [1, 2, 3, 4])
    assert predict.evaluated == 3 + 4 + 0 + 1
    assert predict.timesteps == [999, 499]  # at the others the timesteps of a batch differ
    seen: list[tuple[int, int]] = []
    run(
        predict,
        "noised",
        prompts,
        [0.3],
        callback=lambda done, total, z: seen.append((done, total)),
    )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_one_step_by_hand(prompts: RegionPrompts) -> None:
    """From the level 0.5 (timestep 499) two DDIM steps with eps = 0.3 z, in the mask's first
    cell."""
    predict = StandIn(lambda z, t, context, regions: 0.3 * z, SCHEDULE)
    result = run(predict, "noised", prompts, [0.5], [7], solver=SOLVERS["ddim"])
    alphas = SCHEDULE.alphas_cumprod[[0, 249, 499]].tolist()
    noise = float(seeded_noise([7], (4, 16, 16))[0, 0, 3, 2])
    z = alphas[2] ** 0.5 * float(PASTED[0, 0, 3, 2]) + (1 - alphas[2]) ** 0.5 * noise
    for level in (2, 1):
        x_0 = (z - (1 - alphas[level]) ** 0.5 * 0.3 * z) / alphas[level] ** 0.5
        z = alphas[level - 1] ** 0.5 * x_0 + (1 - alphas[level - 1]) ** 0.5 * 0.3 * z
    assert float(result[0, 0, 3, 2]) == pytest.approx(z, abs=1e-5)
    assert torch.equal(result[~M.expand_as(result)], Z_0[~M.expand_as(Z_0)])


def test_low_levels_stay_near_the_paste(unet: UNet2DConditionModel, prompts: RegionPrompts) -> None:
    inside = M.expand_as(PASTED)
    with unet_predictor(unet, SCHEDULE) as predict:
        distances = []
        for start in (0.1, 0.4, 0.8):
            result = run(predict, "noised", prompts, [start])
            distances.append(float((result - PASTED)[inside].abs().mean()))
    assert distances == sorted(distances) and distances[0] < 0.5 * distances[2]


def test_a_trajectory_between_two_levels_is_that_of_a_ddim_step() -> None:
    lower, eps = random_tensor(1, 4, 4, 4, seed=1), random_tensor(1, 4, 4, 4, seed=2)
    upper = ddim_step(lower, eps, 0.9, 0.3)
    middle = between((lower, 0.9), (upper, 0.3), 0.5)
    torch.testing.assert_close(middle, ddim_step(lower, eps, 0.9, 0.5))
    torch.testing.assert_close(between((lower, 0.9), (upper, 0.3), 0.3), upper)


@pytest.mark.parametrize("mode", ["replay", "masked"])
def test_outside_the_mask_the_background_is_the_modes_own(
    unet: UNet2DConditionModel, prompts: RegionPrompts, mode: str
) -> None:
    with unet_predictor(unet, SCHEDULE) as predict:
        background = BACKGROUNDS[mode].prepare(predict, Z_0, BOX, prompts, LEVELS)
        passed: list[Tensor] = []
        run(predict, mode, prompts, [0.6], callback=lambda done, total, z: passed.append(z))
    where = ~M.expand_as(Z_0)
    for level, z in zip((2, 1, 0), passed[1:], strict=True):
        assert torch.equal(z[where], background.latents[level][where])


@pytest.mark.parametrize("solver", BOTH)
@pytest.mark.parametrize("mode", MODES)
def test_a_core_stays_the_pastes_own(
    unet: UNet2DConditionModel, prompts: RegionPrompts, mode: str, solver: str
) -> None:
    """Bit for bit at the end, and at every level as the forward process says; the band around it is
    painted."""
    core = boxes(1, 16, 16, (5, 7, 4, 6)) > 0
    passed: list[Tensor] = []
    with unet_predictor(unet, SCHEDULE) as predict:
        result = run(
            predict,
            mode,
            prompts,
            [0.6],
            core=core,
            solver=SOLVERS[solver],
            callback=lambda done, total, z: passed.append(z),
        )
    held = core[:, None].expand_as(result)
    assert torch.equal(result[held], PASTED[held])
    noise = seeded_noise([1], (4, 16, 16))
    alpha = LEVELS.alphas[1]
    forward = alpha**0.5 * PASTED + (1 - alpha) ** 0.5 * noise
    torch.testing.assert_close(passed[-2][held], forward[held])
    band = M.expand_as(result) & ~held
    assert (result[band] != PASTED[band]).all()


def test_attention_counts_each_samples_own_steps(prompts: RegionPrompts) -> None:
    recorder = MapRecorder([])
    maps = torch.tensor([[[2.0]], [[4.0]], [[6.0]]]).expand(3, 8, 8).reshape(3, 64)
    recorder.rows = (torch.tensor([1]), 3)
    recorder.add(maps[1:2], (8, 8))
    recorder.rows = (torch.tensor([1, 0]), 3)
    recorder.add(maps[[2, 0]], (8, 8))
    recorder.rows = None
    recorder.add(maps, (8, 8))
    assert recorder.means[(8, 8)][:, 0, 0].tolist() == pytest.approx([2, (4 + 6 + 4) / 3, 6])


def test_attention_is_recorded_with_different_starts(
    unet: UNet2DConditionModel, prompts: RegionPrompts
) -> None:
    starts, seeds = [0.3, 1.0, 0.6], [1, 2, 3]
    with unet_predictor(unet, SCHEDULE) as predict:
        together = MapRecorder(prompts.word_positions())
        run(predict, "noised", prompts, starts, seeds, recorder=together)
        for number, (start, seed) in enumerate(zip(starts, seeds, strict=True)):
            alone = MapRecorder(prompts.word_positions())
            run(predict, "noised", prompts, [start], [seed], recorder=alone)
            torch.testing.assert_close(
                together.means[(8, 8)][number], alone.means[(8, 8)][0], rtol=0, atol=1e-4
            )


def test_zero_terminal_snr_stays_finite(prompts: RegionPrompts) -> None:
    alphas = SCHEDULE.alphas_cumprod.clone()
    alphas[-1] = 0
    schedule = NoiseSchedule(alphas)
    levels = Levels((0, 499, 999), tuple(schedule.alphas_cumprod[[0, 499, 999]].tolist()))
    predict = StandIn(lambda z, t, context, regions: 0.5 * z, schedule)
    for mode in ("replay", "noised"):
        background = BACKGROUNDS[mode].prepare(predict, Z_0, BOX, prompts, levels)
        batch = SampleBatch(BOX, [1], start=Start([0.9], PASTED))
        z = sample(predict, background, batch, prompts)
        assert z.isfinite().all()


def test_the_start_level_follows_from_the_seed() -> None:
    settings = StartSettings(start=("real",), start_level=(0.3, 0.6))
    levels = [settings.level_of(seed, 0) for seed in range(400)]
    assert 0.3 <= min(levels) < 0.31 and 0.59 < max(levels) <= 0.6
    assert levels == [settings.level_of(seed, 0) for seed in range(400)]
    mixed = StartSettings(start=("mixed",), start_level=(0.3, 0.6), start_share=0.25)
    drawn = [mixed.level_of(seed, 0) for seed in range(400)]
    assert sum(level < NOISE for level in drawn) / 400 == pytest.approx(0.25, abs=0.06)
    again = StartSettings(start=("noise", "real"), start_level=(0.5, 0.5))
    assert [again.level_of(3, attempt) for attempt in range(3)] == pytest.approx([1.0, 0.35, 0.245])
    assert again.uses_real and again.demands_real


def test_a_copy_is_tried_again_farther_from_the_real_defect() -> None:
    settings = StartSettings(start=("real",), start_level=(0.3, 0.7))
    level = settings.level_of(3, 0)
    farther = 0.7 - (0.7 - level) * 0.7
    assert settings.level_of(3, 1, copies=1) == pytest.approx(farther)
    assert settings.level_of(3, 2, copies=1) == level
    assert settings.level_of(3, 3, copies=1) == pytest.approx(level * 0.7)
    assert max(settings.level_of(seed, 9, copies=9) for seed in range(50)) <= 0.7
    at_paste = StartSettings(start=("real",), start_level=(0.3, 0.7), start_nearer=0)
    assert at_paste.level_of(3, 1) == 0 and at_paste.level_of(3, 1, copies=1) == 0.7


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"start": ("paste",)}, "start is 'paste'"),
        ({"start": ()}, "start is empty"),
        ({"start_level": (0.6, 0.3)}, "highest start level is 0.3"),
        ({"start_level": (-0.1, 0.3)}, "start_level"),
        ({"start_share": 1.2}, "start_share"),
        ({"start_core": -1.0}, "start_core"),
    ],
)
def test_bad_settings_are_refused(options: dict[str, Any], match: str) -> None:
    with pytest.raises(SettingError, match=match):
        StartSettings(**options)


def test_starts_must_be_as_many_as_the_samples(prompts: RegionPrompts) -> None:
    predict = StandIn(lambda z, t, context, regions: 0.1 * z, SCHEDULE)
    with pytest.raises(SettingError, match="1 start levels and 2 pasted pictures for 2 samples"):
        run(predict, "noised", prompts, [0.5], [1, 2])
    with pytest.raises(SettingError, match="the start level is 2"):
        run(predict, "noised", prompts, [2.0], [1])
    assert predict.evaluated == 0


def test_cells_of_a_core_lie_in_it_by_more_than_half() -> None:
    core = torch.zeros(1, 16, 16, dtype=torch.bool)
    core[:, 4:8, 4:10] = True
    regions = boxes(1, 4, 4, (0, 4, 0, 4))
    assert core_cells(core, regions).nonzero().tolist() == [[0, 1, 1]]
    core[:, 4:8, 10] = True
    assert core_cells(core, regions).nonzero().tolist() == [[0, 1, 1], [0, 1, 2]]
    assert not core_cells(core, torch.zeros_like(regions)).any()


def test_auto_is_real_where_a_picture_is_known() -> None:
    automatic = StartSettings(start=("auto", "noise"))
    assert automatic.settled(True) == ("real", "noise")
    assert automatic.settled(False) == ("noise", "noise")
    assert automatic.uses_real and not automatic.demands_real
    real = StartSettings(start=("real",))
    assert real.settled(False) == ("real",) and real.demands_real
    assert not StartSettings(start=("noise",)).uses_real
    assert not StartSettings(start=("mixed",), start_share=0).uses_real
