"""Training: the loss falls, LoRA, accumulation and processes agree, and every bad input has its own
error."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from bgdefect_core.errors import (
    BGDefectError,
    DataError,
    OtherRunError,
    OutputError,
    PictureError,
    SettingError,
    WeightsError,
)
from bgdefect_core.method.loss import LOSSES
from bgdefect_core.pictures.crop import crop_box
from bgdefect_core.pictures.reading import read_picture
from bgdefect_core.pictures.writing import write_picture
from bgdefect_core.records.run_record import RunRecord, locked, read_inputs
from bgdefect_core.weights.files import read_info
from trainer.bases.apply import load_class
from trainer.bases.families import FAMILIES
from trainer.bases.load import Base, load_base
from trainer.data.annotations.record import Region
from trainer.data.annotations.shapes import Box
from trainer.data.examples import Example
from trainer.generation.config import GenerateConfig
from trainer.generation.setup import ready_base
from trainer.training.batches import Batches, validation_batches
from trainer.training.cache import LatentCache, Views, build_cache, view, view_crop
from trainer.training.setup import choose_class, spread_evenly
from trainer.training.timesteps import TIMESTEP_DRAWS
from trainer.training.train import TrainConfig, train
from trainer.training.tuning import TRAINED_PARTS, averaged, make_average, make_trainable

from .annotated_sets import coco_nut
from .conftest import nudge

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def config(plates: Path, tiny_base: Path, tmp_path: Path) -> TrainConfig:
    """Two iterations of everything small, on the CPU."""
    return TrainConfig(
        data=plates,
        output=tmp_path / "out",
        defect="spot",
        base=str(tiny_base),
        steps=2,
        batch=2,
        views=2,
        device="cpu",
        weights_precision="fp32",
    )


def changed(config: TrainConfig, **changes: Any) -> TrainConfig:
    return dataclasses.replace(config, **changes)


def log_of(weights: Path) -> list[dict[str, str]]:
    with (weights.with_suffix(".run") / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_overfit_lowers_both_losses_and_records_them(config: TrainConfig) -> None:
    weights = train(
        changed(config, steps=30, lr=2e-3, sample_every=30, tensorboard=True, save_every=15)
    )
    rows = log_of(weights)
    assert [int(row["step"]) for row in rows] == list(range(31))
    losses = [float(row["loss"]) for row in rows[1:]]
    assert np.mean(losses[-5:]) < 0.75 * np.mean(losses[:5])
    assert float(rows[-1]["validation"]) < 0.75 * float(rows[0]["validation"])
    assert all(row["validation"] == "" for row in rows[1:-1])
    run = weights.with_suffix(".run")
    assert {path.name for path in (run / "checkpoints").iterdir()} == {
        "step-000015.safetensors",
        "step-000030.safetensors",
    }
    assert read_picture(run / "samples" / "step-000030.png").shape == (3 * 36, 3 * 36, 3)
    assert list((run / "tensorboard").iterdir())
    assert (run / "split.json").is_file()


def test_weights_file_says_everything(config: TrainConfig, tiny_base: Path) -> None:
    weights = train(
        changed(config, background_prompt="a {object}", zoom="whole", weights_precision="fp16")
    )
    assert weights.name == "plate-spot.safetensors"
    info = read_info(weights)
    assert (info.kind, info.object, info.defect, info.steps, info.loss) == (
        "full",
        "plate",
        "spot",
        2,
        "disentangled",
    )
    prompts = (info.background_prompt, info.defect_prompt, info.mask_prompt)
    assert prompts == ("a plate", "a spot defect on a plate", "mask")
    assert (info.resolution, info.zoom, info.mask_sides) == (32, "whole", [8, 8, 8])
    base = load_base(tiny_base)
    assert info.base_fingerprint == base.fingerprint and info.architecture == base.architecture
    assert {"torch", "diffusers"} <= set(info.libraries)
    validations = [float(row["validation"]) for row in log_of(weights) if row["validation"]]
    assert [info.validation_before, info.validation_after] == pytest.approx(validations, abs=1e-6)
    load_class(base, weights)
    trained = load_file(weights)
    assert all(
        torch.equal(tensor.half(), trained[name]) for name, tensor in base.unet.state_dict().items()
    )
    with pytest.raises(SettingError, match="already carries"):
        load_class(base, weights)


def test_lora_round_trip(
    config: TrainConfig, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Merged from its file, a LoRA predicts what the U-Net predicted at the end of its training."""
    seen = {}
    import trainer.training.outcome as module

    original = module.class_tensors
    sample = (
        torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(1)),
        500,
        torch.ones(1, 5, 16),
    )

    @torch.no_grad()
    def spy(unet: Any, rank: int) -> dict[str, torch.Tensor]:
        seen["output"] = unet(*sample).sample
        return original(unet, rank)

    monkeypatch.setattr(module, "class_tensors", spy)
    weights = train(changed(config, lora_rank=3, lr=0.05, steps=4))
    info = read_info(weights)
    assert (info.kind, info.lora_rank, info.lora_alpha) == ("lora", 3, 3.0)
    base = load_base(tiny_base)
    with torch.no_grad():
        before = base.unet(*sample).sample
        load_class(base, weights)
        after = base.unet(*sample).sample
    assert (before - seen["output"]).abs().max() > 1e-3
    torch.testing.assert_close(after, seen["output"], atol=2e-5, rtol=1e-4)


