"""Drawing and pretraining: everything follows from the seed, and a stopped run ends with the same
bits."""

from __future__ import annotations

import shutil
from collections import deque
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bgdefect_core.errors import OtherRunError, OutputError, SettingError, WeightsError
from bgdefect_core.records.run_record import locked
from trainer.bases.load import load_base
from trainer.drawing.draw import draw
from trainer.drawing.grounds import GROUNDS
from trainer.drawing.objects import OBJECTS, draw_object
from trainer.pretrain import run
from trainer.pretrain.linear import LinearCoder, LinearConfig, balance, start_from, train_linear
from trainer.pretrain.regions import RegionsConfig, train_regions
from trainer.pretrain.run import PretrainConfig, pretrain
from trainer.pretrain.steps import one_cycle
from trainer.pretrain.stream import PictureWindow, crops, picture_of
from trainer.pretrain.unet import LatentPicture, latent_crops
from trainer.pretrain.vae import VAEConfig, build_vae, train_vae

from .conftest import TOKENIZER, files_of

TINY = VAEConfig(
    steps=4,
    large_from=0.5,
    small_crop=16,
    large_crop=32,
    small_batch=2,
    large_batch=2,
    drawn_size=48,
    window=4,
    fresh=1,
    save_every=2,
)


def test_a_seed_draws_the_same_picture_and_another_seed_another() -> None:
    first, again, other = draw(5, 64), draw(5, 64), draw(6, 64)
    assert np.array_equal(first.picture, again.picture) and first.caption == again.caption
    assert not np.array_equal(first.picture, other.picture)


def test_a_defect_changes_the_picture_inside_its_mask_only() -> None:
    with_defect = [
        drawn for drawn in (draw(seed, 96, 1.0) for seed in range(30)) if drawn.mask.any()
    ]
    assert len(with_defect) >= 25
    for drawn in with_defect:
        changed = (drawn.picture != drawn.good).any(-1)
        assert changed.any() and not (changed & ~drawn.mask).any()
        assert drawn.defect and drawn.defect in drawn.caption


def test_good_pictures_have_no_mask_and_no_defect() -> None:
    for seed in range(20):
        drawn = draw(seed, 48, 0.0)
        assert (
            not drawn.mask.any()
            and drawn.defect == ""
            and np.array_equal(drawn.picture, drawn.good)
        )


@pytest.mark.parametrize("noun", sorted(GROUNDS))
def test_every_ground_is_a_picture(noun: str) -> None:
    ground = GROUNDS[noun](np.random.default_rng(1), 72)
    assert ground.shape == (72, 72, 3) and ground.dtype == np.float32
    assert np.isfinite(ground).all() and ground.min() >= 0 and ground.max() <= 1


@pytest.mark.parametrize("noun", sorted(OBJECTS))
def test_every_object_stands_on_its_tray(noun: str) -> None:
    picture, part = draw_object(np.random.default_rng(2), 72, noun)
    assert picture.shape == (72, 72, 3) and 0 < part.mean() < 1


def test_the_window_at_a_step_does_not_depend_on_where_the_run_began() -> None:
    def windows(start: int, count: int) -> list[list[str]]:
        window = PictureWindow(3, 32, 4, 2, start, lambda drawn: drawn.picture.tobytes().hex(), 0.5)
        return [list(held) for held, _ in zip(window, range(count), strict=False)]

    assert windows(0, 3)[2] == windows(2, 1)[0]


def test_crops_are_a_function_of_seed_and_step() -> None:
    held = _drawn(4)
    assert torch.equal(crops(held, 3, 16, 7, 5), crops(held, 3, 16, 7, 5))
    assert not torch.equal(crops(held, 3, 16, 7, 5), crops(held, 3, 16, 7, 6))


def test_a_crop_beside_the_defect_is_captioned_as_good() -> None:
    cells = torch.zeros(8, 8, dtype=torch.bool)
    cells[0, 0] = True
    item = LatentPicture(torch.zeros(4, 8, 8), cells, torch.full((77,), 1), torch.full((77,), 2))
    seen = {
        int(latent_crops(deque([item]), 1, 4, torch.zeros(77), 0.0, 0, step)[1][0, 0])
        for step in range(40)
    }
    assert seen == {1, 2}
    everything = [
        int(latent_crops(deque([item]), 1, 8, torch.zeros(77), 0.0, 0, step)[1][0, 0])
        for step in range(5)
    ]
    assert everything == [1] * 5


def test_one_cycle_rises_to_its_peak_and_falls() -> None:
    rates = [one_cycle(step, 120, 1.0) for step in range(120)]
    assert rates[0] == 0.1 and max(rates) == 1.0 and rates[-1] < 0.02
    assert rates.index(1.0) <= 10


def test_balancing_a_coder_leaves_what_it_does_to_a_picture() -> None:
    torch.manual_seed(3)
    coder, pixels = LinearCoder().double(), crops(_drawn(24), 16, 32, 0, 0).double()
    before = coder(pixels)
    balance(coder, pixels)
    assert torch.allclose(coder(pixels), before, atol=1e-9)
    latent = coder.encoded(pixels)[-1]
    for outputs in (coder.encoded(pixels), coder.decoded(latent)):
        for output in outputs[:3]:
            assert torch.allclose(output.square().mean((0, 2, 3)), torch.ones(32).double())
    spread = torch.corrcoef(latent.transpose(0, 1).flatten(1))
    assert torch.allclose(spread, torch.eye(4).double(), atol=1e-6)


