"""Weights of a diffusers folder: files by listing, variants, shards, and every fault named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file

from bgdefect_core.errors import BGDefectError, WeightsError
from bgdefect_core.weights.files import UNKNOWN
from bgdefect_core.weights.weight_sets import find_weights
from trainer.bases.families import FAMILIES
from trainer.bases.load import load_base
from trainer.bases.weight_files import library_errors

NAME = "diffusion_pytorch_model"


@pytest.fixture
def copy(tiny_base: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_base, tmp_path / "copy")


def listed(folder: Path, *names: str) -> list[str]:
    """The files that are chosen in a folder of empty files."""
    for name in names:
        (folder / name).write_bytes(b"")
    return [path.name for path in find_weights(folder)]


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        ([f"{NAME}.safetensors", f"{NAME}.fp16.safetensors"], [f"{NAME}.safetensors"]),
        ([f"{NAME}.fp16.safetensors", f"{NAME}.non_ema.safetensors"], [f"{NAME}.fp16.safetensors"]),
        ([f"{NAME}.non_ema.safetensors"], [f"{NAME}.non_ema.safetensors"]),
        ([f"{NAME}.FP16.SafeTensors", "._x.safetensors"], [f"{NAME}.FP16.SafeTensors"]),
        ([f"{NAME}.SAFETENSORS", f"{NAME}.bin"], [f"{NAME}.SAFETENSORS"]),
        (["model.safetensors"], ["model.safetensors"]),
        (["weights.safetensors"], ["weights.safetensors"]),
        ([f"{NAME}.safetensors", "other.safetensors"], [f"{NAME}.safetensors"]),
        (
            [f"{NAME}.fp16-00001-of-00002.safetensors", f"{NAME}.fp16-00002-of-00002.safetensors"],
            [f"{NAME}.fp16-00001-of-00002.safetensors", f"{NAME}.fp16-00002-of-00002.safetensors"],
        ),
        (
            [f"{NAME}-00002-of-00002.fp16.safetensors", f"{NAME}-00001-of-00002.fp16.safetensors"],
            [f"{NAME}-00001-of-00002.fp16.safetensors", f"{NAME}-00002-of-00002.fp16.safetensors"],
        ),
        (
            [f"{NAME}-00001-of-00002.safetensors", f"{NAME}.safetensors"],
            [f"{NAME}.safetensors"],
        ),
    ],
)
def test_which_files_are_read(tmp_path: Path, names: list[str], chosen: list[str]) -> None:
    assert listed(tmp_path, *names) == chosen


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "holds no weights"),
        (["._model.safetensors"], "holds no weights"),
        ([f"{NAME}.bin"], f"only {NAME}.bin, a pickle.*safe_serialization"),
        ([f"{NAME}.ema.safetensors", f"{NAME}.non_ema.safetensors"], "model.ema, .*model.non_ema"),
        (["a.safetensors", "b.safetensors"], "several sets of weights: a, b"),
        ([f"{NAME}-00002-of-00003.safetensors"], "lacks part 1 of 3"),
        ([f"{NAME}.fp16-00001-of-00002.safetensors"], "lacks part 2 of 2"),
    ],
)
def test_what_cannot_be_chosen_is_named(tmp_path: Path, names: list[str], message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        listed(tmp_path, *names)


def test_an_index_without_its_files_is_named(tmp_path: Path) -> None:
    index = tmp_path / f"{NAME}.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"x": f"{NAME}-00001-of-00002.safetensors"}}))
    with pytest.raises(WeightsError, match=f"names, first {NAME}-00001-of-00002.safetensors"):
        find_weights(tmp_path)
    index.write_text("[" * 100_000)
    with pytest.raises(WeightsError, match="none of the files that it names"):
        find_weights(tmp_path)


def test_a_sharded_fp16_variant_is_the_same_base(
    tiny_base: Path, copy: Path, caplog: pytest.LogCaptureFixture
) -> None:
    unet = UNet2DConditionModel.from_pretrained(copy / "unet")
    shutil.rmtree(copy / "unet")
    unet.save_pretrained(copy / "unet", max_shard_size="300KB", variant="fp16")
    assert len(list((copy / "unet").glob("*.safetensors"))) > 1
    with caplog.at_level("INFO"):
        assert load_base(copy).fingerprint == load_base(tiny_base).fingerprint
    assert "unet: reads diffusion_pytorch_model.fp16-00001-of-" in caplog.text


def test_odd_names_and_dot_files_are_the_same_base(tiny_base: Path, copy: Path) -> None:
    file = copy / "unet" / f"{NAME}.safetensors"
    file.rename(file.with_name("MODEL.SAFETENSORS"))
    file.with_name(f"._{NAME}.safetensors").write_bytes(b"\x00\x05\x16\x07")
    file = copy / "text_encoder" / "model.safetensors"
    file.rename(file.with_name("model.ema_only.safetensors"))
    first, second = load_base(tiny_base), load_base(copy)
    for name, tensor in first.unet.state_dict().items():
        assert torch.equal(second.unet.state_dict()[name], tensor), name
    assert first.inputs["text encoder"]["sha256"] == second.inputs["text encoder"]["sha256"]


def test_attention_under_its_old_names(tiny_base: Path, copy: Path) -> None:
    """As Stable Diffusion's own VAE lies in its folder."""
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    file = copy / "vae" / f"{NAME}.safetensors"
    tensors = {}
    for name, tensor in load_file(file).items():
        for today, before in old.items():
            name = name.replace(f".{today}.", f".{before}.")
        tensors[name] = tensor
    assert any(".query." in name for name in tensors)
    save_file(tensors, file)
    assert load_base(copy).inputs["vae"]["sha256"] == load_base(tiny_base).inputs["vae"]["sha256"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
    ],
)
def test_a_file_that_is_something_else_is_named(copy: Path, content: bytes, message: str) -> None:
    (copy / "text_encoder" / "model.safetensors").write_bytes(content)
    with pytest.raises(WeightsError, match=f"model.safetensors: {message}"):
        load_base(copy)