def test_other_base_is_refused_for_a_full_unet(config: TrainConfig, tmp_path: Path) -> None:
    from .conftest import save_tiny_base

    weights = train(changed(config, steps=1))
    other = save_tiny_base(tmp_path / "other", seed=1)
    with pytest.raises(WeightsError, match="another base"):
        load_class(load_base(other), weights)
    load_class(load_base(other), weights, allow_other_base=True)


def test_losses_differ_and_each_is_its_own(config: TrainConfig) -> None:
    runs = {}
    for name, changes in (
        ("disentangled", {}),
        ("naive", {"loss": "naive"}),
        ("weighted", {"mask_weight": 5.0}),
        ("paper", {"mask_weight": 1.0}),
        ("four", {"mask_weight": 4.0}),
        ("matching", {"loss": "matching"}),
        ("min snr", {"min_snr_gamma": 1.0}),
        ("logit normal", {"timesteps": "logit_normal"}),
    ):
        weights = train(changed(config, steps=1, output=config.output / name, **changes))
        runs[name] = float(log_of(weights)[1]["loss"])
        assert read_info(weights).loss == (name if name in LOSSES else "disentangled")
    assert runs.pop("four") == runs["disentangled"]  # the default of a small base
    assert len(set(runs.values())) == 7
    assert runs["weighted"] > runs["disentangled"] > runs["paper"]
    assert runs["disentangled"] > max(runs["matching"], runs["min snr"])  # parts of it


@pytest.mark.parametrize(
    ("width", "name", "weight", "lr"),
    [(96, "mini", 4, 1e-4), (768, "sd1", 1, 5e-6), (1024, "sd2", 1, 5e-6)],
)
def test_a_family_decides_the_defaults(width: int, name: str, weight: float, lr: float) -> None:
    fits = [f for f in FAMILIES.values() if f.fits_folder({"cross_attention_dim": width})]
    family = fits[0]
    assert (family.name, family.mask_weight) == (name, weight)
    assert (family.default_lr(0), family.default_lr(8)) == (lr, 1e-4)


def moments_of(weights: Path) -> dict[str, torch.Tensor]:
    """AdamW's first moments after one iteration: a tenth of the gradients.

    The weights themselves are no measure: Adam's first step is the gradient's sign.
    """
    state = load_file(weights.with_suffix(".run") / "checkpoints" / "step-000001.safetensors")
    return {name: tensor for name, tensor in state.items() if name.endswith("/exp_avg")}


