from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from bgdefect_core.errors import SettingError
from bgdefect_core.method.attention_maps import MapRecorder
from bgdefect_core.method.backgrounds import BACKGROUNDS, BackgroundLatents
from bgdefect_core.method.inversion import invert
from bgdefect_core.method.predictor import Predictor, unet_predictor
from bgdefect_core.method.randomness import seeded_noise
from bgdefect_core.method.regions import Context, RegionPrompts, union
from bgdefect_core.method.sample_batch import SampleBatch
from bgdefect_core.method.sampling import SamplingSettings, sample
from bgdefect_core.method.schedule import NoiseSchedule, schedule_from_config
from bgdefect_core.method.solvers import SOLVERS

from .conftest import (
    SD_SCHEDULE,
    StandIn,
    as_bits,
    boxes,
    make_prompts,
    random_tensor,
    sd_schedule,
)

STEPS = 4
LEVELS = sd_schedule().levels(STEPS)
BOX = boxes(1, 16, 16, (3, 9, 2, 8))
M = (BOX > 0)[:, None]
Z_0 = random_tensor(1, 4, 16, 16, seed=5)
MODES = ("replay", "noised", "masked", "literal")
OTHER_DEFECT = replace(make_prompts(), defects=make_prompts(seed=900).defects)


def paint(
    predict: Predictor,
    mode: str,
    prompts: RegionPrompts,
    seeds: Sequence[int] = (1,),
    regions: Tensor = BOX,
    background: BackgroundLatents | None = None,
    guidance: float = 1.0,
    **options: Any,
) -> list[Tensor]:
    """All levels that sampling passes through, the result last."""
    background = background or BACKGROUNDS[mode].prepare(predict, Z_0, regions, prompts, LEVELS)
    passed: list[Tensor] = []
    many = len(seeds)
    z_0 = sample(
        predict,
        background.rows([0] * many),
        SampleBatch(regions.expand(many, -1, -1), seeds, guidance),
        prompts,
        callback=lambda done, total, z: passed.append(z),
        **options,
    )
    assert torch.equal(passed[-1], z_0) and len(passed) == STEPS
    return passed


def outside(levels: Sequence[Tensor]) -> list[Tensor]:
    return [level[~M.expand_as(level)] for level in levels]


@pytest.mark.parametrize("mode", MODES)
def test_background_knows_neither_the_seed_nor_the_defect(
    unet: UNet2DConditionModel, prompts: RegionPrompts, mode: str
) -> None:
    """Lemma 3.1 and Prop. 3.3 with a real network, bit for bit, at every step; the printed Eq. 9
    breaks them."""
    with unet_predictor(unet, sd_schedule()) as predict:
        runs = [paint(predict, mode, prompts, [1]), paint(predict, mode, OTHER_DEFECT, [1])]
        reseeded = paint(predict, mode, prompts, [2])
    inside = [run[-1][M.expand_as(run[-1])] for run in (*runs, reseeded)]
    assert (inside[0] != inside[1]).all() and (inside[0] != inside[2]).all()
    same_prompts = as_bits(outside(runs[0])) == as_bits(outside(runs[1]))
    same_seeds = as_bits(outside(runs[0])) == as_bits(outside(reseeded))
    if mode == "literal":
        assert not same_prompts and not same_seeds
        return
    assert same_prompts
    assert (
        same_seeds or mode == "noised"
    )  # there the background's own noise comes from the seed ...
    assert as_bits(outside(runs[0][-1:])) == as_bits(
        outside(reseeded[-1:])
    )  # ... and is gone at the end


@pytest.mark.parametrize("mode", ["replay", "noised"])
def test_latents_outside_the_mask_come_back_exactly(
    unet: UNet2DConditionModel, prompts: RegionPrompts, mode: str
) -> None:
    with unet_predictor(unet, sd_schedule()) as predict:
        result = paint(predict, mode, prompts)[-1]
    assert torch.equal(outside([result])[0], outside([Z_0])[0])
    assert (result[M.expand_as(result)] != Z_0[M.expand_as(Z_0)]).all()


def test_background_at_every_step_is_the_one_that_the_mode_promises(
    unet: UNet2DConditionModel, prompts: RegionPrompts
) -> None:
    with unet_predictor(unet, sd_schedule()) as predict:
        trajectory = invert(predict, Z_0, BOX, prompts, LEVELS)
        replayed, noised = (paint(predict, mode, prompts, [8]) for mode in MODES[:2])
    eps = seeded_noise([8], (4, 16, 16), stream=1)
    for done in range(1, STEPS + 1):
        level = STEPS - done
        assert torch.equal(*outside([replayed[done - 1], trajectory[level]]))
        alpha = LEVELS.alphas[level]
        forward = alpha**0.5 * Z_0 + (1 - alpha) ** 0.5 * eps if level else Z_0
        torch.testing.assert_close(*outside([noised[done - 1], forward]))


