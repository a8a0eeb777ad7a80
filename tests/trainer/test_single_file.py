"""Bases in a single file: round trips, the signs of what they predict, and every refusal."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel

from bgdefect_core.errors import WeightsError
from bgdefect_core.paths import ASSETS
from trainer.bases.families import FAMILIES, family
from trainer.bases.load import load_base
from trainer.bases.prediction import Sign, decide, inference_config, sign_of_config, signs_of
from trainer.training.tuning import class_tensors, make_trainable

from . import single_file_writer as writer

CONFIGS = ASSETS / "configs"


def config(name: str, part: str) -> dict[str, Any]:
    return json.loads((CONFIGS / name / part / "config.json").read_text())


def parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


SMALL_UNET = {
    "block_out_channels": [32, 32, 32, 32],
    "attention_head_dim": 4,
    "use_linear_projection": False,
}
SMALL_VAE = {"block_out_channels": [32, 32, 32, 32]}


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Our configurations with all widths shrunk, but the text's own: where it stands in the file
    tells 1.x from 2.x."""
    assets = tmp_path / "assets"
    shutil.copytree(CONFIGS, assets / "configs")
    for name in ("sd1", "sd2"):
        text = {"num_hidden_layers": 1, "intermediate_size": 32}
        for part, changes in (("unet", SMALL_UNET), ("vae", SMALL_VAE), ("text_encoder", text)):
            path = assets / "configs" / name / part / "config.json"
            path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    monkeypatch.setattr(family, "ASSETS", assets)
    return assets / "configs"


def networks(configs: Path, name: str) -> tuple[Any, Any, Any]:
    def read(part: str) -> dict[str, Any]:
        return json.loads((configs / name / part / "config.json").read_text())

    text = CLIPTextConfig(**read("text_encoder"))
    return (
        UNet2DConditionModel(**_plain(read("unet"))),
        AutoencoderKL(**_plain(read("vae"))),
        CLIPTextModel(text),
    )


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if not key.startswith("_")}


FIRST = family.FIRST
WIDTH = family.TEXT_KEY
WHOLE = {
    FIRST: torch.zeros(32, 4, 3, 3),
    WIDTH: torch.zeros(32, 768),
    "first_stage_model.x": torch.zeros(1),
    "cond_stage_model.x": torch.zeros(1),
}
"""Enough names for a file to be taken for a Stable Diffusion 1.x one."""


def test_a_file_with_every_sign_of_v(small: Path, tmp_path: Path) -> None:
    """Its ending is in capitals and its text encoder has the names of old checkpoints, too."""
    unet, vae, text = networks(small, "sd1")
    old_names = {
        name.replace("text_model.", ""): tensor
        for name, tensor in writer.clip_names(text.state_dict()).items()
    }
    signs = {"v_pred": torch.zeros(0), "ztsnr": torch.zeros(0)}
    path = tmp_path / "Model.SAFETENSORS"
    parts = (writer.unet_names(unet.state_dict()), writer.vae_names(vae.state_dict()))
    writer.write_single_file(path, *parts, old_names, signs)
    config = tmp_path / "model.yaml"
    config.write_text("model:\n  params:\n    parameterization: v\n    timesteps: 500\n")
    base = load_base(path)
    assert base.schedule.prediction_type == "v_prediction"
    assert len(base.schedule.alphas_cumprod) == 500
    assert float(base.schedule.alphas_cumprod[-1]) < 1e-7
    for name, tensor in text.state_dict().items():
        if "position_ids" not in name:
            assert torch.equal(base.text_encoder.state_dict()[name], tensor), name
    config.write_text("model: {params: {parameterization: eps}}")
    with pytest.raises(
        WeightsError,
        match="contradicts itself: v_prediction by the key v_pred; epsilon by model.yaml beside it"
        ".*--prediction",
    ):
        load_base(path)
    assert load_base(path, "v_prediction").schedule.prediction_type == "v_prediction"
    with pytest.raises(WeightsError, match="ztsnr.*--prediction v_prediction"):
        load_base(path, "epsilon")


@pytest.mark.parametrize(
    ("metadata", "prediction_type"),
    [
        ({"modelspec.prediction_type": "v"}, "v_prediction"),
        ({"modelspec.prediction_type": "V-Prediction"}, "v_prediction"),
        ({"modelspec.prediction_type": "epsilon"}, "epsilon"),
        ({"modelspec.architecture": "stable-diffusion-v2-768-v"}, "v_prediction"),
        ({"modelspec.architecture": "stable-diffusion-v2-512"}, "epsilon"),
        ({"modelspec.architecture": "stable-diffusion-v1"}, None),
        ({}, None),
    ],
)
def test_signs_in_the_metadata(metadata: dict[str, str], prediction_type: str | None) -> None:
    signs = signs_of(["x"], metadata, Path("m.safetensors"))
    assert [sign.prediction_type for sign in signs] == [prediction_type] * (
        prediction_type is not None
    )