def largest_difference(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> float:
    assert one and one.keys() == two.keys()
    return max(float((one[name] - two[name]).abs().max()) for name in one)


def test_accumulation_equals_the_larger_batch(config: TrainConfig) -> None:
    one = train(changed(config, steps=1, batch=4, output=config.output / "one"))
    two = train(changed(config, steps=1, batch=2, accumulate=2, output=config.output / "two"))
    assert largest_difference(moments_of(one), moments_of(two)) < 1e-6
    assert max(float(tensor.abs().max()) for tensor in moments_of(one).values()) > 1e-3
    losses = [float(log_of(weights)[1]["loss"]) for weights in (one, two)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)


def test_gradient_checkpointing_changes_nothing(config: TrainConfig) -> None:
    one = train(changed(config, steps=1, output=config.output / "one"))
    two = train(changed(config, steps=1, gradient_checkpointing=True, output=config.output / "two"))
    assert largest_difference(moments_of(one), moments_of(two)) < 1e-6


def test_two_processes_equal_the_larger_batch(config: TrainConfig, tmp_path: Path) -> None:
    """Two CPU processes of batch 2 do what one process does with batch 4.

    With ``--cpu``, `accelerate launch` starts a single process, whatever number it is given (it
    leaves more to mpirun): ``--multi_gpu`` is what it calls torch's own launcher, and the
    configuration's device decides.
    """
    one = train(changed(config, steps=1, batch=4, output=config.output / "one"))
    script = tmp_path / "launched.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\n"
        "from trainer.training.train import TrainConfig, train\n"
        "data, base, output = sys.argv[1:]\n"
        "train(TrainConfig(data=Path(data), output=Path(output), defect='spot', base=base, "
        "steps=1, batch=2, views=2,\n"
        "                  weights_precision='fp32'))\n"
    )
    launch = [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--num_processes",
        "2",
        "--num_machines",
        "1",
    ]
    launch += [
        "--multi_gpu",
        "--mixed_precision",
        "no",
        "--dynamo_backend",
        "no",
        "--main_process_port",
        "0",
    ]
    arguments = [str(script), str(config.data), str(config.base), str(config.output / "two")]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    done = subprocess.run(
        [*launch, *arguments], env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    two = config.output / "two" / "plate-spot.safetensors"
    assert largest_difference(moments_of(one), moments_of(two)) < 1e-6
    rows = log_of(two)
    assert [row["step"] for row in rows] == ["0", "1"]  # one process writes the log
    assert float(rows[1]["loss"]) == pytest.approx(float(log_of(one)[1]["loss"]), abs=1e-6)


def test_average_is_what_is_written(config: TrainConfig) -> None:
    plain = load_file(train(changed(config, lr=1e-2, output=config.output / "plain")))
    average = load_file(train(changed(config, lr=1e-2, ema=0.9, output=config.output / "average")))
    start = load_base(config.base).unet.state_dict()
    name = "conv_in.weight"
    moved, lagging = (
        (plain[name] - start[name]).abs().mean(),
        (average[name] - start[name]).abs().mean(),
    )
    assert 0 < lagging < moved


def test_the_mean_is_the_recursion_by_hand() -> None:
    """Decay n / (n + 9) in iteration n, at most the given one."""
    parameter = torch.nn.Parameter(torch.zeros(3))
    average = make_average([parameter], 0.6)
    mean = torch.zeros(3)
    for step in range(1, 30):
        with torch.no_grad():
            parameter.copy_(torch.tensor([float(step), step**0.5, -1.0]))
        average.step([parameter])
        decay = min(0.6, step / (step + 9))
        mean = decay * mean + (1 - decay) * parameter.detach()
        torch.testing.assert_close(average.shadow_params[0], mean, atol=1e-6, rtol=1e-6)
    with averaged(average, [parameter]):
        torch.testing.assert_close(parameter.detach(), mean, atol=1e-6, rtol=1e-6)
    assert parameter.detach().tolist() == [29.0, pytest.approx(29**0.5), -1.0]


def test_a_given_prediction_type_is_recorded_and_followed(config: TrainConfig) -> None:
    """The base's scheduler says epsilon: generation would refuse the weights without the record."""
    weights = train(changed(config, steps=1, prediction="v_prediction"))
    info = read_info(weights)
    assert (info.prediction_type, info.prediction_given) == ("v_prediction", True)
    base = ready_base(GenerateConfig(weights, config.data, config.output / "out", base=config.base))
    assert base.schedule.prediction_type == "v_prediction" and base.applied == str(weights)
    with pytest.raises(WeightsError, match="predicts 'epsilon'; expected 'v_prediction'"):
        load_class(load_base(config.base), weights)
    other = train(changed(config, steps=1, output=config.output / "as the base says"))
    assert not read_info(other).prediction_given


def test_early_stop_writes_the_best_weights(config: TrainConfig) -> None:
    """A ruinous learning rate: the validation loss soon rises, and what is written is not the
    last."""
    weights = train(changed(config, steps=40, lr=0.1, validate_every=1, early_stop=2))
    rows = log_of(weights)[1:]
    validations = [float(row["validation"]) for row in rows]
    assert len(rows) < 40
    assert len(rows) - (1 + int(np.argmin(validations))) == 2
    best = load_file(weights.with_suffix(".run") / "best.safetensors")
    assert torch.equal(best["0"], load_file(weights)["conv_in.weight"])
    assert read_info(weights).validation_after == pytest.approx(min(validations), abs=1e-6)


def test_nothing_held_out_is_said(config: TrainConfig, caplog: pytest.LogCaptureFixture) -> None:
    weights = train(changed(config, shots=6, steps=1))
    assert "no picture is held out" in caplog.text
    assert [row["validation"] for row in log_of(weights)] == [""]
    info = read_info(weights)
    assert (info.validation_before, info.validation_after) == (None, None)


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"shots": 0}, SettingError, "shots is 0"),
        ({"shots": 7}, DataError, "at most 6"),
        ({"defect": "dent"}, DataError, "one of cut, spot"),
        ({"object": "nut"}, DataError, "no object 'nut'"),
        ({"defect": None}, DataError, "holds 2 classes"),
        ({"steps": 0}, SettingError, "steps is 0"),
        ({"batch": 0}, SettingError, "batch is 0"),
        ({"lr": float("nan")}, SettingError, "lr is nan"),
        ({"lora_rank": -1}, SettingError, "lora_rank is -1"),
        ({"ema": 1.0}, SettingError, "ema is 1"),
        ({"views": 0}, SettingError, "views is 0"),
        ({"resolution": 33}, SettingError, "multiple of 2"),
        ({"resolution": 8}, SettingError, "resolution is 8"),
        ({"shots": 2, "fold": 1}, SettingError, "more than one"),
        ({"fold": 2}, SettingError, "fold is 2"),
        ({"early_stop": 3}, SettingError, "validate_every"),
        ({"early_stop": 3, "validate_every": 1, "shots": 6}, SettingError, "nothing held out"),
        (
            {"early_stop": 3, "validate_every": 1, "validation_pictures": 0},
            SettingError,
            "early_stop without pictures",
        ),
        (
            {"lora_rank": 4, "trained_part": "cross_attention_kv"},
            SettingError,
            "trained_part is cross_attention_kv with a LoRA",
        ),
        ({"min_snr_gamma": 0.0}, SettingError, "min_snr_gamma is 0"),
        ({"timesteps": "normal"}, SettingError, "timesteps is 'normal'"),
        ({"loss": "naive", "mask_weight": 2.0}, SettingError, "naive"),
        ({"mask_weight": -1.0}, SettingError, "mask_weight is -1"),
        ({"precision": "fp16"}, SettingError, "fp16 on a CPU"),
        ({"base": "/nowhere"}, WeightsError, "does not exist"),
    ],
)
def test_bad_settings(
    config: TrainConfig, changes: dict[str, Any], error: type[BGDefectError], match: str
) -> None:
    with pytest.raises(error, match=match):
        train(changed(config, **changes))
    assert not config.output.exists()


