"""The sampler's levels, noise, background and refusals in the host's sigma space, without the
host."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from bgdefect_pack.bgdefect_core.errors import MaskError, SettingError
from bgdefect_pack.bgdefect_core.method.attention_maps import MapRecorder
from bgdefect_pack.bgdefect_core.method.backgrounds import BACKGROUNDS
from bgdefect_pack.bgdefect_core.method.randomness import attempt_seed, seeded_noise
from bgdefect_pack.bgdefect_core.method.regions import RegionPrompts
from bgdefect_pack.bgdefect_core.method.schedule import Levels
from bgdefect_pack.bgdefect_core.method.start import StartSettings

from .conftest import NAME

sigma_space = import_module(f"{NAME}.nodes._sigma_space")
wires = import_module(f"{NAME}.nodes._wires")
graph_prompts = import_module(f"{NAME}.nodes._graph_prompts")
starting = import_module(f"{NAME}.nodes._starting")
recording = import_module(f"{NAME}.nodes._recorders")
LEVELS = Levels((0, 1, 501), (0.8, 0.5, 0.2))


def prompts(empty: bool = False) -> RegionPrompts:
    tokens = torch.zeros(1, 5, 4)
    return RegionPrompts(tokens, [tokens], tokens, [[1, 2]], tokens if empty else None, {})


def inversion(trajectory: bool = True, empty: bool = False) -> Any:
    latent = torch.arange(32.0).reshape(1, 2, 4, 4)
    levels = [latent * 0 + number for number in range(3)] if trajectory else []
    regions = torch.zeros(1, 4, 4, dtype=torch.long)
    regions[0, 1, 1] = 1
    mask = torch.zeros(1, 8, 8)
    return wires.Inversion(None, prompts(empty), LEVELS, latent, levels, regions, mask)


def test_sigmas_go_from_noise_to_the_last_level() -> None:
    # sqrt((1 - alpha) / alpha): 2 at 0.2, 1 at 0.5, 1/2 at 0.8.
    assert sigma_space.sigmas_of(LEVELS).tolist() == pytest.approx([2, 1, 0.5])


def test_a_level_that_repeats_the_one_below_gives_one_sigma() -> None:
    levels = Levels((0, 0, 1, 501), (0.8, 0.8, 0.5, 0.2))
    assert sigma_space.sigmas_of(levels).tolist() == pytest.approx([2, 1, 0.5])


def test_samples_start_where_the_command_line_s_would() -> None:
    case, seeds = inversion(), sigma_space.seeds_of(3, 20)
    assert starting.GraphStart().levels(case, seeds) == [1.0] * 20
    start = starting.GraphStart(case.latent + 1, 0.2, 0.4)
    levels = start.levels(case, seeds)
    settings = StartSettings(("real",), (0.2, 0.4))
    assert levels == [settings.level_of(seed, 0) for seed in seeds]
    assert all(0.2 <= level <= 0.4 for level in levels) and len(set(levels)) == 20
    # The good picture itself, where no real defect is known.
    assert starting.GraphStart(case.latent, 0.2, 0.4).levels(case, seeds) == [1.0] * 20
    with pytest.raises(SettingError, match="pasted has the shape"):
        starting.GraphStart(case.latent[:, :1], 0.2, 0.4).levels(case, seeds)
    for low, high in ((0.5, 0.4), (0.2, 1.5)):
        with pytest.raises(SettingError):
            starting.GraphStart(case.latent, low, high)


def test_no_two_runs_share_a_sample_s_seed() -> None:
    seeds = [seed for run in (0, 1, 2, 2**64 - 1) for seed in sigma_space.seeds_of(run, 50)]
    assert len(set(seeds)) == 200
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert sigma_space.seeds_of(7, 3) == sigma_space.seeds_of(7, 5)[:3]
    assert sigma_space.seeds_of(7, 3) == [attempt_seed(7, number, 0) for number in range(3)]


def test_noise_depends_on_each_sample_s_seed_alone() -> None:
    batch = sigma_space.SampleNoise(7).generate_noise({"samples": torch.zeros(3, 2, 4, 4)})
    assert torch.equal(batch, seeded_noise(sigma_space.seeds_of(7, 3), (2, 4, 4)))
    other = sigma_space.SampleNoise(8).generate_noise({"samples": torch.zeros(3, 2, 4, 4)})
    values = [tuple(sample.flatten().tolist()) for sample in (*batch, *other)]
    assert len(set(values)) == 6


@pytest.mark.parametrize("name", ["replay", "masked", "literal"])
def test_a_trajectory_is_interpolated_in_sigma(name: str) -> None:
    z_0 = inversion().latent.repeat(2, 1, 1, 1)
    background = sigma_space.SigmaBackground(inversion(), BACKGROUNDS[name], z_0, 0)
    assert torch.equal(background.at(0.0), z_0)
    # Level 1 at sigma 1 is 1 / sqrt(0.5), level 2 at sigma 2 is 2 / sqrt(0.2).
    first, second = 1 / 0.5**0.5, 2 / 0.2**0.5
    assert background.at(1.0).unique().tolist() == pytest.approx([first])
    assert background.at(1.25).unique().tolist() == pytest.approx([0.75 * first + 0.25 * second])
    assert background.at(3.0).unique().tolist() == pytest.approx([2 * second - first])


def test_the_noised_background_has_one_fixed_noise_a_sample() -> None:
    z_0 = inversion().latent.repeat(2, 1, 1, 1)
    mode = BACKGROUNDS["noised"]
    background = sigma_space.SigmaBackground(inversion(False), mode, z_0, 5)
    noise = seeded_noise(sigma_space.seeds_of(5, 2), (2, 4, 4), stream=1)
    assert torch.equal(background.at(0.5), z_0 + 0.5 * noise)


def test_regions_are_placed_once_a_run() -> None:
    case = inversion()
    background = sigma_space.SigmaBackground(case, BACKGROUNDS["noised"], case.latent, 0)
    regions, defect = background.placed(case.regions, case.latent)
    again, _ = background.placed(case.regions, case.latent)
    assert again is regions
    assert torch.equal(defect > 0, case.regions > 0)


def test_outside_the_mask_the_picture_is_kept_bit_for_bit() -> None:
    case = inversion()
    painted = torch.randn(1, 2, 4, 4)
    result = sigma_space.with_background(painted, case.latent, case.regions)
    inside = (case.regions > 0)[:, None].expand_as(result)
    assert torch.equal(result[inside], painted[inside])
    assert torch.equal(result[~inside], case.latent[~inside])


def test_a_mode_that_inverts_needs_the_trajectory() -> None:
    for name, mode in BACKGROUNDS.items():
        sigma_space.check_mode(inversion(), mode, 1)
        if name == "noised":
            sigma_space.check_mode(inversion(False), mode, 1)
        else:
            with pytest.raises(SettingError, match="skip off"):
                sigma_space.check_mode(inversion(False), mode, 1)
    sigma_space.check_mode(inversion(empty=True), BACKGROUNDS["noised"], 2)
    with pytest.raises(SettingError, match="empty prompt"):
        sigma_space.check_mode(inversion(), BACKGROUNDS["noised"], 2)


def sample_plain(model: Any, x: Any, sigmas: Any) -> None:
    """A deterministic sampler's signature."""