@pytest.mark.parametrize("mode", ["masked", "literal"])
@pytest.mark.parametrize("defects", [1, 2])
def test_is_equation_9_written_out(unet: UNet2DConditionModel, mode: str, defects: int) -> None:
    prompts = make_prompts(defects)
    regions = boxes(1, 16, 16, (3, 9, 2, 8), (10, 13, 9, 15)) if defects == 2 else BOX
    m, c_1, c_2 = (
        (regions > 0)[:, None].float(),
        prompts.defect_context(),
        prompts.background_context(),
    )
    with torch.no_grad(), unet_predictor(unet, sd_schedule()) as predict:
        passed = paint(predict, mode, prompts, [3], regions, solver=SOLVERS["ddim"])
        z = invert(predict, Z_0, regions, prompts, LEVELS)[-1] + m * seeded_noise([3], (4, 16, 16))
        for level in range(STEPS, 0, -1):
            t, now, then = LEVELS.timesteps[level], LEVELS.alphas[level], LEVELS.alphas[level - 1]
            fed = (1 - m) * z if mode == "masked" else z
            e_t = (1 - m) * predict(fed, t, c_2, union(regions)) + m * predict(z, t, c_1, regions)
            z = then**0.5 * (z / now**0.5 + ((1 / then - 1) ** 0.5 - (1 / now - 1) ** 0.5) * e_t)
            torch.testing.assert_close(passed[STEPS - level], z, rtol=1e-5, atol=1e-5)


def test_numbers_by_hand(prompts: RegionPrompts) -> None:
    """One step with eps = z / 2 under C_1 and guidance 3 over eps = z / 4: eps = z / 4 + 3 (z / 2 -
    z / 4) = z."""
    schedule = NoiseSchedule(torch.tensor([0.64, 0.36]))
    c_1 = prompts.defect_context()
    predict = StandIn(lambda z, t, context, regions: z / 2 if context is c_1 else z / 4, schedule)
    noise = float(seeded_noise([4], (1, 1, 2))[0, 0, 0, 0])
    latents = [torch.tensor([[[[0.0, 5.0]]]]), torch.tensor([[[[0.0, 6.0]]]])]
    background = BackgroundLatents(BACKGROUNDS["replay"], schedule.levels(1), latents)
    batch = SampleBatch(torch.tensor([[[1, 0]]]), [4])
    # x_0 = (z - .8 eps) / .6, result .8 x_0 + .6 eps
    expected = 0.8 * (noise - 0.8 * noise / 2) / 0.6 + 0.6 * noise / 2
    z_0 = sample(predict, background, batch, prompts)
    assert z_0.flatten().tolist() == pytest.approx([expected, 5])
    expected = 0.8 * (noise - 0.8 * noise) / 0.6 + 0.6 * noise
    z_0 = sample(predict, background, replace(batch, guidance=3), prompts)
    assert z_0.flatten().tolist() == pytest.approx([expected, 5])


def test_each_sample_has_its_own_guidance(prompts: RegionPrompts) -> None:
    c_1 = prompts.defect_context()
    predict = StandIn(lambda z, t, context, regions: z / 2 if context is c_1 else z / 4)
    background = BACKGROUNDS["replay"].prepare(predict, Z_0, BOX, prompts, LEVELS).rows([0, 0, 0])
    batch = SampleBatch(BOX.expand(3, -1, -1), [7, 7, 7], [1, 2.5, 3])
    mixed = sample(predict, background, batch, prompts)
    for number, weight in enumerate((1, 2.5, 3)):
        alike = sample(predict, background, replace(batch, guidance=weight), prompts)
        torch.testing.assert_close(mixed[number], alike[number])
    assert not torch.equal(mixed[0], mixed[1]) and not torch.equal(mixed[1], mixed[2])
    with pytest.raises(SettingError, match="2 values of guidance for 3 samples"):
        replace(batch, guidance=[1, 2])