def test_what_a_sheet_or_tensorboard_lacks_is_refused_first(
    config: TrainConfig, plates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = shutil.copytree(plates, tmp_path / "plate")
    (damaged / "train/good/000.png").write_bytes(b"no picture")
    with pytest.raises(PictureError, match="000.png cannot be read"):
        train(changed(config, data=damaged, sample_every=1))
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(SettingError, match="tensorboard is not installed"):
        train(changed(config, tensorboard=True))
    assert not config.output.exists()


def test_bad_places(config: TrainConfig, tmp_path: Path) -> None:
    occupied = tmp_path / "file"
    occupied.write_text("mine")
    with pytest.raises(OutputError, match="is a file"):
        train(changed(config, output=occupied))
    with pytest.raises(OutputError, match="cannot be written"):
        train(changed(config, output=occupied / "inside"))
    foreign = tmp_path / "foreign.safetensors"
    foreign.write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        train(changed(config, output=foreign))
    assert occupied.read_text() == foreign.read_text() == "mine"


def test_another_run_is_refused_and_a_finished_one_returns(config: TrainConfig) -> None:
    weights = train(config)
    before = weights.read_bytes()
    assert train(changed(config, save_every=7)) == weights
    with pytest.raises(OutputError, match="another run: seed was 0, now 1"):
        train(changed(config, seed=1))
    assert weights.read_bytes() == before


def test_a_run_does_not_go_on_with_changed_files(
    config: TrainConfig, plates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paths alone say nothing: pictures and masks of both sides are known by their content."""
    config = changed(config, data=shutil.copytree(plates, tmp_path / "plate"), save_every=1)

    def killed(*arguments: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("trainer.training.train.finish", killed)
        train(config)
    for path in (
        config.data / "test/spot/000.png",
        config.data / "test/spot/005.png",
        config.data / "ground_truth/spot/001_mask.png",
    ):
        kept = path.read_bytes()
        path.write_bytes(kept + b" ")
        with pytest.raises(OtherRunError, match=f"{path} is not what it was when the run began"):
            train(config)
        path.write_bytes(kept)
    record = json.loads((config.output / "plate-spot.run/run.json").read_text())
    assert len(record["inputs"]) == 12 + 2  # VAE and text encoder, too
    moved = config.data.rename(tmp_path / "plate-moved").rename(tmp_path / "moved-to")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked/plate").symlink_to(moved, target_is_directory=True)
    assert train(changed(config, data=tmp_path / "linked/plate")).is_file()


def test_a_link_of_another_name_is_the_same_run(config: TrainConfig, tmp_path: Path) -> None:
    weights = train(config)
    before = load_file(weights)
    renamed = tmp_path / "another_name"
    renamed.symlink_to(config.data, target_is_directory=True)
    for output in (config.output, weights):
        assert train(changed(config, data=renamed, output=output)) == weights
    weights.unlink()
    assert train(changed(config, data=renamed)) == weights
    after = load_file(weights)
    assert before.keys() == after.keys() and read_info(weights).object == "plate"
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert sorted(path.name for path in weights.parent.glob("*.safetensors")) == [weights.name]
    with pytest.raises(OtherRunError, match="object was plate, now another_name"):
        train(changed(config, data=renamed, object="another_name", output=weights))


@pytest.mark.parametrize("place", ["", "annotations/instances_train.json"])
def test_a_renamed_folder_of_labels_is_the_same_run(
    place: str, config: TrainConfig, tmp_path: Path
) -> None:
    root = coco_nut(tmp_path / "nut")
    config = changed(config, data=root / place, defect="cut")
    before = choose_class(config)
    inputs = read_inputs({"picture 0": root / "images/000.png"})
    settings = {"object": "nut", "defect": "cut"}
    RunRecord(before.folder.run_file, settings, inputs).write()
    renamed = root.rename(tmp_path / "bolt")
    after = choose_class(changed(config, data=renamed / place))
    assert (after.object, after.folder) == ("nut", before.folder)
    assert choose_class(changed(config, data=renamed / place, object="bolt")).object == "bolt"


@pytest.mark.parametrize("part", ["vae", "text_encoder"])
def test_a_run_is_refused_on_a_base_whose_other_networks_changed(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """Its U-Net, and so its fingerprint, is the same."""
    base = shutil.copytree(config.base or "", tmp_path / "base")
    config = changed(config, base=str(base), save_every=1)

    def killed(*arguments: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("trainer.training.train.finish", killed)
        train(config)
    (path,) = (base / part).glob("*.safetensors")
    kept = path.read_bytes()
    nudge(path)
    with pytest.raises(
        OtherRunError,
        match=f"the {part.replace('_', ' ')} of the base .* is not what it was when the run began",
    ):
        train(config)
    path.write_bytes(kept)
    assert train(config).is_file()


def test_two_processes_cannot_run_at_once(config: TrainConfig) -> None:
    folder = config.output / "plate-spot.run"
    with locked(folder), pytest.raises(OutputError, match="in use by another process"):
        train(config)
    assert [path.name for path in folder.iterdir()] == [".lock"]
    weights = train(config)  # what was refused holds nothing back
    with locked(folder):
        pass
    assert weights.is_file()


def test_an_overflow_in_fp16_is_mended_by_fp32(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The training is done: storing its weights in another precision is no other run."""
    import trainer.training.outcome as outcome
    import trainer.training.train as module

    def overflow(*arguments: Any, fp16: bool) -> None:
        raise WeightsError("NaN or infinity", "finite weights", "store as fp32")

    with monkeypatch.context() as patch:
        patch.setattr(outcome, "save_weights", overflow)
        with pytest.raises(WeightsError, match="store as fp32"):
            train(changed(config, weights_precision="fp16"))
    monkeypatch.setattr(module, "iteration", None)  # nothing is trained again
    assert load_file(train(config))["conv_in.weight"].dtype == torch.float32


# --- views and batches
# ------------------------------------------------------------------------------------------------


def test_views_hold_the_defect_at_generations_scale() -> None:
    mask = np.zeros((200, 300), bool)
    mask[90:110, 140:180] = True
    views = Views(64, "defect", 16)
    plain = crop_box(mask, 64, "defect")
    rng = np.random.default_rng(0)
    crops = [view_crop(mask, views, rng) for _ in range(400)]
    assert np.exp(np.mean([np.log(crop.side / plain.side) for crop in crops])) == pytest.approx(
        1, abs=0.02
    )
    assert len({crop.side for crop in crops}) > 10
    for crop in crops:
        assert crop.top <= 90 and crop.left <= 140
        assert crop.top + crop.side >= 110 and crop.left + crop.side >= 180
        assert 0 <= crop.top <= 200 - crop.side and 0 <= crop.left <= 300 - crop.side


def test_view_zero_is_plain_and_all_are_fixed() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (40, 48, 3)).astype(np.uint8)
    mask = np.zeros((40, 48), bool)
    mask[10:14, 20:30] = True
    views = Views(32, "defect", 4, seed=5)
    first, again = (view(picture, mask, views, 1, 2) for _ in range(2))
    assert np.array_equal(first[0], again[0]) and np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], view(picture, mask, views, 1, 3)[0])
    fixed = Views(32, "defect", 4, flips=False, turns=False, seed=5)
    for number in range(1, 4):  # a wide mask stays wide where nothing may be turned
        rows, columns = np.nonzero(view(picture, mask, fixed, 0, number)[1])
        assert np.ptp(columns) > np.ptp(rows)