def sample_ancestral(
    model: Any, x: Any, sigmas: Any, eta: float = 1.0, noise_sampler: Any = None
) -> None:
    """An ancestral sampler's signature."""


def sampler(function: Any, **options: Any) -> Any:
    return SimpleNamespace(sampler_function=function, extra_options=options)


@pytest.mark.parametrize(
    ("given", "noise"),
    [
        (sampler(sample_plain), False),
        (sampler(sample_plain, s_churn=0.5), True),
        (sampler(sample_ancestral), True),
        (sampler(sample_ancestral, eta=0), False),
        (SimpleNamespace(), False),
    ],
)
def test_which_samplers_add_noise(given: Any, noise: bool) -> None:
    assert sigma_space.adds_noise(given) is noise


def test_a_run_must_go_from_noise_to_the_picture() -> None:
    case, mode = inversion(), BACKGROUNDS["replay"]
    latent, sigmas = case.latent.repeat(2, 1, 1, 1), torch.tensor([2.0, 1.0, 0.5])
    sigma_space.check_run(case, mode, latent, sampler(sample_ancestral), sigmas)
    for wrong, message in (
        (torch.tensor([0.9, 0.5]), "whole sigmas"),
        (torch.tensor([2.0, 1.5]), "whole sigmas"),
        (torch.tensor([2.0, float("nan")]), "NaN"),
    ):
        with pytest.raises(SettingError, match=message):
            sigma_space.check_run(case, mode, latent, sampler(sample_plain), wrong)
    below = torch.tensor([0.9, 0.5])
    sigma_space.check_run(case, mode, latent, sampler(sample_plain), below, from_paste=True)
    with pytest.raises(SettingError, match="sigmas go from 2 to 1.5"):
        open_end = torch.tensor([2.0, 1.5])
        sigma_space.check_run(case, mode, latent, sampler(sample_plain), open_end, from_paste=True)
    with pytest.raises(SettingError, match="multiple of its pictures"):
        sigma_space.check_run(case, mode, latent[:, :1], sampler(sample_plain), sigmas)
    with pytest.raises(SettingError, match="replay"):
        sigma_space.check_run(
            case, BACKGROUNDS["masked"], latent, sampler(sample_ancestral), sigmas
        )


def test_every_defect_has_a_mask_for_every_picture() -> None:
    mask, second = torch.zeros(1, 8, 8), torch.zeros(2, 8, 8)
    mask[:, :2], second[:, 5:] = 1, 1
    case = wires.GraphPrompts(prompts(), [None, second])
    masks = graph_prompts.masks_of_defects(case, mask, 2)
    assert [batch.shape for batch in masks] == [(2, 8, 8)] * 2
    regions = torch.zeros(2, 4, 4, dtype=torch.long)
    whole = graph_prompts.together(masks, regions)
    assert torch.equal(whole > 0, masks[0] | masks[1])
    for wrong, message in ((mask * 0, "is empty"), (mask * 0 + 1, "is full")):
        with pytest.raises(MaskError, match=message):
            graph_prompts.masks_of_defects(case, wrong, 2)
    with pytest.raises(MaskError, match="the mask of defect 2"):
        graph_prompts.masks_of_defects(case, mask, 3)


def test_maps_of_all_batches_are_joined_in_order() -> None:
    recorders = []
    for value in (1.0, 2.0):
        recorder = MapRecorder([[1]])
        recorder.means[(8, 8)] = torch.full((2, 8, 8), value)
        recorders.append(recorder)
    means = recording.joined(recorders).means[(8, 8)]
    assert means[:, 0, 0].tolist() == [1, 1, 2, 2]
    assert recording.joined([]).means == {}
    assert recording.recorder_of(prompts()) is not None
    tokens = torch.zeros(1, 5, 4)
    wordless = RegionPrompts(tokens, [tokens], tokens, [[]], None, {})
    assert recording.recorder_of(wordless) is None