@pytest.mark.parametrize(
    ("mode", "guidance", "once", "each"),
    [
        ("replay", 1.0, 50, 50),
        ("noised", 1.0, 0, 50),
        ("masked", 1.0, 100, 50),
        ("literal", 1.0, 50, 100),
        ("replay", 2.0, 50, 100),
        ("literal", 2.0, 50, 150),
    ],
)
def test_cost_in_network_samples(
    mode: str, guidance: float, once: int, each: int, prompts: RegionPrompts
) -> None:
    predict = StandIn(lambda z, t, context, regions: 0.1 * z)
    levels, seeds = sd_schedule().levels(50), [1, 2, 3]
    background = BACKGROUNDS[mode].prepare(predict, Z_0, BOX, prompts, levels)
    assert predict.evaluated == once
    predict.timesteps.clear()
    batch = SampleBatch(BOX.expand(3, -1, -1), seeds, guidance)
    sample(predict, background.rows([0, 0, 0]), batch, prompts)
    assert predict.evaluated == once + each * len(seeds)
    assert list(dict.fromkeys(predict.timesteps)) == list(
        range(999, 0, -20)
    )  # final is never asked


def test_guidance_stays_inside_the_mask_and_records_once(
    unet: UNet2DConditionModel, prompts: RegionPrompts
) -> None:
    recorders = [MapRecorder(prompts.word_positions()) for _ in range(2)]
    with unet_predictor(unet, sd_schedule()) as predict:
        for mode in MODES[:3]:
            plain, guided = (paint(predict, mode, prompts, guidance=w)[-1] for w in (1, 4))
            assert torch.equal(*outside([plain, guided]))
            assert (plain[M.expand_as(plain)] != guided[M.expand_as(plain)]).all()
        for recorder, mode in zip(recorders, (MODES[0], MODES[3]), strict=True):
            paint(predict, mode, prompts, guidance=2, recorder=recorder)
    assert all(
        recorder._counts == {(8, 8): STEPS} for recorder in recorders
    )  # the middle layer, C_1's pass alone
    with pytest.raises(SettingError, match="guidance without an empty prompt"):
        paint(StandIn(lambda z, t, c, r: z), "noised", replace(prompts, empty=None), guidance=2)


def test_recording_changes_nothing(unet: UNet2DConditionModel, prompts: RegionPrompts) -> None:
    with unet_predictor(unet, sd_schedule()) as predict:
        plain = paint(predict, "noised", prompts)[-1]
        recorded = paint(
            predict, "noised", prompts, recorder=MapRecorder(prompts.word_positions())
        )[-1]
    torch.testing.assert_close(plain, recorded, rtol=0, atol=1e-4)


@pytest.mark.parametrize("mode", ["replay", "noised"])
def test_same_seed_same_sample(
    unet: UNet2DConditionModel, prompts: RegionPrompts, mode: str
) -> None:
    """Choice 13: equal batch shapes give equal bits wherever a sample stands, other batch sizes
    agree to 1e-4."""
    with unet_predictor(unet, sd_schedule()) as predict:
        background = BACKGROUNDS[mode].prepare(predict, Z_0, BOX, prompts, LEVELS)
        batches = [
            paint(predict, mode, prompts, seeds, background=background)[-1]
            for seeds in ([1, 2, 3], [3, 1, 9], [1, 1, 1], [1])
        ]
    first = batches[0][0]
    assert torch.equal(first, batches[1][1])
    assert torch.equal(batches[0][2], batches[1][0])
    assert all(torch.equal(first, row) for row in batches[2])  # the last batch, padded
    torch.testing.assert_close(first, batches[3][0], rtol=0, atol=1e-4)
    assert not torch.equal(first, batches[0][1])


def test_noise_depends_on_the_samples_own_seed_alone() -> None:
    shape = (4, 5, 3)
    one, two = seeded_noise([7, 8], shape), seeded_noise([8], shape)
    assert torch.equal(one[1], two[0]) and not torch.equal(one[0], one[1])
    assert one.dtype == torch.float32 and one.shape == (2, 4, 5, 3)
    assert not torch.equal(one, seeded_noise([7, 8], shape, stream=1))
    state = torch.get_rng_state()
    seeded_noise([2**63 - 1], shape, stream=2)
    assert torch.equal(torch.get_rng_state(), state)  # the global generator is left alone
    assert abs(float(seeded_noise([0], (4, 64, 64)).std()) - 1) < 0.02