def test_views_look_at_one_defect_after_the_other() -> None:
    mask = np.zeros((200, 300), bool)
    mask[20:30, 20:30] = mask[150:170, 250:270] = True
    picture = np.zeros((200, 300, 3), np.uint8)
    picture[:, 150:] = 255  # around the larger defect
    for number in range(4):
        shown, defect = view(picture, mask, Views(64, "defect", 4), 0, number)
        assert (shown == (0 if number % 2 else 255)).all() and defect.any()
    whole = view(picture, mask, Views(64, "whole", 4), 0, 0)[1]
    assert whole[:32, :32].any() and whole[32:, 32:].any()


def numbered(pictures: int, views: int) -> LatentCache:
    latents = torch.arange(pictures * views).float().view(-1, 1, 1, 1).expand(-1, 1, 2, 2)
    return LatentCache(
        latents, torch.zeros(pictures * views, 2, 2, dtype=torch.long), views, (1,) * pictures
    )


def test_batches_are_cut_from_one_and_visit_all_pictures_equally() -> None:
    cache = numbered(5, 3)
    whole = [Batches(cache, 6, 1000, 7).at(step)[0] for step in range(10)]
    parts = [
        part
        for process in range(3)
        for part in Batches(cache, 2, 1000, 7, process=process, processes=3).at(4)
    ]
    assert torch.equal(torch.cat([part.z_0 for part in parts]), whole[4].z_0)
    assert torch.equal(torch.cat([part.eps for part in parts]), whole[4].eps)
    assert torch.equal(torch.cat([part.t for part in parts]), whole[4].t)
    pictures = torch.cat([batch.z_0[:, 0, 0, 0] for batch in whole]).div(3, rounding_mode="floor")
    assert torch.bincount(pictures.long()).tolist() == [12] * 5
    assert not torch.equal(whole[0].eps, whole[1].eps)