def change_config(part: Path, **changes: Any) -> None:
    path = part / ("scheduler_config.json" if part.name == "scheduler" else "config.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_configuration_of_another_model_is_named(copy: Path) -> None:
    change_config(copy / "unet", block_out_channels=[32, 64])
    with pytest.raises(WeightsError, match=r"unet (lacks|holds)"):
        load_base(copy)
    (copy / "unet" / "config.json").write_text("{")
    with pytest.raises(WeightsError, match="config.json cannot be loaded .*copy it again"):
        load_base(copy)


def test_quantised_weights_are_refused(copy: Path) -> None:
    file = copy / "unet" / f"{NAME}.safetensors"
    tensors = load_file(file)
    save_file(tensors | {"conv_in.weight": tensors["conv_in.weight"].to(torch.int8)}, file)
    with pytest.raises(WeightsError, match="quantised weights .conv_in.weight is torch.int8"):
        load_base(copy)


def stored_as(path: Path, dtype: torch.dtype, **extra: torch.Tensor) -> None:
    tensors = {name: tensor.to(dtype) for name, tensor in load_file(path).items()}
    save_file(tensors | extra, path)


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_weights_of_eight_bits_are_read_and_said(
    copy: Path, dtype: torch.dtype, caplog: pytest.LogCaptureFixture
) -> None:
    path = copy / "unet" / f"{NAME}.safetensors"
    stored_as(path, dtype)
    base = load_base(copy)
    assert base.unet.conv_in.weight.dtype == torch.float32
    assert base.fingerprint == UNKNOWN
    kind = str(dtype).removeprefix("torch.")
    assert f"unet holds weights of 8 bits ({kind}), rounded coarsely: read as fp32" in caplog.text


@pytest.mark.parametrize("name", ["conv_in.scale_weight", "conv_in.weight_scale", "scaled_fp8"])
@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_scales_of_eight_bit_weights_are_no_weights(copy: Path, part: str, name: str) -> None:
    (path,) = (copy / part).glob("*.safetensors")
    stored_as(path, torch.float8_e4m3fn, **{name: torch.ones(1)})
    with pytest.raises(WeightsError, match=f"{part} holds quantised weights .{name} is"):
        load_base(copy)


@pytest.mark.parametrize("kind", ["FlowMatchEulerDiscreteScheduler", "EDMEulerScheduler"])
def test_schedulers_of_other_predictions_are_refused(copy: Path, kind: str) -> None:
    path = copy / "scheduler/scheduler_config.json"
    config = json.loads(path.read_text()) | {"_class_name": kind}
    del config["prediction_type"]
    path.write_text(json.dumps(config))
    with pytest.raises(WeightsError, match=f"scheduler_config.json is of the kind {kind}"):
        load_base(copy)


def test_parts_in_capitals_are_the_same_base(tiny_base: Path, copy: Path) -> None:
    for part in ("unet", "vae", "text_encoder", "tokenizer", "scheduler"):
        (copy / part).rename(copy / part.title())
    for name in ("Unet/config.json", "Vae/config.json", "Scheduler/scheduler_config.json"):
        path = copy / name
        path.rename(path.with_name(path.name.upper()))
    (copy / "Text_Encoder" / "model.safetensors").rename(copy / "Text_Encoder/Model.SafeTensors")
    assert load_base(copy).fingerprint == load_base(tiny_base).fingerprint
    (copy / "UNET").mkdir()
    with pytest.raises(WeightsError, match="holds UNET and Unet; .*remove one of them"):
        load_base(copy)


def test_trained_betas_make_the_schedule(copy: Path) -> None:
    change_config(copy / "scheduler", trained_betas=[0.01] * 1000)
    alphas = load_base(copy).schedule.alphas_cumprod
    assert float(alphas[0]) == pytest.approx(0.99)
    assert float(alphas[-1]) == pytest.approx(0.99**1000, rel=1e-4)
    for damage in ("x", [], [0.01, "x"], [2.0]):
        change_config(copy / "scheduler", trained_betas=damage)
        with pytest.raises(WeightsError, match="trained_betas"):
            load_base(copy)


def test_signs_in_a_folder(copy: Path) -> None:
    file = copy / "unet" / f"{NAME}.safetensors"
    save_file(load_file(file), file, {"modelspec.prediction_type": "v"})
    with pytest.raises(WeightsError, match="epsilon by scheduler_config.json; v_prediction by"):
        load_base(copy)
    assert load_base(copy, "v_prediction").schedule.prediction_type == "v_prediction"
    change_config(copy / "scheduler", prediction_type="v_prediction")
    assert load_base(copy).schedule.prediction_type == "v_prediction"
    change_config(copy / "scheduler", prediction_type="sample")
    with pytest.raises(WeightsError, match="sample"):
        load_base(copy)


def test_another_kind_of_folder_is_named(copy: Path, tmp_path: Path) -> None:
    outer = tmp_path / "outer" / "snapshots"
    outer.mkdir(parents=True)
    shutil.copytree(copy, outer / "abc")
    with pytest.raises(WeightsError, match="give the folder .*abc"):
        load_base(tmp_path / "outer")
    (copy / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    (copy / "unet").rename(copy / "transformer")
    with pytest.raises(WeightsError, match="a transformer, not a U-Net .a FluxPipeline."):
        load_base(copy)


def test_a_text_width_of_no_family_is_named(copy: Path) -> None:
    change_config(copy / "unet", cross_attention_dim=1280)
    with pytest.raises(WeightsError, match="text of width 1280; expected one of: small bases"):
        load_base(copy)


def test_every_family_says_what_it_is() -> None:
    for name, family in FAMILIES.items():
        assert name == family.name and family.summary
        assert family.parts[:2] == ("unet", "vae") and family.parts[-1] == "scheduler"
        if family.configs:
            parts = {path.name for path in family.config_folder.iterdir() if path.is_dir()}
            tokenizers = {part.tokenizer for part in family.text_parts}
            assert parts == set(family.parts) - tokenizers
            config = json.loads((family.config_folder / "unet" / "config.json").read_text())
            fitting = [other.name for other in FAMILIES.values() if other.fits_folder(config)]
            assert fitting == [name]


def test_any_exception_of_a_library_is_typed() -> None:
    class Odd(Exception):
        pass

    for reason in (Odd("broken"), AttributeError(), Exception("plain")):
        with pytest.raises(WeightsError, match="the part cannot be loaded .*; expected x; do y"):
            with library_errors("the part", "x", "do y"):
                raise reason
    for passed in (KeyboardInterrupt, MemoryError, BGDefectError):
        with pytest.raises(passed), library_errors("the part", "x", "do y"):
            raise passed("kept")