@pytest.mark.parametrize("mode", MODES)
def test_reused_background_is_as_good_as_a_fresh_one(
    unet: UNet2DConditionModel, prompts: RegionPrompts, mode: str
) -> None:
    with unet_predictor(unet, sd_schedule()) as predict:
        kept = BACKGROUNDS[mode].prepare(predict, Z_0, BOX, prompts, LEVELS)
        bits = as_bits(kept.latents)
        reused = [paint(predict, mode, prompts, [seed], background=kept)[-1] for seed in (1, 2)]
    assert as_bits(kept.latents) == bits  # sampling leaves it as it was
    with unet_predictor(unet, sd_schedule()) as predict:
        fresh = [paint(predict, mode, prompts, [seed])[-1] for seed in (1, 2)]
    assert as_bits(reused) == as_bits(fresh)


def test_callback_is_called_each_step_and_may_stop_the_run(
    unet: UNet2DConditionModel, prompts: RegionPrompts
) -> None:
    before = dict(unet.attn_processors)
    steps: list[tuple[int, int]] = []

    def stop(done: int, total: int, z: Tensor) -> None:
        steps.append((done, total))
        if done == 2:
            raise InterruptedError

    for run in (invert, sample):
        steps.clear()
        with pytest.raises(InterruptedError), unet_predictor(unet, sd_schedule()) as predict:
            if run is sample:
                background = BACKGROUNDS["noised"].prepare(predict, Z_0, BOX, prompts, LEVELS)
                sample(predict, background, SampleBatch(BOX, [1]), prompts, callback=stop)
            else:
                BACKGROUNDS["replay"].prepare(predict, Z_0, BOX, prompts, LEVELS, stop)
        assert steps == [(1, STEPS), (2, STEPS)]
        assert unet.attn_processors == before


@pytest.mark.parametrize(
    ("mode", "total"), [("replay", STEPS), ("literal", STEPS), ("masked", 2 * STEPS), ("noised", 0)]
)
def test_callback_counts_through_to_one_total(
    mode: str, total: int, prompts: RegionPrompts
) -> None:
    predict, seen = StandIn(lambda z, t, context, regions: 0.1 * z), list[tuple[int, int]]()
    background = BACKGROUNDS[mode].prepare(
        predict, Z_0, BOX, prompts, LEVELS, lambda done, of, z: seen.append((done, of))
    )
    assert seen == [(done, total) for done in range(1, total + 1)]
    seen.clear()
    sample(
        predict,
        background,
        SampleBatch(BOX, [1]),
        prompts,
        callback=lambda done, of, z: seen.append((done, of)),
    )
    assert seen == [(done, STEPS) for done in range(1, STEPS + 1)]


@pytest.mark.parametrize(("maps", "seeds"), [(1, 2), (2, 1), (1, 0)])
def test_seeds_must_be_as_many_as_the_region_maps(maps: int, seeds: int) -> None:
    with pytest.raises(SettingError, match=f"{seeds} seeds for {maps} region maps"):
        SampleBatch(BOX.expand(maps, -1, -1), range(seeds))


@pytest.mark.parametrize(("backgrounds", "samples"), [(1, 2), (2, 1)])
def test_backgrounds_must_be_as_many_as_the_samples(
    backgrounds: int, samples: int, prompts: RegionPrompts
) -> None:
    predict = StandIn(lambda z, t, context, regions: 0.1 * z)
    background = BACKGROUNDS["noised"].prepare(predict, Z_0, BOX, prompts, LEVELS)
    batch = SampleBatch(BOX.expand(samples, -1, -1), range(samples))
    with pytest.raises(SettingError, match=f"{samples} samples for {backgrounds} backgrounds"):
        sample(predict, background.rows([0] * backgrounds), batch, prompts)
    assert predict.evaluated == 0


def test_two_differently_prompted_defects_in_one_picture(unet: UNet2DConditionModel) -> None:
    """Either prompt changes its own defect most; the background stays; swapping prompts and numbers
    changes nothing."""
    prompts, regions = make_prompts(2), boxes(1, 16, 16, (1, 6, 1, 6), (10, 15, 10, 15))
    first, second = prompts.defects
    swapped, turned = (
        replace(prompts, defects=[second, first]),
        torch.where(regions > 0, 3 - regions, 0),
    )
    with unet_predictor(unet, sd_schedule()) as predict:
        background = BACKGROUNDS["replay"].prepare(predict, Z_0, regions, prompts, LEVELS)
        one = paint(predict, "replay", prompts, [1], regions, background)[-1]
        two = paint(predict, "replay", swapped, [1], turned, background)[-1]
        other = replace(prompts, defects=[first, make_prompts(seed=900).defects[0]])
        three = paint(predict, "replay", other, [1], regions, background)[-1]
    torch.testing.assert_close(one, two, rtol=0, atol=1e-5)
    change = (one - three).abs().mean(1)
    assert (change[regions == 0] == 0).all()
    assert change[regions == 2].mean() > 2 * change[regions == 1].mean() > 0