def test_a_part_alone_is_trained(tiny_base: Path) -> None:
    unet = load_base(str(tiny_base)).unet
    part = TRAINED_PARTS["cross_attention_kv"]
    parameters = make_trainable(unet, (), 0, 0, part)
    trained = [name for name, one in unet.named_parameters() if one.requires_grad]
    blocks = [name for name, module in unet.named_modules() if name.endswith("attn2")]
    assert len(parameters) == len(trained) == 2 * len(blocks) > 0
    assert {name.removesuffix(".weight") for name in trained} == {
        f"{block}.to_{kind}" for block in blocks for kind in "kv"
    }
    make_trainable(unet, (), 0, 0)
    assert all(parameter.requires_grad for parameter in unet.parameters())


def test_timesteps_follow_their_distribution() -> None:
    """Of a uniform draw a quarter lies in each quarter; of sigmoid(n) 13.6 % below a quarter, where
    n < -log 3."""
    for name, share in (("uniform", 0.25), ("logit_normal", 0.136)):
        t = TIMESTEP_DRAWS[name].draw(20_000, 1000, torch.Generator().manual_seed(1))
        assert t.dtype == torch.long and 0 <= t.min() < t.max() <= 999
        assert float((t < 250).float().mean()) == pytest.approx(share, abs=0.01)
        assert float((t >= 750).float().mean()) == pytest.approx(share, abs=0.01)