def test_other_predictions_are_refused() -> None:
    metadata = {"modelspec.prediction_type": "x0"}
    with pytest.raises(WeightsError, match="predicts 'x0' by the metadata"):
        signs_of([], metadata, Path("m.safetensors"))


def test_an_inference_config_beside_the_file(tmp_path: Path) -> None:
    path = tmp_path / "m.fp16.safetensors"
    assert inference_config(path) is None
    config = tmp_path / "M.FP16.yml"
    for text, signs in (
        ("model: {params: {parameterization: v}}", ["v_prediction"]),
        ("model: {params: {parameterization: eps}}", ["epsilon"]),
        ("model: {params: {}}", []),
        ("model:", []),
        ("just text", []),
        ("[1, 2]", []),
    ):
        config.write_text(text)
        result = inference_config(path)
        assert result is not None and result[0] == config
        assert [sign.prediction_type for sign in sign_of_config(*result)] == signs
    for damage in ("a: [", "[" * 5000, "!!python/object/apply:os.getcwd []"):
        config.write_text(damage)
        with pytest.raises(WeightsError, match="M.FP16.yml cannot be read.*correct it"):
            inference_config(path)


def test_two_inference_configs_are_refused_and_letters_have_one_form(tmp_path: Path) -> None:
    path = tmp_path / "mod\u00e8le.safetensors"
    config = tmp_path / "mode\u0300le.yaml"
    config.write_text("model: {params: {parameterization: v}}")
    result = inference_config(path)
    assert result is not None and result[0] == config
    (tmp_path / "mod\u00e8le.yml").write_text("model: {params: {parameterization: eps}}")
    with pytest.raises(WeightsError, match=r"yaml and .*yml lie beside .*; move one away"):
        inference_config(path)


def test_what_is_given_settles_it(caplog: pytest.LogCaptureFixture) -> None:
    v, noise = Sign("a", "v_prediction"), Sign("b", "epsilon")
    assert decide([], None, "epsilon", "m") == "epsilon"
    assert decide([], "v_prediction", "epsilon", "m") == "v_prediction"
    assert decide([v], None, "epsilon", "m") == "v_prediction"
    assert decide([v, v], None, "epsilon", "m") == "v_prediction"
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
    assert decide([v, noise], "epsilon", "v_prediction", "m") == "epsilon"
    assert "against v_prediction by a" in caplog.text
    with pytest.raises(WeightsError, match="v_prediction by a; epsilon by b"):
        decide([v, noise], None, "epsilon", "m")


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("edm_mean", "Playground 2.5"),
        ("conditioner.embedders.0.model.ln_final.bias", "the refiner of"),
        ("model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight", "Stable Diffusion 3"),
        ("model.diffusion_model.double_blocks.0.img_mod.lin.weight", "FLUX"),
        ("double_blocks.0.img_mod.lin.weight", "FLUX"),
        ("control_model.time_embed.0.weight", "a ControlNet"),
        ("lora_unet_mid_block_attentions_0_proj_in.lora_down.weight", "a LoRA"),
        ("unet.down_blocks.0.attentions.0.to_q.lora_A.weight", "a LoRA"),
        ("emb_params", "a textual inversion"),
        ("down_blocks.0.resnets.0.norm1.weight", "a network alone, in diffusers' names"),
        ("model_ema.diffusion_modelinput_blocks00weight", "no U-Net, only its average"),
    ],
)
def test_other_models_are_named(tmp_path: Path, name: str, model: str) -> None:
    path = tmp_path / "model.safetensors"
    save_file({name: torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match=f"model.safetensors (is|holds) {model}"):
        load_base(path)


def test_a_class_weights_file_is_no_base(weights: Path) -> None:
    with pytest.raises(WeightsError, match="class weights file of BGDefect.*as the class weights"):
        load_base(weights)


@pytest.mark.parametrize(
    ("channels", "model"),
    [(9, "an inpainting model"), (5, "a depth model"), (7, "an upscaler"), (8, "InstructPix2Pix")],
)
def test_other_inputs_are_named(tmp_path: Path, channels: int, model: str) -> None:
    path = tmp_path / "model.safetensors"
    save_file({**WHOLE, FIRST: torch.zeros(32, channels, 3, 3)}, path)
    with pytest.raises(WeightsError, match=f"reads {channels} channels .{model}."):
        load_base(path)


@pytest.mark.parametrize(
    "extra",
    [
        {FIRST: torch.zeros(32, 4, 3, 3, dtype=torch.int8)},
        {"model.diffusion_model.out.2.weight.scale_weight": torch.zeros(1)},
        {"scaled_fp8": torch.zeros(1)},
    ],
)
def test_quantised_files_are_refused(tmp_path: Path, extra: dict[str, torch.Tensor]) -> None:
    path = tmp_path / "model.safetensors"
    save_file({**WHOLE, **extra}, path)
    with pytest.raises(WeightsError, match="quantised weights.*before quantisation"):
        load_base(path)


def test_what_diffusers_raises_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file(WHOLE, path)
    with pytest.raises(WeightsError, match="model.safetensors cannot be loaded .*whole checkpoint"):
        load_base(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"<html>log in</html>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer.*git lfs pull"),
        (b"\x80\x02}q\x00.", "is a pickle"),
        (b"\x00\x01\x00\x00\x00\x00\x00\x00{", "is truncated"),
    ],
)
def test_what_is_no_safetensors_file_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=f"model.safetensors: {message}"):
        load_base(path)