def test_the_vae_starts_as_the_linear_coder(tmp_path: Path) -> None:
    coder = train_linear(
        tmp_path, LinearConfig(steps=60, crop=32, batch=8, drawn_size=48, window=64), seed=1
    )
    vae, pixels = build_vae(), crops(_drawn(24), 16, 32, 0, 0)
    start_from(vae, coder)
    with torch.no_grad():
        wanted, posterior = coder(pixels), vae.encode(pixels).latent_dist
        got = vae.decode(posterior.mean).sample
    # Not the same bits: a picture with more contrast than most moves its group norms' scale a
    # little.
    assert (got - wanted).square().mean() < 0.01 * wanted.square().mean()
    assert torch.allclose(posterior.std, torch.full_like(posterior.std, float(np.exp(-4))))


def test_a_stopped_linear_coder_ends_with_the_same_bits(tmp_path: Path) -> None:
    config = LinearConfig(steps=4, crop=16, batch=2, drawn_size=48, window=4, save_every=2)
    whole = train_linear(tmp_path / "stopped", config, seed=1)
    (tmp_path / "stopped" / "step-000004.safetensors").unlink()
    resumed = train_linear(tmp_path / "stopped", config, seed=1)
    assert all(
        torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True)
    )


def test_a_stopped_pretraining_ends_with_the_same_bits(tmp_path: Path) -> None:
    torch.manual_seed(0)
    coder = LinearCoder()
    whole = train_vae(tmp_path / "whole", coder, TINY, seed=1)
    stopped = train_vae(tmp_path / "stopped", coder, TINY, seed=1)
    for path in (tmp_path / "stopped").glob("step-000004*"):
        path.unlink()  # as if killed after the checkpoint at step 2
    resumed = train_vae(tmp_path / "stopped", coder, TINY, seed=1)
    assert all(
        torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True)
    )
    assert all(
        torch.equal(a, b) for a, b in zip(whole.parameters(), stopped.parameters(), strict=True)
    )
    assert files_of(tmp_path / "whole") == files_of(
        tmp_path / "stopped"
    )  # optimizer and running mean too


def test_stopped_region_prompts_end_with_the_same_bits(tmp_path: Path, tiny_base: Path) -> None:
    """The stage with two networks, their exponential means, both losses, and a kill between two
    checkpoints."""
    config = RegionsConfig(
        steps=4, crop=8, batch=2, plain_every=2, drawn_size=32, window=5, save_every=2
    )

    def trained(folder: Path) -> list[bytes]:
        base = load_base(tiny_base)
        networks = (base.unet.requires_grad_(True), base.text_encoder.requires_grad_(True))
        means = train_regions(folder, *networks, base.vae, base.tokenizer, config, seed=1)
        return [
            value.detach().numpy().tobytes() for network in means for value in network.parameters()
        ]

    whole = trained(tmp_path / "whole")
    assert trained(tmp_path / "stopped") == whole
    (tmp_path / "stopped" / "step-000004.safetensors").unlink()
    torch.manual_seed(99)  # nothing of a step comes from the global generator
    assert trained(tmp_path / "stopped") == whole
    assert trained(tmp_path / "stopped") == whole  # finished: nothing to do
    assert sorted(files_of(tmp_path / "whole")) == [
        "step-000002.safetensors",
        "step-000004.safetensors",
    ]
    assert files_of(tmp_path / "whole") == files_of(tmp_path / "stopped")


def _drawn(count: int) -> deque[np.ndarray]:
    return next(iter(PictureWindow(0, 48, count, 1, 0, picture_of, 0.5)))


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PretrainConfig:
    """A pretraining whose trainings are passed over."""
    monkeypatch.setattr(
        run,
        "_train_all",
        lambda config, tokenizer: (config.output / "checkpoints").mkdir(exist_ok=True),
    )
    return PretrainConfig(tmp_path / "out", TOKENIZER)


def test_another_seed_or_setting_does_not_go_on_with_a_run(settings: PretrainConfig) -> None:
    pretrain(settings)
    pretrain(replace(settings, vae=replace(settings.vae, save_every=7)))
    before = files_of(settings.output)
    for other, was in (
        (replace(settings, seed=1), "seed was 0, now 1"),
        (replace(settings, vae=replace(settings.vae, steps=3)), "vae.steps was 4000, now 3"),
    ):
        with pytest.raises(OtherRunError, match=f"another run: {was}"):
            pretrain(other)
    assert files_of(settings.output) == before
    (settings.output / "pretrain.json").unlink()
    with pytest.raises(OutputError, match="checkpoints without pretrain.json"):
        pretrain(settings)


def test_another_tokenizer_is_another_run(settings: PretrainConfig, tmp_path: Path) -> None:
    pretrain(settings)
    copy = shutil.copytree(TOKENIZER, tmp_path / "tokenizer")
    pretrain(replace(settings, tokenizer=copy))
    with (copy / "tokenizer_config.json").open("a") as file:
        file.write("\n")
    with pytest.raises(
        OtherRunError, match="tokenizer_config.json is not what it was when the run began"
    ):
        pretrain(replace(settings, tokenizer=copy))


def test_two_pretrainings_cannot_run_at_once(settings: PretrainConfig) -> None:
    with locked(settings.output), pytest.raises(OutputError, match="in use by another process"):
        pretrain(settings)


def test_pretraining_refuses_before_it_writes(settings: PretrainConfig, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for tokenizer in (tmp_path / "nowhere", tmp_path / "empty"):
        with pytest.raises(WeightsError, match="lacks vocab.json"):
            pretrain(replace(settings, tokenizer=tokenizer))
    for changes in ({"seed": -1}, {"vae": replace(settings.vae, steps=0)}):
        with pytest.raises(SettingError, match="is -1|steps is 0"):
            pretrain(replace(settings, **changes))
    assert not settings.output.exists()
    (settings.output / "unet").mkdir(parents=True)
    with pytest.raises(OutputError, match="holds a model or checkpoints"):
        pretrain(settings)