def test_pictures_of_the_validation_are_spread_evenly() -> None:
    assert spread_evenly(list(range(10)), 3) == [0, 3, 6]  # type: ignore[arg-type]
    assert spread_evenly(list(range(2)), 3) == [0, 1]  # type: ignore[arg-type]
    assert spread_evenly(list(range(2)), 0) == []  # type: ignore[arg-type]


def test_a_validation_reads_so_many_pictures(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[tuple[str, int]] = []

    def counted(base: Base, examples: Sequence[Any], *arguments: Any, progress: str) -> LatentCache:
        encoded.append((progress, len(examples)))
        return build_cache(base, examples, *arguments, progress=progress)

    monkeypatch.setattr("trainer.training.setup.build_cache", counted)
    for most in (0, 2, 32):
        output = config.output / str(most)
        weights = train(changed(config, steps=1, output=output, validation_pictures=most))
        assert (read_info(weights).validation_after is None) == (most == 0)
    held_out = [number for progress, number in encoded if progress == "held-out pictures"]
    assert held_out[0] == 2 and held_out[1] > 2 and len(held_out) == 2


def test_validation_is_fixed_and_reads_plain_views_at_all_noise_levels() -> None:
    batches = validation_batches(numbered(3, 2), 5, 1000, 0)
    assert [len(batch.t) for batch in batches] == [5, 5, 2]
    assert (
        torch.cat([batch.z_0[:, 0, 0, 0] for batch in batches]).tolist()
        == [0.0] * 4 + [2.0] * 4 + [4.0] * 4
    )
    quarters = torch.cat([batch.t for batch in batches]) // 250
    assert quarters.tolist() == [0, 1, 2, 3] * 3
    again = validation_batches(numbered(3, 2), 5, 1000, 0)
    assert all(torch.equal(a.eps, b.eps) for a, b in zip(batches, again, strict=True))


def test_cells_of_other_classes_are_marked_as_neither(tiny_base: Path, tmp_path: Path) -> None:
    """Two squares of one picture: the cut is 1, the dent is neither; where both are, it is cut."""
    write_picture(tmp_path / "0.png", np.full((64, 64, 3), 90, np.uint8))
    cut = Region("cut", Box(8, 8, 24, 24), "cut")
    dent = Region("dent", Box(16, 16, 48, 48), "dent")
    example = Example(tmp_path / "0.png", (), "plate", "cut", "", regions=(cut,), others=(dent,))
    base = load_base(str(tiny_base))
    cache = build_cache(base, [example], Views(64, "whole", 1), 1)
    cells = 64 // base.factor
    expected = np.zeros((cells, cells), int)
    expected[16 // base.factor : 48 // base.factor, 16 // base.factor : 48 // base.factor] = -1
    expected[8 // base.factor : 24 // base.factor, 8 // base.factor : 24 // base.factor] = 1
    assert cache.regions[0].tolist() == expected.tolist()