@pytest.mark.parametrize("name", ["sd1", "sd2"])
def test_single_file_round_trip(small: Path, tmp_path: Path, name: str) -> None:
    unet, vae, text = networks(small, name)
    with torch.no_grad():
        torch.nn.init.normal_(
            dict(unet.named_parameters())[
                "up_blocks.3.attentions.2.transformer_blocks.0.norm1.bias"
            ]
        )
    encode = writer.clip_names if name == "sd1" else writer.open_clip_names
    parts = (
        writer.unet_names(unet.state_dict()),
        writer.vae_names(vae.state_dict()),
        encode(text.state_dict()),
    )
    base = load_base(writer.write_single_file(tmp_path / "some-model.safetensors", *parts))
    for ours, theirs in ((base.unet, unet), (base.vae, vae), (base.text_encoder, text)):
        found = ours.state_dict()
        for key, tensor in theirs.state_dict().items():
            assert torch.equal(found[key], tensor), key
    assert base.name == "some-model"
    assert (base.resolution, base.schedule.prediction_type) == (
        (512, "epsilon") if name == "sd1" else (768, "v_prediction")
    )
    assert base.licence == (
        "CreativeML OpenRAIL-M (SD 1.x)" if name == "sd1" else "CreativeML Open RAIL++-M (SD 2.x)"
    )
    assert base.tokenizer.pad_token_id == (49407 if name == "sd1" else 0)
    assert base.prompts("a", ["b"], "c").background.shape[1] == 77


def test_single_file_refusals(small: Path, tmp_path: Path) -> None:
    unet, vae, text = networks(small, "sd1")
    unet_part, vae_part = writer.unet_names(unet.state_dict()), writer.vae_names(vae.state_dict())
    text_part = writer.clip_names(text.state_dict())

    def refused(match: str, *parts: dict[str, torch.Tensor]) -> None:
        with pytest.raises(WeightsError, match=match):
            load_base(writer.write_single_file(tmp_path / "model.safetensors", *parts))

    refused("holds no VAE", unet_part, text_part)
    refused("holds no text encoder", unet_part, vae_part)
    refused("holds no U-Net", vae_part, text_part)
    first = "model.diffusion_model.input_blocks.0.0.weight"
    refused("reads 9 channels", unet_part | {first: torch.zeros(32, 9, 3, 3)}, vae_part, text_part)
    wide = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
    refused("text of width 1280", unet_part | {wide: torch.zeros(32, 1280)}, vae_part, text_part)
    refused("unknown layout", {"model.diffusion_model.x": torch.zeros(1)}, vae_part, text_part)
    some = {name: tensor for name, tensor in unet_part.items() if "middle_block.0" not in name}
    refused("mid_block|cannot be loaded", some, vae_part, text_part)