def test_v_prediction_runs_the_same_way(unet: UNet2DConditionModel, prompts: RegionPrompts) -> None:
    """A v network that stands for the same eps gives the same samples."""
    schedule = sd_schedule("v_prediction")

    def by_eps(z: Tensor, t: int, context: object, regions: Tensor) -> Tensor:
        return 0.3 * z + 0.1

    def by_v(z: Tensor, t: int, context: object, regions: Tensor) -> Tensor:
        alpha = float(schedule.alphas_cumprod[t])
        v = (0.3 * z + 0.1 - (1 - alpha) ** 0.5 * z) / alpha**0.5
        return schedule.to_eps(v, z, alpha)

    results = [paint(StandIn(f), "masked", prompts)[-1] for f in (by_eps, by_v)]
    torch.testing.assert_close(*results, rtol=1e-5, atol=1e-5)


def test_unknown_mode_is_refused() -> None:
    assert tuple(BACKGROUNDS) == MODES
    with pytest.raises(
        SettingError, match="background is 'exact'; expected one of replay, noised, masked, literal"
    ):
        SamplingSettings(background="exact")


@pytest.mark.parametrize("mode", MODES)
def test_what_a_mode_says_is_what_it_does(
    unet: UNet2DConditionModel, mode: str, prompts: RegionPrompts
) -> None:
    """Its cost and whether it is exact; what is exact is put back, so that added noise does no
    harm."""
    background, seeds = BACKGROUNDS[mode], [1, 2, 3]
    counted = StandIn(lambda z, t, context, regions: 0.1 * z)
    paint(counted, mode, prompts, seeds)
    assert counted.evaluated == STEPS * (background.per_pair + 3 * background.per_sample)
    assert background.inverts == (background.per_pair > 0)
    assert background.allows_added_noise == background.exact
    with unet_predictor(unet, sd_schedule()) as predict:
        result = paint(predict, mode, prompts)[-1]
    assert torch.equal(outside([result])[0], outside([Z_0])[0]) == background.exact
    assert background.summary


def test_guidance_of_the_attempts() -> None:
    settings = SamplingSettings(guidance=(1.0, 2.5))
    assert [settings.guidance_at(attempt) for attempt in range(4)] == [1.0, 2.5, 2.5, 2.5]
    with pytest.raises(SettingError, match="guidance is empty"):
        SamplingSettings(guidance=())
    with pytest.raises(SettingError, match="guidance"):
        SamplingSettings(guidance=(1.0, 31.0))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("steps", [1, 2, 10])
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(
    ("prediction_type", "zero_terminal"),
    [("epsilon", False), ("v_prediction", False), ("v_prediction", True)],
)
def test_any_number_of_steps_starts_at_the_highest_timestep(
    prompts: RegionPrompts,
    mode: str,
    steps: int,
    solver: str,
    prediction_type: str,
    zero_terminal: bool,
) -> None:
    """A network that knows the picture, 0.5 inside the mask, paints just that with any number of
    steps, up to the noise of level 0; what holds the background exactly still does."""
    config = {"prediction_type": prediction_type, "rescale_betas_zero_snr": zero_terminal}
    schedule = schedule_from_config({**SD_SCHEDULE, **config})
    levels = SamplingSettings(steps=steps).levels(schedule)
    picture = torch.where(M, 0.5, Z_0)

    def knowing(z: Tensor, t: int, context: Context, regions: Tensor) -> Tensor:
        alpha = float(schedule.alphas_cumprod[t])
        eps = (z - alpha**0.5 * picture) / (1 - alpha) ** 0.5
        v = alpha**0.5 * eps - (1 - alpha) ** 0.5 * picture
        return schedule.to_eps(eps if prediction_type == "epsilon" else v, z, alpha)

    predict = StandIn(knowing, schedule)
    background = BACKGROUNDS[mode].prepare(predict, Z_0, BOX, prompts, levels)
    predict.timesteps.clear()
    batch = SampleBatch(BOX, [3])
    z_0 = sample(predict, background, batch, prompts, solver=SOLVERS[solver])
    assert predict.timesteps[0] == 999 and len(set(predict.timesteps)) == steps
    assert z_0.isfinite().all()
    inside, noise = M.expand_as(z_0), (1 - levels.alphas[0]) ** 0.5
    assert (z_0[inside] - 0.5).abs().max() < 4.5 * noise
    assert not background.mode.exact or torch.equal(z_0[~inside], Z_0[~inside])