def test_our_configurations_are_stable_diffusions() -> None:
    """Published numbers of parameters, and the size of a LoRA: rank 8 stays under 10 MB even in
    fp32."""
    with torch.device("meta"):
        for name, unet, text in (
            ("sd1", 859_520_964, 123_060_480),
            ("sd2", 865_910_724, 340_387_840),
        ):
            assert parameters(CLIPTextModel(CLIPTextConfig(**config(name, "text_encoder")))) == text
            assert parameters(AutoencoderKL(**_plain(config(name, "vae")))) == 83_653_863
            network = UNet2DConditionModel(**_plain(config(name, "unet")))
            assert parameters(network) == unet
    rank = 8
    wanted = 0
    for key, tensor in network.state_dict().items():
        if key.endswith(("to_q.weight", "to_k.weight", "to_v.weight", "to_out.0.weight")):
            wanted += rank * sum(tensor.shape)
    trained = make_trainable(network, FAMILIES["sd2"].lora_modules, rank, 0)
    assert sum(parameter.numel() for parameter in trained) == wanted
    tensors = class_tensors(network, rank)
    assert (
        sum(tensor.numel() for key, tensor in tensors.items() if not key.endswith(".alpha"))
        == wanted
    )
    assert 4 * wanted < 10e6


_UNET = {
    "in_channels": 4,
    "out_channels": 4,
    "sample_size": 64,
    "block_out_channels": [320, 640, 1280, 1280],
    "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
    "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
    "layers_per_block": 2,
    "downsample_padding": 1,
    "mid_block_scale_factor": 1,
    "act_fn": "silu",
    "norm_num_groups": 32,
    "norm_eps": 1e-5,
    "center_input_sample": False,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
}
_TEXT = {
    "vocab_size": 49408,
    "max_position_embeddings": 77,
    "layer_norm_eps": 1e-5,
    "attention_dropout": 0.0,
    "initializer_factor": 1.0,
    "initializer_range": 0.02,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "pad_token_id": 1,
}
_VAE = {
    "in_channels": 3,
    "out_channels": 3,
    "latent_channels": 4,
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "layers_per_block": 2,
    "act_fn": "silu",
    "norm_num_groups": 32,
    "scaling_factor": 0.18215,
}
PUBLISHED: dict[str, dict[str, dict[str, Any]]] = {
    "sd1": {
        "unet": _UNET | {"cross_attention_dim": 768, "attention_head_dim": 8},
        "text_encoder": _TEXT
        | {
            "hidden_size": 768,
            "intermediate_size": 3072,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
        }
        | {"projection_dim": 768, "hidden_act": "quick_gelu"},
        "vae": _VAE | {"sample_size": 512},
    },
    "sd2": {
        # upcast_attention as in 2.1 for 768 px; the 512 px one leaves it out. It changes what old
        # attention code did in fp16 alone.
        "unet": _UNET
        | {"cross_attention_dim": 1024, "attention_head_dim": [5, 10, 20, 20]}
        | {"use_linear_projection": True, "upcast_attention": True},
        "text_encoder": _TEXT
        | {
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "num_hidden_layers": 23,
            "num_attention_heads": 16,
        }
        | {"projection_dim": 512, "hidden_act": "gelu"},
        "vae": _VAE | {"sample_size": 768},
    },
}
"""The configurations of stable-diffusion-v1-5 and stable-diffusion-2-1-base as their makers publish
them in diffusers' form."""
SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "trained_betas": None,
}
SCHEDULE |= {
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
    "prediction_type": "epsilon",
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_our_configurations_say_what_the_published_ones_say(name: str) -> None:
    for part, published in PUBLISHED[name].items():
        ours = _plain(config(name, part))
        kept = {
            key: value for key, value in ours.items() if key not in ("architectures", "model_type")
        }
        assert kept == published, part
    scheduler = json.loads((CONFIGS / name / "scheduler" / "scheduler_config.json").read_text())
    assert _plain(scheduler) == SCHEDULE


@pytest.mark.slow
def test_real_size_single_file(tmp_path: Path) -> None:
    """A file of SD 1.5's own size and shapes (2 GB of zeros in fp16)."""
    parts: list[dict[str, torch.Tensor]] = []
    with torch.device("meta"):
        made = (
            (writer.unet_names, UNet2DConditionModel(**_plain(config("sd1", "unet")))),
            (writer.vae_names, AutoencoderKL(**_plain(config("sd1", "vae")))),
            (writer.clip_names, CLIPTextModel(CLIPTextConfig(**config("sd1", "text_encoder")))),
        )
    for names, network in made:
        state = {
            key: torch.zeros(tensor.shape, dtype=torch.float16)
            for key, tensor in network.state_dict().items()
        }
        parts.append(names(state))
    base = load_base(writer.write_single_file(tmp_path / "sd15.safetensors", *parts))
    assert parameters(base.unet) == 859_520_964
    assert (base.factor, base.resolution) == (8, 512)
    assert base.encode(torch.zeros(1, 3, 64, 64)).shape == (1, 4, 8, 8)
